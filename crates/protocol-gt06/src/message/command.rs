//! 0x80, a command from a server: the text of an SMS command and a number that comes back in the
//! answer (0x15, 0x21).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | size | 4 + length of the text |
//! | 1 | 4 | flag | comes back in the answer |
//! | 5 | size − 4 | text | ASCII, normally ending in `#` |
//! | | 0 or 2 | language | 1 Chinese, 2 English; old GT06 refuse it, some newer ones need it |
//!
//! Concox GT06 manual. Texts that do not fit into a `78 78` frame are sent in a `79 79` one. No
//! manual states how a size above 255 is written there; ours is then 0, "not stated", as devices
//! write theirs in 0x15, since a wrong one could make a device carry out half a command.

use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};

/// A command from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// How the frame starts.
    pub start: Start,
    /// The size as sent: 4 + length of the text.
    pub raw_size: u8,
    /// Comes back in the answer.
    pub flag: u32,
    /// The command.
    pub text: Bytes,
    /// 1 Chinese, 2 English.
    pub language: Option<u16>,
}

impl Command {
    /// A command in a frame that it fits in.
    #[must_use]
    pub fn new(flag: u32, text: &str, language: Option<u16>) -> Self {
        let size = text.len() + 4;
        let length = 1 + size + if language.is_some() { 2 } else { 0 } + 5;
        Self {
            start: if length > usize::from(u8::MAX) {
                Start::Long
            } else {
                Start::Short
            },
            raw_size: u8::try_from(size).unwrap_or(0),
            flag,
            text: Bytes::copy_from_slice(text.as_bytes()),
            language,
        }
    }
}

impl Body for Command {
    const NAME: &'static str = "command";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.head.serial().is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let raw_size = r.u8("size")?;
        let flag = r.u32("server flag")?;
        // Without a size, a language word is recognised by its value, which no text ends in.
        let left = r.remaining();
        let has_language = match raw_size {
            0 => matches!(r.peek(), [.., 0, 1 | 2]),
            _ => usize::from(raw_size).wrapping_sub(4).wrapping_add(2) == left,
        };
        let text = r.bytes(
            "text",
            if has_language {
                left.saturating_sub(2)
            } else {
                left
            },
        )?;
        r.note(|| String::from_utf8_lossy(&text).into_owned());
        let language = if has_language {
            Some(crate::field::language(r)?)
        } else {
            None
        };
        Ok(Self {
            start: cx.head.start(),
            raw_size,
            flag,
            text,
            language,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.raw_size);
        out.put_u32(self.flag);
        out.put_slice(&self.text);
        if let Some(language) = self.language {
            out.put_u16(language);
        }
    }

    fn number(&self) -> u8 {
        0x80
    }

    fn start(&self) -> Start {
        self.start
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    fn the_worked_examples() {
        let relay = Command::new(1, "RELAY,1#", None);
        assert_eq!(
            hex::encode(Message::from(relay).to_bytes(1)),
            "787812800c0000000152454c41592c312300017edc0d0a"
        );
        let relay = Command::new(1, "RELAY,1#", Some(2));
        assert_eq!(
            hex::encode(Message::from(relay).to_bytes(1)),
            "787814800c0000000152454c41592c312300020001ee4d0d0a"
        );
    }

    #[test]
    fn a_long_command_goes_into_a_long_frame() {
        let text = "X".repeat(300);
        for language in [None, Some(2)] {
            let command = Message::from(Command::new(7, &text, language));
            let raw = command.to_bytes(1);
            let frame = crate::Frame::parse(raw, crate::Framing::Checked).unwrap();
            assert_eq!(frame.start(), Start::Long);
            assert_eq!(
                Message::decode(&frame, crate::Dialect::default()),
                Ok(command)
            );
        }
    }
}
