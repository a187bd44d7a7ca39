//! What all conversations of a server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milepost_telemetry::{DeviceId, Name};

use crate::log_limit::LogLimits;
use crate::metrics::Metrics;
use crate::{Clock, Connections, FrameTrace, Limits, MemoryBudget};

/// Which device the configuration says a peer is.
pub(crate) type Claims = dyn Fn(Option<SocketAddr>) -> Option<DeviceId> + Send + Sync;

pub(crate) struct Shared<P, R, D> {
    pub(crate) protocol: P,
    pub(crate) registry: R,
    pub(crate) deliver: D,
    pub(crate) limits: Limits,
    pub(crate) epoch: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connections: Connections,
    pub(crate) memory: MemoryBudget,
    pub(crate) metrics: Metrics,
    pub(crate) name: Name,
    pub(crate) has_commands: bool,
    pub(crate) claims: Option<Box<Claims>>,
    pub(crate) trace: Vec<FrameTrace>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) log: LogLimits,
    /// Tells servers apart that share their connections.
    pub(crate) server: u64,
    pub(crate) abandoned: AtomicU64,
}

impl<P, R, D> Shared<P, R, D> {
    pub(crate) fn abandon(&self, frames: usize) {
        self.abandoned.fetch_add(frames as u64, Ordering::Relaxed);
    }
}
