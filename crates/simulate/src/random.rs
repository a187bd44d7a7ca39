//! Chance that is the same on every machine and in every version: a simulation is repeatable
//! from its seed, which the generators of `rand` do not promise across releases.

/// SplitMix64: small, fast, and good enough to choose a turning.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each `(seed, stream)`.
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        // Neighbouring streams start from unrelated places.
        let start = random.bits();
        Self(start)
    }

    const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub(crate) const fn unit(&mut self) -> f64 {
        // 53 bits are what the fraction of an f64 holds, so both conversions are exact.
        let bits = self.bits() >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    /// From `low` to `high`.
    pub(crate) const fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// From 0 to `count` - 1, or 0 when there is nothing to choose from.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.bits() % count).unwrap_or(0)
    }

    /// True in `share` of all cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// How long until the next of events that come every `mean` on average, in the same unit.
    /// The waiting time of a Poisson process.
    pub(crate) fn waiting_time(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_gives_another() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            std::array::from_fn::<u64, 8, _>(|_| random.bits())
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn waiting_times_have_the_mean_that_was_asked_for() {
        let mut random = Random::new(7, 0);
        let sum: f64 = (0..10_000).map(|_| random.waiting_time(30.0)).sum();
        let mean = sum / 10_000.0;
        assert!((28.5..31.5).contains(&mean), "{mean}");
    }
}
