//! Bytes as people read them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use nom::bytes::complete::{tag, take_until};
use nom::character::complete::{hex_digit0, space0};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::field::DateTime;

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    let mut hex = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a string cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Percent.
pub(crate) fn percent(bytes: &[u8]) -> String {
    format!("{} %", number(bytes))
}

/// Millivolts.
pub(crate) fn millivolts(bytes: &[u8]) -> String {
    format!("{} mV", number(bytes))
}

/// Volts × 100.
#[expect(clippy::cast_precision_loss, reason = "two bytes")]
pub(crate) fn centivolts(bytes: &[u8]) -> String {
    format!("{:.2} V", number(bytes) as f64 / 100.0)
}

/// Seconds since 1970, in four bytes.
pub(crate) fn unix_bytes(bytes: &[u8]) -> String {
    u32::try_from(number(bytes)).map_or_else(|_| hex(bytes), unix)
}

/// A hardware address, or other bytes.
pub(crate) fn mac_bytes(bytes: &[u8]) -> String {
    bytes.try_into().map_or_else(|_| hex(bytes), mac)
}

/// Digits, two in a byte; a half byte F in the end is none.
pub(crate) fn digits(bytes: &[u8]) -> String {
    let mut digits = hex(bytes);
    digits.truncate(digits.trim_end_matches('f').len());
    digits
}

/// Numbers, one after the other.
pub(crate) fn list(numbers: &[u8]) -> String {
    joined(numbers.iter().map(|number| format!("{number}")), ", ")
}

/// Parts with something between them.
pub(crate) fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

/// The names of the bits that are set, the lowest first.
pub(crate) fn bits(set: u8, names: &[&str]) -> String {
    let named = (0..8_u32).zip(names);
    let is_set = |(bit, name): (u32, &&str)| (set >> bit & 1 != 0).then(|| String::from(*name));
    joined(named.filter_map(is_set), ", ")
}

/// A hardware address.
pub(crate) fn mac(address: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = address;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// A language by its number.
pub(crate) fn language(raw: u16) -> String {
    match raw {
        0 => "none".into(),
        1 => "Chinese".into(),
        2 => "English".into(),
        other => format!("unknown ({other})"),
    }
}

/// The language of a message that is answered in it; without one it wants no reply.
pub(crate) fn reply_language(raw: u8) -> String {
    match raw {
        0 => "no reply wanted".into(),
        other => language(other.into()),
    }
}

/// A number of eight bytes that somebody carries: a card or a key.
pub(crate) fn card(number: &[u8]) -> String {
    if number.iter().all(|byte| *byte == 0) {
        "none".into()
    } else {
        hex(number)
    }
}

/// The pairs `key=value` of a list, without blanks around either.
pub(crate) fn pairs(list: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    list.split(separator).filter_map(pair)
}

/// `key=value`, without blanks around either.
pub(crate) fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Where in a pair the hexadecimal digits of its value end.
pub(crate) fn hex_value_ends(pair: &[u8]) -> usize {
    let key = (take_until("="), tag("="), space0);
    let digits: IResult<_, _> = preceded(key, hex_digit0).parse(pair);
    let after = digits.map_or(pair, |(after, _)| after);
    pair.len() - after.len()
}

/// Seconds since 1970 as a date and time.
pub(crate) fn unix(seconds: u32) -> String {
    DateTime::from_unix(seconds.into())
        .map_or_else(|| format!("no time ({seconds})"), |time| format!("{time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_lose_their_filling_only_at_the_end() {
        assert_eq!(digits(&[0x89, 0x86, 0x1f]), "89861");
        assert_eq!(digits(&[0xf1, 0xff]), "f1");
        assert_eq!(digits(&[0xff]), "");
    }
}
