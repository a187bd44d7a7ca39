//! Memory permits: what a frame takes of the queue until its outcome is known.

use std::fmt::Debug;
use std::sync::Arc;

/// Where permits go back to.
pub(crate) trait Permits: Debug + Send + Sync {
    fn release(self: Arc<Self>, cost: Cost);
}

/// What frames take of the queue's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Of what is for all frames.
    pub(crate) open: u64,
    /// Of what is only for urgent ones. It goes back there, so that urgent frames never take more.
    pub(crate) reserved: u64,
}

impl Cost {
    pub(crate) const fn add(&mut self, other: Self) {
        self.open = self.open.saturating_add(other.open);
        self.reserved = self.reserved.saturating_add(other.reserved);
    }
}

/// A frame's part of the queue's memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    home: Option<Arc<dyn Permits>>,
    cost: Cost,
}

impl Permit {
    pub(crate) fn new(home: Arc<dyn Permits>, cost: Cost) -> Self {
        Self {
            home: Some(home),
            cost,
        }
    }

    /// Takes the cost out, so that many can be given back at once. Whoever calls this owes it.
    pub(crate) fn take(mut self) -> Cost {
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
