//! Signals: what the bytes of a parameter group, or of an OBD-II parameter, mean.
//!
//! This module has the tables, the extraction of raw codes, the state of each code and the
//! scaling. It knows no transport, no report and no other module of the crate, so that whatever
//! carries single parameters can use it.
//!
//! # States
//!
//! A raw code is a value or it says why there is none ([`Reading`]). For numbers of 8 bits or
//! more the most significant eight bits decide:
//!
//! | top eight bits | reading |
//! |---|---|
//! | 00..FA | value: raw × scale + offset, never clamped |
//! | FB | parameter-specific |
//! | FC, FD | reserved |
//! | FE | error |
//! | FF | not available |
//!
//! Two-bit switches have 0, 1, 2 = error, 3 = not available; states of 3 to 7 bits have all ones
//! = not available, and an error code only if their list has one. The exceptions are a
//! [`Coding`] of their own. A field that does not fit into the payload entirely is absent.
//!
//! Source: SAE J1939-71, section 5.1.4 and tables 1 to 4.

pub mod pid;
pub mod states;
#[allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "runs in the compiler only: what goes wrong there does not build"
)]
mod table;

use table::GROUPS;

/// How the codes of a signal are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// A number with the special codes of its width.
    Number,
    /// A number without special codes but all ones and, from four bits on, all ones minus 1: the
    /// rule of groups on data page 1 (marine).
    TopCodes,
    /// A number in which every code is a value: DBC signals that say so, counters, bit maps,
    /// switches with four real states.
    Plain,
    /// A two-bit switch: 0, 1, 2 = error, 3 = not available.
    Switch,
    /// A state from a list; all ones is not available.
    State,
    /// A state from a list; all ones is not available, all ones minus 1 is an error.
    StateOrError,
    /// An address; FF is not available, FE is the null address and a value.
    Address,
    /// A gear: as a number, but FB is park, the value 126.
    Gear,
    /// A four-bit fraction: 0 to 7 are values, 15 is not available, the rest is reserved.
    Fraction,
}

/// One signal of a parameter group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spn {
    /// Suspect parameter number; 0 for a signal of a DBC that states none.
    pub number: u32,
    /// Name, `snake_case`.
    pub name: &'static str,
    /// First bit of the field, counted from 0 at the lowest bit of the first byte.
    pub start: u16,
    /// Width, 1 to 64.
    pub bits: u8,
    /// How its codes are read.
    pub coding: Coding,
    /// Two's complement. No signal of the standard table is.
    pub signed: bool,
    /// Most significant byte first. No signal of the standard table is.
    pub big_endian: bool,
    /// Physical units per bit.
    pub scale: f64,
    /// Physical value of code 0.
    pub offset: f64,
    /// Unit; empty if there is none.
    pub unit: &'static str,
    /// Under which codes of another field it is there; `None`: always. No signal of the standard
    /// table has this.
    pub multiplexed: Option<&'static Multiplexed>,
    /// How many public tables agree on all of this.
    pub agree: u8,
    /// How many public tables list the signal.
    pub listed: u8,
}

/// The field that says whether a signal is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multiplexed {
    /// First bit of the field, as [`Spn::start`].
    pub start: u16,
    /// Its width.
    pub bits: u8,
    /// Most significant byte first.
    pub big_endian: bool,
    /// First and last code of each range that selects the signal.
    pub codes: &'static [(u64, u64)],
    /// Under which codes the field itself is there.
    pub within: Option<&'static Self>,
}

impl Multiplexed {
    fn selects(&self, payload: &Payload<'_>) -> bool {
        let code = payload.field(self.start, self.bits, self.big_endian);
        let is_one_of = |code| self.codes.iter().any(|(a, b)| (*a..=*b).contains(&code));
        code.is_some_and(is_one_of) && self.within.is_none_or(|outer| outer.selects(payload))
    }
}

/// A parameter group of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Parameter group number.
    pub pgn: u32,
    /// Acronym, for example `EEC1`.
    pub acronym: &'static str,
    /// Its signals, by position.
    pub signals: &'static [Spn],
}

