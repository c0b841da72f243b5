use posthaste_model::{DeliveryId, Timestamp};
use uuid::{Builder, Uuid};

/// How the tables name a delivery: the `n`-th of the event `seq`.
///
/// A [`DeliveryId`] is composed of it, so that no index is needed from one to the other: a UUID v7 (RFC 9562) whose
/// time is the event's, and whose 62 low bits are `seq` (46 bits) and `n` (16 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeliveryKey {
    pub(crate) seq: i64,
    pub(crate) n: u16,
}

const LOW_BITS: u64 = (1 << 62) - 1;

impl DeliveryKey {
    pub(crate) fn id(self, accepted_at_ms: i64) -> DeliveryId {
        let low = ((self.seq as u64) << 16 | u64::from(self.n)) & LOW_BITS;
        let mut tail = [0_u8; 10];
        tail[2..].copy_from_slice(&low.to_be_bytes());
        let millis = u64::try_from(accepted_at_ms).unwrap_or(0);
        DeliveryId::from_uuid(Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The key in an id, if the id can be one of an event accepted at some time; compare with [`Self::id`] of that
    /// event's time to know that it is.
    pub(crate) fn of(id: DeliveryId) -> Self {
        let low = (id.uuid().as_u128() as u64) & LOW_BITS;
        Self { seq: (low >> 16) as i64, n: low as u16 }
    }

    /// Where a page that ended with this delivery goes on.
    pub(crate) fn cursor(self) -> String {
        let packed = (self.seq as u64) << 16 | u64::from(self.n);
        format!("{packed:x}")
    }

    pub(crate) fn from_cursor(text: &str) -> Option<Self> {
        let packed = u64::from_str_radix(text, 16).ok()?;
        Some(Self { seq: (packed >> 16) as i64, n: packed as u16 })
    }
}

/// A UUID as SQLite keeps it.
pub(crate) fn uuid_from_blob(blob: &[u8]) -> Result<Uuid, uuid::Error> {
    Uuid::from_slice(blob)
}

/// Milliseconds as the tables keep them.
pub(crate) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_id_and_its_cursor() {
        for (seq, n) in [(1, 0), (1, 65_535), ((1 << 46) - 1, 7), (123_456_789, 1)] {
            let key = DeliveryKey { seq, n };
            assert_eq!(DeliveryKey::of(key.id(1_700_000_000_000)), key);
            assert_eq!(DeliveryKey::from_cursor(&key.cursor()), Some(key));
        }
    }

    #[test]
    fn ids_order_as_keys_do_and_differ_by_time() {
        let key = |seq, n| DeliveryKey { seq, n };
        assert!(key(1, 2).id(1) < key(1, 3).id(1));
        assert!(key(1, 9).id(1) < key(2, 0).id(1));
        assert_ne!(key(1, 1).id(1), key(1, 1).id(2));
    }
}
