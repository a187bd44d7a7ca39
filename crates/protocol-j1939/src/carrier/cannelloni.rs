//! cannelloni: SocketCAN frames packed tightly, over TCP or UDP.
//!
//! A frame:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | identifier, big endian, with the kernel's flags (bit 31: 29 bits, bit 30: remote, bit 29: error frame) |
//! | 1 | data length; bit 7: CAN FD |
//! | 1 | flags, only with CAN FD |
//! | n | data; none for remote frames |
//!
//! - **TCP**: each side sends `CANNELLONIv1` once, then frames. There is no delimiter: after a frame
//!   that cannot be read everything is passed over up to the next `CANNELLONIv1`
//!   ([`Carrier::is_lost`](super::Carrier::is_lost); the connection should be closed).
//! - **UDP**: each datagram has a header: version 2, operation 0, a sequence number, and the number of
//!   frames in two bytes, big endian. After a frame that cannot be read the rest of the datagram is
//!   passed over; its end is a pause.
//!
//! No time stamp. Source: the protocol's description and captures.

use bytes::{BufMut, Bytes};
use memchr::memmem;

use super::deframe::{Deframe, Scan};
use super::record::{Reason, RecordKind};
use super::socketcan::{Id, is_length, kind};
use crate::CanFrame;

/// What each side of a TCP connection sends first.
pub(super) const GREETING: &[u8; 12] = b"CANNELLONIv1";
/// The longest frame: CAN FD with 64 bytes.
pub(super) const LONGEST: usize = 70;

const VERSION: u8 = 2;
const DATA: u8 = 0;
const FD: u8 = 0x80;

enum Frame {
    Good { len: usize, kind: RecordKind },
    More,
    Bad,
}

fn frame(bytes: &[u8]) -> Frame {
    let Some((id, rest)) = bytes.split_first_chunk::<4>() else {
        return Frame::More;
    };
    let id = u32::from_be_bytes(*id);
    let Some(is_remote) = (match Id::of(id) {
        Some(Id::Can { is_remote, .. }) => Some(is_remote),
        Some(Id::Error) => Some(false),
        None => None,
    }) else {
        return Frame::Bad;
    };
    let Some((length, rest)) = rest.split_first() else {
        return Frame::More;
    };
    let is_fd = length & FD != 0;
    let len = length & !FD;
    // CAN FD has no remote frames.
    if !is_length(len) || !is_fd && len > 8 || is_fd && is_remote {
        return Frame::Bad;
    }
    let head = if is_fd { 6usize } else { 5 };
    let used = if is_remote { 0 } else { usize::from(len) };
    let size = head.saturating_add(used);
    if bytes.len() < size {
        return Frame::More;
    }
    match kind(id, len, is_fd, rest) {
        Some(kind) => Frame::Good { len: size, kind },
        None => Frame::Bad,
    }
}

/// Finds the frames of a TCP stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Tcp {
    state: TcpState,
    has_greeted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum TcpState {
    #[default]
    Greeting,
    Frames,
    Lost,
}

impl Tcp {
    /// Everything up to the next greeting; its possible beginning at the end stays.
    fn lost(&mut self, bytes: &[u8]) -> Scan {
        self.state = TcpState::Lost;
        let len = match memmem::find(bytes, GREETING) {
            Some(0) => {
                self.state = TcpState::Frames;
                return Scan::notice(GREETING.len());
            }
            Some(at) => at,
            None => (0..bytes.len())
                .find(|at| {
                    bytes
                        .get(*at..)
                        .is_some_and(|end| GREETING.starts_with(end))
                })
                .unwrap_or(bytes.len()),
        };
        if len == 0 {
            return Scan::More;
        }
        let reason = Reason::Lost;
        Scan::Skip { len, reason }
    }
}

impl Deframe for Tcp {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        match self.state {
            TcpState::Greeting if bytes.starts_with(GREETING) => {
                self.state = TcpState::Frames;
                Scan::notice(GREETING.len())
            }
            TcpState::Greeting if GREETING.starts_with(bytes) => Scan::More,
            TcpState::Frames => match frame(bytes) {
                Frame::Good { len, kind } => Scan::Record { len, kind },
                Frame::More => Scan::More,
                Frame::Bad => self.lost(bytes),
            },
            TcpState::Greeting | TcpState::Lost => self.lost(bytes),
        }
    }

    fn take_output(&mut self) -> Option<Bytes> {
        if self.has_greeted {
            return None;
        }
        self.has_greeted = true;
        Some(Bytes::from_static(GREETING))
    }

    fn is_lost(&self) -> bool {
        self.state == TcpState::Lost
    }
}

/// Finds the frames of datagrams.
#[derive(Debug, Clone, Default)]
pub(super) struct Udp {
    state: UdpState,
    is_quiet: bool,
}

#[derive(Debug, Clone, Default)]
enum UdpState {
    #[default]
    Header,
    Frames {
        left: u16,
    },
    Skipping,
}

/// Length of a datagram's header.
pub(super) const HEADER: usize = 5;

impl Udp {
    fn header(&mut self, bytes: &[u8]) -> Option<Scan> {
        let [version, operation, rest @ ..] = bytes else {
            let is_bad = bytes.first().is_some_and(|version| *version != VERSION);
            return is_bad.then(|| self.skip(bytes));
        };
        // Operations 1 and 2 are acknowledgements, with the same header and no frames.
        if *version != VERSION || *operation > 2 {
            return Some(self.skip(bytes));
        }
        let [_sequence, high, low, ..] = rest else {
            return None;
        };
        let left = u16::from_be_bytes([*high, *low]);
        if *operation == DATA && left > 0 {
            self.state = UdpState::Frames { left };
        }
        Some(Scan::notice(HEADER))
    }

    const fn skip(&mut self, bytes: &[u8]) -> Scan {
        self.state = UdpState::Skipping;
        let reason = Reason::OutOfSync;
        let len = bytes.len();
        Scan::Skip { len, reason }
    }
}

impl Deframe for Udp {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        let found = match self.state {
            _ if bytes.is_empty() => None,
            UdpState::Header => self.header(bytes),
            UdpState::Frames { left } => match frame(bytes) {
                Frame::Good { len, kind } => {
                    self.state = match left.saturating_sub(1) {
                        0 => UdpState::Header,
                        left => UdpState::Frames { left },
                    };
                    Some(Scan::Record { len, kind })
                }
                Frame::Bad => Some(self.skip(bytes)),
                Frame::More => None,
            },
            UdpState::Skipping => Some(self.skip(bytes)),
        };
        if let Some(found) = found {
            return found;
        }
        if self.is_quiet {
            // The datagram ended: nothing of it continues in the next one.
            if !bytes.is_empty() {
                return self.skip(bytes);
            }
            self.state = UdpState::Header;
            self.is_quiet = false;
        }
        Scan::More
    }

    fn on_pause(&mut self) {
        self.is_quiet = true;
    }
}

/// Appends a frame, without greeting or header.
pub(super) fn encode(frame: &CanFrame, out: &mut impl BufMut) {
    out.put_u32(Id::flagged(frame));
    out.put_u8(frame.dlc());
    out.put_slice(frame.data());
}

/// Appends a datagram's header.
pub(super) fn encode_header(sequence: u8, count: u16, out: &mut impl BufMut) {
    out.put_slice(&[VERSION, DATA, sequence]);
    out.put_u16(count);
}
