//! The 29-bit identifier of J1939: priority, parameter group number, addresses.
//!
//! | bits (28..0) | field | note |
//! |---|---|---|
//! | 28..26 | priority | 0 is the highest; not part of the message's identity |
//! | 25 | EDP | extended data page |
//! | 24 | DP | data page |
//! | 23..16 | PF | below 240: PDU1, sent to one address; from 240 on: PDU2, sent to all |
//! | 15..8 | PS | destination (PDU1) or group extension (PDU2) |
//! | 7..0 | SA | source address |
//!
//! Source: SAE J1939-21, section 5.2.

use core::fmt;

use crate::can::CanId;

/// A parameter group number, 18 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pgn(u32);

macro_rules! pgns {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Pgn { $($(#[$doc])* pub const $name: Self = Self($number);)* }
    };
}

pgns! {
    /// Request (EA00).
    REQUEST = 0xEA00;
    /// Acknowledgement (E800).
    ACKNOWLEDGE = 0xE800;
    /// Address claimed (EE00).
    ADDRESS_CLAIMED = 0xEE00;
    /// Commanded address (FED8).
    COMMANDED_ADDRESS = 0xFED8;
    /// Transport protocol, connection management (EC00).
    TP_CM = 0xEC00;
    /// Transport protocol, data transfer (EB00).
    TP_DT = 0xEB00;
    /// Extended transport protocol, connection management (C800).
    ETP_CM = 0xC800;
    /// Extended transport protocol, data transfer (C700).
    ETP_DT = 0xC700;
    /// Active trouble codes, DM1 (FECA).
    DM1 = 0xFECA;
    /// Vehicle identification (FEEC).
    VI = 0xFEEC;
    /// Component identification (FEEB).
    CI = 0xFEEB;
    /// Software identification (FEDA).
    SOFT = 0xFEDA;
    /// Driver identification (FE6B).
    DI = 0xFE6B;
    /// Identification of the control unit (FDC5).
    ECUID = 0xFDC5;
    /// Tell-tales of the instrument cluster (FD7D).
    FMS1 = 0xFD7D;
    /// Identity of the FMS gateway (FDD1).
    FMS_IDENTITY = 0xFDD1;
    /// ISO 15765 to one address (DA00); not a group of J1939 parameters.
    ISO_TP_PHYSICAL = 0xDA00;
    /// ISO 15765 to all (DB00); not a group of J1939 parameters.
    ISO_TP_FUNCTIONAL = 0xDB00;
}

impl Pgn {
    /// The largest number.
    pub const MAX: u32 = 0x3_FFFF;

    /// A group number; `None` above 18 bits. The low byte of a PDU1 group (PF below 240), which
    /// is a destination and not part of the number, is set to 0.
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        if raw > Self::MAX {
            None
        } else if (raw >> 8) & 0xFF < 240 {
            Some(Self(raw & 0x3_FF00))
        } else {
            Some(Self(raw))
        }
    }

    /// From three bytes, low byte first, as transport and request messages carry it. Bits above
    /// the eighteenth are ignored.
    #[must_use]
    pub fn from_le_bytes(bytes: [u8; 3]) -> Self {
        let [a, b, c] = bytes;
        let raw = u32::from_le_bytes([a, b, c & 3, 0]);
        Self::new(raw).unwrap_or(Self(0))
    }

    /// Three bytes, low byte first.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 3] {
        let [a, b, c, _] = self.0.to_le_bytes();
        [a, b, c]
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether the group is sent to one address (PDU1).
    #[must_use]
    pub const fn is_addressed(self) -> bool {
        (self.0 >> 8) & 0xFF < 240
    }

    /// Whether the maker of the unit defines the content: EF00, 1EF00, FF00 to FFFF, 1FF00 to
    /// 1FFFF. No standard table applies.
    #[must_use]
    pub const fn is_proprietary(self) -> bool {
        let page = self.0 >> 17 == 0;
        page && (self.0 & 0xFFFF == 0xEF00 || self.0 & 0xFF00 == 0xFF00)
    }
}

impl fmt::Display for Pgn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The destination address that means all.
pub const GLOBAL: u8 = 255;
/// The source address of a unit that could not claim one.
pub const NULL_ADDRESS: u8 = 254;

/// A 29-bit identifier taken apart.
///
/// ```
/// use milepost_protocol_j1939::J1939Id;
///
/// let id = J1939Id::from_raw(0x0C00290B);
/// assert_eq!((id.priority, id.pgn.raw(), id.destination, id.source), (3, 0, 41, 11));
/// assert_eq!(id.to_raw(), 0x0C00290B);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct J1939Id {
    /// 0 (highest) to 7.
    pub priority: u8,
    /// The group.
    pub pgn: Pgn,
    /// Who sends.
    pub source: u8,
    /// To whom; [`GLOBAL`] for PDU2.
    pub destination: u8,
}

