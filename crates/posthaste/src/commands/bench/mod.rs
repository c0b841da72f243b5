//! `posthaste bench`: what the service does on this machine, beside what the machine can do.
//!
//! The ceiling is the bare loop: signed posts to the same receiver with the same client and nothing else. It is
//! measured right before and right after the service, because shared machines change their mood; only the ratio counts.

mod arrivals;
mod bare_loop;
mod figures;
mod load;
mod process;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use posthaste_client::{Client, NewEndpoint, TopicFields};
use posthaste_model::{TenantId, TopicName, TopicPattern};
use tokio::time::timeout;

use self::{
    arrivals::Arrivals,
    figures::{Figures, Run},
    load::{Load, Pace},
    process::ServiceProcess,
};
use super::receiver::Receiver;
use crate::cli::{BenchArgs, complain, say};

/// How long deliveries may go on after the load has ended.
const DRAIN: Duration = Duration::from_secs(120);

/// Measures and prints.
pub(crate) async fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let lasting = Duration::from_secs(args.seconds);
    let arrivals = Arc::new(Arrivals::default());
    let receiver = Receiver::start(1, {
        let arrivals = Arc::clone(&arrivals);
        move |received| arrivals.arrived(received.body)
    })?;
    progress("bare loop");
    let before = bare_loop::measure(&receiver, lasting, args.payload).await?;

    let service = ServiceProcess::start(args.store.as_deref()).await?;
    let client = Client::new(service.url(), service.admin_key())?;
    let topics = set_up(&client, &receiver, args.endpoints).await?;
    let load = Load::new(&service, &topics, args);

    progress("full load");
    let full = measure(&service, &arrivals, &load, Pace::Full, lasting).await?;
    progress("paced load");
    let paced = measure(&service, &arrivals, &load, Pace::PerSecond(args.rate), lasting).await?;
    let memory = service.peak_memory();
    drop(service);

    progress("bare loop again");
    let after = bare_loop::measure(&receiver, lasting, args.payload).await?;
    receiver.stop().await;

    let figures = Figures { bare_loop: [before, after], full, paced, memory };
    if args.json {
        say(serde_json::to_string_pretty(&figures.json())?);
    } else {
        say(figures);
    }
    Ok(ExitCode::SUCCESS)
}

fn progress(phase: &str) {
    complain(format_args!("measuring: {phase}"));
}

/// Registers endpoints at the receiver, each with a topic of its own.
async fn set_up(client: &Client, receiver: &Receiver, endpoints: u16) -> anyhow::Result<Vec<TopicName>> {
    let tenant = TenantId::default_tenant();
    let mut topics = Vec::new();
    for number in 0..endpoints {
        let topic: TopicName = format!("bench.{number}").parse()?;
        client.put_topic(&topic, &TopicFields::default()).await?;
        let url = receiver.url(&format!("/{number}"));
        let endpoint =
            NewEndpoint { topics: vec![TopicPattern::Exactly(topic.clone())], ..NewEndpoint::new(url) };
        client.create_endpoint(&tenant, &endpoint).await?;
        topics.push(topic);
    }
    Ok(topics)
}

/// Loads the service and waits until everything accepted has arrived.
async fn measure(
    service: &ServiceProcess,
    arrivals: &Arc<Arrivals>,
    load: &Load,
    pace: Pace,
    lasting: Duration,
) -> anyhow::Result<Run> {
    arrivals.clear();
    let cpu_before = service.cpu();
    let started = arrivals.now();
    let accepted = load.run(arrivals, pace, lasting).await?;
    let accepting = arrivals.now() - started;
    timeout(DRAIN, arrivals.at_least(accepted)).await.with_context(|| {
        format!("only {} of {accepted} accepted events arrived within {DRAIN:?}", arrivals.count())
    })?;
    let (latencies, last) = arrivals.take();
    let cpu = service.cpu().zip(cpu_before).map(|(after, before)| after - before);
    Ok(Run { accepted, accepting, delivering: last - started, latencies, cpu })
}
