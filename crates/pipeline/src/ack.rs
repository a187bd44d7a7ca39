//! The verdict on an envelope.

use tokio::sync::oneshot;

use crate::permit::{Cost, Permit};

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It is durable: as new rows, as a duplicate of durable ones, or in quarantine.
    Delivered,
    /// It holds nothing to store, and that is on record.
    Filtered,
    /// It could not be stored.
    Failed,
    /// It was dropped without a verdict.
    Lost,
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
}

/// The acknowledgement of an envelope, and of all that was derived from it. Dropped without a
/// verdict it reports [`Outcome::Lost`].
#[derive(Debug)]
pub(crate) struct Ack {
    verdict: Option<oneshot::Sender<Outcome>>,
    permit: Option<Permit>,
}

impl Ack {
    pub(crate) const fn new(verdict: oneshot::Sender<Outcome>, permit: Permit) -> Self {
        Self {
            verdict: Some(verdict),
            permit: Some(permit),
        }
    }

    /// Reports the verdict. The permit's cost is the caller's to give back.
    pub(crate) fn resolve(mut self, outcome: Outcome) -> Cost {
        self.report(outcome);
        self.permit.take().map(Permit::take).unwrap_or_default()
    }

    fn report(&mut self, outcome: Outcome) {
        if let Some(verdict) = self.verdict.take() {
            // The connection may have ended; the data is kept all the same.
            let _ended = verdict.send(outcome).is_err();
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.report(Outcome::Lost);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::permit::Permits;

    const SEVEN: Cost = Cost {
        open: 7,
        reserved: 0,
    };

    #[derive(Debug, Default)]
    struct Home(AtomicU64);

    impl Permits for Home {
        fn release(self: Arc<Self>, cost: Cost) {
            self.0.fetch_add(cost.open, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_silent_drop_is_lost_and_gives_its_permit_back() {
        let home = Arc::new(Home::default());
        let (verdict, mut heard) = oneshot::channel();
        drop(Ack::new(verdict, Permit::new(home.clone(), SEVEN)));
        assert_eq!(heard.try_recv(), Ok(Outcome::Lost));
        assert_eq!(home.0.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn a_verdict_is_reported_once_and_its_permit_is_the_callers() {
        let home = Arc::new(Home::default());
        let (verdict, mut heard) = oneshot::channel();
        let ack = Ack::new(verdict, Permit::new(home.clone(), SEVEN));
        assert_eq!(ack.resolve(Outcome::Filtered), SEVEN);
        assert_eq!(heard.try_recv(), Ok(Outcome::Filtered));
        assert_eq!(home.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn only_what_is_on_record_may_be_told() {
        use Outcome::{Delivered, Failed, Filtered, Lost};
        let durable = [Delivered, Filtered, Failed, Lost].map(Outcome::is_durable);
        assert_eq!(durable, [true, true, false, false]);
    }
}
