//! How a follower does, as other threads see it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a follower does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerHealth {
    /// Its name.
    pub name: String,
    /// Rows that the judge has stored and the follower has not, when it was known last.
    pub lag_rows: u64,
    /// Why its last attempt failed; `None` if it did not. It is tried again.
    pub problem: Option<String>,
    /// How often it has failed, panics included.
    pub errors: u64,
    /// How often it has panicked.
    pub panics: u64,
}

impl FollowerHealth {
    fn show_failing(&self) {
        let failing = f64::from(u8::from(self.problem.is_some()));
        metrics::gauge!("milepost_follower_failing", "follower" => self.name.clone()).set(failing);
    }
}

/// The same, while it changes; shown as metrics too.
#[derive(Debug)]
pub(super) struct HealthCell {
    health: Mutex<FollowerHealth>,
    missed: AtomicBool,
}

impl HealthCell {
    pub(super) fn new(name: &str) -> Self {
        let cell = Self {
            health: Mutex::new(FollowerHealth {
                name: name.to_owned(),
                ..FollowerHealth::default()
            }),
            missed: AtomicBool::new(false),
        };
        cell.lock().show_failing();
        cell
    }

    pub(super) fn get(&self) -> FollowerHealth {
        self.lock().clone()
    }

    /// A batch did not fit into the queue.
    pub(super) fn missed(&self) {
        self.missed.store(true, Ordering::Release);
    }

    /// Whether one did not fit since this was asked last.
    pub(super) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }

    pub(super) fn lag(&self, rows: u64) {
        let mut health = self.lock();
        health.lag_rows = rows;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("milepost_follower_lag_rows", "follower" => health.name.clone())
            .set(rows as f64);
    }

    /// A write was done in this time.
    pub(super) fn wrote(&self, within: Duration) {
        metrics::histogram!("milepost_follower_write_seconds", "follower" => self.lock().name.clone())
            .record(within);
    }

    pub(super) fn works(&self) {
        let mut health = self.lock();
        if health.problem.take().is_some() {
            tracing::info!(follower = %health.name, "a follower works again");
            health.show_failing();
        }
    }

    pub(super) fn failed(&self, problem: &dyn fmt::Display) {
        let mut health = self.lock();
        health.problem = Some(problem.to_string());
        health.errors += 1;
        metrics::counter!("milepost_follower_errors_total", "follower" => health.name.clone())
            .increment(1);
        health.show_failing();
    }

    pub(super) fn panicked(&self) {
        let mut health = self.lock();
        health.panics += 1;
        metrics::counter!("milepost_follower_panics_total", "follower" => health.name.clone())
            .increment(1);
    }

    fn lock(&self) -> MutexGuard<'_, FollowerHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
