//! Figures, while a part of the store takes none.

use std::collections::BTreeSet;

use posthaste_model::{Counts, Timestamp};
use posthaste_store::{NotAdded, Stretch, Subject, Tally};
use posthaste_testkit::redis::{Persistence, RedisServer};

use crate::scene::{at, drive, unavailable};

#[tokio::test]
async fn a_part_that_is_away_gives_its_figures_back_and_the_others_count_theirs() {
    let server = RedisServer::start(Persistence::None).unwrap();
    let mut driver = drive(at(server.url())).await;
    let mut subjects = BTreeSet::from([Subject::All, Subject::Topic("order.paid".parse().unwrap())]);
    for n in 0..12 {
        subjects.insert(Subject::Tenant(driver.tenant(&format!("tenant-{n}")).await));
    }
    let now = driver.now();
    let count = |of: &Subject| {
        let counts = Counts { events: 1, ..Counts::default() };
        Tally { of: of.clone(), at: now, counts }
    };
    // The user may do everything in one of the two partitions, and nothing in the other.
    server.command(&["ACL", "SETUSER", "default", "resetkeys", "~posthaste:1:{0}*"]).unwrap();
    let mut left: Vec<Tally> = Vec::new();
    let (mut away, visits) = (BTreeSet::new(), 4);
    for visit in 1..=visits {
        let tallies = subjects.iter().map(count).chain(left).collect();
        let mut not_added = driver.store().add_stats(tallies).await;
        let NotAdded { tallies, error } = not_added.remove(0);
        unavailable(Err::<(), _>(error));
        assert!(not_added.is_empty(), "one partition: {not_added:?}");
        away.extend(tallies.iter().map(|tally| tally.of.clone()));
        assert_eq!(tallies.len(), visit * away.len());
        left = tallies;
    }
    assert!(!away.contains(&Subject::All) && (1..12).contains(&away.len()), "{away:?}");
    server.command(&["ACL", "SETUSER", "default", "~*"]).unwrap();
    assert!(driver.store().add_stats(left).await.is_empty());
    for of in subjects {
        for stretch in [Stretch::Minute, Stretch::Hour] {
            let found =
                driver.store().stats(of.clone(), stretch, Timestamp::UNIX_EPOCH, Timestamp::MAX).await;
            let events: Vec<_> = found.unwrap().iter().map(|bucket| bucket.counts.events).collect();
            assert_eq!(events, [visits as u64], "{of:?}, {stretch:?}");
        }
    }
}
