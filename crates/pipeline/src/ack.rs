//! The verdict on an envelope, shared by everything that the envelope became.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::oneshot;

use crate::entrance::Room;

/// What became of an envelope. They are ordered: of several, the worst wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It is durable: as new rows, as a duplicate of durable ones, or in quarantine.
    Delivered = 0,
    /// It holds nothing to store, and that is on record.
    Filtered = 1,
    /// It could not be stored.
    Failed = 2,
    /// Nobody said what became of it.
    Lost = 3,
}

impl Outcome {
    /// Whether the device may be told that its data is safe.
    pub const fn is_durable(self) -> bool {
        matches!(self, Self::Delivered | Self::Filtered)
    }

    /// The name used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Filtered => "filtered",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    const fn from_u8(v: u8) -> Self {
        match v {
            0 => Self::Delivered,
            1 => Self::Filtered,
            2 => Self::Failed,
            _ => Self::Lost,
        }
    }
}

/// One share in the acknowledgement of an envelope.
///
/// Cloning makes another share. The verdict is out when the last share is settled or dropped; a
/// share that is dropped without a verdict counts as [`Outcome::Lost`].
#[derive(Debug)]
pub(crate) struct Ack {
    shared: Arc<Shared>,
    settled: bool,
}

#[derive(Debug)]
struct Shared {
    worst: AtomicU8,
    tell: Option<oneshot::Sender<Outcome>>,
    /// The envelope's room in the queue: given back with the verdict.
    _room: Option<Room>,
}

impl Ack {
    /// An acknowledgement that is told to `tell`.
    pub(crate) fn new(tell: oneshot::Sender<Outcome>, room: Option<Room>) -> Self {
        let shared = Shared {
            worst: AtomicU8::new(Outcome::Delivered as u8),
            tell: Some(tell),
            _room: room,
        };
        Self {
            shared: Arc::new(shared),
            settled: false,
        }
    }

    /// Gives this share's verdict.
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.note(outcome);
        self.settled = true;
    }

    fn note(&self, outcome: Outcome) {
        self.shared.worst.fetch_max(outcome as u8, Ordering::AcqRel);
    }
}

impl Clone for Ack {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            settled: false,
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if !self.settled {
            self.note(Outcome::Lost);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            // Nobody may be listening any more: the connection is gone, the data is not.
            let _nobody = tell.send(Outcome::from_u8(*self.worst.get_mut()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_share_wins_and_nothing_is_said_before_the_last() {
        let (tell, mut heard) = oneshot::channel();
        let ack = Ack::new(tell, None);
        let (second, third) = (ack.clone(), ack.clone());
        ack.settle(Outcome::Delivered);
        second.settle(Outcome::Failed);
        assert!(heard.try_recv().is_err());
        third.settle(Outcome::Filtered);
        assert_eq!(heard.try_recv(), Ok(Outcome::Failed));
    }

    #[test]
    fn a_silent_drop_is_lost() {
        let (tell, mut heard) = oneshot::channel();
        let ack = Ack::new(tell, None);
        let forgotten = ack.clone();
        ack.settle(Outcome::Delivered);
        drop(forgotten);
        assert_eq!(heard.try_recv(), Ok(Outcome::Lost));
    }

    #[test]
    fn only_what_is_on_record_may_be_told() {
        use Outcome::{Delivered, Failed, Filtered, Lost};
        let durable = [Delivered, Filtered, Failed, Lost].map(Outcome::is_durable);
        assert_eq!(durable, [true, true, false, false]);
        assert!(Delivered < Filtered && Filtered < Failed && Failed < Lost);
    }
}
