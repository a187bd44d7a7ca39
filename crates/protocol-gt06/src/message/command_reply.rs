//! 0x15 and 0x21, the answer to a command, as text.
//!
//! 0x15, under `78 78`:
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | size | 4 + length of the text; 0 on some models, too large on others |
//! | 1 | 4 | flag | that of the 0x80 it answers |
//! | 5 | | text | ASCII, padded with zeros by some |
//! | | 2 | language | 1 Chinese, 2 English; not always there |
//!
//! 0x21, under `79 79`:
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | flag | that of the 0x80 it answers |
//! | 4 | 1 | encoding | 1 ASCII, 2 UTF-16BE |
//! | 5 | | text | |
//!
//! Concox GT06 manual; the padding and the size of 0 are seen on devices. Neither is answered. Old
//! models repeat a flag of 0, whatever they were sent.

use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::{DecodeError, Dialect};

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    /// The flag of the command that is answered; old models repeat 0.
    pub flag: u32,
    /// The text as sent, with its padding; see [`CommandReply::to_text`].
    pub raw_text: Bytes,
    /// 0x15 or 0x21.
    pub form: CommandReplyForm,
}

/// What differs between the two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandReplyForm {
    /// 0x15.
    Short {
        /// The size as sent: 4 + length of the text, or 0.
        raw_size: u8,
        /// 1 Chinese, 2 English.
        language: Option<u16>,
        /// Bytes that no manual describes.
        tail: Bytes,
    },
    /// 0x21.
    Long {
        /// 1 ASCII, 2 UTF-16BE.
        encoding: u8,
    },
}

impl CommandReply {
    /// An answer in ASCII, as most devices send it.
    #[must_use]
    pub fn new(flag: u32, text: &str) -> Self {
        Self {
            flag,
            raw_text: Bytes::copy_from_slice(text.as_bytes()),
            form: CommandReplyForm::Long { encoding: 1 },
        }
    }

    /// The text as the device wrote it, blanks and all, without the zeros that pad it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self.form {
            CommandReplyForm::Long { encoding: 2 } => crate::answer::utf16(&self.raw_text),
            _ => String::from(String::from_utf8_lossy(&self.raw_text).trim_matches('\0')),
        }
    }

    fn decode_short<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let raw_size = r.u8("size")?;
        let flag = r.u32("server flag")?;
        let left = r.remaining();
        let promised = usize::from(raw_size)
            .checked_sub(4)
            .filter(|len| *len <= left);
        // Without a size that can be true, a language is recognised by its value.
        let (len, has_language) = match (promised, r.peek()) {
            (Some(len), _) => (len, left >= len + 2),
            (None, [.., 0, 0..=2]) => (left.saturating_sub(2), true),
            (None, _) => (left, false),
        };
        let raw_text = r.bytes("text", len)?;
        if len > 0 {
            r.note(|| crate::answer::ascii(&raw_text));
        }
        let language = if has_language {
            Some(crate::field::language(r)?)
        } else {
            None
        };
        Ok(Self {
            flag,
            raw_text,
            form: CommandReplyForm::Short {
                raw_size,
                language,
                tail: r.take_rest("unknown"),
            },
        })
    }

    fn decode_long<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let flag = r.u32("server flag")?;
        let encoding = r.u8("encoding")?;
        r.note(|| match encoding {
            1 => "ASCII".into(),
            2 => "UTF-16BE".into(),
            other => alloc::format!("unknown ({other}), read as ASCII"),
        });
        let reply = Self {
            flag,
            raw_text: r.take_rest("text"),
            form: CommandReplyForm::Long { encoding },
        };
        if !reply.raw_text.is_empty() {
            r.note(|| reply.to_text());
        }
        Ok(reply)
    }
}

impl Body for CommandReply {
    const NAME: &'static str = "command_reply";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(match cx.number() {
            0x15 => cx.is_short() && !cx.body.is_empty(),
            _ => cx.is_long(),
        })
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        if cx.is_long() {
            Self::decode_long(r)
        } else {
            Self::decode_short(r)
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match &self.form {
            CommandReplyForm::Short {
                raw_size,
                language,
                tail,
            } => {
                out.put_u8(*raw_size);
                out.put_u32(self.flag);
                out.put_slice(&self.raw_text);
                out.extend(language.iter().flat_map(|word| word.to_be_bytes()));
                out.put_slice(tail);
            }
            CommandReplyForm::Long { encoding } => {
                out.put_u32(self.flag);
                out.put_u8(*encoding);
                out.put_slice(&self.raw_text);
            }
        }
    }

    fn number(&self) -> u8 {
        match self.form {
            CommandReplyForm::Short { .. } => 0x15,
            CommandReplyForm::Long { .. } => 0x21,
        }
    }

    fn start(&self) -> Start {
        match self.form {
            CommandReplyForm::Short { .. } => Start::Short,
            CommandReplyForm::Long { .. } => Start::Long,
        }
    }

    /// By the firmware that it names.
    fn dialect(&self) -> Option<Dialect> {
        Dialect::of_text(&self.to_text())
    }

    /// Key: where the frame arrived. The flag is no key, since old models repeat 0 for ever.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::CommandReply, 0);
        report.more.reply_to = Some(self.flag);
        let text = self.to_text();
        note_answer(cx, report, self.flag, &text);
        report.more.text = Some(text.into());
        if let CommandReplyForm::Short { tail, .. } = &self.form {
            cx.note_tail(report, tail);
        }
    }
}

/// Adds the values of an answer's text to a report.
#[cfg(feature = "telemetry")]
fn note_answer(
    cx: &crate::normalize::Context<'_>,
    report: &mut milepost_telemetry::Report,
    flag: u32,
    text: &str,
) {
    let answer = crate::answer::Reading::read(text);
    answer.normalize(report);
    let mut to_command = milepost_telemetry::CommandAnswer::new(text);
    // Models that do not repeat the number send 0.
    to_command.flag = (flag != 0).then_some(flag);
    to_command.outcome = answer.outcome.map(Into::into);
    to_command.verb = answer.verb.map(Into::into);
    report.more.answer = Some(to_command);
    if let Some(time) = answer.position.and_then(|position| position.time) {
        report.raw_time = Some(crate::normalize::raw_time(time));
        if let (Some((utc, zone)), Some(fix)) = (cx.utc(time), &mut report.fix) {
            fix.time = Some(utc);
            report.set_device_time(utc, milepost_telemetry::TimeSource::Fix, zone);
        }
    }
}
