//! ID8: sixteen digits, two in a byte.

use alloc::string::String;
use core::fmt;

/// The id that a terminal logs in with, as sent: 16 digits, normally a 0 and an IMEI.
///
/// ```
/// use milepost_protocol_gt06::field::TerminalId;
/// let id = TerminalId([0x07, 0x52, 0x53, 0x36, 0x78, 0x90, 0x02, 0x42]);
/// assert_eq!(id.to_string(), "752533678900242");
/// assert_eq!(id.digits(), "0752533678900242");
/// assert_eq!(TerminalId::from_digits("752533678900242"), Some(id));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TerminalId(pub [u8; 8]);

impl TerminalId {
    /// From up to 16 digits; shorter ids are padded with leading zeros.
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Self> {
        if digits.len() > 16 || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = u64::from_str_radix(digits, 16).ok()?;
        Some(Self(number.to_be_bytes()))
    }

    /// All 16 digits; a half byte that is no decimal digit is written in hexadecimal.
    #[must_use]
    pub fn digits(self) -> String {
        alloc::format!("{:016x}", u64::from_be_bytes(self.0))
    }

    /// The id as text, without heap: 15 digits where the first of the 16 is 0, else all 16.
    pub(crate) fn ascii(self) -> ([u8; 16], usize) {
        let mut text = [b'0'; 16];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 0x0f)];
        }
        let skip = usize::from(text.first() == Some(&b'0'));
        (text, skip)
    }

    /// The id in the schema's terms.
    #[cfg(feature = "telemetry")]
    #[must_use]
    pub fn device_id(self) -> Option<milepost_telemetry::DeviceId> {
        let (text, skip) = self.ascii();
        let text = core::str::from_utf8(text.get(skip..)?).ok()?;
        milepost_telemetry::DeviceId::new(text).ok()
    }
}

const fn digit(half: u8) -> u8 {
    match half {
        0..=9 => b'0' + half,
        _ => b'a' + half - 10,
    }
}

impl fmt::Display for TerminalId {
    /// 15 digits where the first of the 16 is 0, else all 16.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, skip) = self.ascii();
        let text = text.get(skip..).unwrap_or_default();
        f.pad(core::str::from_utf8(text).unwrap_or_default())
    }
}

impl fmt::Debug for TerminalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TerminalId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn sixteen_digits_stay_sixteen_and_short_ones_are_padded() {
        let id = TerminalId::from_digits("1234567890123456").unwrap();
        assert_eq!(id.to_string(), "1234567890123456");
        let id = TerminalId::from_digits("42").unwrap();
        assert_eq!(id.to_string(), "000000000000042");
        assert_eq!(TerminalId([0xff; 8]).to_string(), "ffffffffffffffff");
        for bad in ["", "12345678901234567", "12a", "+1"] {
            assert_eq!(TerminalId::from_digits(bad), None);
        }
    }
}
