//! What was counted does not pile up.

use std::time::Duration;

use posthaste_model::{Counts, Timestamp};
use posthaste_store::{Stretch, Subject, Tally};

use crate::Alone;

#[tokio::test]
async fn old_stretches_go_by_themselves() {
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let driver = fixture.driver().await;
    let (begun, minute) = (driver.now(), Duration::from_secs(60));
    let at = |minutes: u32| -> Timestamp { begun + minute * minutes };
    // Two months, with one event in each three hours.
    for day in 0..60_u32 {
        let tallies = (0..8).map(|n| Tally {
            of: Subject::All,
            at: at(1_440 * day + 180 * n),
            counts: Counts { events: 1, ..Counts::default() },
        });
        assert!(driver.store().add_stats(tallies.collect()).await.is_empty());
    }
    let end = at(1_440 * 59 + 1_260);
    for (stretch, kept, at_most) in
        [(Stretch::Minute, minute * 180, minute * 320), (Stretch::Hour, minute * 43_200, minute * 54_000)]
    {
        let buckets =
            driver.store().stats(Subject::All, stretch, Timestamp::UNIX_EPOCH, Timestamp::MAX).await.unwrap();
        let oldest = end.duration_since(buckets[0].begin).unsigned_abs();
        assert!((kept..at_most).contains(&oldest), "{stretch:?}: the oldest is {oldest:?} old");
        let expected = oldest.as_secs() / 10_800 + 1;
        assert_eq!(buckets.iter().map(|bucket| bucket.counts.events).sum::<u64>(), expected, "{stretch:?}");
    }
    for (key, least) in [("m", 3 * 3_600), ("h", 30 * 86_400)] {
        let left: u64 =
            server.command(&["TTL", &format!("posthaste:1:{{0}}:h:{key}:*")]).unwrap().parse().unwrap();
        assert!((least..least * 2).contains(&left), "{key}: {left} seconds are left");
    }
}
