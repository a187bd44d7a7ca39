//! The checksum "CRC-ITU": CRC-16/X-25.
//!
//! It covers everything from the length field (one or two bytes) to the end of the serial number,
//! and is sent high byte first. The start marker and the stop bytes are outside.
//!
//! # How it is worked out
//!
//! By tables it would be the largest part of a frame's time, so this goes by words. The polynomial
//! P = x¹⁶ + x¹² + x⁵ + 1 has few terms, and squaring it spreads them: P⁸ = x¹²⁸ + x⁹⁶ + x⁴⁰ + 1,
//! P⁴ = x⁶⁴ + x⁴⁸ + x²⁰ + 1. What P⁸ divides P divides, so a word at x¹²⁸ may as well stand at x⁹⁶,
//! x⁴⁰ and 1: that takes away the first of three words with a few shifts, and so the powers of P
//! halve what is left down to sixteen bits.
//!
//! Bits are in the order in which they are sent, lowest of a byte first: the lowest bit of a word
//! has the highest power, and dividing by x is a shift to the left. A part that is shifted to
//! where it came from is shifted again; `1 + f + f² + f³` of the shift `f` is `(1 + f)(1 + f²)`.

use alloc::vec::Vec;
use core::ops::Range;

/// The register before the first byte.
const INITIAL: u16 = 0xffff;

/// The checksum of the bytes from the length field to the serial number.
///
/// ```
/// assert_eq!(milepost_protocol_gt06::checksum(b"123456789"), 0x906e);
/// ```
#[inline]
#[must_use]
pub fn checksum(covered: &[u8]) -> u16 {
    // Where the length is fixed, so is every step: those of the usual 0x12, 0x22 and 0xA0.
    !if let Ok(covered) = <&[u8; 33]>::try_from(covered) {
        by_words(INITIAL, covered)
    } else if let Ok(covered) = <&[u8; 30]>::try_from(covered) {
        by_words(INITIAL, covered)
    } else if let Ok(covered) = <&[u8; 40]>::try_from(covered) {
        by_words(INITIAL, covered)
    } else {
        any_length(INITIAL, covered)
    }
}

/// A checksum that is worked out piece by piece.
#[derive(Clone, Copy)]
pub(crate) struct Digest(u16);

impl Digest {
    pub(crate) const fn new() -> Self {
        Self(INITIAL)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0 = any_length(self.0, bytes);
    }

    pub(crate) const fn finish(self) -> u16 {
        !self.0
    }
}

/// The checksums of parts of some bytes: each in the same short time, whatever its length, so that
/// no stream can be made in which looking for frames takes long.
///
/// A register is a polynomial, and n bytes of zeros multiply it by x⁸ⁿ. So the register after a
/// part is the one after all bytes up to its end, less the one before it times that.
pub(crate) struct Parts<'a> {
    bytes: &'a [u8],
    /// By number of bytes, as far as a long part was asked for, which is rare.
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    /// After so many bytes, when it began with zero.
    register: u16,
    /// What multiplies a register when so many zeros follow.
    power: u16,
}

impl<'a> Parts<'a> {
    /// Parts that are not longer are faster read than looked up.
    const SHORT: usize = 96;
    /// The polynomial 1.
    const ONE: u16 = 0x8000;

    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            steps: Vec::new(),
        }
    }

    /// The checksum of a part; `None` if it is not one.
    pub(crate) fn checksum(&mut self, part: Range<usize>) -> Option<u16> {
        let covered = self.bytes.get(part.clone())?;
        effort::note(covered.len().min(Self::SHORT));
        if covered.len() <= Self::SHORT {
            return Some(checksum(covered));
        }
        self.go_to(part.end);
        let before = self.steps.get(part.start)?.register ^ INITIAL;
        let power = self.steps.get(covered.len())?.power;
        Some(!(self.steps.get(part.end)?.register ^ product(before, power)))
    }

    /// Makes the steps up to this number of bytes.
    fn go_to(&mut self, end: usize) {
        let mut step = *self.steps.last().unwrap_or(&Step {
            register: 0,
            power: Self::ONE,
        });
        if self.steps.is_empty() {
            self.steps.push(step);
        }
        let to_come = self.bytes.get(self.steps.len() - 1..end);
        for byte in to_come.unwrap_or_default() {
            effort::note(1);
            step = Step {
                register: next(step.register, *byte),
                power: next(step.power, 0),
            };
            self.steps.push(step);
        }
    }
}

/// The register after one more byte.
const fn next(register: u16, byte: u8) -> u16 {
    let [low, high] = register.to_le_bytes();
    let low = low ^ byte;
    let low = (low ^ low << 4) as u16;
    high as u16 ^ low << 8 ^ low << 3 ^ low >> 4
}

/// The product of two polynomials, less all multiples of P.
fn product(a: u16, mut b: u16) -> u16 {
    let mut product = 0;
    for bit in (0..16).rev() {
        product ^= b & 0_u16.wrapping_sub(a >> bit & 1);
        b = b >> 1 ^ 0x8408 & 0_u16.wrapping_sub(b & 1);
    }
    product
}

