//! Checksums: which sum, over which bytes, printed how. AIS 140 leaves all three open.

use core::fmt;
use core::ops::Range;
use core::str::FromStr;

use crc::{
    CRC_8_MAXIM_DOW, CRC_16_ARC, CRC_16_KERMIT, CRC_16_XMODEM, CRC_32_ISO_HDLC, CRC_32_MPEG_2, Crc,
    Table,
};

/// Sixteen tables: about ten times as fast as one on packets of 300 bytes.
static CRC32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
static MPEG2: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_MPEG_2);
static KERMIT: Crc<u16> = Crc::<u16>::new(&CRC_16_KERMIT);
static XMODEM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
static ARC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);
static MAXIM: Crc<u8> = Crc::<u8>::new(&CRC_8_MAXIM_DOW);

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $type { $($(#[$vdoc])* $variant,)* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in a dialect's table and in profiles.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.name() == name)
            }
        }
    };
}

named! {
    /// How the sum is worked out.
    Algorithm {
        /// All bytes combined by exclusive or.
        Xor8 "xor8",
        /// Sum of all bytes, modulo 256.
        Sum8 "sum8",
        /// CRC-8/MAXIM.
        Crc8Maxim "crc8-maxim",
        /// Sum of all bytes, modulo 65536.
        Sum16 "sum16",
        /// Fletcher's sum with modulus 255.
        Fletcher16 "fletcher16",
        /// CRC-16/KERMIT.
        Crc16Kermit "crc16-kermit",
        /// CRC-16/XMODEM.
        Crc16Xmodem "crc16-xmodem",
        /// CRC-16/ARC.
        Crc16Arc "crc16-arc",
        /// CRC-32 (IEEE).
        Crc32 "crc32",
        /// CRC-32/MPEG-2.
        Crc32Mpeg2 "crc32-mpeg2",
        /// Each byte added, then rotated right by one bit, 32 bits.
        Rotate32 "rotate32",
    }
}

named! {
    /// The first byte that is covered.
    Start {
        /// `$` itself.
        Dollar "$",
        /// The byte after `$`.
        AfterDollar "after-$",
        /// The byte after `$,`.
        AfterDollarComma "after-$,",
    }
}

named! {
    /// Where the covered bytes end.
    End {
        /// With the comma in front of the checksum.
        Comma "comma",
        /// Before that comma.
        BeforeComma "before-comma",
        /// Before `*`; the checksum comes after it.
        BeforeStar "before-star",
        /// With `*`.
        Star "star",
        /// With `*,`.
        StarComma "star-comma",
    }
}

named! {
    /// How the value is printed.
    Base {
        /// Hexadecimal digits.
        Hex "hex",
        /// Decimal digits.
        Decimal "dec",
    }
}

impl Algorithm {
    /// The width of the sum in bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Xor8 | Self::Sum8 | Self::Crc8Maxim => 8,
            Self::Sum16
            | Self::Fletcher16
            | Self::Crc16Kermit
            | Self::Crc16Xmodem
            | Self::Crc16Arc => 16,
            Self::Crc32 | Self::Crc32Mpeg2 | Self::Rotate32 => 32,
        }
    }

    /// The sum over some bytes.
    #[must_use]
    pub fn over(self, bytes: &[u8]) -> u32 {
        match self {
            Self::Xor8 => bytes.iter().fold(0, |sum, b| sum ^ b).into(),
            Self::Sum8 => bytes
                .iter()
                .fold(0_u8, |sum, b| sum.wrapping_add(*b))
                .into(),
            Self::Crc8Maxim => MAXIM.checksum(bytes).into(),
            Self::Sum16 => bytes
                .iter()
                .fold(0_u16, |sum, b| sum.wrapping_add((*b).into()))
                .into(),
            Self::Fletcher16 => {
                let (low, high) = bytes.iter().fold((0_u32, 0_u32), |(low, high), b| {
                    let low = (low + u32::from(*b)) % 255;
                    (low, (high + low) % 255)
                });
                high << 8 | low
            }
            Self::Crc16Kermit => KERMIT.checksum(bytes).into(),
            Self::Crc16Xmodem => XMODEM.checksum(bytes).into(),
            Self::Crc16Arc => ARC.checksum(bytes).into(),
            Self::Crc32 => CRC32.checksum(bytes),
            Self::Crc32Mpeg2 => MPEG2.checksum(bytes),
            Self::Rotate32 => bytes.iter().fold(0_u32, |sum, b| {
                sum.wrapping_add((*b).into()).rotate_right(1)
            }),
        }
    }
}

