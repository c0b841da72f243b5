//! What cannot be added to is told, and holds up nothing else.

// A test fails when its preparations do.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::Sqlite;
use posthaste_model::{Counts, Timestamp};
use posthaste_store::{NotAdded, StoreError, Stretch, Subject, Tally, conformance::Driver};
use rusqlite::Connection;

#[tokio::test]
async fn a_damaged_row_takes_no_more_and_the_others_do() {
    let fixture = Sqlite::new();
    let path = fixture.path();
    let driver = Driver::new(fixture).await;
    let subjects = [
        Subject::All,
        Subject::Topic("damaged".parse().unwrap()),
        Subject::Tenant("nobody".parse().unwrap()),
        Subject::Topic("order.paid".parse().unwrap()),
    ];
    let counts = Counts { events: 1, ..Counts::default() };
    let tallies = subjects.clone().map(|of| Tally { of, at: driver.now(), counts: counts.clone() });
    assert!(driver.store().add_stats(tallies.to_vec()).await.is_empty());
    let conn = Connection::open(path).unwrap();
    // That of the hour: the minute comes first.
    let damage = "UPDATE stats SET queue = x'01' WHERE topic = 'damaged' AND stretch = 1";
    assert_eq!(conn.execute(damage, []).unwrap(), 1);
    let mut not_added = driver.store().add_stats(tallies.to_vec()).await;
    let NotAdded { tallies: left, error } = not_added.remove(0);
    assert_eq!(left, [tallies[1].clone()]);
    assert!(matches!(error, StoreError::Damaged { .. }) && not_added.is_empty(), "{error}: {not_added:?}");
    for (of, expected) in [(&subjects[0], 2), (&subjects[1], 1), (&subjects[3], 2)] {
        let (since, until) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let found = driver.store().stats(of.clone(), Stretch::Minute, since, until).await.unwrap();
        assert_eq!(found[0].counts.events, expected, "{of:?}");
    }
}