/// Every group of the table, by ascending number.
pub fn groups() -> impl Iterator<Item = &'static Group> {
    GROUPS.iter()
}

/// A group of the table.
#[must_use]
#[inline]
pub fn group(pgn: u32) -> Option<&'static Group> {
    let at = GROUPS.binary_search_by_key(&pgn, |group| group.pgn).ok()?;
    GROUPS.get(at)
}

/// The first signal of the table with this number, and its group.
#[must_use]
pub fn spn(number: u32) -> Option<(&'static Group, &'static Spn)> {
    groups().find_map(|group| {
        let spn = group.signals.iter().find(|spn| spn.number == number)?;
        Some((group, spn))
    })
}

/// A raw code, read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// A physical value in the signal's unit, or the number of a state.
    Value(f64),
    /// The code has a meaning that only this parameter defines.
    ParameterSpecific,
    /// The code is reserved.
    Reserved,
    /// The sender knows that its value is wrong.
    Error,
    /// The sender does not have the value.
    NotAvailable,
    /// The payload ends before the field does, or has another of the fields that share its bits.
    Absent,
}

impl Reading {
    /// The value, if there is one.
    #[must_use]
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// A signal as one payload carries it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Which signal.
    pub spn: &'static Spn,
    /// The code as sent; 0 where it is absent.
    pub raw: u64,
    /// What the code says.
    pub reading: Reading,
}

impl Sample {
    /// What a state means, where there is a list of its states.
    #[must_use]
    pub fn label(&self) -> Option<&'static str> {
        states::label(self.spn.number, u8::try_from(self.raw).ok()?)
    }
}

/// Payload bytes, prepared for the extraction of fields.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    bytes: &'a [u8],
    word: u64,
}

impl<'a> Payload<'a> {
    /// Prepares a payload.
    #[must_use]
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            word: word(bytes),
        }
    }

    /// The raw code of a field, `None` if the payload ends before the field does.
    #[must_use]
    #[inline]
    pub fn raw(&self, start: u16, bits: u8) -> Option<u64> {
        let start = usize::from(start);
        let end = start + usize::from(bits);
        if end > self.bytes.len() * 8 {
            return None;
        }
        let mask = u64::MAX >> (64 - u32::from(bits.clamp(1, 64)));
        if end <= 64 {
            return Some(self.word >> start & mask);
        }
        let rest = self.bytes.get(start / 8..)?;
        let low = word(rest) >> (start % 8);
        // A field of more than 57 bits that starts inside a byte reaches into a ninth byte.
        let high = match (rest.get(8), start % 8) {
            (Some(ninth), shift @ 1..) => u64::from(*ninth) << (64 - shift),
            _ => 0,
        };
        Some((low | high) & mask)
    }

    #[inline]
    fn field(&self, start: u16, bits: u8, big_endian: bool) -> Option<u64> {
        if big_endian {
            self.raw_big_endian(start, bits)
        } else {
            self.raw(start, bits)
        }
    }

    /// The raw code of a big-endian field as a DBC defines it: `start` is the bit number of its
    /// most significant bit.
    fn raw_big_endian(&self, start: u16, bits: u8) -> Option<u64> {
        let mut value = 0u64;
        let (mut byte, mut bit) = (usize::from(start) / 8, u32::from(start) % 8);
        for _ in 0..bits {
            let here = self.bytes.get(byte)?;
            value = value << 1 | u64::from(*here >> bit & 1);
            if bit == 0 {
                (byte, bit) = (byte + 1, 7);
            } else {
                bit -= 1;
            }
        }
        Some(value)
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(eight) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*eight);
    }
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

impl Spn {
    /// Reads the signal from a payload.
    #[must_use]
    #[inline]
    pub fn sample(&'static self, payload: &Payload<'_>) -> Sample {
        let raw = match self.multiplexed {
            Some(field) if !field.selects(payload) => None,
            _ => payload.field(self.start, self.bits, self.big_endian),
        };
        match raw {
            Some(raw) => Sample {
                spn: self,
                raw,
                reading: self.read(raw),
            },
            None => Sample {
                spn: self,
                raw: 0,
                reading: Reading::Absent,
            },
        }
    }

