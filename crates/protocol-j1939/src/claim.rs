//! Which device a connection of CAN frames belongs to: a pure state machine.
//!
//! CAN frames name no device. The configuration does: by port, by the peer's network, by a first
//! line that the gateway sends, or by the vehicle identification number found on the bus.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::can::CanTime;

/// How the device of a connection is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimRule {
    /// Configured: this device.
    Known(String),
    /// The first line: the id, alone or after `ID `.
    FirstLine,
    /// The VIN of the vehicle, waited for [`VIN_WAIT_MICROS`].
    Vin,
}

/// How long a VIN is waited for.
pub const VIN_WAIT_MICROS: u64 = 60_000_000;
/// The longest first line, without its end.
pub const MAX_FIRST_LINE: usize = 64;

/// Configured devices of a listening port.
#[derive(Debug, Clone, Default)]
pub struct ClaimRules {
    networks: Vec<(IpAddr, u8, String)>,
    otherwise: Option<ClaimRule>,
}

impl ClaimRules {
    /// No network is known; every other connection follows `otherwise`.
    #[must_use]
    pub const fn new(otherwise: Option<ClaimRule>) -> Self {
        Self {
            networks: Vec::new(),
            otherwise,
        }
    }

    /// Peers of a network are this device. The longest prefix wins.
    pub fn network(&mut self, address: IpAddr, prefix: u8, device: impl Into<String>) {
        self.networks.push((address, prefix, device.into()));
    }

    /// The rule for a peer; `None` if nothing is configured for it.
    #[must_use]
    pub fn for_peer(&self, peer: IpAddr) -> Option<ClaimRule> {
        self.networks
            .iter()
            .filter(|(address, prefix, _)| contains(*address, *prefix, peer))
            .max_by_key(|(_, prefix, _)| *prefix)
            .map(|(.., device)| ClaimRule::Known(device.clone()))
            .or_else(|| self.otherwise.clone())
    }
}

fn contains(network: IpAddr, prefix: u8, peer: IpAddr) -> bool {
    // An IPv4 peer on an IPv6 socket is still an IPv4 peer.
    let (network, peer, width) = match (network.to_canonical(), peer.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    match width - u32::from(prefix.min(128)).min(width) {
        128 => true,
        shift => network >> shift == peer >> shift,
    }
}

/// Why a connection is not, or no longer, a device's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The first line is longer than [`MAX_FIRST_LINE`].
    #[error(
        "the first line is longer than {MAX_FIRST_LINE} bytes; expected a device id, or `ID ` and a device id"
    )]
    LineTooLong,
    /// The first line is empty or has bytes that no id has.
    #[error("the first line is not a device id")]
    NotAnId,
    /// No VIN came in time.
    #[error("no vehicle identification number within 60 s")]
    NoVin,
    /// Another vehicle is on the bus now: the connection is to be closed.
    #[error("another vehicle identification number than before")]
    OtherVin,
}

/// What is known about the device of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimState {
    /// Not known yet: frames count as a stranger's.
    Waiting,
    /// Known.
    Device(String),
    /// Cannot become known, or is another one now.
    Failed(ClaimError),
}

/// The claim of one connection.
#[derive(Debug, Clone)]
pub struct Claim {
    rule: ClaimRule,
    state: ClaimState,
    line: Vec<u8>,
    deadline: Option<CanTime>,
}

impl Claim {
    /// A connection that opened at `now`, on the caller's clock.
    #[must_use]
    pub fn new(rule: ClaimRule, now: CanTime) -> Self {
        let state = match &rule {
            ClaimRule::Known(device) => ClaimState::Device(device.clone()),
            _ => ClaimState::Waiting,
        };
        let deadline = (rule == ClaimRule::Vin)
            .then(|| CanTime(now.as_micros().saturating_add(VIN_WAIT_MICROS)));
        Self {
            rule,
            state,
            line: Vec::new(),
            deadline,
        }
    }

    /// What is known.
    #[must_use]
    pub const fn state(&self) -> &ClaimState {
        &self.state
    }

    /// Whether bytes belong to the first line and must be given to [`Claim::bytes`] before any
    /// carrier sees them.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        self.rule == ClaimRule::FirstLine && self.state == ClaimState::Waiting
    }

    /// Takes bytes of the first line. Returns how many were consumed: all until the line is
    /// complete, then those up to its end.
    pub fn bytes(&mut self, bytes: &[u8]) -> usize {
        if !self.wants_bytes() {
            return 0;
        }
        for (byte, n) in bytes.iter().zip(1..) {
            match byte {
                b'\n' => {
                    self.state = match device(&self.line) {
                        Some(device) => ClaimState::Device(device.into()),
                        None => ClaimState::Failed(ClaimError::NotAnId),
                    };
                    self.line = Vec::new();
                    return n;
                }
                // One more for the CR of a line that ends with CR LF.
                _ if self.line.len() > MAX_FIRST_LINE => {
                    self.state = ClaimState::Failed(ClaimError::LineTooLong);
                    return n;
                }
                byte => self.line.push(*byte),
            }
        }
        bytes.len()
    }

    /// Takes a VIN that was found on the bus.
    pub fn vin(&mut self, vin: &str) {
        if self.rule != ClaimRule::Vin {
            return;
        }
        match &self.state {
            ClaimState::Waiting => {
                self.deadline = None;
                self.state = ClaimState::Device(vin.into());
            }
            ClaimState::Device(known) if known != vin => {
                self.state = ClaimState::Failed(ClaimError::OtherVin);
            }
            _ => {}
        }
    }

    /// When [`Claim::advance`] has something to do.
    #[must_use]
    pub const fn wake_at(&self) -> Option<CanTime> {
        self.deadline
    }

    /// Lets time pass on the caller's clock.
    pub fn advance(&mut self, now: CanTime) {
        if self.state == ClaimState::Waiting && self.deadline.is_some_and(|at| now >= at) {
            self.deadline = None;
            self.state = ClaimState::Failed(ClaimError::NoVin);
        }
    }
}

