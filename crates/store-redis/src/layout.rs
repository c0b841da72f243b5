//! The names of the keys, and what a delivery is called in them.
//!
//! `<prefix>:store` is a hash that says what the store is: `schema`, `partitions`, `key` (what secrets are sealed with).
//! All other keys begin with `<prefix>:1:{<partition>}`, the braces being the hash tag that keeps a partition in
//! one slot of a cluster. Short names, because each event has several:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `…:s` | hash | the partition: counters, owner, what the last lease call was (below) |
//! | `…:e:<event>` | string | an event's envelope: who, what, to whom, the bytes ([`crate::envelope`]) |
//! | `…:r:<event>` | string | its record: what became of its deliveries, and their attempts (`lua/common/record.lua`) |
//! | `…:q:<endpoint>` | sorted set | the endpoint's queue: deliveries by when they are due, or by their places in the order |
//! | `…:w:<endpoint>` | hash | of an ordered endpoint's queue: when those are due that are not due at their places |
//! | `…:u:<endpoint>` | sorted set | the rest of a queue that is being made anew (`lua/common/order.lua`) |
//! | `…:y` | sorted set | the line: endpoints with a queue by when their turn comes (`lua/common/turns.lua`), and tenants |
//! | `…:a:<tenant>` | sorted set | its endpoints that wait until it may have more of a call: it stands in line for them (`lua/common/aside.lua`) |
//! | `…:b` | sorted set | endpoints that their owner throttled, by its epoch |
//! | `…:m` | list | manual attempts that were asked for |
//! | `…:l` | hash | leases by delivery: live ones, and those that were ended by hand (`lua/common/leases.lua`) |
//! | `…:c`, `…:c:<n>` | hash, sorted sets | queues that were closed, until what became of them is written down |
//! | `…:d`, `…:f`, `…:g` | lists, sorted set | events that are over by when they ended: delivered, failed, and those of closed queues |
//! | `…:k`, `…:x` | hash, sorted set | how long events are kept that say so themselves, and by when those of them are that are over |
//! | `…:o` | sorted set | what operators are to be told, by its number |
//! | `…:tenants` | sorted set | ids of tenants by their numbers |
//! | `…:t:<tenant>` | hash | a tenant |
//! | `…:n:<tenant>` | sorted set | its endpoints in the order of their making |
//! | `…:p:<endpoint>` | hash | an endpoint (`lua/common/endpoints.lua`) |
//! | `…:i:<tenant>` | hash | events by their ids: the idempotency keys |
//! | `…:v:<tenant>`, `…:v:<tenant>:<n>` | sorted set, sets | its events in the order of acceptance, in pieces |
//! | `…:z:<whose>`, `…:z:<whose>:<n>` | sorted set, sets | events with trouble, in pieces: `*` everybody's, those of a tenant, of `p<endpoint>` (`lua/common/trouble.lua`) |
//! | `…:places` | hash | deliveries of ordered endpoints whose places in the order are not the times of their events |
//! | `…:j`, `…:j:<tenant>`, `…:running` | sorted sets | replays by their numbers: all, those of a tenant, those that go on |
//! | `…:j:r<replay>` | string | a replay (`lua/create_replay.lua`) |
//! | `…:h:<stretch>:<subject>` | hash, expiring | what was counted by the minute or the hour, in pages (`lua/count.lua`): `*` everything, `o<topic>`, `<tenant>t`, `<tenant>c<topic>`, `<tenant>p<endpoint>` |
//!
//! Fields of `…:s`: `seq`, `lease`, `ordinal` (the last event, lease, other number); `owner`, `until`, `epoch`,
//! `released:<epoch>` (who has it, and what is spared); `turn`, `nonce`, `nonce_from` (the last turn, the last lease call
//! and its first lease); `asked` (the last calls that asked for manual attempts); `asleep` (the owner waits); `topics` (the
//! version it was told); `checked` (that it can be written); `floor` (no event with a number up to this one is left);
//! `unindexed` (the last event of before there was an index of trouble that is not in it; 0: all are) and
//! `unindexed_in` (how many of its deliveries are).
//!
//! Partition 0 has besides `…:topics`, `…:topics:s` (the topics and their version), `…:numbers` (the last tenant's
//! number) and `…:attending` (who drives partitions); what is counted for all tenants is counted there. It has these, too,
//! whatever tenant they are about:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `…:api_keys` | sorted set | keys of the API, as the digests of their secrets, by their places in the order of their making |
//! | `…:api_keys:d`, `…:api_keys:i` | hashes | what they are, by their digests; their digests by their ids |
//! | `…:audit` | sorted set | who changed what, in the order of the entries' ids (`lua/record_audit.lua`) |
//! | `…:audit:t`, `…:audit:o` | lists | the ids of what tenants' own people did, and of the rest, in the order in which they came |

use posthaste_model::{DeliveryId, TenantId, Timestamp};
use posthaste_store::Partition;
use uuid::{Builder, Uuid};

