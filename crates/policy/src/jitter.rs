use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

/// Share of a delay by which jitter moves it either way, unless a policy says otherwise.
pub(crate) const USUAL_RATIO: f64 = 0.1;

/// The randomness that spreads retries, so that deliveries which failed together do not come back together.
///
/// The same seed gives the same sequence on every platform: a simulation can be repeated. Not for secrets.
#[derive(Debug)]
pub struct Jitter(Xoshiro256PlusPlus);

impl Jitter {
    /// Starts the sequence that belongs to a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A duration drawn uniformly from `around * (1 - ratio)` to `around * (1 + ratio)`; `ratio` lies between 0 and 1.
    ///
    /// A ratio that is no such number, or a result too long for a [`Duration`], leaves the duration as it is.
    pub fn spread(&mut self, around: Duration, ratio: f64) -> Duration {
        let factor = 1.0 + ratio * self.0.random_range(-1.0..=1.0);
        Duration::try_from_secs_f64(around.as_secs_f64() * factor).unwrap_or(around)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stays_within_the_ratio(seed: u64, secs in 0.0..2_592_000.0_f64, ratio in 0.0..=1.0_f64) {
            let spread = Jitter::seeded(seed).spread(Duration::from_secs_f64(secs), ratio).as_secs_f64();
            let rounding = 1e-8;
            prop_assert!(secs * (1.0 - ratio) - rounding <= spread && spread <= secs * (1.0 + ratio) + rounding);
        }
    }

    #[test]
    fn is_uniform() {
        let mut jitter = Jitter::seeded(7);
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let moved = jitter.spread(Duration::from_secs(100), 0.1).as_secs_f64() - 90.0;
            tenths[((moved / 2.0) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1_150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_seed_can_be_repeated() {
        let sequence = |seed| {
            let mut jitter = Jitter::seeded(seed);
            [(); 5].map(|()| jitter.spread(Duration::from_secs(60), 0.5))
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }

    #[test]
    fn leaves_alone_what_it_cannot_spread() {
        for (around, ratio) in [
            (Duration::from_secs(5), 0.0),
            (Duration::from_secs(5), f64::NAN),
            (Duration::from_secs(5), f64::INFINITY),
            (Duration::MAX, 0.0),
            (Duration::ZERO, 1.0),
        ] {
            assert_eq!(Jitter::seeded(0).spread(around, ratio), around, "{around:?} by {ratio}");
        }
    }
}
