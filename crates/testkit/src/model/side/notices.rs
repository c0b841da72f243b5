//! What operators are to be told.

use posthaste_store::{Notice, Partition};

use super::Side;

impl Side {
    /// Everything that operators are to be told about tenants that there are, with the partitions that it is in.
    pub(in crate::model) async fn notices(&self) -> Vec<(Partition, Notice)> {
        let mut all = Vec::new();
        for partition in (0..self.store().partitions()).map(Partition) {
            let notices = self.store().notices(partition, 1_000).await.expect("notices");
            let in_order = notices.is_sorted_by(|one, next| one.number < next.number && one.at <= next.at);
            assert!(in_order, "out of order: {notices:?}");
            let known = notices.into_iter().filter(|notice| !self.orphans.contains(&notice.endpoint));
            all.extend(known.map(|notice| (partition, notice)));
        }
        all.sort_by_key(|(_, notice)| notice.at);
        all
    }

    pub(super) async fn forget(&self, notice: usize) -> String {
        let notices = self.notices().await;
        // Those of one time have no order that all stores have.
        let Some((_, Notice { at, .. })) = notices.get(notice) else { return String::new() };
        for partition in (0..self.store().partitions()).map(Partition) {
            let own = notices.iter().filter(|(of, notice)| *of == partition && notice.at <= *at);
            if let Some(last) = own.map(|(_, notice)| notice.number).max() {
                self.store().forget_notices(partition, last).await.expect("notices that are forgotten");
            }
        }
        String::new()
    }
}
