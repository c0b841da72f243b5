use std::collections::{BTreeMap, BTreeSet};

use posthaste_model::{DeliveryState, EndpointId, ErrorClass, ReplayId, TenantId};

use super::{Driver, all, catalogue::is_missing, invariants::Step, paging::check_list};
use crate::{DeliveryFilter, Missing, Page, Replay, ReplayState, StoreError};

/// A replay of everything, which begins now.
fn replay(driver: &mut Driver, tenant: &TenantId) -> Replay {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&driver.mint().to_be_bytes());
    Replay {
        id: ReplayId::mint(driver.now(), random),
        tenant: tenant.clone(),
        filter: DeliveryFilter::default(),
        rate: None,
        state: ReplayState::Running,
        found: 0,
        found_more: false,
        reopened: 0,
        passed_over: 0,
        cursor: None,
        version: 1,
        created_at: driver.now(),
        updated_at: driver.now(),
    }
}

async fn create(driver: &mut Driver, tenant: &TenantId) -> Replay {
    let replay = replay(driver, tenant);
    driver.store().create_replay(replay.clone()).await.unwrap();
    driver.pass(1);
    replay
}

/// A replay of which everything says something.
fn full(driver: &mut Driver, tenant: &TenantId) -> Replay {
    let (since, until) = (driver.secs(-3_600), driver.secs(1));
    let filter = DeliveryFilter {
        states: vec![DeliveryState::Exhausted, DeliveryState::Skipped],
        endpoint: Some(EndpointId::mint(driver.now(), [7; 10])),
        event: Some("evt".parse().unwrap()),
        topic: Some("order.paid".parse().unwrap()),
        status: Some((500, 599)),
        error: Some(ErrorClass::Timeout),
        failed: true,
        since: Some(since),
        until: Some(until),
    };
    Replay {
        filter,
        rate: Some(u32::MAX),
        found: 100_000,
        found_more: true,
        reopened: 5_000_000_000,
        passed_over: 3,
        cursor: Some("ü \"'; --\\".into()),
        ..replay(driver, tenant)
    }
}

pub(super) async fn a_replay_reads_back_whole(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (bare, full) = (replay(driver, &tenant), full(driver, &tenant));
    for made in [&bare, &full] {
        driver.store().create_replay(made.clone()).await.unwrap();
        assert_eq!(driver.store().replay(&tenant, made.id).await.unwrap(), *made);
    }
    driver.crash().await;
    for made in [&bare, &full] {
        assert_eq!(driver.store().replay(&tenant, made.id).await.unwrap(), *made, "after a crash");
    }
}

pub(super) async fn a_replay_is_created_once(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let made = create(driver, &tenant).await;
    let changed = Replay { reopened: 5, ..made.clone() };
    let changed = driver.store().update_replay(changed).await.unwrap();
    // Its answer may have been lost.
    driver.store().create_replay(made.clone()).await.unwrap();
    assert_eq!(driver.store().replay(&tenant, made.id).await.unwrap(), changed);
    let store = driver.store();
    check_list(|page| store.replays(Some(&tenant), page), |replay: &Replay| replay.id, &[made.id]).await;
    assert_eq!(running(driver).await.into_values().flatten().count(), 1);
}

pub(super) async fn so_many_replays_of_a_tenant_run_at_a_time(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let mut made = Vec::new();
    for _ in 0..Replay::MOST_RUNNING {
        made.push(create(driver, &acme).await);
    }
    let more = replay(driver, &acme);
    for made in [&made[0], made.last().unwrap()] {
        let refused = driver.store().create_replay(more.clone()).await;
        assert!(matches!(refused, Err(StoreError::TooManyReplays)), "{refused:?}");
        is_missing(driver.store().replay(&acme, more.id).await, Missing::Replay);
        // One whose answer was lost was made, and others have theirs.
        driver.store().create_replay(made.clone()).await.unwrap();
        create(driver, &other).await;
    }
    // One that is over makes room, and takes none.
    let over = Replay { state: ReplayState::Cancelled, ..made[3].clone() };
    driver.store().update_replay(over).await.unwrap();
    driver.store().create_replay(more.clone()).await.unwrap();
    assert_eq!(driver.store().replay(&acme, more.id).await.unwrap(), more);
    let more = replay(driver, &acme);
    let refused = driver.store().create_replay(more.clone()).await;
    assert!(matches!(refused, Err(StoreError::TooManyReplays)), "{refused:?}");
    let over = Replay { state: ReplayState::Done, ..more };
    driver.store().create_replay(over).await.unwrap();
}

