//! One timer per connection, for whichever deadline is nearest.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

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
