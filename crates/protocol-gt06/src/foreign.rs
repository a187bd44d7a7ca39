//! Other protocols that are met on the same port.

/// Names what bytes look like that are no frames of ours.
#[must_use]
pub(crate) fn looks_like(src: &[u8]) -> Option<&'static str> {
    const HTTP: [&[u8]; 8] = [
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIONS",
        b"CONNECT",
        b"DELETE ",
        b"PRI * HTTP",
    ];
    let is_letter = src.first().is_some_and(u8::is_ascii_uppercase);
    if is_letter && HTTP.iter().any(|verb| src.starts_with(verb)) {
        return Some("http");
    }
    match src {
        [0x16, 0x03, 0x00..=0x04, ..] => Some("tls"),
        [0x68, 0x68, ..] | [0x54, 0x68, ..] => Some("gt02"),
        [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => Some("proxy"),
        [
            0x0d,
            0x0a,
            0x0d,
            0x0a,
            0x00,
            0x0d,
            0x0a,
            b'Q',
            b'U',
            b'I',
            b'T',
            0x0a,
            ..,
        ] => Some("proxy"),
        [b'S', b'S', b'H', b'-', ..] => Some("ssh"),
        [b'*', b'H', b'Q', ..] => Some("h02"),
        [b'#', b'#', ..] => Some("gps103"),
        [b'i', b'm', b'e', b'i', b':', ..] => Some("gps103"),
        [
            b'+',
            b'R' | b'B' | b'A',
            b'E' | b'U' | b'C',
            b'S' | b'F' | b'K',
            ..,
        ] => Some("gl200"),
        [b'[', b'3' | b'S' | b'C', b'G' | b'Q' | b'S', b'*', ..] => Some("watch"),
        [b'(', rest @ ..] if is_tk103(rest) => Some("tk103"),
        [b'$', b'$', ..] => Some("meitrack"),
        [b'$', next, ..] if next.is_ascii_uppercase() || *next == b',' => Some("ais140"),
        [0x7e, rest @ ..] if memchr::memchr(0x7e, rest).is_some() => Some("jt808"),
        [0x00, 0x0f, digits @ ..] if digits.len() >= 15 && all_digits(digits.get(..15)?) => {
            Some("teltonika")
        }
        [0x03, 0x00, _, _, ..] => Some("rdp"),
        _ => None,
    }
}

/// `(` and the digits of a phone number or IMEI, then a command such as `BR00`.
fn is_tk103(rest: &[u8]) -> bool {
    rest.get(..8).is_some_and(all_digits)
}

fn all_digits(src: &[u8]) -> bool {
    src.iter().all(u8::is_ascii_digit)
}

/// The longest prefix that [`looks_like`] wants to see before it gives up.
pub(crate) const SNIFFED: usize = 17;
