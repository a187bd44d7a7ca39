//! Whether a store takes data, as other threads see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::SinkError;

/// Whether a pipeline gets rid of what it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// The last attempt worked: to store something or, if there was nothing to store, to begin
    /// with it.
    #[default]
    Ready,
    /// The store does not take data now; why.
    Stalled(Box<str>),
}

/// The condition of a store and of the threads that serve it. Cheap to clone; all clones are one.
///
/// A store that finds its files gone is *failing*: nothing is acknowledged, and it may recover. A
/// store or thread that cannot go on at all is *failed*: whoever runs the process must end it with
/// an error, since what is left of it would take connections and store nothing.
#[derive(Debug, Clone)]
pub struct Condition(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    failing: Mutex<Option<Box<str>>>,
    failed: watch::Sender<Option<Arc<str>>>,
}

impl Default for Condition {
    fn default() -> Self {
        Self(Arc::new(Shared {
            failing: Mutex::default(),
            failed: watch::Sender::new(None),
        }))
    }
}

impl Condition {
    /// Nothing can be stored now; why. It may pass.
    pub fn failing(&self, reason: &str) {
        *self.lock() = Some(reason.into());
    }

    /// What was reported by [`failing`](Self::failing) has passed.
    pub fn recovered(&self) {
        *self.lock() = None;
    }

    /// Nothing can be stored any more; why. The first reason stays.
    pub fn fail(&self, reason: &str) {
        self.0.failed.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                tracing::error!(reason, "the process cannot go on");
                *known = Some(reason.into());
            }
            first
        });
    }

    /// Why nothing can be stored any more, if that is so.
    pub fn has_failed(&self) -> Option<Arc<str>> {
        self.0.failed.borrow().clone()
    }

    /// Resolves, with the reason, when nothing can be stored any more: end the process then.
    pub async fn failed(&self) -> Arc<str> {
        let mut failed = self.0.failed.subscribe();
        let reason = match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            // Not while this holds the sender.
            Err(_) => None,
        };
        reason.unwrap_or_else(|| "unknown".into())
    }

    /// What is wrong, if anything is.
    pub(crate) fn problem(&self) -> Option<Box<str>> {
        match self.has_failed() {
            Some(reason) => Some((*reason).into()),
            None => self.lock().clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<str>>> {
        self.0
            .failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a shard knows of its store.
#[derive(Debug, Default)]
pub(crate) struct HealthCell(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    health: Health,
    /// Since when the store has been at work on something, if it is.
    under_way: Option<Instant>,
}

impl HealthCell {
    pub(crate) fn ready(&self) {
        let mut state = self.state();
        if state.health != Health::Ready {
            tracing::info!("the store takes data again");
            state.health = Health::Ready;
        }
    }

    pub(crate) fn stalled(&self, error: &SinkError) {
        self.state().health = Health::Stalled(error.to_string().into());
    }

    /// The store is given something to do.
    pub(crate) fn call_begins(&self) {
        self.state().under_way = Some(Instant::now());
    }

    /// It has returned, with whatever result.
    pub(crate) fn call_ends(&self) {
        self.state().under_way = None;
    }

    /// A store that does not return within `limit` is stalled.
    pub(crate) fn get(&self, limit: Duration) -> Health {
        let state = self.state();
        match state.under_way.map(|since| since.elapsed()) {
            Some(passed) if state.health == Health::Ready && passed > limit => Health::Stalled(
                format!("the store has not answered for {} s", passed.as_secs()).into(),
            ),
            _ => state.health.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_fatal_reason_stays_and_reaches_those_who_wait_before_and_after() {
        let condition = Condition::default();
        condition.failing("files moved");
        assert_eq!(condition.problem().as_deref(), Some("files moved"));
        let waiting = tokio::spawn({
            let condition = condition.clone();
            async move { condition.failed().await }
        });
        condition.fail("first");
        condition.fail("second");
        condition.recovered();
        assert_eq!(&*waiting.await.unwrap(), "first");
        assert_eq!(&*condition.failed().await, "first");
        assert_eq!(condition.problem().as_deref(), Some("first"));
    }
}
