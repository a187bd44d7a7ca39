//! How many frames a batch holds, so that its commit takes no longer than it should.
//!
//! An urgent frame waits for the batch that is being written and for the one that is prepared
//! meanwhile. What these cost is measured, and the size of the next ones follows. While urgent
//! frames come, batches are smaller still: that costs throughput, since each is synced.

use std::time::{Duration, Instant};

use crate::intake::BatchLimits;

/// How long after an urgent frame the next ones are expected.
const URGENT_FOR: Duration = Duration::from_secs(10);
/// Never fewer frames than this: on a slow disk a commit takes longer than it should whatever is
/// in it, and small batches would only cost throughput.
const LEAST: usize = 512;
/// The same while urgent frames come.
const LEAST_URGENT: usize = 128;
/// One batch changes the estimate by one part of so many.
const SMOOTHING: f64 = 4.0;

/// The measured pace of a shard's commits.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Seconds for one frame; 0 until a batch has shown it.
    per_frame: f64,
    urgent_until: Option<Instant>,
}

impl Pace {
    /// Urgent frames have come.
    pub(super) fn urgent(&mut self, now: Instant) {
        self.urgent_until = Some(now + URGENT_FOR);
    }

    /// A batch of so many frames was committed within a time.
    pub(super) fn committed(&mut self, frames: usize, took: Duration) {
        // A few frames show what a sync costs, and not what a frame does.
        if frames < LEAST_URGENT / 2 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let measured = took.as_secs_f64() / frames as f64;
        self.per_frame = if self.per_frame > 0.0 {
            self.per_frame + (measured - self.per_frame) / SMOOTHING
        } else {
            measured
        };
    }

    /// What the next batch may hold.
    pub(super) fn limits(&self, limits: &BatchLimits, now: Instant) -> BatchLimits {
        let urgent = self.urgent_until.is_some_and(|until| now < until);
        let (commit, least) = match urgent {
            true => (limits.urgent_commit, LEAST_URGENT),
            false => (limits.commit, LEAST),
        };
        let mut bounded = limits.clone();
        if self.per_frame > 0.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates at the bounds"
            )]
            let frames = (commit.as_secs_f64() / self.per_frame) as usize;
            bounded.frames = frames.max(least).min(limits.frames);
        }
        bounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_until_a_commit_takes_no_longer_than_it_should_and_grow_again() {
        let limits = BatchLimits::default();
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.limits(&limits, now).frames, limits.frames);
        // 20 microseconds a frame, and 2 ms for the sync.
        let took = |frames: usize| {
            Duration::from_millis(2) + Duration::from_micros(20) * u32::try_from(frames).unwrap()
        };
        let adapt = |pace: &mut Pace| {
            for _ in 0..100 {
                let frames = pace.limits(&limits, now).frames;
                pace.committed(frames, took(frames));
            }
            took(pace.limits(&limits, now).frames)
        };
        let usual = adapt(&mut pace);
        assert!(
            usual <= limits.commit && usual * 2 > limits.commit,
            "{usual:?}"
        );
        pace.urgent(now);
        let urgent = adapt(&mut pace);
        let most = limits.urgent_commit;
        assert!(urgent <= most && urgent * 2 > most, "{urgent:?}");
        // A single frame says nothing of many.
        pace.committed(1, Duration::from_secs(1));
        assert_eq!(adapt(&mut pace), urgent);
        let later = now + URGENT_FOR;
        assert!(pace.limits(&limits, later).frames > pace.limits(&limits, now).frames);
    }

    #[test]
    fn a_slow_disk_does_not_make_batches_of_nothing() {
        let limits = BatchLimits::default();
        let now = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..100 {
            let frames = pace.limits(&limits, now).frames;
            pace.committed(frames, Duration::from_secs(1));
        }
        assert_eq!(pace.limits(&limits, now).frames, LEAST);
        let mut small = limits.clone();
        small.frames = 10;
        assert_eq!(pace.limits(&small, now).frames, 10);
    }
}
