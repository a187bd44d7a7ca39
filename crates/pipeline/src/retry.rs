//! How long to wait before trying again: the only place where anything is retried.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Exponential back-off with full jitter above a floor.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// The first wait, and the least of every wait.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(20),
            most: Duration::from_secs(2),
        }
    }
}

impl Backoff {
    /// The wait before attempt number `attempt` (the first retry is 1).
    pub(crate) fn wait(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(20));
        let ceiling = self.first.saturating_mul(doubled).min(self.most);
        let jitter = rand::random_range(0.0..=1.0);
        self.first + ceiling.saturating_sub(self.first).mul_f64(jitter)
    }
}

/// Until when something is tried again: without end, until a deadline is set.
#[derive(Debug, Default)]
pub(crate) struct RetryDeadline {
    deadline: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl RetryDeadline {
    /// Sets the deadline; of several the earliest counts.
    pub(crate) fn set(&self, deadline: Instant) {
        let mut current = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(current.map_or(deadline, |known| known.min(deadline)));
        self.changed.notify_all();
    }

    /// Whether the deadline has come.
    pub(crate) fn has_passed(&self) -> bool {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Waits; `false` if the deadline comes first.
    pub(crate) fn wait(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return false;
            }
            let end = deadline.map_or(until, |deadline| deadline.min(until));
            let left = end.saturating_duration_since(now);
            if left.is_zero() {
                return true;
            }
            let (guard, _) = self
                .changed
                .wait_timeout(deadline, left)
                .unwrap_or_else(PoisonError::into_inner);
            deadline = guard;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_most_and_never_fall_below_the_first() {
        let backoff = Backoff::default();
        for attempt in 1..64 {
            let wait = backoff.wait(attempt);
            assert!(wait >= backoff.first && wait <= backoff.most, "{wait:?}");
        }
        assert_eq!(backoff.wait(1), backoff.first);
    }

    #[test]
    fn a_deadline_ends_a_wait_that_has_begun() {
        let deadline = RetryDeadline::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| deadline.wait(Duration::from_secs(3_600)));
            deadline.set(Instant::now());
            assert!(!waiting.join().unwrap());
        });
        assert!(!deadline.wait(Duration::ZERO));
    }
}
