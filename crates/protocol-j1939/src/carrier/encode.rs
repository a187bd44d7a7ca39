//! Frames to bytes in each form, for simulators and tests.

use bytes::{BufMut, BytesMut};

use super::{Form, candump, cannelloni, elm327, socketcan, socketcand, thirteen};
use crate::CanFrame;

/// Writes frames in one form.
///
/// ```
/// use bytes::BytesMut;
/// use milepost_protocol_j1939::carrier::{Carrier, Encoder, Form};
/// use milepost_protocol_j1939::{CanFrame, CanId};
///
/// let frame = CanFrame::new(CanId::extended(0x18FEF100).unwrap(), &[0xF3, 0x00])?;
/// let mut bytes = BytesMut::new();
/// Encoder::new(Form::Slcan).encode(&frame, &mut bytes)?;
/// assert_eq!(bytes, "T18FEF1002F300\r");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Encoder {
    form: Form,
    sequence: u8,
}

impl Encoder {
    /// An encoder of this form.
    #[must_use]
    pub const fn new(form: Form) -> Self {
        Self { form, sequence: 0 }
    }

    /// Appends what a sender writes before its first frame: the greeting of cannelloni over TCP
    /// and of socketcand; nothing in other forms.
    pub fn greet(&self, out: &mut BytesMut) {
        match self.form {
            Form::Cannelloni => out.put_slice(cannelloni::GREETING),
            Form::Socketcand => out.put_slice(b"< hi >"),
            _ => {}
        }
    }

    /// Appends one frame; in `cannelloni-udp` a datagram with one frame.
    ///
    /// Time stamps are written where the form has them: socketcand always (zero if the frame has
    /// none), candump and SLCAN if the frame has one, SLCAN in milliseconds within a minute.
    ///
    /// # Errors
    /// A remote frame in a form without remote frames. Nothing is appended.
    pub fn encode(&mut self, frame: &CanFrame, out: &mut BytesMut) -> Result<(), NoRemote> {
        match self.form {
            Form::ThirteenByte => thirteen::encode(frame, out),
            Form::Candump => {
                out.put_slice(candump::line_of(frame, "can0").as_bytes());
                out.put_u8(b'\n');
            }
            Form::Slcan => slcan(frame, out),
            Form::SocketCan(order) => socketcan::encode(frame, order, out),
            Form::Cannelloni => cannelloni::encode(frame, out),
            Form::CannelloniUdp => self.datagram(core::slice::from_ref(frame), out),
            Form::Socketcand => return written(socketcand::encode(frame, out)),
            Form::Elm327 => return written(elm327::encode(frame, out)),
        }
        Ok(())
    }

    /// Appends a cannelloni datagram with these frames; at most 65 535 of them are written.
    pub fn datagram(&mut self, frames: &[CanFrame], out: &mut BytesMut) {
        let count = u16::try_from(frames.len()).unwrap_or(u16::MAX);
        cannelloni::encode_header(self.sequence, count, out);
        self.sequence = self.sequence.wrapping_add(1);
        for frame in frames.iter().take(usize::from(count)) {
            cannelloni::encode(frame, out);
        }
    }
}

fn written(is_written: bool) -> Result<(), NoRemote> {
    if is_written { Ok(()) } else { Err(NoRemote) }
}

fn slcan(frame: &CanFrame, out: &mut BytesMut) {
    let command = match (frame.id().is_extended(), frame.is_remote()) {
        (false, false) => 't',
        (true, false) => 'T',
        (false, true) => 'r',
        (true, true) => 'R',
    };
    let mut line = alloc::format!("{command}{}{:X}", frame.id(), frame.dlc());
    // Writing to a string cannot fail.
    for byte in frame.data() {
        let _infallible = core::fmt::Write::write_fmt(&mut line, format_args!("{byte:02X}"));
    }
    if let Some(time) = frame.time() {
        let ms = time.as_micros() / 1_000 % 60_000;
        let _infallible = core::fmt::Write::write_fmt(&mut line, format_args!("{ms:04X}"));
    }
    line.push('\r');
    out.put_slice(line.as_bytes());
}

/// A remote frame in a form without remote frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form carries no remote frames")]
pub struct NoRemote;