pub(super) async fn the_oldest_replays_that_are_over_go(driver: &mut Driver) {
    const LAST: usize = Replay::MOST_OVER as usize + 49;
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let made_over = async |driver: &mut Driver, tenant: &TenantId, state| {
        let made = Replay { state, ..replay(driver, tenant) };
        driver.store().create_replay(made.clone()).await.unwrap();
        made
    };
    let of_other = made_over(driver, &other, ReplayState::Done).await;
    let mut made = Vec::new();
    for n in 0..=LAST {
        let runs = [0, 1, 30, LAST].contains(&n);
        let state = if runs { ReplayState::Running } else { ReplayState::Done };
        made.push(made_over(driver, &acme, state).await);
    }
    let mut gone = BTreeSet::new();
    // The youngest ends, then the oldest: whoever ended one wants to see it.
    let at_first = (2..30).chain(31..50).map(|n| made[n].id).collect::<Vec<_>>();
    for (ending, forgotten) in [(LAST, at_first), (0, vec![made[50].id])] {
        // While it goes on, nothing is forgotten.
        let goes_on =
            driver.store().update_replay(Replay { reopened: 1, ..made[ending].clone() }).await.unwrap();
        assert_eq!(driver.store().replay(&acme, forgotten[0]).await.unwrap().id, forgotten[0]);
        driver.store().update_replay(Replay { state: ReplayState::Cancelled, ..goes_on }).await.unwrap();
        gone.extend(forgotten);
        let kept: Vec<_> = made.iter().rev().map(|one| one.id).filter(|id| !gone.contains(id)).collect();
        let found = all(100, |page| driver.store().replays(Some(&acme), page)).await.unwrap();
        assert!(found.iter().map(|one| one.id).eq(kept.iter().copied()), "{} are left", found.len());
        let found = all(100, |page| driver.store().replays(None, page)).await.unwrap();
        assert!(found.iter().map(|one| one.id).eq(kept.into_iter().chain([of_other.id])), "of all");
    }
    for id in gone {
        is_missing(driver.store().replay(&acme, id).await, Missing::Replay);
    }
    let running = running(driver).await.into_values().flatten().map(|one| one.id);
    assert!(running.eq([made[1].id, made[30].id]));
}

pub(super) async fn a_replay_changes_by_its_version(driver: &mut Driver) {
    let tenant = driver.tenant("acme").await;
    let (other, made) = (create(driver, &tenant).await, create(driver, &tenant).await);
    let mut stands = made.clone();
    for state in [ReplayState::Running, ReplayState::Cancelled, ReplayState::Running, ReplayState::Done] {
        driver.pass(1);
        let (reopened, passed_over) = (stands.reopened + 3, stands.passed_over + 1);
        let cursor = (reopened % 2 == 0).then(|| format!("place {reopened}"));
        let changed =
            Replay { state, reopened, passed_over, cursor, updated_at: driver.now(), ..stands.clone() };
        let answer = driver.store().update_replay(changed.clone()).await.unwrap();
        assert!(answer.version > stands.version, "{answer:?}");
        assert_eq!(answer, Replay { version: answer.version, ..changed.clone() });
        assert_eq!(driver.store().replay(&tenant, made.id).await.unwrap(), answer);
        // Neither can be done twice.
        for stale in [&made, &stands, &changed] {
            let refused = driver.store().update_replay(stale.clone()).await;
            assert!(matches!(refused, Err(StoreError::StaleReplay)), "{refused:?}");
        }
        assert_eq!(driver.store().replay(&tenant, made.id).await.unwrap(), answer);
        stands = answer;
    }
    assert_eq!(driver.store().replay(&tenant, other.id).await.unwrap(), other);
    driver.crash().await;
    assert_eq!(driver.store().replay(&tenant, made.id).await.unwrap(), stands);
}

pub(super) async fn replays_are_newest_first(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (mut acmes, mut all) = (Vec::new(), Vec::new());
    for n in 0..7 {
        let tenant = if n % 3 == 0 { &other } else { &acme };
        let made = create(driver, tenant).await;
        if *tenant == acme {
            acmes.insert(0, made.id);
        }
        all.insert(0, made.id);
        // One that is over, or has changed, keeps its place.
        if n % 2 == 0 {
            let over = Replay { state: ReplayState::Done, updated_at: driver.now(), ..made };
            driver.store().update_replay(over).await.unwrap();
        }
    }
    let store = driver.store();
    let id = |replay: &Replay| replay.id;
    check_list(|page| store.replays(Some(&acme), page), id, &acmes).await;
    check_list(|page| store.replays(None, page), id, &all).await;
}

