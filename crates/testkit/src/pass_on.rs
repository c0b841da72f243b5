//! Stores of tests that watch or disturb some calls, and pass the others on.

/// Implements parts of the store's contract for a type by passing every call on to the store that a method of it gives:
/// `pass_on! { Watched, store: Catalogue, Queries }`.
#[macro_export]
macro_rules! pass_on {
    ($type:ty, $under:ident: $($part:ident),+ $(,)?) => {
        $($crate::pass_on_part! { $part, $type, $under })+
    };
}

/// Every part that [`pass_on`] knows.
#[doc(hidden)]
#[macro_export]
macro_rules! pass_on_part {
    (Catalogue, $type:ty, $under:ident) => {
        $crate::pass_on_calls! { Catalogue, $type, $under:
            fn put_tenant(tenant: $crate::model_crate::Tenant) -> $crate::store_crate::Put<$crate::model_crate::Tenant>;
            fn tenant(id: &$crate::model_crate::TenantId) -> $crate::model_crate::Tenant;
            fn tenants(page: $crate::store_crate::Page)
                -> $crate::store_crate::Paged<$crate::model_crate::Tenant>;
            fn delete_tenant(id: &$crate::model_crate::TenantId, now: $crate::model_crate::Timestamp) -> ();
            fn put_topic(topic: $crate::model_crate::Topic) -> $crate::store_crate::Put<$crate::model_crate::Topic>;
            fn topic(name: &$crate::model_crate::TopicName) -> $crate::model_crate::Topic;
            fn topics(page: $crate::store_crate::Page) -> $crate::store_crate::Paged<$crate::model_crate::Topic>;
            fn delete_topic(name: &$crate::model_crate::TopicName) -> ();
            fn create_endpoint(endpoint: $crate::model_crate::Endpoint) -> ();
            fn endpoint(tenant: &$crate::model_crate::TenantId, id: $crate::model_crate::EndpointId)
                -> $crate::model_crate::Endpoint;
            fn endpoints(tenant: &$crate::model_crate::TenantId, page: $crate::store_crate::Page)
                -> $crate::store_crate::Paged<$crate::model_crate::Endpoint>;
            fn update_endpoint(endpoint: $crate::model_crate::Endpoint) -> $crate::model_crate::Endpoint;
            fn delete_endpoint(
                tenant: &$crate::model_crate::TenantId,
                id: $crate::model_crate::EndpointId,
                now: $crate::model_crate::Timestamp
            ) -> ();
        }
    };
    (Queries, $type:ty, $under:ident) => {
        $crate::pass_on_calls! { Queries, $type, $under:
            fn event(tenant: &$crate::model_crate::TenantId, id: &$crate::model_crate::EventId)
                -> $crate::store_crate::EventRecord;
            fn events(
                tenant: Option<&$crate::model_crate::TenantId>,
                filter: $crate::store_crate::EventFilter,
                page: $crate::store_crate::Page
            ) -> $crate::store_crate::Paged<$crate::store_crate::EventRecord>;
            fn delivery(tenant: &$crate::model_crate::TenantId, id: $crate::model_crate::DeliveryId)
                -> $crate::model_crate::Delivery;
            fn deliveries(
                tenant: Option<&$crate::model_crate::TenantId>,
                filter: $crate::store_crate::DeliveryFilter,
                order: $crate::store_crate::Order,
                page: $crate::store_crate::Page
            ) -> $crate::store_crate::Paged<$crate::model_crate::Delivery>;
            fn attempts(tenant: &$crate::model_crate::TenantId, delivery: $crate::model_crate::DeliveryId)
                -> Vec<$crate::model_crate::Attempt>;
            fn backlog(of: $crate::store_crate::Scope, now: $crate::model_crate::Timestamp)
                -> $crate::store_crate::Backlog;
        }
    };
    (Statistics, $type:ty, $under:ident) => {
        #[$crate::async_trait]
        impl $crate::store_crate::Statistics for $type {
            async fn add_stats(
                &self,
                tallies: Vec<$crate::store_crate::Tally>,
            ) -> Vec<$crate::store_crate::NotAdded> {
                $crate::store_crate::Statistics::add_stats(self.$under(), tallies).await
            }

            async fn stats(
                &self,
                of: $crate::store_crate::Subject,
                stretch: $crate::store_crate::Stretch,
                since: $crate::model_crate::Timestamp,
                until: $crate::model_crate::Timestamp,
            ) -> $crate::store_crate::Result<Vec<$crate::store_crate::Bucket>> {
                $crate::store_crate::Statistics::stats(self.$under(), of, stretch, since, until).await
            }

            async fn forget_stats(
                &self,
                minutes_before: $crate::model_crate::Timestamp,
                hours_before: $crate::model_crate::Timestamp,
                limit: u32,
            ) -> $crate::store_crate::Result<bool> {
                let under = self.$under();
                $crate::store_crate::Statistics::forget_stats(under, minutes_before, hours_before, limit).await
            }
        }
    };
    (Replays, $type:ty, $under:ident) => {
        $crate::pass_on_calls! { Replays, $type, $under:
            fn reopen(
                tenant: &$crate::model_crate::TenantId,
                deliveries: Vec<$crate::model_crate::DeliveryId>,
                over_before: Option<$crate::model_crate::Timestamp>,
                now: $crate::model_crate::Timestamp
            ) -> Vec<$crate::store_crate::Reopened>;
            fn create_replay(replay: $crate::store_crate::Replay) -> ();
            fn replay(tenant: &$crate::model_crate::TenantId, id: $crate::model_crate::ReplayId)
                -> $crate::store_crate::Replay;
            fn replays(tenant: Option<&$crate::model_crate::TenantId>, page: $crate::store_crate::Page)
                -> $crate::store_crate::Paged<$crate::store_crate::Replay>;
            fn running_replays(partition: $crate::store_crate::Partition) -> Vec<$crate::store_crate::Replay>;
            fn update_replay(replay: $crate::store_crate::Replay) -> $crate::store_crate::Replay;
        }
    };
    (Keys, $type:ty, $under:ident) => {
        $crate::pass_on_calls! { Keys, $type, $under:
            fn create_key(key: $crate::model_crate::ApiKey, digest: $crate::store_crate::KeyDigest) -> ();
            fn key(digest: &$crate::store_crate::KeyDigest) -> Option<$crate::model_crate::ApiKey>;
            fn keys(page: $crate::store_crate::Page)
                -> $crate::store_crate::Paged<$crate::model_crate::ApiKey>;
            fn delete_key(id: $crate::model_crate::ApiKeyId) -> $crate::model_crate::ApiKey;
        }
    };
    (Audit, $type:ty, $under:ident) => {
        $crate::pass_on_calls! { Audit, $type, $under:
            fn record(entry: $crate::model_crate::AuditEntry, most: u32) -> ();
            fn audit(of: Option<&$crate::model_crate::TenantId>, page: $crate::store_crate::Page)
                -> $crate::store_crate::Paged<$crate::model_crate::AuditEntry>;
        }
    };
    (Notices, $type:ty, $under:ident) => {
        $crate::pass_on_calls! { Notices, $type, $under:
            fn notices(partition: $crate::store_crate::Partition, limit: u32)
                -> Vec<$crate::store_crate::Notice>;
            fn forget_notices(partition: $crate::store_crate::Partition, up_to: u64) -> ();
        }
    };
}

/// Implements a part by its calls, each of which may fail.
#[doc(hidden)]
#[macro_export]
macro_rules! pass_on_calls {
    ($part:ident, $type:ty, $under:ident:
     $(fn $call:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)*) => {
        #[$crate::async_trait]
        impl $crate::store_crate::$part for $type {
            $(async fn $call(&self, $($argument: $kind),*) -> $crate::store_crate::Result<$answer> {
                $crate::store_crate::$part::$call(self.$under(), $($argument),*).await
            })*
        }
    };
}
