//! More notices than a script looks at in one go.

use posthaste_model::Next;
use posthaste_store::conformance::replied;

use crate::{Alone, accept, lease_all};

#[tokio::test]
async fn those_of_a_deleted_tenant_are_not_in_the_way() {
    const COUNT: usize = 1_200;
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let (gone, stays) = (driver.tenant("gone").await, driver.tenant("stays").await);
    let (first, second) = (driver.endpoint(&gone).await, driver.endpoint(&stays).await);
    for (endpoint, count) in [(&first, COUNT), (&second, 3)] {
        accept(&mut driver, endpoint, 0..count).await;
        let leases = lease_all(&mut driver).await;
        let exhausted = leases.iter().map(|lease| driver.settlement(lease, replied(500), Next::Exhausted));
        let exhausted = exhausted.collect();
        driver.settle_all(exhausted).await;
    }
    assert_eq!(driver.notices().await.len(), 1_000, "as many as are wanted");
    driver.delete_tenant(&gone).await;
    let (partition, _) = driver.epochs()[0];
    for (limit, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (1_000, 3)] {
        let notices = driver.store().notices(partition, limit).await.unwrap();
        assert_eq!(notices.len(), expected);
        assert!(notices.iter().all(|notice| notice.tenant == stays), "{notices:?}");
    }
    assert_eq!(server.command(&["ZCARD", "posthaste:1:{0}:o"]).unwrap(), "3", "they are forgotten");
}