/// How much work looking for frames was, in bytes looked at: counted in tests.
pub(crate) mod effort {
    #[cfg(not(test))]
    pub(crate) const fn note(_bytes: usize) {}

    #[cfg(test)]
    std::thread_local! {
        static NOTED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
    }

    #[cfg(test)]
    pub(crate) fn note(bytes: usize) {
        NOTED.set(NOTED.get() + bytes);
    }

    /// What was noted since the last call.
    #[cfg(test)]
    pub(crate) fn take() -> usize {
        NOTED.take()
    }
}

#[inline(never)]
fn any_length(register: u16, bytes: &[u8]) -> u16 {
    by_words(register, bytes)
}

/// The register after these bytes.
#[inline(always)]
fn by_words(register: u16, bytes: &[u8]) -> u16 {
    // Two bytes of zeros follow, and as many go before as make whole words of it all.
    let padding = 6_usize.wrapping_sub(bytes.len()) % 8;
    let (Some(first), Some(last), Some(rest)) = (
        bytes.first_chunk(),
        bytes.last_chunk(),
        bytes.get(8 - padding..),
    ) else {
        return less_than_a_word(register, bytes);
    };
    // What is still to be added to the next two words.
    let mut carried = u128::from(register) << (padding * 8);
    let mut word = u64::from_le_bytes(*first) << (padding * 8);
    for next in rest.as_chunks().0 {
        carried = fold(carried, word);
        word = u64::from_le_bytes(*next);
    }
    let last = u64::from_le_bytes(*last) >> 16;
    finish(carried ^ (u128::from(last) << 64 | u128::from(word)))
}

#[cold]
fn less_than_a_word(register: u16, bytes: &[u8]) -> u16 {
    let mut words = u128::from(register);
    for (byte, at) in bytes.iter().zip(0..) {
        words ^= u128::from(*byte) << (at * 8);
    }
    finish(words << (112 - bytes.len() * 8))
}

/// Takes a word away, with what was to be added to it: by P⁸.
#[inline(always)]
const fn fold(carried: u128, word: u64) -> u128 {
    let [this, next] = halves(carried);
    let word = word ^ this;
    let word = word ^ word << 32;
    let near = next ^ word >> 32 ^ word << 24;
    let far = word ^ word >> 40;
    (far as u128) << 64 | near as u128
}

/// What two words leave: by P⁴, P² and P.
#[inline(always)]
const fn finish(words: u128) -> u16 {
    let [word, next] = halves(words);
    let word = word ^ word << 32;
    let word = word ^ word << 16 ^ word << 44;
    let words = next ^ word ^ word >> 48 ^ word >> 20;

    let (word, next) = ((words & 0xffff_ffff) as u32, (words >> 32) as u32);
    let word = word ^ word << 16;
    let word = word ^ word << 8 ^ word << 22;
    let words = next ^ word ^ word >> 24 ^ word >> 10;

    let (word, next) = ((words & 0xffff) as u16, (words >> 16) as u16);
    let word = word ^ word << 8;
    let word = word ^ word << 4 ^ word << 11;
    next ^ word ^ word >> 12 ^ word >> 5
}

#[inline(always)]
const fn halves(words: u128) -> [u64; 2] {
    const LOW: u128 = 0xffff_ffff_ffff_ffff;
    [(words & LOW) as u64, (words >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use crc::{CRC_16_IBM_SDLC, Crc};

    use super::*;

    static X25: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);

    #[test]
    fn the_worked_example_of_the_login_reply() {
        assert_eq!(checksum(&[0x05, 0x01, 0x00, 0x01]), 0xd9dc);
    }

    fn bytes(len: usize) -> Vec<u8> {
        let mut random = 0x2545_f491_u32;
        core::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random.to_le_bytes()[0]
        })
        .take(len)
        .collect()
    }

    #[test]
    fn a_part_has_the_checksum_that_it_has_alone() {
        let bytes = bytes(5_000);
        let mut parts = Parts::new(&bytes);
        for start in [0, 1, 2, 17, 1_000, 4_800] {
            for len in [0, 1, 4, 95, 96, 97, 98, 255, 256, 1_000, 2_047, 4_000] {
                let part = start..start + len;
                let alone = bytes.get(part.clone()).map(checksum);
                assert_eq!(parts.checksum(part), alone, "{len} from {start}");
            }
        }
    }

    #[test]
    fn it_is_the_one_of_the_catalogue_whatever_the_length_and_the_pieces() {
        let bytes = bytes(70_000);
        for len in (0..600).chain([65_536, 70_000]) {
            let covered = &bytes[..len];
            let expected = X25.checksum(covered);
            assert_eq!(checksum(covered), expected, "{len}");
            for cut in [0, 1, 5, 8, 17, len / 2, len.saturating_sub(1), len] {
                let (front, back) = covered.split_at(cut.min(len));
                let mut digest = Digest::new();
                digest.update(front);
                digest.update(back);
                assert_eq!(digest.finish(), expected, "{len} cut at {cut}");
            }
        }
    }
}
