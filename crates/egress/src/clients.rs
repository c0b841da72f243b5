use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// The clients at hand, each with connections of its own: one for requests under no identity, and one for each identity
/// that was used lately.
pub(crate) struct Clients<I, C> {
    lifetime: Duration,
    /// How many identities have one.
    bound: usize,
    common: Option<Kept<C>>,
    identified: HashMap<I, Kept<C>>,
    /// Counts the uses of identities, and so tells which was the last.
    uses: u64,
}

struct Kept<C> {
    client: C,
    born: Instant,
    used: u64,
}

impl<I: Clone + Eq + Hash, C: Clone> Clients<I, C> {
    pub(crate) fn new(lifetime: Duration, bound: usize) -> Self {
        Self { lifetime, bound, common: None, identified: HashMap::new(), uses: 0 }
    }

    /// The client to use under `identity`, if there is one and its lifetime is not over.
    pub(crate) fn get(&mut self, identity: Option<&I>) -> Option<C> {
        let kept = match identity {
            None => self.common.as_mut(),
            Some(identity) => self.identified.get_mut(identity),
        };
        let kept = kept.filter(|kept| kept.born.elapsed() < self.lifetime)?;
        self.uses += 1;
        kept.used = self.uses;
        Some(kept.client.clone())
    }

    /// Keeps a client that was built for `identity`, and returns the one to use: if several were built at once, all get
    /// the first of them, and its connections.
    ///
    /// Exchanges under way keep a client that it replaces or drives out, whose connections go with the last of them.
    pub(crate) fn keep(&mut self, identity: Option<&I>, client: C) -> C {
        if let Some(first) = self.get(identity) {
            return first;
        }
        self.uses += 1;
        let kept = Kept { client: client.clone(), born: Instant::now(), used: self.uses };
        match identity {
            None => self.common = Some(kept),
            Some(identity) => {
                self.identified.insert(identity.clone(), kept);
                self.make_room();
            }
        }
        client
    }

    /// Forgets the identity that was used least recently if there is one too many.
    fn make_room(&mut self) {
        if self.identified.len() <= self.bound {
            return;
        }
        let least = self.identified.iter().min_by_key(|(_, kept)| kept.used);
        if let Some(least) = least.map(|(identity, _)| identity.clone()) {
            self.identified.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// Who has a client at hand afterwards, among nobody (`-`), `a`, `b` and `c`, if these come one after the other.
    #[track_caller]
    fn check(bound: usize, comers: &str, expect: &str) {
        let mut clients = Clients::new(LONG, bound);
        let identity = |comer| Some(comer).filter(|comer| *comer != '-');
        for comer in comers.chars() {
            let identity = identity(comer);
            if clients.get(identity.as_ref()).is_none() {
                clients.keep(identity.as_ref(), comer);
            }
        }
        let at_hand: String =
            "-abc".chars().filter_map(|comer| clients.get(identity(comer).as_ref())).collect();
        assert_eq!(at_hand, expect, "{comers}");
    }

    #[test]
    fn each_has_one_of_its_own() {
        check(3, "", "");
        check(3, "-", "-");
        check(3, "a-ba", "-ab");
    }

    #[test]
    fn who_came_least_recently_makes_room() {
        check(2, "abc", "bc");
        check(2, "abac", "ac");
        check(2, "abcab", "ab");
        check(1, "-abc", "-c");
        check(0, "-a", "-");
    }

    #[test]
    fn the_first_of_several_that_were_built_at_once_is_used() {
        let mut clients = Clients::new(LONG, 1);
        for identity in [None, Some(&"a")] {
            assert_eq!(clients.keep(identity, 1), 1);
            assert_eq!(clients.keep(identity, 2), 1);
            assert_eq!(clients.get(identity), Some(1));
        }
    }

    #[test]
    fn none_is_used_when_its_lifetime_is_over() {
        let mut clients = Clients::new(Duration::ZERO, 1);
        for identity in [None, Some(&"a")] {
            assert_eq!(clients.keep(identity, 1), 1);
            assert_eq!(clients.get(identity), None);
            assert_eq!(clients.keep(identity, 2), 2);
        }
    }
}
