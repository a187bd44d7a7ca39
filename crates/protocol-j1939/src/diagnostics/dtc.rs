//! Trouble codes of J1939: 19-bit SPN, 5-bit FMI, 7-bit occurrence count, conversion method.
//!
//! | version | byte a | byte b | byte c | byte d |
//! |---|---|---|---|---|
//! | 4 | SPN 8-1 | SPN 16-9 | SPN 19-17 in bits 8-6, FMI | CM = 0, count |
//! | 3 | as version 4 | | | CM = 1, count |
//! | 2 | SPN 11-4 | SPN 19-12 | SPN 3-1 in bits 8-6, FMI | CM = 1, count |
//! | 1 | SPN 19-12 | SPN 11-4 | SPN 3-1 in bits 8-6, FMI | CM = 1, count |
//!
//! Source: SAE J1939-73, section 5.7.1.9.

/// How a code with conversion method 1 is read. The data do not tell versions 1 to 3 apart; the
/// maker of the unit chose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpnConversion {
    /// Version 1.
    Version1,
    /// Version 2.
    Version2,
    /// Version 3: the same bits as version 4.
    #[default]
    Version3,
    /// Version 4 whatever the conversion method bit says: some makers use it the other way round.
    Version4,
}

/// A trouble code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dtc {
    /// Suspect parameter number, 0 to 524287.
    pub spn: u32,
    /// Failure mode identifier, 0 to 31.
    pub fmi: u8,
    /// Occurrence count, 0 to 126; 127 is not available.
    pub count: u8,
    /// The conversion method bit.
    pub conversion_method: bool,
    /// The four bytes as sent.
    pub raw: [u8; 4],
}

impl Dtc {
    /// Reads a code; `None` if the bytes stand for no code: all ones, or SPN 0 with FMI 0 and any
    /// count.
    #[must_use]
    pub fn decode(bytes: [u8; 4], conversion: SpnConversion) -> Option<Self> {
        let [a, b, c, _] = bytes;
        if [a, b, c] == [0, 0, 0] || bytes == [0xFF; 4] {
            return None;
        }
        Some(Self::decode_any(bytes, conversion))
    }

    /// Reads a code, also one that stands for none.
    #[must_use]
    pub fn decode_any(bytes: [u8; 4], conversion: SpnConversion) -> Self {
        let [a, b, c, d] = bytes;
        let conversion_method = d & 0x80 != 0;
        let low = u32::from(c >> 5);
        let spn = match conversion {
            SpnConversion::Version1 if conversion_method => {
                u32::from(a) << 11 | u32::from(b) << 3 | low
            }
            SpnConversion::Version2 if conversion_method => {
                u32::from(b) << 11 | u32::from(a) << 3 | low
            }
            _ => spn(a, b, c),
        };
        Self {
            spn,
            fmi: c & 0x1F,
            count: d & 0x7F,
            conversion_method,
            raw: bytes,
        }
    }

    /// The four bytes of a code of version 4.
    #[must_use]
    pub const fn encode(spn: u32, fmi: u8, count: u8) -> [u8; 4] {
        let [a, b, c, _] = spn.to_le_bytes();
        [a, b, (c & 7) << 5 | fmi & 0x1F, count & 0x7F]
    }

    /// A number for the code without its count: SPN times 32 plus FMI.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.spn << 5 | u32::from(self.fmi)
    }
}

/// The SPN of version 4.
pub(super) fn spn(a: u8, b: u8, c: u8) -> u32 {
    u32::from_le_bytes([a, b, c >> 5, 0])
}

/// What a failure mode means; 22 to 30 are reserved, but occur.
#[must_use]
pub const fn failure_mode(fmi: u8) -> Option<&'static str> {
    Some(match fmi {
        0 => "above range, severe",
        1 => "below range, severe",
        2 => "erratic",
        3 => "voltage high",
        4 => "voltage low",
        5 => "current low or open circuit",
        6 => "current high or grounded",
        7 => "mechanical system",
        8 => "abnormal frequency",
        9 => "abnormal update rate",
        10 => "abnormal rate of change",
        11 => "root cause not known",
        12 => "bad device",
        13 => "out of calibration",
        14 => "special instructions",
        15 => "above range, least severe",
        16 => "above range, moderately severe",
        17 => "below range, least severe",
        18 => "below range, moderately severe",
        19 => "received network data in error",
        20 => "drifted high",
        21 => "drifted low",
        31 => "condition exists",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_versions_of_the_reference_are_one_code() {
        for (bytes, conversion) in [
            ([0xB8, 0x04, 0x03, 0x0A], SpnConversion::Version1),
            ([0xB8, 0x04, 0x03, 0x8A], SpnConversion::Version3),
            ([0xB8, 0x04, 0x03, 0x8A], SpnConversion::Version4),
            ([0x97, 0x00, 0x03, 0x8A], SpnConversion::Version2),
            ([0x00, 0x97, 0x03, 0x8A], SpnConversion::Version1),
        ] {
            let code = Dtc::decode(bytes, conversion).unwrap();
            assert_eq!((code.spn, code.fmi, code.count), (1208, 3, 10));
            assert_eq!(code.raw, bytes);
        }
        assert_eq!(Dtc::encode(1208, 3, 10), [0xB8, 0x04, 0x03, 0x0A]);
    }

    #[test]
    fn the_largest_spn_survives() {
        let bytes = Dtc::encode(524_287, 31, 126);
        let code = Dtc::decode(bytes, SpnConversion::default()).unwrap();
        assert_eq!((code.spn, code.fmi), (524_287, 31));
        assert_eq!(Dtc::decode([0xFF; 4], SpnConversion::default()), None);
    }
}
