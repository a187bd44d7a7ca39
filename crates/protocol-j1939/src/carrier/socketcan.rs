//! The kernel's `struct can_frame`, forwarded as it lies in memory.
//!
//! | offset | `can_frame`, 16 bytes | `canfd_frame`, 72 bytes |
//! |---|---|---|
//! | 0–3 | identifier in the order of the host; bit 31: 29 bits, bit 30: remote, bit 29: error frame | same |
//! | 4 | data length, 0 to 8 | 0 to 64 |
//! | 5 | zero | flags; bit 2: CAN FD |
//! | 6 | zero | zero |
//! | 7 | zero, or the raw length code 9 to 15 | zero |
//! | 8– | 8 data bytes | 64 data bytes |
//!
//! Nearly all hosts are little endian; big endian is also what packet captures hold. No time stamp.
//! A CAN FD frame is recognised by its flag or by a length above 8, and passed over; a kernel that
//! sets no flag makes short CAN FD frames unreadable.
//! Source: `linux/can.h`.

use super::deframe::{Check, Layout};
use super::record::RecordKind;
use crate::{CanFrame, CanId};

/// Length of a classic record.
pub(super) const LEN: usize = 16;
/// Length of a CAN FD record.
pub(super) const FD_LEN: usize = 72;

pub(super) const EXTENDED: u32 = 0x8000_0000;
pub(super) const REMOTE: u32 = 0x4000_0000;
pub(super) const ERROR: u32 = 0x2000_0000;
const FD: u8 = 0x04;
const FD_FLAGS: u8 = 0x07;

/// Byte order of the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

#[derive(Debug, Clone)]
pub(super) struct SocketCan(pub(super) ByteOrder);

impl Layout for SocketCan {
    fn check(&self, bytes: &[u8], strict: bool) -> Check {
        let Some((head, _)) = bytes.split_first_chunk::<8>() else {
            return Check::More;
        };
        let [i0, i1, i2, i3, len, flags, reserved, code] = *head;
        let id = match self.0 {
            ByteOrder::Little => u32::from_le_bytes([i0, i1, i2, i3]),
            ByteOrder::Big => u32::from_be_bytes([i0, i1, i2, i3]),
        };
        let is_code = code == 0 || len == 8 && (9..=15).contains(&code);
        if reserved != 0 || !is_code || !is_length(len) || Id::of(id).is_none() {
            return Check::Bad;
        }
        let is_fd = len > 8 || flags & FD != 0;
        let allowed = if is_fd { FD_FLAGS } else { 0 };
        // Only classic data frames are evidence of an alignment.
        if flags & !allowed != 0 || is_fd && code != 0 || strict && (is_fd || id & ERROR != 0) {
            return Check::Bad;
        }
        let size = if is_fd { FD_LEN } else { LEN };
        let Some(record) = bytes.get(..size) else {
            return Check::More;
        };
        if strict && record.iter().all(|byte| *byte == 0) {
            return Check::Bad;
        }
        let data = record.get(8..).unwrap_or_default();
        match kind(id, len, is_fd, data) {
            Some(kind) => Check::Good { len: size, kind },
            None => Check::Bad,
        }
    }
}

/// An identifier with the kernel's flags.
pub(super) enum Id {
    Can { id: CanId, is_remote: bool },
    Error,
}

impl Id {
    pub(super) fn of(raw: u32) -> Option<Self> {
        if raw & ERROR != 0 {
            return Some(Self::Error);
        }
        let id = raw & CanId::MAX_EXTENDED;
        let id = if raw & EXTENDED == 0 {
            CanId::standard(u16::try_from(id).ok()?)?
        } else {
            CanId::extended(id)?
        };
        let is_remote = raw & REMOTE != 0;
        Some(Self::Can { id, is_remote })
    }

    /// The identifier of a frame with its flags.
    pub(super) fn flagged(frame: &CanFrame) -> u32 {
        let extended = if frame.id().is_extended() {
            EXTENDED
        } else {
            0
        };
        let remote = if frame.is_remote() { REMOTE } else { 0 };
        frame.id().raw() | extended | remote
    }
}

/// Whether a frame, classic or CAN FD, can have so many bytes.
pub(super) const fn is_length(len: u8) -> bool {
    matches!(len, 0..=8 | 12 | 16 | 20 | 24 | 32 | 48 | 64)
}

/// What a record with this identifier holds; `data` may be longer than `len`.
pub(super) fn kind(id: u32, len: u8, is_fd: bool, data: &[u8]) -> Option<RecordKind> {
    match Id::of(id)? {
        Id::Error => Some(RecordKind::ErrorFrame),
        _ if is_fd => Some(RecordKind::Fd),
        Id::Can {
            id,
            is_remote: true,
        } => CanFrame::remote(id, len).ok().map(RecordKind::Frame),
        Id::Can { id, .. } => {
            let data = data.get(..usize::from(len))?;
            CanFrame::new(id, data).ok().map(RecordKind::Frame)
        }
    }
}

/// Appends a record.
pub(super) fn encode(frame: &CanFrame, order: ByteOrder, out: &mut impl bytes::BufMut) {
    let id = Id::flagged(frame);
    match order {
        ByteOrder::Little => out.put_u32_le(id),
        ByteOrder::Big => out.put_u32(id),
    }
    out.put_u8(frame.dlc());
    out.put_bytes(0, 3);
    out.put_slice(frame.data());
    out.put_bytes(0, CanFrame::MAX_LEN.saturating_sub(frame.data().len()));
}
