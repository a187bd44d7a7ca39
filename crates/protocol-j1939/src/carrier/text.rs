//! Field parsers that the text forms share, on nom.

use nom::bytes::complete::{take, take_while, take_while1};
use nom::error::{ContextError, ErrorKind, ParseError};
use nom::{IResult, Parser};

use super::record::Reason;
use crate::{CanFrame, CanId, CanTime};

/// nom's view of a failure: how much was left, and the innermost field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    rest: usize,
    field: &'static str,
}

impl Fault {
    /// As a reason for a record of `len` bytes.
    pub(super) fn reason(self, len: usize) -> Reason {
        Reason::Malformed {
            field: self.field,
            offset: len.saturating_sub(self.rest),
        }
    }
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self {
            rest: input.len(),
            field: "",
        }
    }
    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl ContextError<&[u8]> for Fault {
    fn add_context(input: &[u8], field: &'static str, other: Self) -> Self {
        if other.field.is_empty() {
            // The field's first byte, not the one within it that did not fit.
            let rest = input.len();
            return Self { rest, field };
        }
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<&'a [u8], T, Fault>;

/// A failure in a field that begins at `input`.
#[cold]
pub(super) fn fault<'a, T>(input: &'a [u8], field: &'static str) -> Parsed<'a, T> {
    Err(nom::Err::Error(Fault {
        rest: input.len(),
        field,
    }))
}

/// What is wrong with a line of `len` bytes.
#[cold]
pub(super) fn reason(error: nom::Err<Fault>, len: usize) -> Reason {
    match error {
        nom::Err::Error(fault) | nom::Err::Failure(fault) => fault.reason(len),
        // The complete parsers never return it.
        nom::Err::Incomplete(_) => Reason::Malformed {
            field: "end",
            offset: len,
        },
    }
}

/// The value of each byte as a hexadecimal digit; 16 or more if it is none.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static HEX: [u8; 256] = {
    let mut table = [0xFF; 256];
    let mut digit = 0;
    while digit < 16 {
        let at = b"0123456789ABCDEF"[digit as usize];
        table[at as usize] = digit;
        table[at.to_ascii_lowercase() as usize] = digit;
        digit += 1;
    }
    table
};

/// The value of a hexadecimal digit.
#[inline]
pub(super) fn digit(byte: u8) -> Option<u8> {
    HEX.get(usize::from(byte)).copied().filter(|v| *v < 16)
}

/// The value of two hexadecimal digits.
#[inline]
pub(super) fn pair(high: u8, low: u8) -> Option<u8> {
    let high = HEX.get(usize::from(high)).copied()?;
    let low = HEX.get(usize::from(low)).copied()?;
    // Either is FF if it is no digit; both digits are below 16.
    ((high | low) < 16).then_some(high << 4 | low)
}

pub(super) fn is_digit(byte: u8) -> bool {
    digit(byte).is_some()
}

/// A byte in each of the eight bytes of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The number that eight hexadecimal digits are, all at once in a 64-bit word: most of a line of
/// text is such digits.
#[inline]
fn eight(digits: [u8; 8]) -> Option<u32> {
    let text = u64::from_be_bytes(digits);
    // Letters have bit 6, and 1 to 6 in the low half.
    let letters = text >> 6 & each(0x01);
    let values = (text & each(0x0F)) + letters * 9;
    // Written again in upper case, the digits must be what they were. No sum leaves its byte.
    let above_nine = (values + each(6)) >> 4 & each(0x01);
    let written = values + each(b'0') + above_nine * u64::from(b'A' - b'9' - 1);
    let upper = text & !(letters << 5);
    if written != upper || values & each(0x10) != 0 {
        return None;
    }
    let bytes = (values | values >> 4) & 0x00FF_00FF_00FF_00FF;
    let words = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF;
    u32::try_from((words | words >> 16) & 0xFFFF_FFFF).ok()
}

/// A hexadecimal number of all of `digits`, at most eight.
#[inline]
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if let Ok(digits) = digits.try_into() {
        return eight(digits);
    }
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |value: u32, byte| {
        Some(value << 4 | u32::from(digit(*byte)?))
    })
}

/// Spaces, at least one.
#[inline]
pub(super) fn blanks(input: &[u8]) -> Parsed<'_, ()> {
    match input.split_first() {
        Some((b' ', rest)) => Ok((skip_blanks(rest), ())),
        _ => fault(input, "separator"),
    }
}

/// Without the spaces at the front.
#[inline]
pub(super) fn skip_blanks(mut input: &[u8]) -> &[u8] {
    while let Some((b' ', rest)) = input.split_first() {
        input = rest;
    }
    input
}

