//! Where a packet of text ends.

use memchr::{memchr_iter, memchr2, memchr3};

use super::binary::{EVIDENCE, is_transync};
use super::{Found, LONGEST, LONGEST_BATCH};
use crate::frame::is_sum_width;

/// What follows a `*`.
enum AfterStar {
    /// The packet ends so many bytes after the star.
    End(usize),
    /// Not decided.
    More,
    /// The star does not end the packet.
    Inside,
}

fn after_star(rest: &[u8], after_raw_byte: bool) -> AfterStar {
    let is_end = |b: Option<&u8>| matches!(b, Some(b'\r' | b'\n' | b'$' | b'[' | b' ' | 0));
    let comma = usize::from(rest.first() == Some(&b','));
    let sum = rest.get(comma..).unwrap_or_default();
    if sum == b"X" {
        return AfterStar::More;
    }
    let len = if sum.starts_with(b"XX") {
        2
    } else {
        sum.iter().take_while(|b| b.is_ascii_hexdigit()).count()
    };
    match sum.get(len) {
        None if rest.len() < 80 => AfterStar::More,
        next if is_end(next) && is_sum_width(len) => AfterStar::End(comma + len),
        next if is_end(next) && len == 0 => AfterStar::End(comma),
        // Only where the checksum is one raw byte, words follow the star after a comma.
        _ if after_raw_byte && comma > 0 => AfterStar::Inside,
        // Damage after the end, such as a `$` that is no more one: the packet before it is whole.
        _ if is_sum_width(len) => AfterStar::End(comma + len),
        _ => AfterStar::End(0),
    }
}

/// Whether the `*` at `at` follows an item of one byte that is no direction, digit or dash: a raw checksum.
fn is_raw_sum(src: &[u8], at: usize) -> bool {
    let item = at.checked_sub(2).and_then(|from| src.get(from..at));
    matches!(item, Some([b',', sum]) if !matches!(sum, b'E' | b'W' | b',' | b'-' | b'0'..=b'9'))
}

/// A packet of text from `$`.
///
/// Where a TranSync frame begins inside, the `$` is a byte of a damaged one: text holds no such
/// bytes, and only a line end that never comes may follow.
pub(super) fn sentence(src: &[u8], scanned: usize) -> Found {
    let found = text(src, scanned);
    let (from, to) = match found {
        Found::Packet(len, _) => (1, len),
        // What comes after the place that is not decided may be beyond this packet.
        Found::More(to) => (scanned.saturating_sub(EVIDENCE).max(1), to),
        // What lies beyond the limit has not come yet, if the stream is cut otherwise.
        Found::Skip(_) => (1, src.len().min(limit(src))),
    };
    let inside = src.get(from..to).unwrap_or_default();
    let other = memchr_iter(b':', inside).find(|at| inside.get(*at..).is_some_and(is_transync));
    other.map_or(found, |at| Found::Skip(from + at))
}

fn is_batch(src: &[u8]) -> bool {
    src.starts_with(b"$,BTH,")
}

fn limit(src: &[u8]) -> usize {
    if is_batch(src) {
        LONGEST_BATCH
    } else {
        LONGEST
    }
}

fn text(src: &[u8], scanned: usize) -> Found {
    let is_batch = is_batch(src);
    let limit = limit(src);
    // Two bytes before what was looked at belong to a decision that was not made.
    let mut at = scanned.max(1);
    // Whether the first `$` inside was a separator: then all are.
    loop {
        let rest = src.get(at..).unwrap_or_default();
        let next = memchr3(b'\r', b'\n', b'*', rest)
            .into_iter()
            .chain(memchr2(b'$', b'#', rest))
            .min();
        let Some(next) = next else {
            at = src.len();
            break;
        };
        at += next;
        if at > limit {
            return Found::Skip(1);
        }
        // A checksum that is one raw byte: `,?*`.
        if src.get(at.wrapping_sub(1)) == Some(&b',') {
            match src.get(at + 1) {
                None => return more(src, at, limit),
                Some(b'*') => {
                    at += 1;
                    // What follows that star decides; a raw byte is never inside a login.
                    match after_star(src.get(at + 1..).unwrap_or_default(), true) {
                        AfterStar::End(len) => return Found::Packet(at + 1 + len, 0),
                        AfterStar::More => return more(src, at - 1, limit),
                        AfterStar::Inside => {
                            at += 1;
                            continue;
                        }
                    }
                }
                Some(_) => {}
            }
        }
        match src.get(at) {
            Some(b'*') => {
                match after_star(src.get(at + 1..).unwrap_or_default(), is_raw_sum(src, at)) {
                    AfterStar::End(len) => return Found::Packet(at + 1 + len, 0),
                    AfterStar::More => return more(src, at, limit),
                    AfterStar::Inside => at += 1,
                }
            }
            Some(b'#') => {
                // Another protocol's end, if nothing follows on the line.
                match src.get(at + 1) {
                    None => return more(src, at, limit),
                    Some(b'\r' | b'\n' | b'$') => return Found::Packet(at + 1, 0),
                    Some(_) => at += 1,
                }
            }
            Some(b'$') => match inner_dollar(src, at, is_batch) {
                Some(true) => at += 1,
                Some(false) => {
                    let whole = is_dollar_login(src, at);
                    return Found::Packet(if whole { at + 1 } else { at }, 0);
                }
                None => return more(src, at, limit),
            },
            _ => return Found::Packet(at, 0),
        }
    }
    more(src, at, limit)
}

