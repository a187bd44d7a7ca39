//! Where a TranSync frame ends.
//!
//! The form has no checksum, and each of its lengths may lie. So a frame may hold no beginning of
//! another packet: where following the lengths would pass one, the frame is given up and the
//! stream goes on there.

use super::{Found, LONGEST, begins};

/// Length of the head after its length byte; a longer one is allowed for, a shorter one would cut
/// off known fields.
const HEAD: usize = 43;
/// How many bytes tell that a packet begins: start, length, LAC and IMEI.
pub(super) const EVIDENCE: usize = 13;

/// Whether these bytes begin with the head of a TranSync frame, as far as its IMEI.
///
/// The IMEI's first byte is a control character, so that no text looks like this.
pub(super) fn is_transync(src: &[u8]) -> bool {
    let Some([0x3a, 0x3a, len, _, _, imei @ ..]) = src.first_chunk::<EVIDENCE>() else {
        return false;
    };
    let is_bcd = |b: &u8| b >> 4 <= 9 && b & 0x0f <= 9;
    usize::from(*len) >= HEAD && imei[0] <= 9 && imei.iter().all(is_bcd)
}

/// Whether a packet of any form surely begins here; `None` if more bytes are needed. One byte `$`
/// is no proof inside binary values; text after it is.
fn is_other(src: &[u8]) -> Option<bool> {
    let known = src.len() >= EVIDENCE;
    match src {
        [0x3a, 0x3a, ..] | [0x3a] => known.then(|| is_transync(src)),
        [b'$', ..] => {
            let mut text = src.iter().take(EVIDENCE);
            let is_text = text.all(|b| matches!(b, b' '..=b'~'));
            (known || !is_text).then_some(is_text)
        }
        // Commands and foreign forms begin with one or two bytes that values may hold.
        [b'^' | b'@' | b'[', ..] => Some(false),
        _ => begins(src),
    }
}

/// A length, then blocks of type, length and value up to `23 23`.
pub(super) fn transync(src: &[u8]) -> Found {
    let Some(len) = src.get(2).copied().map(usize::from) else {
        return Found::More(0);
    };
    if len < HEAD {
        return Found::Skip(1);
    }
    let mut at = len + 3;
    // The end, if following the lengths reaches it within these bytes.
    let end = loop {
        match (src.get(at), src.get(at + 1)) {
            (Some(0x23), Some(0x23)) => break Some(at + 2),
            (Some(_), Some(len)) => at += 2 + usize::from(*len),
            _ => break None,
        }
    };
    // Only what lies before the end counts, and places are decided in order: so the answer does not
    // depend on how much has come after them.
    let reach = end.unwrap_or(src.len()).min(LONGEST);
    let is_whole = end.is_some() || src.len() >= LONGEST;
    for at in 1..reach {
        match is_other(src.get(at..reach).unwrap_or_default()) {
            Some(true) => return Found::Skip(at),
            None if !is_whole => return Found::More(0),
            _ => {}
        }
    }
    match end {
        Some(end) if end <= LONGEST => Found::Packet(end, 0),
        _ if is_whole => Found::Skip(2),
        _ => Found::More(0),
    }
}
