//! The checksum "CRC-ITU": CRC-16/X-25.
//!
//! It covers everything from the length field (one or two bytes) to the end of the serial number,
//! and is sent high byte first. The start marker and the stop bytes are outside.
//!
//! # How it is worked out
//!
//! A table of a byte each is a third of the time that a frame takes, so this goes by words. The
//! polynomial P = x¹⁶ + x¹² + x⁵ + 1 has few terms, and squaring it spreads them: P⁸ = x¹²⁸ + x⁹⁶ +
//! x⁴⁰ + 1, P⁴ = x⁶⁴ + x⁴⁸ + x²⁰ + 1. What P⁸ divides P divides, so a word at x¹²⁸ may as well
//! stand at x⁹⁶, x⁴⁰ and 1: that takes away the first of three words with a few shifts, and so the
//! powers of P halve what is left down to sixteen bits.
//!
//! Bits are in the order in which they are sent, lowest of a byte first: the lowest bit of a word
//! has the highest power, and dividing by x is a shift to the left. A part that is shifted to
//! where it came from is shifted again; `1 + f + f² + f³` of the shift `f` is `(1 + f)(1 + f²)`.

use crc::{CRC_16_IBM_SDLC, Crc, Digest, Table};

static X25: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_IBM_SDLC);

/// The register before the first byte.
const INITIAL: u16 = 0xffff;

/// The checksum of the bytes from the length field to the serial number.
///
/// ```
/// assert_eq!(protocol_gt06::checksum(b"123456789"), 0x906e);
/// ```
#[inline]
#[must_use]
pub fn checksum(covered: &[u8]) -> u16 {
    // Where the length is fixed, so is every step: those of the usual 0x12, 0x22 and 0xA0.
    if let Ok(covered) = <&[u8; 33]>::try_from(covered) {
        by_words(covered)
    } else if let Ok(covered) = <&[u8; 30]>::try_from(covered) {
        by_words(covered)
    } else if let Ok(covered) = <&[u8; 40]>::try_from(covered) {
        by_words(covered)
    } else {
        any_length(covered)
    }
}

#[inline(never)]
fn any_length(covered: &[u8]) -> u16 {
    by_words(covered)
}

#[inline(always)]
fn by_words(covered: &[u8]) -> u16 {
    // Two bytes of zeros follow, and as many go before as make whole words of it all.
    let padding = 6_usize.wrapping_sub(covered.len()) % 8;
    let (Some(first), Some(last), Some(rest)) = (
        covered.first_chunk(),
        covered.last_chunk(),
        covered.get(8 - padding..),
    ) else {
        return checksum_short(covered);
    };
    // What is still to be added to the next two words.
    let mut carried = u128::from(INITIAL) << (padding * 8);
    let mut word = u64::from_le_bytes(*first) << (padding * 8);
    for next in rest.as_chunks().0 {
        carried = fold(carried, word);
        word = u64::from_le_bytes(*next);
    }
    let last = u64::from_le_bytes(*last) >> 16;
    finish(carried ^ (u128::from(last) << 64 | u128::from(word)))
}

/// Less than a word.
#[cold]
fn checksum_short(covered: &[u8]) -> u16 {
    let bits = covered.len() * 8;
    let value = covered
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u128::from(*byte));
    finish((value ^ u128::from(INITIAL)) << (112 - bits))
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
    !(next ^ word ^ word >> 12 ^ word >> 5)
}

#[inline(always)]
const fn halves(words: u128) -> [u64; 2] {
    const LOW: u128 = 0xffff_ffff_ffff_ffff;
    [(words & LOW) as u64, (words >> 64) as u64]
}

/// A checksum that is worked out piece by piece.
pub(crate) fn digest() -> Digest<'static, u16, Table<1>> {
    X25.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_login_reply() {
        assert_eq!(checksum(&[0x05, 0x01, 0x00, 0x01]), 0xd9dc);
    }

    #[test]
    fn it_is_the_one_of_the_catalogue_whatever_the_length() {
        let mut random = 0x2545_f491_u32;
        let bytes: std::vec::Vec<u8> = core::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random.to_le_bytes()[0]
        })
        .take(70_000)
        .collect();
        for len in (0..600).chain([65_536, 70_000]) {
            for start in 0..bytes.len().min(600 - len.min(600)).min(9) {
                let covered = &bytes[start..(start + len).min(bytes.len())];
                assert_eq!(checksum(covered), X25.checksum(covered), "{start}, {len}");
            }
            let covered = &bytes[..len];
            assert_eq!(checksum(covered), X25.checksum(covered), "{len}");
        }
    }
}