    /// The state and value of a raw code.
    #[must_use]
    #[inline]
    pub fn read(&self, raw: u64) -> Reading {
        let ones = u64::MAX >> (64 - u32::from(self.bits.clamp(1, 64)));
        match self.coding {
            Coding::Number | Coding::Gear if self.bits >= 8 => {
                match raw >> (self.bits.min(64) - 8) & 0xFF {
                    0xFF => Reading::NotAvailable,
                    0xFE => Reading::Error,
                    0xFC | 0xFD => Reading::Reserved,
                    0xFB if self.coding == Coding::Gear => self.scaled(raw),
                    0xFB => Reading::ParameterSpecific,
                    _ => self.scaled(raw),
                }
            }
            Coding::Number | Coding::Gear | Coding::State if raw == ones => Reading::NotAvailable,
            Coding::TopCodes if self.bits > 1 && raw == self.top() => Reading::NotAvailable,
            Coding::TopCodes if self.bits > 3 && raw + 1 == self.top() => Reading::Error,
            Coding::StateOrError if raw == ones => Reading::NotAvailable,
            Coding::StateOrError if raw + 1 == ones => Reading::Error,
            Coding::Switch if raw == 3 => Reading::NotAvailable,
            Coding::Switch if raw == 2 => Reading::Error,
            Coding::Address if raw == 0xFF => Reading::NotAvailable,
            Coding::Fraction if raw == 15 => Reading::NotAvailable,
            Coding::Fraction if raw > 7 => Reading::Reserved,
            _ => self.scaled(raw),
        }
    }

    /// The code of "not available" under [`Coding::TopCodes`].
    const fn top(&self) -> u64 {
        let ones = u64::MAX >> (64 - if self.bits == 0 { 1 } else { self.bits as u32 });
        if self.signed { ones >> 1 } else { ones }
    }

    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        reason = "codes of the standard have at most 32 bits; longer ones of a DBC are rounded"
    )]
    fn scaled(&self, raw: u64) -> Reading {
        let number = if self.signed {
            let unused = 64 - u32::from(self.bits.clamp(1, 64));
            (raw << unused).cast_signed().wrapping_shr(unused) as f64
        } else {
            raw as f64
        };
        Reading::Value(number * self.scale + self.offset)
    }

    /// The raw code of a physical value, for encoders: the nearest one, `None` outside the codes
    /// that are values.
    #[must_use]
    pub fn code(&self, value: f64) -> Option<u64> {
        let exact = (value - self.offset) / self.scale;
        let ones = u64::MAX >> (64 - u32::from(self.bits.clamp(1, 64)));
        if !exact.is_finite() || exact < -0.5 || self.signed || self.bits > 53 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "finite, not below zero; a larger one saturates and is refused below"
        )]
        let raw = (exact + 0.5) as u64;
        (raw <= ones && matches!(self.read(raw), Reading::Value(_))).then_some(raw)
    }
}

