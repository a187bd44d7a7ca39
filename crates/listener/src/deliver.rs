//! Where reports go, and the verdict that a device's acknowledgement waits for.

use std::future::Future;
use std::sync::Arc;

use milepost_telemetry::Envelope;

/// Takes envelopes over.
///
/// `Ok` means durable (synced, not only written): the device may be sent its acknowledgement. Any closure that
/// returns such a future will do:
///
/// ```
/// use milepost_listener::{Deliver, NotDelivered};
/// use milepost_telemetry::Envelope;
///
/// fn to_nowhere() -> impl Deliver {
///     |_: Envelope| async { Ok::<(), NotDelivered>(()) }
/// }
/// # let _ = to_nowhere();
/// ```
///
/// Envelopes of one connection are handed over in order: each future is polled once before the
/// next is made, and none waits for the one before. The framework bounds how many are under way;
/// at the bound the socket is not read, so a future that waits is back-pressure. It is polled to
/// its end, also when the peer is gone; only a drain that runs out of time drops it, and the end of
/// a connection while the [`MemoryBudget`](crate::MemoryBudget) is used up and the envelope was taken beyond it. That need not take the envelope
/// back, but one that only waits should let go of it.
pub trait Deliver: Send + Sync + 'static {
    /// Resolves when the envelope is durable, or will not be.
    fn deliver(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<(), NotDelivered>> + Send + 'static;
}

impl<F, R> Deliver for F
where
    F: Fn(Envelope) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), NotDelivered>> + Send + 'static,
{
    fn deliver(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<(), NotDelivered>> + Send + 'static {
        self(envelope)
    }
}

impl<D: Deliver> Deliver for Arc<D> {
    fn deliver(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<(), NotDelivered>> + Send + 'static {
        D::deliver(self, envelope)
    }
}

/// An envelope that is not durable: its device gets no acknowledgement, and will send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDelivered {
    /// It could not be stored.
    #[error("could not be stored")]
    Failed,
    /// Nobody said what became of it.
    #[error("lost without a verdict")]
    Lost,
}
