//! Frames: what delimits them, before any field is read.
//!
//! | part | `78 78` | `79 79` | checksum covers it |
//! |---|---|---|---|
//! | start marker | 2 | 2 | |
//! | length: number + body + serial + checksum | 1 | 2 | yes |
//! | number | 1 | 1 | yes |
//! | body | length − 5 | length − 5 | yes |
//! | serial | 2 | 2 | yes |
//! | checksum | 2 | 2 | |
//! | stop, `0D 0A` | 2 | 2 | |
//!
//! Nothing is escaped: bodies may hold `78 78`, `79 79` and `0D 0A`, so only the length delimits,
//! and the length may lie. [`find`] holds the rules for both.

use bytes::{BufMut, Bytes, BytesMut};

use crate::checksum::checksum;
use crate::find::{Found, find, whole};

pub use crate::head::{Checksum, Framing, Head, MAX_LONG, MAX_SHORT, Start};
use crate::head::{MIN_LENGTH, STOP};

/// A delimited frame with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    head: Head,
    raw: Bytes,
}

impl Frame {
    pub(crate) const fn new(head: Head, raw: Bytes) -> Self {
        Self { head, raw }
    }

    /// Reads bytes that should be exactly one frame, such as one that was kept.
    ///
    /// `None` if they are not. For a stream use the [`Deframer`](crate::Deframer).
    #[must_use]
    pub fn parse(raw: Bytes, framing: Framing) -> Option<Self> {
        let head = match find(&raw, true, framing) {
            Found::Frame(head) if head.len() == raw.len() => head,
            // What seems to begin or end inside it was decided by what came after it, which is not
            // kept.
            _ => whole(&raw, framing)?,
        };
        Some(Self::new(head, raw))
    }

    /// Everything but the bytes.
    #[inline]
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// All bytes, as they came.
    #[inline]
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The body: what is between the number and the serial number.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.raw.get(self.head.body()).unwrap_or_default()
    }

    /// The message's number (protocol number).
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.head.number()
    }

    /// How the frame starts.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> Start {
        self.head.start()
    }

    /// The device's counter of frames.
    #[inline]
    #[must_use]
    pub const fn serial(&self) -> Option<u16> {
        self.head.serial()
    }

    /// The verdict on the checksum.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> Checksum {
        self.head.checksum()
    }
}

/// Writes a frame with a true length and checksum around the body that `body` writes.
///
/// A body that is too long for the length field is cut to what fits.
pub fn encode(
    start: Start,
    number: u8,
    serial: u16,
    out: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut),
) {
    let begin = out.len();
    out.put_slice(&start.marker());
    out.put_bytes(0, start.number_offset() - 2);
    out.put_u8(number);
    let body_begin = out.len();
    body(out);
    let room = match start {
        Start::Short | Start::Wide => usize::from(u8::MAX),
        Start::Long => usize::from(u16::MAX),
    } - usize::from(MIN_LENGTH);
    out.truncate(body_begin + room);
    let length = u16::try_from(out.len() - body_begin).unwrap_or(u16::MAX) + MIN_LENGTH;
    let [high, low] = length.to_be_bytes();
    match (out.get_mut(begin + 2..body_begin), start) {
        (Some([short, ..]), Start::Short) => *short = low,
        (Some([first, second, ..]), _) => (*first, *second) = (high, low),
        _ => {}
    }
    out.put_u16(serial);
    let sum = checksum(out.get(begin + 2..).unwrap_or_default());
    out.put_u16(sum);
    out.put_slice(&STOP);
}

/// Writes a frame of the relatives without serial and checksum (Topin, ZX303).
pub fn encode_relative(announced: u8, number: u8, out: &mut BytesMut, body: &[u8]) {
    out.put_slice(&Start::Short.marker());
    out.put_u8(announced);
    out.put_u8(number);
    out.put_slice(body);
    out.put_slice(&STOP);
}
