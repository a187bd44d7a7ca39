//! Parameters of OBD-II (SAE J1979): lengths, scalings, units. Numbers are big endian.

use super::table::PARAMETERS;

/// How one part of a parameter is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Name, `snake_case`.
    pub name: &'static str,
    /// First byte.
    pub at: u8,
    /// Number of bytes, 1 to 4.
    pub len: u8,
    /// Units per bit.
    pub scale: f64,
    /// Value of code 0.
    pub offset: f64,
    /// Unit; empty if there is none.
    pub unit: &'static str,
}

/// A parameter of mode 01 (and 02).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pid {
    /// Its number.
    pub number: u8,
    /// How many data bytes it has: needed to find the next one in an answer.
    pub len: u8,
    /// Its parts; none for a bit map or a parameter whose scaling is not in the table.
    pub parts: &'static [Part],
}

impl Part {
    /// The value of this part of a parameter's data; `None` if the data is too short.
    #[must_use]
    pub fn value(&self, data: &[u8]) -> Option<f64> {
        let at = usize::from(self.at);
        let bytes = data.get(at..at + usize::from(self.len))?;
        let raw = bytes
            .iter()
            .fold(0u32, |raw, byte| raw << 8 | u32::from(*byte));
        Some(f64::from(raw) * self.scale + self.offset)
    }
}

/// Every parameter of the table.
pub fn pids() -> impl Iterator<Item = &'static Pid> {
    PARAMETERS.iter()
}

/// A parameter of mode 01.
#[must_use]
pub fn find(number: u8) -> Option<&'static Pid> {
    let at = PARAMETERS
        .binary_search_by_key(&number, |pid| pid.number)
        .ok()?;
    PARAMETERS.get(at)
}

/// Whether a parameter is the bit map of supported ones: 00, 20, 40 and so on.
#[must_use]
pub const fn is_supported_map(number: u8) -> bool {
    number.is_multiple_of(0x20)
}

/// The parameters that the bit map of `base` (00, 20, …) lists: its first bit stands for
/// `base + 1`.
pub fn supported(base: u8, map: [u8; 4]) -> impl Iterator<Item = u8> {
    let map = u32::from_be_bytes(map);
    (0..32u8)
        .filter(move |n| map >> (31 - u32::from(*n)) & 1 == 1)
        .filter_map(move |n| base.checked_add(n)?.checked_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_table_is_sorted_and_its_parts_fit() {
        assert!(
            PARAMETERS
                .windows(2)
                .all(|two| two[0].number < two[1].number)
        );
        for pid in &PARAMETERS {
            for part in pid.parts {
                assert!(part.at + part.len <= pid.len, "{:02x}", pid.number);
            }
        }
    }

    #[test]
    fn numbers_are_big_endian() {
        let value = |number, data: &[u8]| find(number).unwrap().parts[0].value(data);
        assert_eq!(value(0x0C, &[0x1A, 0xF8]), Some(1726.0));
        assert_eq!(value(0x05, &[0x8B]), Some(99.0));
        assert_eq!(value(0x5D, &[0x69, 0x00]), Some(0.0));
        assert_eq!(value(0x0C, &[0x1A]), None);
        let wide = find(0x34).unwrap();
        assert_eq!(wide.parts[0].value(&[0x80, 0, 0x80, 0]), Some(1.0));
        assert_eq!(wide.parts[1].value(&[0x80, 0, 0x80, 0]), Some(0.0));
    }

    #[test]
    fn the_first_bit_of_a_map_is_the_next_parameter() {
        let all: Vec<_> = supported(0, [0xBE, 0x3E, 0xB0, 0x11]).collect();
        assert_eq!(
            all,
            [
                0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11, 0x13, 0x14,
                0x1C, 0x20
            ]
        );
    }
}
