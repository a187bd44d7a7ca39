//! Whether the store takes data.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::SinkError;

/// Whether a pipeline gets rid of what it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// The last attempt worked: to store something or, where there was nothing to store, to begin
    /// with it.
    #[default]
    Ready,
    /// The store does not take data now; why.
    Stalled(Box<str>),
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
    pub(crate) fn begun(&self) {
        self.state().under_way = Some(Instant::now());
    }

    /// It has come back, whatever with.
    pub(crate) fn came_back(&self) {
        self.state().under_way = None;
    }

    /// A store that does not come back within `patience` is stalled.
    pub(crate) fn get(&self, patience: Duration) -> Health {
        let state = self.state();
        match state.under_way.map(|since| since.elapsed()) {
            Some(gone) if state.health == Health::Ready && gone > patience => Health::Stalled(
                format!("the store has not come back for {} s", gone.as_secs()).into(),
            ),
            _ => state.health.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