fn more(src: &[u8], at: usize, limit: usize) -> Found {
    if src.len() > limit {
        Found::Skip(1)
    } else {
        Found::More(at)
    }
}

/// Whether a `$` at `at` belongs to the packet; `None` if more bytes are needed.
fn inner_dollar(src: &[u8], at: usize, is_batch: bool) -> Option<bool> {
    let after = src.get(at + 1..).unwrap_or_default();
    if at == 1 {
        // `$$Header`, but not a stray `$` before `$,BTH`.
        return after.first().map(|byte| *byte != b',');
    }
    if is_batch {
        // `$,01,L,`: a record of the batch.
        return match after {
            [b',', a, b, b',', s, ..] => {
                Some(a.is_ascii_digit() && b.is_ascii_digit() && matches!(s, b'L' | b'H'))
            }
            [] | [b','] | [b',', _] | [b',', _, _] | [b',', _, _, b','] => None,
            _ => Some(false),
        };
    }
    let before = src.get(1..at).unwrap_or_default();
    let first = before
        .split(|b| *b == b'$')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let is_login = match first {
        [head @ .., last] if !head.is_empty() => {
            !head.contains(&b',') && (*last == b',' || !before.contains(&b','))
        }
        _ => false,
    };
    if !is_login {
        return Some(false);
    }
    if is_dollar_login(src, at) {
        return Some(false);
    }
    // `$reg$imei$…$E$` is over with its last `$`; others go on unless a header follows.
    match after {
        [] => None,
        [b',', ..] => Some(false),
        _ => {
            let len = after
                .iter()
                .position(|b| matches!(b, b',' | b'$' | b'*' | b'\r' | b'\n'));
            match len {
                // A header is a short word of letters that a comma follows; in `$reg,$imei,` the
                // comma is followed by `$`.
                Some(len) => {
                    let word = after.get(..len).unwrap_or_default();
                    let comma = after.get(len) == Some(&b',');
                    let is_header = comma && is_known_header(word);
                    if is_header && after.get(len + 1).is_none() {
                        return None;
                    }
                    Some(!(is_header && after.get(len + 1) != Some(&b'$')))
                }
                None if after.len() < 64 => None,
                None => Some(true),
            }
        }
    }
}

/// Words that begin a packet after `$`, for telling a `$`-separated login from what follows it.
fn is_known_header(word: &[u8]) -> bool {
    const KNOWN: [&[u8]; 20] = [
        b"NRM", b"ALT", b"LGN", b"EPB", b"HLM", b"HLP", b"HEL", b"HMP", b"HLT", b"NMP", b"PVT",
        b"Header", b"HEADER", b"HDR", b"DP", b"RLP", b"LI", b"LIN", b"2030", b"TEL123",
    ];
    KNOWN.contains(&word)
}

/// Whether the `$` at `at` ends `$reg$imei$fw$protocol$lat$N$lon$E$`.
fn is_dollar_login(src: &[u8], at: usize) -> bool {
    let before = src.get(1..at).unwrap_or_default();
    if before.contains(&b',') || !before.ends_with(b"$E") && !before.ends_with(b"$W") {
        return false;
    }
    before.split(|b| *b == b'$').count() == 8
}
