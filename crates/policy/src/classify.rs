use posthaste_model::{ErrorClass, Outcome};

/// What an outcome says about the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It took the event: any 2xx, however much of the body was kept.
    Success,
    /// It wants no more events: 410.
    Gone,
    /// It, or a proxy before it, is overloaded: 429, 502, 503, 504.
    Busy,
    /// It did not take the event: any other status, redirects included, and every failure on the way to it.
    Retry,
    /// It is not to blame, or that is not known.
    Ours,
}

/// Tells which kind of outcome it is. Every outcome is of exactly one kind.
pub fn classify(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Replied(reply) => match reply.status {
            200..=299 => Verdict::Success,
            410 => Verdict::Gone,
            429 | 502 | 503 | 504 => Verdict::Busy,
            _ => Verdict::Retry,
        },
        Outcome::Failed { class, .. } => match class {
            ErrorClass::Blocked
            | ErrorClass::Dns
            | ErrorClass::Connect
            | ErrorClass::Tls
            | ErrorClass::Timeout
            | ErrorClass::Protocol
            | ErrorClass::Auth => Verdict::Retry,
            ErrorClass::Internal | ErrorClass::Unknown => Verdict::Ours,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{failed, replied, reply};

    /// Every status from 100 to 599 that is judged so.
    #[track_caller]
    fn check(verdict: Verdict, expect: impl IntoIterator<Item = u16>) {
        let judged: Vec<u16> =
            (100..=599).filter(|status| classify(&replied(*status, &[])) == verdict).collect();
        assert_eq!(judged, Vec::from_iter(expect), "{verdict:?}");
    }

    #[test]
    fn every_status() {
        check(Verdict::Success, 200..=299);
        check(Verdict::Gone, [410]);
        check(Verdict::Busy, [429, 502, 503, 504]);
        check(Verdict::Retry, (100..200).chain(300..410).chain(411..429).chain(430..502).chain(505..600));
        check(Verdict::Ours, []);
    }

    #[test]
    fn no_status_at_all() {
        for status in [0, 99, 600, u16::MAX] {
            assert_eq!(classify(&replied(status, &[])), Verdict::Retry, "{status}");
        }
    }

    #[test]
    fn a_body_over_the_cap_does_not_matter() {
        let reply = posthaste_model::Reply { truncated: true, ..reply(200, &[]) };
        assert_eq!(classify(&Outcome::Replied(reply)), Verdict::Success);
    }

    #[test]
    fn every_failure() {
        let ours: Vec<ErrorClass> =
            ErrorClass::ALL.into_iter().filter(|class| classify(&failed(*class)) == Verdict::Ours).collect();
        let retried: Vec<ErrorClass> =
            ErrorClass::ALL.into_iter().filter(|class| classify(&failed(*class)) == Verdict::Retry).collect();
        assert_eq!(ours, [ErrorClass::Internal, ErrorClass::Unknown]);
        assert_eq!(ours.len() + retried.len(), ErrorClass::ALL.len());
    }
}