fn device(line: &[u8]) -> Option<&str> {
    let line = core::str::from_utf8(line).ok()?.trim_start();
    let device = line.strip_prefix("ID ").unwrap_or(line).trim();
    let is_id = !device.is_empty()
        && device.len() <= MAX_FIRST_LINE
        && device.bytes().all(|b| b.is_ascii_graphic());
    is_id.then_some(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> (ClaimState, usize) {
        let mut claim = Claim::new(ClaimRule::FirstLine, CanTime(0));
        let consumed = claim.bytes(text);
        (claim.state, consumed)
    }

    #[test]
    fn a_first_line_is_the_id_alone_or_after_a_word() {
        for text in [
            "truck-7\n",
            "ID truck-7\n",
            "ID truck-7\r\n",
            "truck-7 \r\n",
        ] {
            let stream = [text.as_bytes(), b"(1.0) can0 18FEF100#00\n"].concat();
            let expected = ClaimState::Device("truck-7".into());
            assert_eq!(line(&stream), (expected, text.len()), "{text:?}");
        }
        // However it is cut.
        let mut claim = Claim::new(ClaimRule::FirstLine, CanTime(0));
        for byte in b"ID truck-7\r\n" {
            assert!(claim.wants_bytes());
            assert_eq!(claim.bytes(&[*byte]), 1);
        }
        assert_eq!(claim.state, ClaimState::Device("truck-7".into()));
        assert_eq!(claim.bytes(b"more"), 0);
    }

    #[test]
    fn a_first_line_is_bounded_and_must_be_an_id() {
        let id = alloc::vec![b'x'; 64];
        let whole = [&id[..], b"\r\n"].concat();
        assert!(matches!(line(&whole).0, ClaimState::Device(_)));
        let (state, consumed) = line(&alloc::vec![b'x'; 1000]);
        assert_eq!(state, ClaimState::Failed(ClaimError::LineTooLong));
        assert_eq!(consumed, 66);
        for text in [&b"\n"[..], b"ID \n", b"a b\n", b"\xFF\xFE\n"] {
            assert_eq!(line(text).0, ClaimState::Failed(ClaimError::NotAnId));
        }
    }

    #[test]
    fn a_vin_is_waited_for_one_minute() {
        let mut claim = Claim::new(ClaimRule::Vin, CanTime(5));
        assert_eq!(claim.wake_at(), Some(CanTime(60_000_005)));
        claim.advance(CanTime(60_000_004));
        assert_eq!(claim.state, ClaimState::Waiting);
        let mut late = claim.clone();
        late.advance(CanTime(60_000_005));
        assert_eq!(late.state, ClaimState::Failed(ClaimError::NoVin));
        claim.vin("1M8GDM9AXKP042788");
        claim.advance(CanTime(90_000_000));
        assert_eq!(claim.state, ClaimState::Device("1M8GDM9AXKP042788".into()));
        assert_eq!(claim.wake_at(), None);
    }

    #[test]
    fn another_vin_ends_the_claim() {
        let mut claim = Claim::new(ClaimRule::Vin, CanTime(0));
        claim.vin("1M8GDM9AXKP042788");
        claim.vin("1M8GDM9AXKP042788");
        assert!(matches!(claim.state, ClaimState::Device(_)));
        claim.vin("1M8GDM9AXKP042789");
        assert_eq!(claim.state, ClaimState::Failed(ClaimError::OtherVin));
        // A configured device does not depend on it.
        let mut claim = Claim::new(ClaimRule::Known("a".into()), CanTime(0));
        claim.vin("1M8GDM9AXKP042789");
        assert_eq!(claim.state, ClaimState::Device("a".into()));
    }

    #[test]
    fn the_longest_prefix_of_the_peer_wins() {
        let mut rules = ClaimRules::new(Some(ClaimRule::Vin));
        rules.network("10.0.0.0".parse().unwrap(), 8, "fleet");
        rules.network("10.1.2.0".parse().unwrap(), 24, "truck");
        rules.network("2001:db8::".parse().unwrap(), 32, "six");
        let rule = |peer: &str| rules.for_peer(peer.parse().unwrap()).unwrap();
        assert_eq!(rule("10.1.2.9"), ClaimRule::Known("truck".into()));
        assert_eq!(rule("::ffff:10.1.2.9"), ClaimRule::Known("truck".into()));
        assert_eq!(rule("10.9.9.9"), ClaimRule::Known("fleet".into()));
        assert_eq!(rule("2001:db8::1"), ClaimRule::Known("six".into()));
        assert_eq!(rule("192.0.2.1"), ClaimRule::Vin);
        assert!(
            ClaimRules::new(None)
                .for_peer("192.0.2.1".parse().unwrap())
                .is_none()
        );
    }
}