impl J1939Id {
    /// Takes an identifier apart; bits above the 29th are ignored.
    #[must_use]
    #[inline]
    pub const fn from_raw(raw: u32) -> Self {
        let [source, specific, format, top] = raw.to_le_bytes();
        let pages = (top & 3) as u32;
        let (pgn, destination) = if format < 240 {
            (pages << 16 | (format as u32) << 8, specific)
        } else {
            (pages << 16 | (format as u32) << 8 | specific as u32, GLOBAL)
        };
        Self {
            priority: top >> 2 & 7,
            pgn: Pgn(pgn),
            source,
            destination,
        }
    }

    /// `None` for an 11-bit identifier, which is never J1939.
    #[must_use]
    #[inline]
    pub const fn new(id: CanId) -> Option<Self> {
        match id {
            CanId::Extended(raw) => Some(Self::from_raw(raw)),
            CanId::Standard(_) => None,
        }
    }

    /// Puts the identifier together. The destination of a PDU2 group is ignored.
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        let specific = if self.pgn.is_addressed() {
            self.destination as u32
        } else {
            0
        };
        ((self.priority & 7) as u32) << 26 | self.pgn.0 << 8 | specific << 8 | self.source as u32
    }

    /// The CAN identifier.
    #[must_use]
    pub const fn to_can(self) -> CanId {
        CanId::Extended(self.to_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documented_identifiers_are_taken_apart() {
        for (raw, priority, pgn, destination, source) in [
            (0x18FE_F100, 6, 65265, 255, 0),
            (0x0CF0_0400, 3, 61444, 255, 0),
            (0x0C00_290B, 3, 0, 41, 11),
            (0x18EA_FF0B, 6, 59904, 255, 11),
            (0x1CEC_FF00, 7, 60416, 255, 0),
            (0x18EF_21F9, 6, 61184, 33, 249),
            (0x19EF_000B, 6, 126_720, 0, 11),
            (0x18DA_00F1, 6, 55808, 0, 241),
            (0x0DF1_1923, 3, 127_257, 255, 35),
        ] {
            let id = J1939Id::from_raw(raw);
            assert_eq!(
                (id.priority, id.pgn.raw(), id.destination, id.source),
                (priority, pgn, destination, source)
            );
        }
    }

    #[test]
    fn proprietary_groups_are_known_on_both_pages() {
        for pgn in [0xEF00, 0x1_EF00, 0xFF00, 0xFFFF, 0x1_FF42] {
            assert!(Pgn::new(pgn).unwrap().is_proprietary(), "{pgn:x}");
        }
        for pgn in [0xFEF1, 0xEE00, 0x1_F119] {
            assert!(!Pgn::new(pgn).unwrap().is_proprietary(), "{pgn:x}");
        }
    }

    proptest! {
        #[test]
        fn an_identifier_survives_being_taken_apart(raw in 0u32..=CanId::MAX_EXTENDED) {
            prop_assert_eq!(J1939Id::from_raw(raw).to_raw(), raw);
        }
    }
}
