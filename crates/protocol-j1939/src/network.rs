//! Groups of network management: request, acknowledgement, commanded address.
//!
//! | group | byte 1 | 2 | 3-4 | 5 | 6-8 |
//! |---|---|---|---|---|---|
//! | request 59904 | group asked for, bytes 1-3 | | | | |
//! | acknowledgement 59392 | control | group function | | address acknowledged, FF: unknown | group |
//! | commanded address 65240 | NAME, bytes 1-8; byte 9: the new address | | | | |
//!
//! Source: SAE J1939-21, sections 5.4.2 and 5.4.4; J1939-81, section 4.2.3.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::id::Pgn;
use crate::name::Name;

/// Asks for a group. Fill bytes after the third are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The group asked for.
    pub pgn: Pgn,
}

impl Request {
    /// # Errors
    /// If there are fewer than three bytes.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let bytes = data.first_chunk::<3>().ok_or_else(|| {
            DecodeError::truncated(
                Pgn::REQUEST,
                "requested_pgn",
                0,
                3usize.saturating_sub(data.len()),
            )
        })?;
        Ok(Self {
            pgn: Pgn::from_le_bytes(*bytes),
        })
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Done.
    Positive,
    /// The group or function is not supported.
    Negative,
    /// Access denied.
    AccessDenied,
    /// Supported, but the unit cannot respond now.
    CannotRespond,
    /// Another code.
    Unknown(u8),
}

impl Control {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Positive => 0,
            Self::Negative => 1,
            Self::AccessDenied => 2,
            Self::CannotRespond => 3,
            Self::Unknown(code) => code,
        }
    }

    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive => "ack",
            Self::Negative => "nack",
            Self::AccessDenied => "access_denied",
            Self::CannotRespond => "cannot_respond",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Answer to a request, normally broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledge {
    /// What became of it.
    pub control: Control,
    /// Group function value; older senders put 0, newer ones FF where it has no meaning.
    pub group_function: u8,
    /// Who had asked; `None` where older senders leave FF.
    pub address: Option<u8>,
    /// The group that was asked for.
    pub pgn: Pgn,
}

impl Acknowledge {
    /// # Errors
    /// If there are fewer than eight bytes.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let [control, group_function, _, _, address, a, b, c] =
            *data.first_chunk::<8>().ok_or_else(|| {
                DecodeError::truncated(
                    Pgn::ACKNOWLEDGE,
                    "acknowledged_pgn",
                    5,
                    8usize.saturating_sub(data.len()),
                )
            })?;
        Ok(Self {
            control: match control {
                0 => Control::Positive,
                1 => Control::Negative,
                2 => Control::AccessDenied,
                3 => Control::CannotRespond,
                code => Control::Unknown(code),
            },
            group_function,
            address: (address != 0xFF).then_some(address),
            pgn: Pgn::from_le_bytes([a, b, c]),
        })
    }
}

/// Tells the unit with a NAME to use another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandedAddress {
    /// The unit.
    pub name: Name,
    /// Its new address.
    pub address: u8,
}

impl CommandedAddress {
    /// # Errors
    /// If the message does not have nine bytes.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let missing = 9usize.saturating_sub(data.len());
        let (name, rest) = data
            .split_first_chunk::<8>()
            .ok_or_else(|| DecodeError::truncated(Pgn::COMMANDED_ADDRESS, "name", 0, missing))?;
        let &[address] = rest else {
            return Err(DecodeError::new(
                Pgn::COMMANDED_ADDRESS,
                "address",
                8,
                if rest.is_empty() {
                    DecodeErrorKind::Truncated { needed: 1 }
                } else {
                    DecodeErrorKind::Malformed
                },
            ));
        };
        Ok(Self {
            name: Name::from_le_bytes(*name),
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex::FromHex;
    use std::vec::Vec;

    fn bytes(text: &str) -> Vec<u8> {
        Vec::from_hex(text).unwrap()
    }

    #[test]
    fn a_request_may_be_filled_to_eight_bytes() {
        for text in ["ECFE00", "ECFE00FFFFFFFFFF"] {
            assert_eq!(Request::decode(&bytes(text)).unwrap().pgn, Pgn::VI);
        }
        let error = Request::decode(&bytes("ECFE")).unwrap_err();
        assert_eq!(
            std::format!("{error}"),
            "59904: truncated (1 more bytes needed) in field requested_pgn at byte 0"
        );
    }

    #[test]
    fn an_older_sender_leaves_the_asker_unknown() {
        let ack = Acknowledge::decode(&bytes("0100FFFFFFD4FE00")).unwrap();
        assert_eq!(ack.control, Control::Negative);
        assert_eq!((ack.group_function, ack.address), (0, None));
        assert_eq!(ack.pgn.raw(), 65236);
        let ack = Acknowledge::decode(&bytes("00FFFFFF0BECFE00")).unwrap();
        assert_eq!((ack.control, ack.address), (Control::Positive, Some(11)));
        for len in 0..8 {
            assert!(Acknowledge::decode(&bytes("0100FFFFFFD4FE00")[..len]).is_err());
        }
    }

    #[test]
    fn a_commanded_address_has_nine_bytes() {
        let all = bytes("F501C02CEFAA46C021");
        let command = CommandedAddress::decode(&all).unwrap();
        assert_eq!(command.address, 0x21);
        assert_eq!(command.name.manufacturer_code(), 358);
        assert!(CommandedAddress::decode(&all[..8]).is_err());
    }
}
