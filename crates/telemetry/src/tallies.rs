//! What happened since it was last asked.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    mem,
};

use posthaste_model::{Counts, EndpointId, TenantId, Timestamp, TopicName};
use posthaste_store::{Stretch, Subject};

/// Counts for a subject in the minute that begins at these Unix milliseconds, the oldest minute first.
pub(crate) type Counted = BTreeMap<(i64, Subject), Counts>;

/// Counts at their finest: by minute, tenant, topic and endpoint. For whom else they count is found out when they are
/// taken, so that what happens has one place to be counted at.
pub(crate) struct Tallies {
    topics: HashMap<(i64, TenantId, TopicName), OfTopic>,
    /// How many places there are, and may be: a topic is one, and so is each endpoint of it.
    places: usize,
    most: usize,
}

#[derive(Default)]
struct OfTopic {
    /// What happened to no endpoint.
    counts: Counts,
    endpoints: HashMap<EndpointId, Counts>,
}

impl Tallies {
    pub(crate) fn new(most: usize) -> Self {
        Self { topics: HashMap::new(), places: 0, most }
    }

    /// Counts something that happened to an endpoint. False: there is no room for it.
    pub(crate) fn count(
        &mut self,
        of: (&TenantId, &TopicName),
        endpoint: EndpointId,
        at: Timestamp,
        change: impl FnOnce(&mut Counts),
    ) -> bool {
        let Some((topic, mut room)) = self.topic(of, at) else { return false };
        topic.endpoint(endpoint, &mut room).map(change).is_some()
    }

    /// Counts an event that was accepted for these endpoints. Answers with how many figures there was no room for.
    pub(crate) fn accepted(
        &mut self,
        of: (&TenantId, &TopicName),
        endpoints: &[EndpointId],
        at: Timestamp,
    ) -> u64 {
        let Some((topic, mut room)) = self.topic(of, at) else { return 1 + endpoints.len() as u64 };
        topic.counts.events += 1;
        topic.counts.unmatched += u64::from(endpoints.is_empty());
        let mut dropped = 0;
        for endpoint in endpoints {
            match topic.endpoint(*endpoint, &mut room) {
                Some(counts) => counts.deliveries += 1,
                None => dropped += 1,
            }
        }
        dropped
    }

    /// What is counted of a topic in the minute, and the room that there is for more. None: there is none for the topic.
    fn topic(
        &mut self,
        (tenant, topic): (&TenantId, &TopicName),
        at: Timestamp,
    ) -> Option<(&mut OfTopic, Room<'_>)> {
        let Self { topics, places, most } = self;
        let mut room = Room { places, most: *most };
        // To share the names costs less than to look for what is known first.
        match topics.entry((Stretch::Minute.begin(at), tenant.clone(), topic.clone())) {
            Entry::Occupied(known) => Some((known.into_mut(), room)),
            Entry::Vacant(new) => {
                room.take()?;
                Some((new.insert(OfTopic::default()), room))
            }
        }
    }

    /// Takes all that was counted.
    pub(crate) fn take(&mut self) -> Self {
        mem::replace(self, Self::new(self.most))
    }

    /// Adds up for whom it counts. What happens for Posthaste's own tenant counts for nobody else: it tells operators of the
    /// others.
    pub(crate) fn add_up(self) -> Counted {
        let mut sums = Counted::new();
        let own = TenantId::posthaste();
        for ((minute, tenant, topic), OfTopic { mut counts, endpoints }) in self.topics {
            let mut add = |of: Subject, counts: &Counts| sums.entry((minute, of)).or_default().add(counts);
            for (endpoint, of_endpoint) in endpoints {
                counts.add(&of_endpoint);
                add(Subject::Endpoint(tenant.clone(), endpoint), &of_endpoint);
            }
            if tenant != own {
                add(Subject::All, &counts);
                add(Subject::Topic(topic.clone()), &counts);
            }
            add(Subject::Tenant(tenant.clone()), &counts);
            add(Subject::TenantTopic(tenant, topic), &counts);
        }
        sums
    }
}

impl OfTopic {
    /// What is counted of an endpoint; none: there is no room for it.
    fn endpoint(&mut self, endpoint: EndpointId, room: &mut Room<'_>) -> Option<&mut Counts> {
        match self.endpoints.entry(endpoint) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) => {
                room.take()?;
                Some(new.insert(Counts::default()))
            }
        }
    }
}

/// The room for more places.
struct Room<'a> {
    places: &'a mut usize,
    most: usize,
}

