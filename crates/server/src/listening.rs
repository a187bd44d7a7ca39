//! Which of the device listeners take connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many of the listeners that should take connections do not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listening(Arc<AtomicUsize>);

/// A listener that takes connections as long as this lives.
#[derive(Debug)]
pub(crate) struct Running(Arc<AtomicUsize>);

impl Listening {
    /// A listener runs, from now until what this returns is dropped.
    pub(crate) fn running(&self) -> Running {
        Running(Arc::clone(&self.0))
    }

    pub(crate) fn missing(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
