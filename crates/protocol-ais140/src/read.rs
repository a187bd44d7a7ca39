//! Readers of single values with nom, complete flavour: each runs on one delimited item.

use nom::error::{ContextError, ErrorKind, ParseError};
use nom::{Err, IResult};

/// Where a reader stopped: how many bytes of the item were left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    left: usize,
}

impl ParseError<&[u8]> for Stop {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { left: input.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl ContextError<&[u8]> for Stop {}

pub(crate) type Read<'a, T> = IResult<&'a [u8], T, Stop>;

#[inline]
fn stop<T>(left: &[u8]) -> Read<'_, T> {
    Err(Err::Error(Stop { left: left.len() }))
}

/// Removes blanks around an item: devices pad values with them.
#[inline]
pub(crate) fn trim(item: &[u8]) -> &[u8] {
    match item {
        [b' ', ..] | [.., b' '] => item.trim_ascii(),
        _ => item,
    }
}

/// Runs a reader on a whole item; `None` unless it takes all of it.
#[inline]
pub(crate) fn whole<'a, T>(
    reader: impl FnOnce(&'a [u8]) -> Read<'a, T>,
    item: &'a [u8],
) -> Option<T> {
    exact(reader, trim(item))
}

/// The same, of an item without blanks around it.
#[inline]
pub(crate) fn exact<'a, T>(
    reader: impl FnOnce(&'a [u8]) -> Read<'a, T>,
    item: &'a [u8],
) -> Option<T> {
    match reader(item) {
        Ok(([], value)) => Some(value),
        _ => None,
    }
}

/// Between `MIN` and `MAX` decimal digits, at most 18.
#[inline]
pub(crate) fn digits<const MIN: usize, const MAX: usize>(input: &[u8]) -> Read<'_, u64> {
    let mut value = 0_u64;
    let mut len = 0;
    for byte in input {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        len += 1;
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    // What wrapped around is refused here.
    if len < MIN || len > MAX || len > 18 {
        return stop(input);
    }
    Ok((input.get(len..).unwrap_or_default(), value))
}

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// A decimal number with an optional sign and fraction, as near as a double can be. A `%` after it
/// belongs to it.
#[inline]
pub(crate) fn decimal(input: &[u8]) -> Read<'_, f64> {
    let (negative, number) = match input {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, input),
    };
    let (mut mantissa, mut scale, mut len, mut count) = (0_u64, 0_usize, 0_usize, 0_usize);
    let mut point = false;
    for byte in number {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            count += 1;
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            scale += usize::from(point);
        } else if *byte == b'.' && !point {
            point = true;
        } else {
            break;
        }
        len += 1;
    }
    // What wrapped around is refused here.
    if count == 0 || count > 18 {
        return stop(input);
    }
    let rest = number.get(len..).unwrap_or_default();
    let rest = rest.strip_prefix(b"%").unwrap_or(rest);
    #[expect(
        clippy::cast_precision_loss,
        reason = "18 digits are more than any device measures"
    )]
    let value = mantissa as f64 / POWERS.get(scale).copied().unwrap_or(1e18);
    Ok((rest, if negative { -value } else { value }))
}

const NO_DIGIT: u8 = 0xff;

/// The value of each byte as a hexadecimal digit. Digits and letters alternate at random in cell
/// ids: a branch on the range would often be predicted wrongly.
#[expect(
    clippy::indexing_slicing,
    reason = "worked out by the compiler, which refuses what is out of bounds"
)]
static HEX: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let (lower, upper) = (b"0123456789abcdef", b"0123456789ABCDEF");
        table[lower[value as usize] as usize] = value;
        table[upper[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// One to sixteen hexadecimal digits, of either case.
#[inline]
pub(crate) fn hex(input: &[u8]) -> Read<'_, u64> {
    let mut value = 0_u64;
    let mut len = 0;
    for byte in input {
        let digit = HEX.get(usize::from(*byte)).copied().unwrap_or(NO_DIGIT);
        if digit == NO_DIGIT {
            break;
        }
        value = value << 4 | u64::from(digit);
        len += 1;
    }
    if (1..=16).contains(&len) {
        Ok((input.get(len..).unwrap_or_default(), value))
    } else {
        stop(input)
    }
}

/// `1` or `0`.
#[inline]
pub(crate) fn flag(input: &[u8]) -> Read<'_, bool> {
    match input {
        [b'1', rest @ ..] => Ok((rest, true)),
        [b'0', rest @ ..] => Ok((rest, false)),
        _ => stop(input),
    }
}

/// One of two letters; `true` for the first one.
#[inline]
pub(crate) fn letter(yes: u8, no: u8) -> impl Fn(&[u8]) -> Read<'_, bool> {
    move |input| match input {
        [byte, rest @ ..] if *byte == yes => Ok((rest, true)),
        [byte, rest @ ..] if *byte == no => Ok((rest, false)),
        _ => stop(input),
    }
}

/// A number that fits `T`.
pub(crate) fn small<T: TryFrom<u64>>(item: &[u8]) -> Option<T> {
    whole(digits::<1, 18>, item).and_then(|v| T::try_from(v).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_padding_and_nothing_else() {
        assert_eq!(whole(decimal, b" 012.50"), Some(12.5));
        assert_eq!(whole(decimal, b"-087"), Some(-87.0));
        assert_eq!(whole(decimal, b"94%"), Some(94.0));
        assert_eq!(whole(decimal, b"76.927553"), Some(76.927_553));
        for junk in [
            &b""[..],
            b".",
            b"-",
            b"1.2.3",
            b"1e5",
            b"12a",
            b"1234567890123456789",
        ] {
            assert_eq!(whole(decimal, junk), None, "{junk:?}");
        }
        assert_eq!(whole(hex, b"975e416"), Some(0x0975_e416));
        assert_eq!(whole(hex, b"0x12"), None);
        assert_eq!(
            whole(digits::<15, 15>, b"123456789012347"),
            Some(123_456_789_012_347)
        );
        assert_eq!(whole(digits::<15, 15>, b"12345678901234"), None);
    }
}