/// The signals of a payload by the standard table; none for a group that is not in it.
///
/// ```
/// use milepost_protocol_j1939::signal::{Reading, read};
///
/// let data = [0xF0, 0x7D, 0x85, 0x9B, 0x0F, 0xFF, 0xFF, 0x85];
/// let speed = read(61444, &data).find(|s| s.spn.number == 190).unwrap();
/// assert_eq!(speed.spn.name, "engine_speed");
/// assert_eq!(speed.reading, Reading::Value(499.375));
/// ```
#[inline]
pub fn read(pgn: u32, data: &[u8]) -> impl Iterator<Item = Sample> {
    let payload = Payload::new(data);
    let signals = group(pgn).map_or(&[][..], |group| group.signals);
    signals.iter().map(move |spn| spn.sample(&payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_table_is_sorted_and_its_fields_are_sane() {
        let mut last = None;
        for group in groups() {
            assert!(last < Some(group.pgn), "{}", group.pgn);
            last = Some(group.pgn);
            let mut end = 0;
            for spn in group.signals {
                assert!(spn.start >= end, "{} {}", group.pgn, spn.number);
                end = spn.start + u16::from(spn.bits);
                assert!(spn.scale > 0.0 && spn.offset.is_finite() && spn.number > 0);
                assert!(spn.agree <= spn.listed && spn.listed > 0);
                assert!(
                    spn.bits < 8 || spn.start % 8 == 0,
                    "{} is not on a byte",
                    spn.number
                );
            }
        }
        assert_eq!(spn(190).unwrap().0.acronym, "EEC1");
    }

    fn reading(number: u32, raw: u64) -> Reading {
        spn(number).unwrap().1.read(raw)
    }

    #[test]
    fn whole_blocks_of_codes_are_special() {
        assert_eq!(reading(190, 0xFAFF), Reading::Value(8031.875));
        assert_eq!(reading(190, 0xFB00), Reading::ParameterSpecific);
        assert_eq!(reading(190, 0xFC00), Reading::Reserved);
        assert_eq!(reading(190, 0xFDFF), Reading::Reserved);
        assert_eq!(reading(190, 0xFE20), Reading::Error);
        assert_eq!(reading(190, 0xFF00), Reading::NotAvailable);
        assert_eq!(reading(245, 0xFAFF_FFFF), Reading::Value(526_385_151.875));
        assert_eq!(reading(245, 0xFF00_0000), Reading::NotAvailable);
        assert_eq!(reading(91, 0xFA), Reading::Value(100.0));
        assert_eq!(reading(91, 0xFE), Reading::Error);
    }

    #[test]
    fn exceptions_keep_their_top_codes() {
        assert_eq!(reading(695, 3), Reading::Value(3.0));
        assert_eq!(reading(3350, 31), Reading::Value(31.0));
        assert_eq!(reading(899, 14), Reading::Value(14.0));
        assert_eq!(reading(899, 15), Reading::NotAvailable);
        assert_eq!(reading(523, 0xFB), Reading::Value(126.0));
        assert_eq!(reading(523, 125), Reading::Value(0.0));
        assert_eq!(reading(523, 0xFF), Reading::NotAvailable);
        assert_eq!(reading(4154, 7), Reading::Value(0.875));
        assert_eq!(reading(4154, 8), Reading::Reserved);
        assert_eq!(reading(4154, 15), Reading::NotAvailable);
        assert_eq!(reading(1483, 0), Reading::Value(0.0));
        assert_eq!(reading(1483, 0xFE), Reading::Value(254.0));
        assert_eq!(reading(1675, 14), Reading::Error);
        assert_eq!(reading(1612, 6), Reading::Error);
        assert_eq!(reading(976, 30), Reading::Value(30.0));
    }

    #[test]
    fn a_field_that_does_not_fit_is_absent() {
        let readings: Vec<_> = read(61444, &[0xF0, 0x7D, 0x85, 0x9B])
            .filter(|s| s.reading == Reading::Absent)
            .map(|s| s.spn.number)
            .collect();
        assert_eq!(readings, [190, 1483, 1675, 2432]);
    }

    #[test]
    fn a_load_above_one_hundred_percent_is_not_clamped() {
        assert_eq!(reading(92, 250), Reading::Value(250.0));
    }

    proptest! {
        #[test]
        fn a_field_is_the_same_wherever_it_is_read_from(
            bytes in proptest::collection::vec(any::<u8>(), 0..24),
            start in 0u16..200,
            bits in 1u8..=64,
        ) {
            let mut expected = Some(0u64);
            for n in (0..u16::from(bits)).rev() {
                let at = usize::from(start + n);
                expected = expected.and_then(|value| {
                    let byte = bytes.get(at / 8)?;
                    Some(value << 1 | u64::from(byte >> (at % 8) & 1))
                });
            }
            prop_assert_eq!(Payload::new(&bytes).raw(start, bits), expected);
        }

        #[test]
        fn a_value_is_encoded_to_the_code_it_was_read_from(raw in 0u64..=0xFA_FFFF) {
            for group in groups() {
                for spn in group.signals {
                    let raw = raw & (u64::MAX >> (64 - spn.bits));
                    if let Reading::Value(value) = spn.read(raw) {
                        prop_assert_eq!(spn.code(value), Some(raw), "spn {}", spn.number);
                    }
                }
            }
        }
    }
}