/// What runs, by partition.
async fn running(driver: &Driver) -> BTreeMap<u16, Vec<Replay>> {
    let mut running = BTreeMap::new();
    for &(partition, _) in driver.epochs() {
        let replays = driver.store().running_replays(partition).await.unwrap();
        assert!(replays.is_sorted_by_key(|replay| replay.created_at), "oldest first: {replays:?}");
        running.insert(partition.0, replays);
    }
    running
}

pub(super) async fn each_partition_has_its_tenants_running_replays(driver: &mut Driver) {
    let mut expected: BTreeMap<u16, Vec<Replay>> =
        driver.epochs().iter().map(|(partition, _)| (partition.0, Vec::new())).collect();
    assert_eq!(running(driver).await, expected);
    let mut tenants = Vec::new();
    for n in 0..6 {
        let tenant = driver.tenant(&format!("tenant-{n}")).await;
        let endpoint = driver.endpoint(&tenant).await;
        driver.accept(&tenant, "evt", &[&endpoint]).await;
        driver.lease_only().await;
        let Some(Step::Leased { partition, .. }) = driver.steps().last() else {
            panic!("nothing was leased")
        };
        let partition = partition.0;
        tenants.push((tenant, partition));
    }
    let mut made = Vec::new();
    for (tenant, partition) in tenants.iter().chain(&tenants) {
        let replay = create(driver, tenant).await;
        expected.get_mut(partition).unwrap().push(replay.clone());
        made.push(replay);
    }
    assert_eq!(running(driver).await, expected);
    for (n, state) in [(1, ReplayState::Done), (4, ReplayState::Cancelled), (8, ReplayState::Done)] {
        driver.store().update_replay(Replay { state, ..made[n].clone() }).await.unwrap();
        expected.values_mut().for_each(|replays| replays.retain(|replay| replay.id != made[n].id));
    }
    // One that goes on stays where it is.
    let goes_on = Replay { reopened: 5, ..made[0].clone() };
    let goes_on = driver.store().update_replay(goes_on).await.unwrap();
    for replay in expected.values_mut().flatten().filter(|replay| replay.id == goes_on.id) {
        replay.clone_from(&goes_on);
    }
    assert_eq!(running(driver).await, expected);
    driver.crash().await;
    assert_eq!(running(driver).await, expected, "after a crash");
}

pub(super) async fn a_replay_that_is_not_there_is_missing(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let nobody: TenantId = "nobody".parse().unwrap();
    let theirs = create(driver, &other).await;
    let unknown = replay(driver, &acme);
    let nobodys = Replay { tenant: nobody.clone(), ..unknown.clone() };
    let store = driver.store();
    is_missing(store.create_replay(nobodys.clone()).await, Missing::Tenant);
    is_missing(store.replay(&nobody, theirs.id).await, Missing::Tenant);
    is_missing(store.replays(Some(&nobody), Page::first(1)).await, Missing::Tenant);
    is_missing(store.update_replay(nobodys).await, Missing::Tenant);
    is_missing(store.replay(&acme, unknown.id).await, Missing::Replay);
    is_missing(store.update_replay(unknown).await, Missing::Replay);
    is_missing(store.replay(&acme, theirs.id).await, Missing::Replay);
    is_missing(store.update_replay(Replay { tenant: acme, ..theirs.clone() }).await, Missing::Replay);
    assert_eq!(store.replay(&other, theirs.id).await.unwrap(), theirs);
}

pub(super) async fn replays_go_with_their_tenant(driver: &mut Driver) {
    let (acme, other) = (driver.tenant("acme").await, driver.tenant("other").await);
    let (kept, gone) = (create(driver, &acme).await, create(driver, &other).await);
    driver.delete_tenant(&other).await;
    for again in [false, true] {
        let missing = if again { Missing::Replay } else { Missing::Tenant };
        if again {
            driver.tenant("other").await;
            let store = driver.store();
            check_list(|page| store.replays(Some(&other), page), |replay: &Replay| replay.id, &[]).await;
        }
        is_missing(driver.store().replay(&other, gone.id).await, missing);
        is_missing(driver.store().update_replay(gone.clone()).await, missing);
        let store = driver.store();
        check_list(|page| store.replays(None, page), |replay: &Replay| replay.id, &[kept.id]).await;
        let running: Vec<_> = running(driver).await.into_values().flatten().collect();
        assert!(running == std::slice::from_ref(&kept), "{running:?}");
    }
}
