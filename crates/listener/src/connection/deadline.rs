//! One timer per connection, for whichever deadline is nearest.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Login,
    Idle,
    Frame,
    Pause,
    Write,
    Resolve,
    Superseded,
    Settle,
    Linger,
    Drain,
}

/// A timer that is moved lazily.
///
/// Deadlines mostly move later (each read moves the idle deadline), and moving a timer takes its
/// driver's lock. So it is only moved when the nearest deadline is earlier than where it stands;
/// when it fires too early, it is set again.
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(at)),
        }
    }

    /// Resolves when `at` has come.
    pub(super) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.sleep.deadline() >= at {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(at);
        }
    }
}

/// Keeps the nearest of several deadlines.
#[derive(Default)]
pub(super) struct Nearest(Option<(Instant, Due)>);

impl Nearest {
    pub(super) fn add(&mut self, due: Due, at: Option<Instant>) {
        let Some(at) = at else { return };
        if self.0.is_none_or(|(nearest, _)| at < nearest) {
            self.0 = Some((at, due));
        }
    }

    pub(super) const fn get(&self) -> Option<(Instant, Due)> {
        self.0
    }
}
