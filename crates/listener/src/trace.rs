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

#[cfg(test)]
mod tests {
    use milepost_telemetry::Tenant;

    use super::*;

    #[test]
    fn only_the_frames_of_the_device_or_the_address_are_logged() {
        let key = |id: &str| DeviceKey {
            tenant: Tenant::new("acme").unwrap(),
            device: DeviceId::new(id).unwrap(),
        };
        let at = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        let device = FrameTrace::Device(DeviceId::new("42").unwrap());
        assert!(device.includes(None, Some(&key("42"))));
        assert!(!device.includes(at("10.0.0.1:1"), Some(&key("43"))));
        assert!(!device.includes(at("10.0.0.1:1"), None));
        let peer = FrameTrace::Peer("10.0.0.1".parse().unwrap());
        assert!(peer.includes(at("10.0.0.1:1"), None));
        assert!(peer.includes(at("[::ffff:10.0.0.1]:1"), Some(&key("43"))));
        assert!(!peer.includes(at("10.0.0.2:1"), Some(&key("42"))));
        assert_eq!(Hex(&[0, 0x7f, 0xff]).to_string(), "007fff");
    }
}