/// One way of making a checksum: written as `crc32 $ comma hex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    /// How the sum is worked out.
    pub algorithm: Algorithm,
    /// The first byte that is covered.
    pub start: Start,
    /// Where the covered bytes end.
    pub end: End,
    /// How the value is printed.
    pub base: Base,
}

/// A text that names no checksum rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checksum rule: expected `ALGORITHM START END BASE`, such as `crc32 $ comma hex`")]
pub struct UnknownRule;

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or(UnknownRule);
        let rule = Self {
            algorithm: Algorithm::from_name(word()?).ok_or(UnknownRule)?,
            start: Start::from_name(word()?).ok_or(UnknownRule)?,
            end: End::from_name(word()?).ok_or(UnknownRule)?,
            base: Base::from_name(word()?).ok_or(UnknownRule)?,
        };
        words.next().is_none().then_some(rule).ok_or(UnknownRule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            algorithm,
            start,
            end,
            base,
        } = self;
        let names = (algorithm.name(), start.name(), end.name(), base.name());
        write!(f, "{} {} {} {}", names.0, names.1, names.2, names.3)
    }
}

/// A checksum as it stands in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    /// The place of its characters in the packet.
    pub start: u32,
    /// The end of that place.
    pub end: u32,
    /// The place of `*`, if there is one before the checksum.
    pub star: Option<u32>,
}

impl Stated {
    /// Its place.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        let at = |v: u32| usize::try_from(v).unwrap_or(usize::MAX);
        at(self.start)..at(self.end)
    }

    /// Its characters.
    #[must_use]
    pub fn text<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        raw.get(self.range()).unwrap_or_default()
    }
}

impl Rule {
    /// The bytes that are covered; `None` if the packet does not have that form.
    fn covered<'a>(&self, raw: &'a [u8], stated: &Stated) -> Option<&'a [u8]> {
        let at = stated.range().start;
        let star = stated.star.and_then(|s| usize::try_from(s).ok());
        let end = match (self.end, star) {
            (End::Comma, None) => at,
            (End::BeforeComma, None) => at.checked_sub(1)?,
            (End::BeforeStar, Some(star)) => star,
            (End::Star, Some(star)) => star.checked_add(1)?,
            (End::StarComma, Some(star)) if raw.get(star..at)?.starts_with(b"*,") => {
                star.checked_add(2)?
            }
            _ => return None,
        };
        let start = match self.start {
            Start::Dollar => 0,
            Start::AfterDollar => 1,
            Start::AfterDollarComma if raw.get(1) == Some(&b',') => 2,
            Start::AfterDollarComma => return None,
        };
        raw.get(start..end)
    }

    /// The value as printed in this rule's base; `None` if it is not printed so.
    fn printed(&self, text: &[u8]) -> Option<u32> {
        match self.base {
            Base::Decimal => {
                let digits = crate::read::whole(crate::read::digits::<1, 5>, text)?;
                u32::try_from(digits).ok()
            }
            Base::Hex => {
                // Behind an XOR one maker prints a SHA-256, which is not looked at.
                let text = if text.len() == 66 {
                    text.get(..2)?
                } else {
                    text
                };
                let value = crate::read::whole(crate::read::hex, text)?;
                u32::try_from(value).ok()
            }
        }
    }

    /// Whether a packet's checksum is right by this rule; `None` if it cannot be of it.
    #[must_use]
    pub fn check(&self, raw: &[u8], stated: &Stated) -> Option<bool> {
        let printed = self.printed(stated.text(raw))?;
        let covered = self.covered(raw, stated)?;
        Some(self.algorithm.over(covered) == printed)
    }

    /// The characters of the checksum of a packet whose covered end is `end` bytes in.
    pub(crate) fn print(&self, raw: &[u8], end: usize, width: usize) -> String {
        let start = match self.start {
            Start::Dollar => 0,
            Start::AfterDollar => 1,
            Start::AfterDollarComma => 2,
        };
        let sum = self.algorithm.over(raw.get(start..end).unwrap_or_default());
        match self.base {
            Base::Hex => format!("{sum:0width$X}"),
            Base::Decimal => format!("{sum:0width$}"),
        }
    }

    /// Whether a single match cannot well be chance.
    #[must_use]
    pub const fn is_strong(&self) -> bool {
        self.algorithm.bits() > 8
    }
}

