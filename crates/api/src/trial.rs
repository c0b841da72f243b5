//! Waiting for what comes of an event that an endpoint is tried out with.

use std::{sync::Arc, time::Duration};

use actix_web::web::Data;
use posthaste_model::{Attempt, Delivery, DeliveryState, Endpoint, EventId};
use posthaste_store::{DeliveryFilter, Missing, Order, Page, StoreError};
use tokio::{
    pin,
    time::{Instant, sleep},
};

use crate::{places::Place, problem::Problem, service::Service, stop::Stop};

/// How often the store is asked what became of the delivery. It has to be asked: whichever process delivers it tells the
/// store, and no other process.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long a delivery may wait for its turn, until it is attempted by hand: what tries an endpoint out does not wait for
/// the order, the limits or the pauses of its deliveries.
const PROMPTLY: Duration = Duration::from_secs(1);
/// How long a delivery may take beside its exchange, until it is not waited for any more.
const GRACE: Duration = Duration::from_secs(5);
/// How long it may wait for its place among those that are attempted by hand. It is over in time then, and its place with
/// it.
const FOR_A_PLACE: Duration = Duration::from_secs(4);

/// How an endpoint is tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As by any other delivery, and by hand if its turn does not come soon.
    InTurn,
    /// The same, and by hand at once where the endpoint is closed.
    Forced,
    /// By hand at once, whatever the endpoint's state is.
    ByHand,
}

/// What came of it.
pub(crate) struct Tried {
    pub(crate) delivery: Delivery,
    /// None: none was made, or it was not over in time.
    pub(crate) attempt: Option<Attempt>,
    /// Whether the delivery was over in time.
    pub(crate) in_time: bool,
}

/// How long what an endpoint is tried out with is waited for.
pub(crate) fn patience(service: &Service, endpoint: &Endpoint) -> Duration {
    endpoint.timeout.map_or(service.settings.timeout, |timeout| timeout.0) + GRACE
}

/// Waits for the delivery of an event that was accepted just now, for an endpoint alone. One that is not in time is given
/// up.
pub(crate) async fn follow(
    service: &Data<Service>,
    stop: &Stop,
    endpoint: &Endpoint,
    event: &EventId,
    manner: Manner,
) -> Result<Tried, Problem> {
    let published = Instant::now();
    let of_event = DeliveryFilter { event: Some(event.clone()), ..DeliveryFilter::default() };
    let page = service
        .store
        .deliveries(Some(&endpoint.tenant), of_event, Order::NewestFirst, Page::first(1))
        .await?;
    let delivery = page.rows.into_iter().next().ok_or(StoreError::NotFound(Missing::Delivery))?;
    let waiting = Waiting {
        manner,
        place: None,
        asked: false,
        by_hand_from: if manner == Manner::ByHand { published } else { published + PROMPTLY },
        place_until: published + FOR_A_PLACE,
        deadline: published + patience(service, endpoint),
        stop: stop.clone(),
    };
    let service = service.clone();
    // It goes on to its end where the caller hangs up: its place is taken, and the delivery is not to be left behind.
    let tried = tokio::spawn(async move { waiting.follow(&service, delivery).await });
    tried.await.map_err(|e| Problem::internal(&e))?
}

/// Waiting for what comes of a delivery.
struct Waiting {
    manner: Manner,
    /// The place that its attempt by hand has, until it is over.
    place: Option<Place>,
    /// Whether an attempt by hand was asked for.
    asked: bool,
    /// From when on one is asked for, if no other has begun.
    by_hand_from: Instant,
    /// From when on it is too late to ask for one.
    place_until: Instant,
    deadline: Instant,
    /// The service does not wait for those who wait.
    stop: Stop,
}

impl Waiting {
    async fn follow(mut self, service: &Service, delivery: Delivery) -> Result<Tried, Problem> {
        let (tenant, id) = (delivery.tenant.clone(), delivery.id);
        let tried = self.tried(service, delivery).await;
        if tried.is_err() {
            // It shall not go out when nobody waits for it. If this fails, too, there is no more to be done here.
            let _ = service.store.cancel(&tenant, id, service.clock.now()).await;
        }
        Ok(tried?)
    }

    async fn tried(&mut self, service: &Service, delivery: Delivery) -> Result<Tried, StoreError> {
        let (delivery, in_time) = self.outcome(service, delivery).await?;
        let attempt = match in_time {
            true => service.store.attempts(&delivery.tenant, delivery.id).await?.pop(),
            false => None,
        };
        Ok(Tried { delivery, attempt, in_time })
    }

    /// The delivery after its attempt, and true. One that is not in time is given up, and so is one whose attempt by hand
    /// has failed: it shall not go out when nobody waits for it any more.
    async fn outcome(
        &mut self,
        service: &Service,
        mut delivery: Delivery,
    ) -> Result<(Delivery, bool), StoreError> {
        let store = &*service.store;
        let place = Arc::clone(&service.places.trials).take(delivery.tenant.clone());
        pin!(place);
        while !self.is_over(&delivery) && !self.is_in_vain(&delivery) {
            let wants_place = self.place.is_none() && self.is_to_be_attempted(&delivery);
            tokio::select! {
                biased;
                taken = &mut place, if wants_place => self.place = Some(taken),
                () = sleep(ASK_EVERY) => {}
                () = self.stop.asked() => {}
            }
            if self.is_to_be_attempted(&delivery) && self.place.is_some() {
                match store.retry(&delivery.tenant, delivery.id, self.forces(), service.clock.now()).await {
                    Ok(()) => self.asked = true,
                    // It was closed just now, which its state is about to tell.
                    Err(StoreError::EndpointClosed(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            delivery = store.delivery(&delivery.tenant, delivery.id).await?;
        }
        let over = self.is_over(&delivery);
        if !delivery.state.is_final() {
            match store.cancel(&delivery.tenant, delivery.id, service.clock.now()).await {
                // Or it came just in time.
                Ok(()) | Err(StoreError::DeliveryOver(_)) => {}
                Err(error) => return Err(error),
            }
            delivery = store.delivery(&delivery.tenant, delivery.id).await?;
        }
        let in_time = over || delivery.attempts > 0;
        Ok((delivery, in_time))
    }

    /// Whether an attempt is made although the endpoint is closed.
    fn forces(&self) -> bool {
        self.manner != Manner::InTurn
    }

    /// Whether an attempt by hand is to be asked for.
    fn is_to_be_attempted(&self, delivery: &Delivery) -> bool {
        let now = match delivery.state {
            DeliveryState::Held | DeliveryState::Skipped => self.forces(),
            DeliveryState::Scheduled => Instant::now() >= self.by_hand_from,
            _ => false,
        };
        now && !self.asked && !self.is_too_late()
    }

    /// Whether there was no place for an attempt by hand while it could have been over in time.
    fn is_too_late(&self) -> bool {
        self.place.is_none() && Instant::now() >= self.place_until
    }

    /// Whether nothing will come of it any more that is waited for.
    fn is_in_vain(&self, delivery: &Delivery) -> bool {
        let turn_comes = delivery.state == DeliveryState::Scheduled && self.manner != Manner::ByHand;
        let lost = self.is_too_late() && self.forces() && !turn_comes;
        lost || self.stop.is_asked() || Instant::now() >= self.deadline
    }

    fn is_over(&self, delivery: &Delivery) -> bool {
        // Skipped is a final state, too: where that is no obstacle, what is waited for is the attempt.
        let skipped = self.forces() && delivery.state == DeliveryState::Skipped;
        delivery.attempts > 0 || (delivery.state.is_final() && !skipped)
    }
}
