//! Frames as devices write them, right and wrong.

use bytes::{Bytes, BytesMut};
use milepost_protocol_gt06::{Frame, Framing, Start, checksum, frame};

/// How a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With serial and checksum.
    Checked(Start),
    /// Without, by the relatives; with the length that it announces.
    Bare(u8),
}

impl Form {
    #[must_use]
    pub fn of(frame: &Frame) -> Self {
        match frame.serial() {
            Some(_) => Self::Checked(frame.start()),
            None => Self::Bare(u8::try_from(frame.head().announced()).unwrap_or_default()),
        }
    }

    #[must_use]
    pub const fn framing(self) -> Framing {
        match self {
            Self::Checked(_) => Framing::Checked,
            Self::Bare(_) => Framing::Bare,
        }
    }

    /// The frame with this number, serial and body. A body that is too long is cut.
    #[must_use]
    pub fn write(self, number: u8, serial: u16, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Checked(start) => frame::encode(start, number, serial, &mut out, |out| {
                out.extend_from_slice(body);
            }),
            Self::Bare(announced) => frame::encode_relative(announced, number, &mut out, body),
        }
        out.freeze()
    }
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Its checksum.
    Checksum,
    /// Its length; the checksum is right for the bytes as sent.
    Length,
    /// Its last byte is missing.
    End,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::None, Self::Checksum, Self::Length, Self::End];

    /// Damages a frame that [`Form::write`] wrote.
    #[must_use]
    pub fn apply(self, form: Form, mut frame: Vec<u8>) -> Vec<u8> {
        let end = frame.len();
        match (self, form) {
            (Self::None, _) | (Self::Checksum, Form::Bare(_)) => {}
            (Self::Checksum, Form::Checked(_)) => frame[end - 3] ^= 0x10,
            (Self::Length, _) => {
                let at = match form {
                    Form::Checked(Start::Long | Start::Wide) => 3,
                    _ => 2,
                };
                frame[at] = frame[at].wrapping_add(3);
                if let Form::Checked(_) = form {
                    let sum = checksum(&frame[2..end - 4]).to_be_bytes();
                    frame[end - 4..end - 2].copy_from_slice(&sum);
                }
            }
            (Self::End, _) => _ = frame.pop(),
        }
        frame
    }
}
