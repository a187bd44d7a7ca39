//! How a server ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::shared::Shared;

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Frames that were received and not resolved when the drain ran out of time. Their devices
    /// got no acknowledgement.
    pub abandoned: u64,
}

/// Ends a server's conversations: what was received is resolved, what is not in time is abandoned.
pub(crate) async fn drain<P, R, D>(shared: &Shared<P, R, D>, tracker: &TaskTracker) -> Drained {
    shared.connections.drain(shared.server);
    tracker.close();
    // Connections end by their own deadline; a session that does not return has none.
    let margin = Duration::from_secs(1);
    let deadline = shared.limits.drain + shared.limits.linger + margin;
    if tokio::time::timeout(deadline, tracker.wait())
        .await
        .is_err()
    {
        tracing::error!(
            protocol = %shared.name,
            connections = tracker.len(),
            "connections did not end in time"
        );
    }
    Drained {
        abandoned: shared.abandoned.load(Ordering::Relaxed),
    }
}
