//! Thirteen-byte records of CAN-to-Ethernet converters.
//!
//! | byte | content |
//! |---|---|
//! | 0 | bit 7: 29-bit identifier; bit 6: remote frame; bits 5, 4: zero; bits 3 to 0: data length |
//! | 1–4 | identifier, big endian |
//! | 5–12 | data, filled with zero bytes |
//!
//! No delimiter, no time stamp, no channel. Converters may send a text of their own at the start or
//! when idle. Length codes 9 to 15 are read as 8 bytes while the alignment is sure.
//! Source: manuals of the converters (USR, Waveshare, ZLG, Ebyte).

use super::deframe::{Check, Layout};
use super::record::RecordKind;
use crate::{CanFrame, CanId};

/// Length of a record.
pub(super) const LEN: usize = 13;

const EXTENDED: u8 = 0x80;
const REMOTE: u8 = 0x40;
const ZERO: u8 = 0x30;
const LENGTH: u8 = 0x0F;

#[derive(Debug, Clone)]
pub(super) struct Thirteen;

impl Layout for Thirteen {
    fn check(&self, bytes: &[u8], strict: bool) -> Check {
        let Some(info) = bytes.first() else {
            return Check::More;
        };
        if info & ZERO != 0 || strict && info & LENGTH > 8 {
            return Check::Bad;
        }
        // Judged as soon as the bytes are there, so that a converter's text waits for nothing.
        if let Some([_, id @ ..]) = bytes.first_chunk::<5>()
            && self::id(*info, *id).is_none()
        {
            return Check::Bad;
        }
        let Some(record) = bytes.first_chunk::<LEN>() else {
            return Check::More;
        };
        match frame(record, strict) {
            Some(frame) => Check::Good {
                len: LEN,
                kind: RecordKind::Frame(frame),
            },
            None => Check::Bad,
        }
    }
}

fn id(info: u8, bytes: [u8; 4]) -> Option<CanId> {
    let raw = u32::from_be_bytes(bytes);
    if info & EXTENDED == 0 {
        CanId::standard(u16::try_from(raw).ok()?)
    } else {
        CanId::extended(raw)
    }
}

fn frame(record: &[u8; LEN], strict: bool) -> Option<CanFrame> {
    let [info, i0, i1, i2, i3, data @ ..] = record;
    let id = id(*info, [*i0, *i1, *i2, *i3])?;
    let len = (info & LENGTH).min(8);
    let is_remote = info & REMOTE != 0;
    let used = if is_remote { 0 } else { usize::from(len) };
    let (data, fill) = data.split_at_checked(used)?;
    // Zero bytes are what idle lines and padding look like: they agree with nothing.
    let is_doubtful = fill.iter().any(|byte| *byte != 0) || record.iter().all(|byte| *byte == 0);
    if strict && is_doubtful {
        return None;
    }
    if is_remote {
        return CanFrame::remote(id, len).ok();
    }
    CanFrame::new(id, data).ok()
}

/// Appends a record.
pub(super) fn encode(frame: &CanFrame, out: &mut impl bytes::BufMut) {
    let extended = if frame.id().is_extended() {
        EXTENDED
    } else {
        0
    };
    let remote = if frame.is_remote() { REMOTE } else { 0 };
    out.put_u8(extended | remote | frame.dlc());
    out.put_u32(frame.id().raw());
    out.put_slice(frame.data());
    out.put_bytes(0, CanFrame::MAX_LEN.saturating_sub(frame.data().len()));
}
