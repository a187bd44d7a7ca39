//! How frames of the relatives without serial and checksum (Topin, ZX303, 365GPS) are delimited.
//!
//! `78 78 LEN NUM body 0D 0A`. LEN is the size of the body, a count of WiFi stations, 0 or 1, so
//! the size follows from the contents.

use crate::field::is_digits;

/// What is known about the size of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// The frame has this many bytes, stop bytes included.
    Exactly(usize),
    /// That many bytes must be there before more is known.
    More(usize),
}

/// Marker, LEN, NUM and the stop bytes.
const AROUND: usize = 6;

/// The size of the relative's frame that `src` begins with, if its number gives it.
pub(crate) fn find(src: &[u8]) -> Option<Size> {
    let (announced, number, body) = match src {
        [0x78, 0x78, announced, number, body @ ..] => (announced, number, body),
        [0x78, 0x78, _] => return Some(Size::More(4)),
        _ => return None,
    };
    let announced = usize::from(*announced);
    let sized = |len: usize| Some(at_stop(src, AROUND + len));
    let one_of = |lens: &[usize]| {
        // The first one that may be: a longer one is not looked at before its turn.
        lens.iter().find_map(|len| at_stop(src, AROUND + len))
    };
    match number {
        // The next byte may be none of an id.
        0x01 if body.len() < 8 && is_id(body) => Some(Size::More(src.len() + 1)),
        0x01 if is_id(body) => one_of(&[8, 9, 10]),
        0x08 | 0x14 | 0x15 | 0x30 | 0x92..=0x94 | 0x99 if announced <= 1 => sized(0)?,
        0x13 => one_of(&[4, 5, 6, 7]),
        0x08 | 0x09 | 0x10 | 0x11 => one_of(&[18, 20, 21]),
        0x17..=0x1a | 0x69 => {
            // T6, LEN stations of 7, a count of cells, MCC and MNC, that many cells of 5, and
            // perhaps one byte of alarm.
            let count_at = 6 + announced * 7;
            let Some(cells) = body.get(count_at) else {
                return Some(Size::More(4 + count_at + 1));
            };
            let len = count_at + 1 + 3 + usize::from(*cells) * 5;
            one_of(&[len, len + 1])
        }
        _ => None,
    }
}

/// Whether a login begins with a terminal's id, as far as it is there: two digits a byte. Noise that
/// looks like a login would make another device of the sender.
fn is_id(body: &[u8]) -> bool {
    is_digits(body.get(..8).unwrap_or(body))
}

/// A frame of `len` bytes if stop bytes end it.
fn at_stop(src: &[u8], len: usize) -> Option<Size> {
    match src.get(len.checked_sub(2)?..len) {
        Some([0x0d, 0x0a]) => Some(Size::Exactly(len)),
        Some(_) => None,
        None => Some(Size::More(len)),
    }
}

/// Whether a frame whose checksum is wrong has the shape of a relative's frame, which has none.
///
/// Each shape has a size that no frame of that number has when serial and checksum are in it; or
/// else its length would be true for such a frame, and then it is one.
pub(crate) fn fits(frame: &[u8]) -> bool {
    let [0x78, 0x78, announced, number, body @ .., 0x0d, 0x0a] = frame else {
        return false;
    };
    let announced = usize::from(*announced);
    let is_checked_length = announced == body.len() + 1;
    match number {
        // With a serial and a checksum a login has 12, 14 or 16 bytes here.
        0x01 => matches!(body.len(), 8..=10) && is_id(body),
        0x08 if body.is_empty() => true,
        // A single cell (0x11, L 13) is as long as a position of theirs.
        0x08 | 0x09 | 0x10 | 0x11 => matches!(body.len(), 18 | 21) && !is_checked_length,
        // A heartbeat of L 08 is as long as a status of theirs.
        0x13 => {
            (4..=7).contains(&body.len())
                && !(body.len() == 7 && is_checked_length)
                && announced != 5
                && (body.len()..=body.len() + 2).contains(&announced)
        }
        0x17..=0x1a | 0x69 => find(frame) == Some(Size::Exactly(frame.len())),
        0x14 | 0x15 | 0x30 | 0x92..=0x94 | 0x99 => body.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::{Deframer, Framing};

    #[test]
    fn a_size_is_never_passed_over_because_its_bytes_have_not_come_yet() {
        let mut frame = [0x55; 24];
        frame[..4].copy_from_slice(&[0x78, 0x78, 0x2f, 0x11]);
        frame[22..].copy_from_slice(&[0x0d, 0x0a]);
        assert_eq!(find(&frame[..3]), Some(Size::More(4)));
        for cut in 4..24 {
            assert_eq!(find(&frame[..cut]), Some(Size::More(24)), "{cut}");
        }
        assert_eq!(find(&frame), Some(Size::Exactly(24)));
        // There are no stop bytes here: the next size is waited for.
        frame[22] = 0x55;
        assert_eq!(find(&frame), Some(Size::More(26)));
    }

    #[test]
    fn a_frame_is_whole_with_its_last_byte_however_few_of_its_first_ones_came_alone() {
        // Its length byte, taken for a size, would reach far after it.
        let frame = [0x78, 0x78, 0x30, 0x13, 80, 5, 0, 10, 0x0d, 0x0a];
        for cut in 1..frame.len() {
            let mut deframer = Deframer::new();
            deframer.set_framing(Framing::Bare);
            let mut stream = BytesMut::from(&frame[..cut]);
            assert_eq!(deframer.next_frame(&mut stream), Ok(None), "{cut}");
            stream.extend_from_slice(&frame[cut..]);
            let found = deframer.next_frame(&mut stream).unwrap();
            assert_eq!(found.expect("whole").raw()[..], frame, "{cut}");
        }
    }

    #[test]
    fn noise_that_is_as_long_as_a_login_names_no_device() {
        let mut login = [
            0x78, 0x78, 0x0d, 0x01, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x01, 0x0d,
            0x0a,
        ];
        assert!(fits(&login));
        assert_eq!(find(&login), Some(Size::Exactly(15)));
        for cut in 4..12 {
            assert_eq!(find(&login[..cut]), Some(Size::More(cut + 1)), "{cut}");
        }
        assert_eq!(find(&login[..12]), Some(Size::More(14)));
        login[9] = 0x0b;
        assert!(!fits(&login));
        assert_eq!(find(&login), None);
        // Known with the byte that is none of an id, however few came before.
        assert_eq!(find(&login[..9]), Some(Size::More(10)));
        assert_eq!(find(&login[..10]), None);
    }
}
