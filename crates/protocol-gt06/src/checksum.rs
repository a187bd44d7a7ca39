//! The checksum "CRC-ITU": CRC-16/X-25.
//!
//! It covers everything from the length field (one or two bytes) to the end of the serial number,
//! and is sent high byte first. The start marker and the stop bytes are outside.

use alloc::vec::Vec;
use core::ops::Range;

use crc::{CRC_16_IBM_SDLC, Crc, Table};

/// CRC-16/X-25, which the `crc` crate's catalogue names IBM-SDLC.
static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_SDLC);

/// The register before the first byte.
const INITIAL: u16 = CRC_16_IBM_SDLC.init;

/// The checksum of the bytes from the length field to the serial number.
///
/// ```
/// assert_eq!(milepost_protocol_gt06::checksum(b"123456789"), 0x906e);
/// ```
#[inline]
#[must_use]
pub fn checksum(covered: &[u8]) -> u16 {
    CRC.checksum(covered)
}

/// A checksum that is worked out piece by piece.
#[derive(Clone)]
pub(crate) struct Digest(crc::Digest<'static, u16, Table<16>>);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(CRC.digest())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> u16 {
        self.0.clone().finalize()
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn it_is_the_same_in_one_piece_in_two_and_byte_by_byte() {
        let bytes = bytes(70_000);
        for len in (0..600).chain([65_536, 70_000]) {
            let covered = &bytes[..len];
            let step = |register, byte: &u8| next(register, *byte);
            let expected = !covered.iter().fold(INITIAL, step);
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