/// The line without spaces and carriage returns at its end.
#[inline]
pub(super) fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\r', rest)) = line.split_last() {
        line = rest;
    }
    line
}

/// A run of bytes without spaces.
pub(super) fn word(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(|byte| byte != b' ')(input)
}

/// An identifier as `candump` prints it: three digits are 11 bits, eight are 29.
pub(super) enum Id {
    Can(CanId),
    /// Bit 29 is set: an error frame.
    Error,
}

/// Bit 29 of a SocketCAN identifier.
const ERROR_FLAG: u32 = 0x2000_0000;

/// The identifier that `digits` are, by their number and not by their value.
#[inline]
pub(super) fn id_of(digits: &[u8]) -> Option<Id> {
    let raw = number(digits)?;
    match digits.len() {
        3 => CanId::standard(u16::try_from(raw).ok()?).map(Id::Can),
        8 if raw & !CanId::MAX_EXTENDED == ERROR_FLAG => Some(Id::Error),
        8 => CanId::extended(raw).map(Id::Can),
        _ => None,
    }
}

#[inline]
pub(super) fn id(input: &[u8]) -> Parsed<'_, Id> {
    // Three or eight digits, and then no digit.
    let len = match input.get(3) {
        Some(byte) if is_digit(*byte) => 8,
        _ => 3,
    };
    if let Some((digits, rest)) = input.split_at_checked(len)
        && let Some(id) = id_of(digits)
        && !rest.first().is_some_and(|byte| is_digit(*byte))
    {
        return Ok((rest, id));
    }
    fault(input, "id")
}

/// Data bytes of a classic frame.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Data {
    bytes: [u8; 8],
    len: usize,
}

impl Data {
    #[inline]
    pub(super) fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len = self.len.wrapping_add(1);
        Some(())
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The eight bytes that sixteen digits are.
    #[inline]
    fn whole(digits: &[u8; 16]) -> Option<Self> {
        let (high, low) = digits.split_first_chunk::<8>()?;
        let high = eight(*high)?;
        let low = eight(low.try_into().ok()?)?;
        let bytes = (u64::from(high) << 32 | u64::from(low)).to_be_bytes();
        Some(Self { bytes, len: 8 })
    }

    #[inline]
    pub(super) fn frame(&self, id: CanId, time: Option<CanTime>) -> Option<CanFrame> {
        // A copy of a length that the compiler knows is much faster.
        let data = if self.len == 8 {
            &self.bytes
        } else {
            self.as_slice()
        };
        let frame = CanFrame::new(id, data).ok()?;
        Some(frame.with_time(time))
    }
}

/// Exactly `len` bytes as pairs of digits without separators, at most eight.
#[inline]
pub(super) fn packed_data(input: &[u8], len: usize) -> Parsed<'_, Data> {
    if len == 8
        && let Some((digits, rest)) = input.split_first_chunk::<16>()
        && let Some(data) = Data::whole(digits)
    {
        return Ok((rest, data));
    }
    let (rest, digits) = take(len.saturating_mul(2)).parse(input)?;
    let mut data = Data::default();
    for digits in digits.as_chunks::<2>().0 {
        let [high, low] = *digits;
        match pair(high, low).and_then(|byte| data.push(byte)) {
            Some(()) => {}
            None => return fault(input, "data"),
        }
    }
    Ok((rest, data))
}

/// All digits at the front, in pairs.
#[inline]
pub(super) fn data_run(input: &[u8]) -> Parsed<'_, Data> {
    if let Some((digits, rest)) = input.split_first_chunk::<16>()
        && !rest.first().is_some_and(|byte| is_digit(*byte))
        && let Some(data) = Data::whole(digits)
    {
        return Ok((rest, data));
    }
    let mut data = Data::default();
    let mut rest = input;
    while let [high, low, after @ ..] = rest {
        let Some(byte) = pair(*high, *low) else {
            break;
        };
        if data.push(byte).is_none() {
            return fault(input, "data");
        }
        rest = after;
    }
    Ok((rest, data))
}

/// A remote frame.
pub(super) fn remote(id: CanId, len: u8, time: Option<CanTime>) -> Option<CanFrame> {
    let frame = CanFrame::remote(id, len.min(8)).ok()?;
    Some(frame.with_time(time))
}

