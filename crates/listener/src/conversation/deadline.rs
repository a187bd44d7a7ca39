//! What a conversation waits for, and the nearest of it.

use tokio::time::Instant;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Login,
    Idle,
    Frame,
    Pause,
    Rate,
    Wake,
    Write,
    Resolve,
    Settle,
    Linger,
    Drain,
}

/// Keeps the nearest of several deadlines.
#[derive(Default)]
pub(crate) struct Nearest(Option<(Instant, Due)>);

impl Nearest {
    pub(crate) fn add(&mut self, due: Due, at: Option<Instant>) {
        let Some(at) = at else { return };
        if self.0.is_none_or(|(nearest, _)| at < nearest) {
            self.0 = Some((at, due));
        }
    }

    pub(crate) const fn get(&self) -> Option<(Instant, Due)> {
        self.0
    }
}
