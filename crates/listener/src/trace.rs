//! Frames in the log, for one device or one address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use milepost_telemetry::{Content, DeviceId, DeviceKey};

/// Whose frames and replies are logged in hexadecimal, at level `trace` under the target
/// `milepost_listener::frames`. The line of a frame has its reading too: the kinds of its reports,
/// why it was filtered, or what could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameTrace {
    /// A device's, from its login on.
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

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What became of a frame, in words; formatted only if the line is written.
pub(crate) struct Reading<'a>(pub(crate) &'a Content);

impl fmt::Display for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Content::Reports(reports) => {
                f.write_str("reported")?;
                let mut before = " ";
                for report in reports {
                    write!(f, "{before}{:?}", report.kind)?;
                    before = ", ";
                }
                Ok(())
            }
            Content::Filtered(reason) => write!(f, "filtered: {reason}"),
            Content::Quarantined(why) => {
                f.write_str("quarantined: ")?;
                if let Some(field) = why.field {
                    write!(f, "{field}: ")?;
                }
                if let Some(offset) = why.offset {
                    write!(f, "byte {offset}: ")?;
                }
                f.write_str(&why.message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{
        Decoder, IdentitySeed, Kind, Name, Quarantine, Report, ReportId, Tenant, Timestamp,
    };

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

    #[test]
    fn a_reading_names_kinds_reasons_and_what_could_not_be_read() {
        let seed = IdentitySeed::new(None, None, "test");
        let id = ReportId::mint(seed, Timestamp::UNIX_EPOCH, b"key");
        let decoder = Decoder::new("test", "test/1");
        let report = |kind| Report::new(id, decoder, kind, Timestamp::UNIX_EPOCH);
        let reports = Content::Reports(vec![report(Kind::Location), report(Kind::CommandReply)]);
        assert_eq!(
            Reading(&reports).to_string(),
            "reported Location, CommandReply"
        );
        let filtered = Content::Filtered(Name::new("refused"));
        assert_eq!(Reading(&filtered).to_string(), "filtered: refused");
        let mut why = Quarantine::new("13 is no month");
        let plain = Content::Quarantined(why.clone());
        assert_eq!(Reading(&plain).to_string(), "quarantined: 13 is no month");
        why.field = Some(Name::new("time"));
        why.offset = Some(5);
        assert_eq!(
            Reading(&Content::Quarantined(why)).to_string(),
            "quarantined: time: byte 5: 13 is no month"
        );
    }
}