/// Seconds with a fraction of any number of digits; what is finer than microseconds is cut off.
#[inline]
pub(super) fn seconds(input: &[u8]) -> Parsed<'_, CanTime> {
    // A time of day in seconds needs twelve digits in the year 33 000.
    const MOST: usize = 12;
    let (rest, whole) = decimal(input, MOST)?;
    let Some((b'.', fraction)) = rest.split_first() else {
        return fault(input, "time");
    };
    let six = fraction.split_first_chunk::<6>().and_then(|(six, rest)| {
        let [a, b, c, d, e, f] = *six;
        Some((rest, eight_decimal([b'0', b'0', a, b, c, d, e, f])?))
    });
    let (rest, micros) = match six {
        Some((rest, micros)) => (rest, micros),
        None => {
            let (rest, digits) = take_while(|byte: u8| byte.is_ascii_digit())(fraction)?;
            let missing = u32::try_from(6usize.saturating_sub(digits.len())).unwrap_or(0);
            (rest, value(digits) * 10u64.pow(missing))
        }
    };
    let finer = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest.get(finer..).unwrap_or_default();
    let micros = u32::try_from(micros).unwrap_or(0);
    Ok((rest, CanTime::new(whole, micros)))
}

#[inline]
fn decimal(input: &[u8], most: usize) -> Parsed<'_, u64> {
    let (mut rest, mut value) = input
        .split_first_chunk::<8>()
        .and_then(|(digits, rest)| Some((rest, eight_decimal(*digits)?)))
        .unwrap_or((input, 0));
    while let Some((byte @ b'0'..=b'9', after)) = rest.split_first() {
        value = value.wrapping_mul(10).wrapping_add(decimal_digit(*byte));
        rest = after;
    }
    if (1..=most).contains(&input.len().saturating_sub(rest.len())) {
        return Ok((rest, value));
    }
    fault(input, "time")
}

#[inline]
fn decimal_digit(byte: u8) -> u64 {
    u64::from(byte & 0x0F)
}

/// The number that eight decimal digits are: pairs, then fours, then all, in a 64-bit word.
#[inline]
fn eight_decimal(digits: [u8; 8]) -> Option<u64> {
    // The first digit is in the low byte.
    let text = u64::from_le_bytes(digits);
    let has_high = text & each(0xF0) != each(0x30);
    // Bytes `:` to `?` reach 40 with 6 added. No sum leaves its byte unless one has high bits.
    if has_high || text.wrapping_add(each(6)) & each(0xF0) != each(0x30) {
        return None;
    }
    let ones = text & each(0x0F);
    let pairs = (ones * 10 + (ones >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF)
}

/// The value of decimal digits, at most twelve of them.
fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0u64, |value, digit| {
        value.wrapping_mul(10).wrapping_add(decimal_digit(*digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_has_any_number_of_digits() {
        for (text, micros) in [
            (&b"1.5"[..], 1_500_000),
            (b"1543509533.000838", 1_543_509_533_000_838),
            (b"0.00000099", 0),
            (b"7.123456789", 7_123_456),
            (b"7.12345678", 7_123_456),
            (b"7.", 7_000_000),
        ] {
            assert_eq!(seconds(text), Ok((&b""[..], CanTime(micros))), "{text:?}");
        }
        assert!(seconds(b"1").is_err());
        assert!(seconds(b".5").is_err());
        assert!(seconds(b"1234567890123.5").is_err());
    }

    #[test]
    fn digits_have_their_value_in_both_cases() {
        assert_eq!(pair(b'a', b'F'), Some(0xAF));
        assert_eq!(pair(b'0', b'g'), None);
        assert_eq!(pair(b'/', b'0'), None);
        assert_eq!(number(b"18fef100"), Some(0x18FE_F100));
        assert_eq!(number(b"123456789"), None);
    }

    #[test]
    fn eight_decimal_digits_at_once_are_what_they_are_one_by_one() {
        assert_eq!(eight_decimal(*b"99999999"), Some(99_999_999));
        for byte in 0..=255u8 {
            for at in 0..8 {
                let mut digits = *b"19573642";
                digits[at] = byte;
                let text = core::str::from_utf8(&digits).ok();
                let expected = text.filter(|text| !text.starts_with('+'));
                let expected = expected.and_then(|text| text.parse().ok());
                assert_eq!(eight_decimal(digits), expected, "{byte:#04x} at {at}");
            }
        }
    }

    #[test]
    fn eight_digits_at_once_are_what_they_are_one_by_one() {
        for byte in 0..=255u8 {
            for at in 0..8 {
                let mut digits = *b"1aF9B0c7";
                digits[at] = byte;
                let expected = digits.iter().try_fold(0u32, |value, byte| {
                    char::from(*byte).to_digit(16).map(|d| value << 4 | d)
                });
                assert_eq!(number(&digits), expected, "{byte:#04x} at {at}");
            }
        }
    }
}