/// The version of everything above. A store of a newer one is not touched; one of an older one is raised to it.
///
/// 2: an event's record may have the mark of the index of trouble, which builds of 1 take for a period of its own.
pub(crate) const SCHEMA: i64 = 2;
/// What the names of keys say. It stays while a newer version goes on with what an older one wrote.
const FIRST: i64 = 1;

/// Names keys.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    prefix: String,
    bases: Vec<String>,
    channel: String,
}

impl Layout {
    pub(crate) fn new(prefix: &str, partitions: u16) -> Self {
        let bases = (0..partitions).map(|n| format!("{prefix}:{FIRST}:{{{n}}}")).collect();
        Self { prefix: prefix.to_owned(), bases, channel: format!("{prefix}:{FIRST}:wake") }
    }

    pub(crate) fn store(prefix: &str) -> String {
        format!("{prefix}:store")
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.bases.len() as u16
    }

    /// What the names of a partition's keys begin with. A partition that does not exist is the last one.
    pub(crate) fn base(&self, Partition(n): Partition) -> &str {
        &self.bases[usize::from(n).min(self.bases.len() - 1)]
    }

    /// The partition that holds what belongs to all.
    pub(crate) fn home(&self) -> &str {
        &self.bases[0]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(String::as_str)
    }

    /// The channel that tells the owners of partitions to look.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// The stream in which producers leave letters, and its dead ones. They lie in one slot.
    pub(crate) fn inbox(&self) -> String {
        format!("{}:{{inbox}}", self.prefix)
    }

    /// Where a tenant belongs. Never to change: it is where its data is.
    pub(crate) fn partition(&self, tenant: &TenantId) -> Partition {
        Partition((fnv1a(tenant.as_str().as_bytes()) % u64::from(self.partitions())) as u16)
    }
}

/// FNV-1a, 64 bits (RFC 9923): a hash that stays what it is.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// A delivery: the `n`-th of an event.
///
/// Its [`DeliveryId`] is composed of it: a UUID v7 (RFC 9562) whose time is the event's, with the partition in the 12
/// bits behind the version, and event (46 bits) and `n` (16 bits) in the low ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeliveryKey {
    pub(crate) partition: Partition,
    pub(crate) event: u64,
    pub(crate) n: u16,
}

const LOW_BITS: u64 = (1 << 62) - 1;

impl DeliveryKey {
    pub(crate) fn id(self, accepted_at: i64) -> DeliveryId {
        let low = (self.event << 16 | u64::from(self.n)) & LOW_BITS;
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&self.partition.0.to_be_bytes());
        tail[2..].copy_from_slice(&low.to_be_bytes());
        let millis = u64::try_from(accepted_at).unwrap_or(0);
        DeliveryId::from_uuid(Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The key in an id, if it is one of an event accepted at some time, and that time in Unix milliseconds.
    pub(crate) fn of(id: DeliveryId) -> (Self, i64) {
        let bits = id.uuid().as_u128();
        let low = bits as u64 & LOW_BITS;
        let partition = Partition((bits >> 64) as u16 & 0xfff);
        ((Self { partition, event: low >> 16, n: low as u16 }), (bits >> 80) as i64)
    }

    /// How queues and leases name it.
    pub(crate) fn member(self) -> String {
        format!("{}{:04x}", event_name(self.event), self.n)
    }

    pub(crate) fn of_member(partition: Partition, text: &str) -> Option<Self> {
        let event = u64::from_str_radix(text.get(..10)?, 16).ok()?;
        let n = u16::from_str_radix(text.get(10..MEMBER)?, 16).ok()?;
        Some(Self { partition, event, n })
    }
}

/// How long the name of a delivery is.
pub(crate) const MEMBER: usize = 14;

/// How keys name an event: its number in ten hexadecimal digits.
pub(crate) fn event_name(number: u64) -> String {
    format!("{number:010x}")
}

/// Unix milliseconds, within what sorted sets keep exactly: from 1970 to 2109.
pub(crate) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond().clamp(0, (1 << 42) - 1)
}

pub(crate) fn uuid(bytes: &[u8]) -> Result<Uuid, uuid::Error> {
    Uuid::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_id_and_its_member() {
        for (partition, event, n) in [(0, 1, 0), (1_023, (1 << 40) - 1, 65_535), (7, 123_456_789, 1)] {
            let key = DeliveryKey { partition: Partition(partition), event, n };
            assert_eq!(DeliveryKey::of(key.id(1_700_000_000_000)), (key, 1_700_000_000_000));
            assert_eq!(DeliveryKey::of_member(key.partition, &key.member()), Some(key));
        }
    }

    #[test]
    fn tenants_stay_where_they_are() {
        let layout = Layout::new("p", 16);
        let places: Vec<u16> = ["default", "acme", "a", "zebra"]
            .iter()
            .map(|id| layout.partition(&id.parse().unwrap()).0)
            .collect();
        assert_eq!(places, PLACES);
    }

    /// Found once; whoever must change them moves every tenant of every store.
    const PLACES: [u16; 4] = [14, 15, 12, 15];
}