/// All rules by which a packet's checksum is right, of all that are tried, at most eight.
pub fn search(raw: &[u8], stated: &Stated) -> Vec<Rule> {
    let ends: &[End] = if stated.star.is_some() {
        &[End::BeforeStar, End::Star, End::StarComma]
    } else {
        &[End::Comma, End::BeforeComma]
    };
    let mut found = Vec::new();
    for algorithm in Algorithm::ALL.iter().copied() {
        for start in Start::ALL.iter().copied() {
            for end in ends.iter().copied() {
                for base in Base::ALL.iter().copied() {
                    // No maker prints the wide ones in decimal.
                    if base == Base::Decimal && algorithm.bits() > 16 {
                        continue;
                    }
                    let rule = Rule {
                        algorithm,
                        start,
                        end,
                        base,
                    };
                    if rule.check(raw, stated) == Some(true) && found.len() < 8 {
                        found.push(rule);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &[u8] = b"$LGN,KA01AB1234,123456789012347,1.0.0,12.976545,N,77.549759,E,";

    #[test]
    fn check_values_are_those_of_the_catalogues() {
        let check = |a: Algorithm| a.over(b"123456789");
        assert_eq!(check(Algorithm::Crc32), 0xcbf4_3926);
        assert_eq!(check(Algorithm::Crc32Mpeg2), 0x0376_e6e7);
        assert_eq!(check(Algorithm::Crc16Kermit), 0x2189);
        assert_eq!(check(Algorithm::Crc16Xmodem), 0x31c3);
        assert_eq!(check(Algorithm::Crc16Arc), 0xbb3d);
        assert_eq!(check(Algorithm::Crc8Maxim), 0xa1);
        assert_eq!(check(Algorithm::Xor8), 0x31);
        assert_eq!(check(Algorithm::Sum16), 0x01dd);
        assert_eq!(check(Algorithm::Sum8), 0xdd);
    }

    #[test]
    fn the_worked_examples_are_right_by_their_rules() {
        let cases: &[(&str, &str)] = &[
            ("0D9E2300*", "crc32 $ comma hex"),
            ("69*", "xor8 $ comma hex"),
            ("4D,*", "xor8 after-$ comma hex"),
            ("0CE5*", "sum16 $ comma hex"),
            ("6abfd558,", "crc32-mpeg2 $ comma hex"),
            ("3676*", "crc16-kermit $ before-comma hex"),
            ("105*", "xor8 $ comma dec"),
        ];
        for (tail, rule) in cases {
            let mut raw = LOGIN.to_vec();
            let start = u32::try_from(raw.len()).unwrap();
            let len = tail.find([',', '*']).unwrap_or(tail.len());
            raw.extend_from_slice(tail.as_bytes());
            let end = start + u32::try_from(len).unwrap();
            let stated = Stated {
                start,
                end,
                star: None,
            };
            let rule: Rule = rule.parse().unwrap();
            assert_eq!(rule.check(&raw, &stated), Some(true), "{rule}");
            assert!(search(&raw, &stated).contains(&rule), "{rule}");
        }
        for (tail, rule) in [
            ("*6F", "xor8 $ star hex"),
            ("*45", "xor8 $ before-star hex"),
        ] {
            let mut raw = LOGIN.strip_suffix(b",").unwrap().to_vec();
            let star = u32::try_from(raw.len()).unwrap();
            raw.extend_from_slice(tail.as_bytes());
            let stated = Stated {
                start: star + 1,
                end: star + 3,
                star: Some(star),
            };
            let rule: Rule = rule.parse().unwrap();
            assert_eq!(rule.check(&raw, &stated), Some(true), "{rule}");
        }
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for rule in [
            "xor8 $ star hex",
            "sum8 $ comma dec",
            "rotate32 after-$, star-comma hex",
        ] {
            assert_eq!(rule.parse::<Rule>().unwrap().to_string(), rule);
        }
        for junk in [
            "",
            "crc32 $ comma",
            "crc32 $ comma hex more",
            "md5 $ comma hex",
        ] {
            assert_eq!(junk.parse::<Rule>(), Err(UnknownRule));
        }
    }
}
