//! Token buckets: how many of something per second, and how many at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A rate and what may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// How many per second in the long run; 0 is taken as 1.
    pub per_second: u32,
    /// How many at once after a rest; 0 is taken as 1.
    pub burst: u32,
}

impl Rate {
    /// So many per second, and so many at once.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }

    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    /// How far the bucket may be ahead of the clock.
    fn tolerance(self) -> Duration {
        self.interval().saturating_mul(self.burst.max(1) - 1)
    }
}

/// A token bucket that fills with time. It keeps one instant: when it would be full again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    full_at: Instant,
}

impl TokenBucket {
    pub(crate) const fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// When the next token can be had; in the past if it can be now.
    pub(crate) fn ready_at(&self, rate: Rate) -> Instant {
        let tolerance = rate.tolerance();
        self.full_at.checked_sub(tolerance).unwrap_or(self.full_at)
    }

    /// Takes a token, whether it is there or not: the caller has looked before.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) {
        self.full_at = self.full_at.max(now) + rate.interval();
    }
}

/// A token bucket that many tasks share.
#[derive(Debug)]
pub(crate) struct SharedBucket {
    start: Instant,
    /// When it would be full again, in nanoseconds since the start.
    full_at: AtomicU64,
}

impl SharedBucket {
    pub(crate) fn full(now: Instant) -> Self {
        Self {
            start: now,
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn try_take(&self, rate: Rate, now: Instant) -> bool {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let now = nanos(now.saturating_duration_since(self.start));
        let (interval, tolerance) = (nanos(rate.interval()), nanos(rate.tolerance()));
        let next = |full_at: u64| {
            (full_at <= now.saturating_add(tolerance))
                .then(|| full_at.max(now).saturating_add(interval))
        };
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let rate = Rate::new(10, 3);
        let mut bucket = TokenBucket::full(start);
        let mut given = |now| {
            let mut given = 0;
            while bucket.ready_at(rate) <= now && given < 100 {
                bucket.take(rate, now);
                given += 1;
            }
            given
        };
        assert_eq!(given(start), 3);
        assert_eq!(given(start + Duration::from_millis(99)), 0);
        assert_eq!(given(start + Duration::from_millis(200)), 2);
        assert_eq!(given(start + Duration::from_secs(60)), 3);
    }

    #[test]
    fn a_shared_bucket_gives_the_same() {
        let start = Instant::now();
        let rate = Rate::new(10, 3);
        let bucket = SharedBucket::full(start);
        let given = |now| (0..100).filter(|_| bucket.try_take(rate, now)).count();
        assert_eq!(given(start), 3);
        assert_eq!(given(start + Duration::from_millis(99)), 0);
        assert_eq!(given(start + Duration::from_millis(200)), 2);
        assert_eq!(given(start + Duration::from_secs(60)), 3);
    }
}
