use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use tokio::{net::TcpSocket, runtime::Runtime, time::sleep};

use crate::{
    backend::{Backend, Ground},
    latencies::Latencies,
    outside::{Outside, urls},
    publishing::{Publisher, event_id},
    service::{MAX_IN_FLIGHT, PER_ENDPOINT, Service},
};

/// What names an event in its requests.
const ID: &str = "webhook-id";
/// How many events the tenant that is watched publishes in a second.
const PER_SECOND: u32 = 50;
/// How long the receiver that hangs takes to answer.
const HANGS_FOR: Duration = Duration::from_secs(20);
/// After this an event is not waited for any more, and counts as having taken so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a runtime may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Who else is served.
#[derive(Debug, Clone, Copy)]
enum Neighbour {
    /// One endpoint that answers late, and gets 100 events a second.
    Hanging,
    /// A thousand endpoints that refuse connections, and get an event a second each.
    Refusing,
    /// A thousand endpoints that are well, and get an event a second each: what the mere load costs.
    Well,
}

/// For how long.
struct Times {
    /// Connections are made and everything was done once.
    warming: Duration,
    alone: Duration,
    /// The neighbour's limits are reached.
    filling: Duration,
    beside: Duration,
}

impl Neighbour {
    const ALL: [Self; 3] = [Self::Hanging, Self::Refusing, Self::Well];

    fn as_str(self) -> &'static str {
        match self {
            Self::Hanging => "1 endpoint hangs, 100/s",
            Self::Refusing => "1,000 refuse, 1,000/s",
            Self::Well => "1,000 are well, 1,000/s",
        }
    }

    fn endpoints(self) -> usize {
        match self {
            Self::Hanging => 1,
            Self::Refusing | Self::Well => 1_000,
        }
    }

    fn per_second(self) -> u32 {
        match self {
            Self::Hanging => 100,
            Self::Refusing | Self::Well => 1_000,
        }
    }
}

/// Where the neighbour's endpoints are.
enum Target {
    Receiver(Receiver),
    /// A port that is taken, and that nobody listens on.
    Nobody(TcpSocket),
}

impl Target {
    fn new(neighbour: Neighbour, outside: &Outside) -> Self {
        match neighbour {
            Neighbour::Hanging => {
                Self::Receiver(outside.receiver(|_| Reply::After(HANGS_FOR, Box::new(Reply::status(200)))))
            }
            Neighbour::Refusing => {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from(([0; 4], 0))).unwrap();
                Self::Nobody(socket)
            }
            Neighbour::Well => Self::Receiver(outside.receiver(|_| Reply::status(200))),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Receiver(receiver) => receiver.address().port(),
            Self::Nobody(socket) => socket.local_addr().unwrap().port(),
        }
    }
}

/// From accept to arrival of a tenant's events: alone, and then beside a neighbour, on the same service.
pub(crate) fn measure(outside: &Outside, quick: bool) {
    let millis = if quick { [500, 1_500, 700, 2_500] } else { [1_000, 8_000, 2_000, 20_000] };
    let [warming, alone, filling, beside] = millis.map(Duration::from_millis);
    let times = Times { warming, alone, filling, beside };
    println!("accept to arrival of {PER_SECOND} events/s, ms");
    println!("{:<32} {:^29} {:^29}", "", "alone", "beside the neighbour");
    println!(
        "{:<7} {:<24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "store", "neighbour", "p50", "p99", "max", "p50", "p99", "max", "p99 ratio"
    );
    for backend in Backend::ALL {
        for neighbour in Neighbour::ALL {
            let [alone, beside] = one(outside, backend, neighbour, &times);
            let ratio = beside.percentile(99.0) / alone.percentile(99.0);
            println!("{:<7} {:<24} {alone} {beside} {ratio:>9.2}", backend.as_str(), neighbour.as_str());
        }
    }
}

fn one(outside: &Outside, backend: Backend, neighbour: Neighbour, times: &Times) -> [Latencies; 2] {
    let ground = Ground::new(backend);
    let (receiver, target) = (outside.receiver(|_| Reply::status(200)), Target::new(neighbour, outside));
    let runtime = Runtime::new().unwrap();
    let latencies = runtime.block_on(async {
        let mut service = Service::start(&ground.address(), MAX_IN_FLIGHT).await;
        let watched = Publisher {
            door: service.door.clone(),
            endpoints: service.tenant("watched", &urls(receiver.address().port(), 1)).await,
            per_second: PER_SECOND,
        };
        let crowd = Publisher {
            door: service.door.clone(),
            endpoints: service.tenant("neighbour", &urls(target.port(), neighbour.endpoints())).await,
            per_second: neighbour.per_second(),
        };
        let publish = async |name, lasting| {
            let published = outside.publishers().spawn(watched.clone().publish(name, lasting));
            latencies(&receiver, name, &published.await.unwrap()).await
        };
        publish("warming", times.warming).await;
        let alone = publish("alone", times.alone).await;
        let crowd = outside.publishers().spawn(crowd.publish("neighbour", times.filling + times.beside));
        sleep(times.filling).await;
        if let (Neighbour::Hanging, Target::Receiver(hanging)) = (neighbour, &target) {
            assert!(
                hanging.requests().len() >= PER_ENDPOINT as usize,
                "the neighbour's limit is not reached"
            );
        }
        let beside = publish("beside", times.beside).await;
        crowd.await.unwrap();
        [alone, beside]
    });
    runtime.shutdown_timeout(END_WITHIN);
    latencies
}

/// From the call that published each event to its arrival.
async fn latencies(receiver: &Receiver, name: &str, published: &[Instant]) -> Latencies {
    let wanted: HashMap<String, Instant> =
        published.iter().enumerate().map(|(number, sent)| (event_id(name, number), *sent)).collect();
    let before = receiver.requests().iter().filter(|request| !is_wanted(&wanted, request)).count();
    let arrived = receiver.wait_for(before + published.len(), PATIENCE).await;
    let arrived: HashMap<&str, Instant> =
        arrived.iter().rev().filter_map(|request| Some((request.header(ID)?, request.arrived))).collect();
    let took = |(id, sent): (&String, &Instant)| {
        arrived.get(id.as_str()).map_or(PATIENCE, |arrived| arrived.duration_since(*sent))
    };
    Latencies::new(wanted.iter().map(took).collect())
}

fn is_wanted(wanted: &HashMap<String, Instant>, request: &ReceivedRequest) -> bool {
    request.header(ID).is_some_and(|id| wanted.contains_key(id))
}
