//! Frames in the log, for one device or one address.

use std::net::{IpAddr, SocketAddr};

use milepost_telemetry::{DeviceId, DeviceKey};

/// Whose frames and replies are logged in hexadecimal, at level `trace` under the target
/// `milepost_listener::frames`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameTrace {
    /// A device's, once it has logged in.
    Device(DeviceId),
    /// Those of every connection from an address.
    Peer(IpAddr),
}

impl FrameTrace {
    pub(crate) fn includes(&self, peer: Option<SocketAddr>, device: Option<&DeviceKey>) -> bool {
        match self {
            Self::Device(id) => device.is_some_and(|key| key.device == *id),
            Self::Peer(ip) => peer.is_some_and(|peer| peer.ip().to_canonical() == *ip),
        }
    }
}

/// Bytes in hexadecimal, formatted only if the line is written.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
