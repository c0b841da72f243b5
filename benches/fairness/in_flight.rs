use std::{
    io::{Read as _, stdin},
    process, thread,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{runtime::Runtime, sync::oneshot, time::timeout};

use crate::{
    outside::urls,
    publishing::{data, event_id},
    service::Service,
};

/// What makes this program the service whose memory is measured, when it is its first argument.
pub(crate) const IN_FLIGHT: &str = "in-flight";
/// What it says once it has nothing to do.
pub(crate) const READY: &str = "ready";

/// Those that have less than their part of the permits get more of them: many share the requests.
const TENANTS: usize = 20;
/// So many that neither the limit of an endpoint nor that of a host is in the way.
const ENDPOINTS_EACH: usize = 25;
/// More than are in flight, because a tenant that has all it may have leaves some to others.
const SPARE: usize = 2_000;
/// How many events are accepted at once.
const AT_ONCE: usize = 64;
/// Longer than anything here takes.
const AMPLE: Duration = Duration::from_secs(120);

/// Serves with a store at an address until its input ends: publishes so many events to endpoints at a port, as soon as it
/// is told to.
pub(crate) fn serve(args: &[String]) {
    let [address, port, count]: &[String; 3] = args.try_into().unwrap();
    let (port, count): (u16, usize) = (port.parse().unwrap(), count.parse().unwrap());
    let (go, told) = oneshot::channel();
    // This process ends with the one that started it, whatever happens there.
    thread::spawn(move || {
        let mut go = Some(go);
        while let Ok(1) = stdin().read(&mut [0]) {
            go.take().map(|go| go.send(()));
        }
        process::exit(0);
    });
    Runtime::new().unwrap().block_on(async {
        let service = timeout(AMPLE, publish(address, port, count, told)).await.unwrap();
        std::future::pending::<()>().await;
        drop(service);
    });
}

async fn publish(address: &str, port: u16, count: usize, told: oneshot::Receiver<()>) -> Service {
    let mut service = Service::start(address, count + SPARE).await;
    let urls = urls(port, TENANTS * ENDPOINTS_EACH);
    let mut tenants = Vec::new();
    for (tenant, urls) in urls.chunks(ENDPOINTS_EACH).enumerate() {
        tenants.push(service.tenant(&format!("tenant-{tenant}"), urls).await);
    }
    println!("{READY}");
    told.await.unwrap();
    let data = data();
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(AT_ONCE) {
        let calls = some.iter().map(async |number| {
            // Tenants in turns, and their endpoints.
            let endpoint = &tenants[number % TENANTS][number / TENANTS % ENDPOINTS_EACH];
            service.door.accept(endpoint, &event_id("event", *number), data.clone()).await;
        });
        join_all(calls).await;
    }
    service
}
