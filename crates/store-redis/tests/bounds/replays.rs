//! Many deliveries that are opened again together, of one event or of large ones.

use std::time::Duration;

use posthaste_model::Next;
use posthaste_store::{
    Lease, Reopened, Retain,
    conformance::{Driver, replied},
};

use crate::{Alone, crowd, lease_all};

const FOREVER: Duration = Duration::from_secs(1 << 30);

async fn settle(driver: &mut Driver, leases: &[Lease], status: u16, next: Next) {
    let settlements = leases.iter().map(|lease| driver.settlement(lease, replied(status), next)).collect();
    driver.settle_all(settlements).await;
}

#[tokio::test]
async fn an_event_of_which_many_are_opened_is_over_with_the_last_of_them() {
    const COUNT: usize = 300;
    let mut driver = Alone::new().driver().await;
    let tenant = driver.tenant("acme").await;
    crowd(&mut driver, &tenant, COUNT).await;
    let leases = lease_all(&mut driver).await;
    assert_eq!(leases.len(), COUNT);
    settle(&mut driver, &leases, 500, Next::Exhausted).await;
    let ids: Vec<_> = leases.iter().map(|lease| lease.delivery).collect();
    let (most, rest) = ids.split_at(COUNT - 50);
    let soon = Retain { delivered: Duration::ZERO, failed: FOREVER };
    let all_soon = Retain { delivered: Duration::ZERO, failed: Duration::ZERO };
    for (some, removed) in [(most, 0), (rest, 1)] {
        driver.pass(1);
        // Who is named twice is opened once.
        let twice = [some, &some[..9]].concat();
        let reopened = driver.reopen_all(&tenant, twice).await.unwrap();
        assert!(reopened[..some.len()].iter().all(|one| *one == Reopened::Reopened));
        assert_eq!(reopened[some.len()..], [Reopened::Open; 9]);
        let leases = lease_all(&mut driver).await;
        assert_eq!(leases.len(), some.len());
        let (last, others) = leases.split_last().unwrap();
        settle(&mut driver, others, 200, Next::Delivered).await;
        driver.pass(1);
        assert_eq!(driver.prune(all_soon, driver.now(), 10).await, 0, "one is open");
        settle(&mut driver, std::slice::from_ref(last), 200, Next::Delivered).await;
        driver.pass(1);
        // As long as one of it did not arrive, it counts as failed.
        assert_eq!(driver.prune(soon, driver.now(), 10).await, removed);
    }
}

#[tokio::test]
async fn events_with_many_deliveries_are_opened_some_at_a_time() {
    const TARGETS: usize = 1_200;
    const EVENTS: usize = 40;
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let crowd = crowd(&mut driver, &tenant, TARGETS).await;
    let mut over = Vec::new();
    for n in 0..EVENTS {
        driver.accept(&tenant, &format!("evt-{n}"), &crowd.iter().collect::<Vec<_>>()).await;
        let of_it = driver.deliveries_of(&tenant, &format!("evt-{n}")).await;
        for delivery in of_it.into_iter().take(2) {
            driver.cancel(&delivery).await.unwrap();
            over.push(delivery.id);
        }
    }
    let calls = || -> u64 {
        let said = server.command(&["INFO", "commandstats"]).unwrap();
        let of = |line: &str| {
            line.strip_prefix("cmdstat_eval")?.split_once("calls=").map(|(_, rest)| rest.to_owned())
        };
        let counts =
            said.lines().filter_map(of).filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok());
        counts.sum()
    };
    driver.pass(1);
    // From now on the server knows the script.
    driver.store().reopen(&tenant, Vec::new(), None, driver.now()).await.unwrap();
    let before = calls();
    let reopened = driver.store().reopen(&tenant, over.clone(), None, driver.now()).await.unwrap();
    assert_eq!(reopened, vec![Reopened::Reopened; over.len()]);
    // 16 events have 19,200 deliveries.
    assert_eq!(calls() - before, 3);
    let again = driver.store().reopen(&tenant, over, None, driver.now()).await.unwrap();
    assert_eq!(again, vec![Reopened::Open; 2 * EVENTS]);
    assert_eq!(calls() - before, 4, "those that are not opened are passed by at once");
}
