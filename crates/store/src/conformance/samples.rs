//! Nouns that are well-formed and say nothing in particular.

use std::time::Duration;

use bytes::Bytes;
use posthaste_model::{
    Attempt, AttemptId, Delivery, DeliveryId, Endpoint, EndpointEffects, EndpointId, EndpointSecret,
    ErrorClass, Event, EventOptions, HealthEffect, Outcome, Payload, Reply, Sealed, TenantId, Timestamp,
    Timings, Topic,
};

use super::TTL;
use crate::{Epoch, LeaseRequest, Partition};

/// When the tests' time begins, in Unix milliseconds.
pub const START: i64 = 1_700_000_000_000;

/// An endpoint that wants everything. `number` makes its id.
pub fn sample_endpoint(tenant: &TenantId, number: u64, now: Timestamp) -> Endpoint {
    let url = format!("https://subscriber.example/{number}");
    let sealed = Sealed(Bytes::from_static(b"sealed"));
    Endpoint {
        secrets: vec![EndpointSecret { sealed, expires_at: None }],
        ..Endpoint::new(EndpointId::mint(now, random(number)), tenant.clone(), url, now)
    }
}

/// An event of the topic `order.paid`.
pub fn sample_event(tenant: &TenantId, id: &str, now: Timestamp) -> Event {
    Event {
        tenant: tenant.clone(),
        id: id.parse().expect("an event id"),
        topic: "order.paid".parse().expect("a topic"),
        payload: Payload::Data(Bytes::from_static(br#"{"total": 1.50}"#)),
        accepted_at: now,
        options: EventOptions::default(),
    }
}

/// Asks for everything that is due in a partition.
pub fn sample_request((partition, epoch): (Partition, Epoch), now: Timestamp) -> LeaseRequest {
    LeaseRequest {
        partition,
        epoch,
        now,
        limit: 1_000,
        manual: 1_000,
        per_endpoint: 1_000,
        per_tenant: 1_000,
        rooms: Vec::new(),
        throttles: Vec::new(),
        lease_for: TTL,
    }
}

pub(super) fn topic(name: &str, now: Timestamp) -> Topic {
    Topic::new(name.parse().expect("a topic"), now)
}

/// An attempt that took 20 ms. `number` makes its id.
pub fn attempt(number: u64, started_at: Timestamp, outcome: Outcome) -> Attempt {
    let first_byte = outcome.status().map(|_| Duration::from_millis(15));
    Attempt {
        id: AttemptId::mint(started_at, random(number)),
        number: 1,
        manual: false,
        started_at,
        timings: Timings {
            queued: Duration::from_micros(1_500),
            dns: None,
            connect: None,
            tls: None,
            first_byte,
            total: Duration::from_millis(20),
        },
        request: None,
        outcome,
    }
}

/// A reply with a status and nothing else.
pub fn replied(status: u16) -> Outcome {
    Outcome::Replied(Reply { status, headers: Vec::new(), body: Bytes::new(), truncated: false })
}

/// No reply.
pub fn failed(class: ErrorClass) -> Outcome {
    Outcome::Failed { class, detail: format!("it was {}", class.as_str()) }
}

/// A pause that the endpoint asked for.
pub fn park(until: Timestamp) -> EndpointEffects {
    EndpointEffects { park_until: Some(until), ..EndpointEffects::default() }
}

/// The endpoint wants nothing any more.
pub fn disable(reason: &str) -> EndpointEffects {
    EndpointEffects { disable: Some(reason.into()), ..EndpointEffects::default() }
}

/// What is noted of the endpoint's health.
pub fn fares(effect: HealthEffect) -> EndpointEffects {
    EndpointEffects { health: Some(effect), ..EndpointEffects::default() }
}

/// A delivery without its id, which every store composes in its own way.
pub fn nameless(delivery: &Delivery) -> Delivery {
    Delivery { id: DeliveryId::mint(Timestamp::UNIX_EPOCH, [0; 10]), ..delivery.clone() }
}

fn random(number: u64) -> [u8; 10] {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    random
}
