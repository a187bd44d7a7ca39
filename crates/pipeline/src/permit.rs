//! Memory permits: what a frame takes of the queue until its outcome is known.

use std::fmt::Debug;
use std::sync::Arc;

/// Where permits go back to.
pub(crate) trait Permits: Debug + Send + Sync {
    fn release(self: Arc<Self>, cost: u64);
}

/// A frame's part of the queue's memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    home: Option<Arc<dyn Permits>>,
    cost: u64,
}

impl Permit {
    pub(crate) fn new(home: Arc<dyn Permits>, cost: u64) -> Self {
        Self {
            home: Some(home),
            cost,
        }
    }

    /// Takes the cost out, so that many can be given back at once. Whoever calls this owes it.
    pub(crate) fn take(mut self) -> u64 {
        self.home = None;
        self.cost
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.release(self.cost);
        }
    }
}
