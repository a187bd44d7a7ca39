//! The checksum "CRC-ITU": CRC-16/X-25.
//!
//! It covers everything from the length field (one or two bytes) to the end of the serial number,
//! and is sent high byte first. The start marker and the stop bytes are outside.

use crc::{CRC_16_IBM_SDLC, Crc, Digest, Table};

// Sixteen tables (8 KiB): a location frame is checked in two steps of sixteen bytes.
static X25: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_SDLC);

/// The checksum of the bytes from the length field to the serial number.
///
/// ```
/// assert_eq!(protocol_gt06::checksum(b"123456789"), 0x906e);
/// ```
#[inline]
#[must_use]
pub fn checksum(covered: &[u8]) -> u16 {
    X25.checksum(covered)
}

/// A checksum that is worked out piece by piece.
pub(crate) fn digest() -> Digest<'static, u16, Table<16>> {
    X25.digest()
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_worked_example_of_the_login_reply() {
        assert_eq!(checksum(&[0x05, 0x01, 0x00, 0x01]), 0xd9dc);
    }
}