impl Room<'_> {
    /// Takes up one place, if there is one.
    fn take(&mut self) -> Option<()> {
        (*self.places < self.most).then(|| *self.places += 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).unwrap()
    }

    fn endpoint(n: u8) -> EndpointId {
        EndpointId::mint(at(0), [n; 10])
    }

    /// What was delivered to whom, by minute.
    fn delivered(counted: &Counted) -> Vec<(i64, String, u64)> {
        let rows = counted.iter().map(|((minute, of), counts)| {
            let name = match of {
                Subject::All => "all".to_owned(),
                Subject::Topic(topic) => topic.to_string(),
                Subject::Tenant(tenant) => tenant.to_string(),
                Subject::TenantTopic(tenant, topic) => format!("{tenant} {topic}"),
                Subject::Endpoint(tenant, id) => {
                    format!("{tenant} {}", (1..9).find(|n| endpoint(*n) == *id).unwrap())
                }
            };
            (minute / 60_000, name, counts.delivered)
        });
        rows.collect()
    }

    #[test]
    fn what_happens_counts_for_all_whom_it_concerns() {
        let mut tallies = Tallies::new(100);
        for (tenant, topic, n, secs) in
            [("a", "x", 1, 60), ("a", "x", 1, 119), ("a", "y", 1, 61), ("a", "y", 2, 62), ("b", "x", 3, 120)]
        {
            let (tenant, topic) = (tenant.parse().unwrap(), topic.parse().unwrap());
            assert!(tallies.count((&tenant, &topic), endpoint(n), at(secs), |counts| counts.delivered += 1));
        }
        let rows = |minute, rows: &[(&str, u64)]| {
            rows.iter().map(|(name, count)| (minute, (*name).to_owned(), *count)).collect::<Vec<_>>()
        };
        let first =
            [("all", 4), ("x", 2), ("y", 2), ("a", 4), ("a x", 2), ("a y", 2), ("a 1", 3), ("a 2", 1)];
        let second = [("all", 1), ("x", 1), ("b", 1), ("b x", 1), ("b 3", 1)];
        assert_eq!(delivered(&tallies.take().add_up()), [rows(1, &first), rows(2, &second)].concat());
        assert!(tallies.take().add_up().is_empty());
    }

    #[test]
    fn what_is_no_endpoints_counts_for_none() {
        let mut tallies = Tallies::new(100);
        let (tenant, topic) = (TenantId::default_tenant(), "x".parse().unwrap());
        assert_eq!(tallies.accepted((&tenant, &topic), &[endpoint(1)], at(0)), 0);
        assert_eq!(tallies.accepted((&tenant, &topic), &[], at(0)), 0);
        for ((_, of), counts) in tallies.take().add_up() {
            let (events, unmatched) = if matches!(of, Subject::Endpoint(..)) { (0, 0) } else { (2, 1) };
            assert_eq!(
                (counts.events, counts.unmatched, counts.deliveries),
                (events, unmatched, 1),
                "{of:?}"
            );
        }
    }

    #[test]
    fn what_operators_are_told_counts_for_them_alone() {
        let mut tallies = Tallies::new(100);
        let (own, topic) = (TenantId::posthaste(), "x".parse().unwrap());
        for tenant in [own, "a".parse().unwrap()] {
            assert!(tallies.count((&tenant, &topic), endpoint(1), at(0), |counts| counts.delivered += 1));
        }
        let rows = ["all", "x", "a", "posthaste", "a x", "posthaste x", "a 1", "posthaste 1"];
        let rows: Vec<_> = rows.iter().map(|name| (0, (*name).to_owned(), 1)).collect();
        assert_eq!(delivered(&tallies.take().add_up()), rows);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut tallies = Tallies::new(3);
        let (tenant, topic, other) = (TenantId::default_tenant(), "x".parse().unwrap(), "y".parse().unwrap());
        let mut count =
            |n| tallies.count((&tenant, &topic), endpoint(n), at(0), |counts| counts.attempts += 1);
        // Who has a place already is counted still. The topic has one of them.
        assert_eq!([1, 2, 3, 2, 1].map(&mut count), [true, true, false, true, true]);
        let wanting = [1, 2, 3, 4].map(endpoint);
        assert_eq!(tallies.accepted((&tenant, &topic), &wanting, at(0)), 2);
        assert_eq!(tallies.accepted((&tenant, &other), &wanting, at(0)), 5);
        let of_all = tallies.take().add_up().remove(&(0, Subject::All)).unwrap();
        assert_eq!((of_all.attempts, of_all.events, of_all.deliveries), (4, 1, 2));
        assert_eq!(tallies.accepted((&tenant, &other), &wanting, at(0)), 2);
    }
}
