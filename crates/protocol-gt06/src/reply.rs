//! What a server sends to a device.
//!
//! | message | answer | when |
//! |---|---|---|
//! | 0x01 login, 0x13, 0x23, 0x36 heartbeat | acknowledgement | at once |
//! | 0x16, 0x19, 0x26, 0x27, 0x32, 0x39, 0xA3, 0xA4, 0xA5, 0xA9 alarm; 0x17 and 0xA2 with one | acknowledgement, unless its language is 0 | when it is stored |
//! | AZ735's 0x32, 0x33 | acknowledgement under `79 79` | when it is stored |
//! | 0x17, 0x1A, 0x2A, 0xA7 question for an address | the address, or "NA", see [`address`](crate::address) | at once |
//! | 0x70, 0xF1 | acknowledgement under `78 78`, where the device wants one | when it is stored |
//! | 0x40, 0x41, 0x95 | acknowledgement under the start of the message | when it is stored |
//! | 0x35, 0x36 photo and its blocks | a request for the next block | when it is stored |
//! | 0x9B card | accepted or refused | when it is stored |
//! | 0x8A time request | the time in UTC | at once |
//! | 0x10 to 0x12, 0x22 and other locations | acknowledgement where the [`AckPolicy`] requests it | when it is stored |
//! | without serial and checksum: 01, 13, 30 | 01, the body, the time | at once |
//! | without serial and checksum: 10, 11, 17, 69 | the time as sent | when it is stored |
//! | 0x65, 0x66, 0x8C, 0xB2 and unknown numbers under `78 78` | acknowledgement | when it is stored |
//! | the same under `79 79` | nothing | |
//! | 0x15, 0x21, 0x8B, 0x8D, 0x94, 0xF2, 0xFD | nothing | |
//! | a server's own messages, echoed | nothing | |
//!
//! An acknowledgement repeats number and serial: `78 78 05 NN SS SS crc 0D 0A`. To a message that
//! came under `79 79` it is `79 79 00 05 NN SS SS crc 0D 0A`, but for 0x70 and 0xF1: no manual states it
//! for all numbers, but it is how the two that are documented with `79 79` are answered (0x41,
//! AZ735), and a device that writes one start reads it. So is the time.

use bytes::{Bytes, BytesMut};

use crate::field::{DateTime, topin_time_answer};
use crate::frame::{Start, encode};

/// What a message is answered, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Nothing.
    Silent,
    /// An acknowledgement, at once.
    Now,
    /// An acknowledgement when the message is stored: it means "I have your data".
    WhenDelivered,
    /// An acknowledgement when the message is stored, if the [`AckPolicy`] requests it.
    ByPolicy,
    /// The time, at once; to the relatives without serial and checksum in their form.
    Time,
    /// A frame of the message's own choice, with the serial of the request.
    Frame {
        /// When.
        class: ReplyClass,
        /// How it starts.
        start: Start,
        /// Its number.
        number: u8,
        /// Its body.
        body: Bytes,
    },
    /// Bytes as they are (the relatives without serial and checksum).
    Raw {
        /// When.
        class: ReplyClass,
        /// The whole frame.
        bytes: Bytes,
    },
}

/// When a reply may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyClass {
    /// At once, even while nothing can be stored.
    Now,
    /// When the content of the message is durable; never, if it will not be.
    WhenDelivered,
}

/// A reply, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// When it may leave.
    pub class: ReplyClass,
    /// The frame; two if an alarm gets an address after its acknowledgement.
    pub bytes: Bytes,
}

/// Which messages are acknowledged that by the manuals need no answer.
///
/// Many clones close the connection after some minutes without an acknowledgement of their
/// locations; for most devices one is harmless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AckPolicy {
    /// Acknowledge locations, once they are stored.
    pub locations: bool,
}

impl Answer {
    /// The answer to what no manual states one of: an acknowledgement once it is stored, under
    /// `78 78`; nothing under `79 79`.
    pub(crate) const fn undocumented(start: Start) -> Self {
        match start {
            Start::Short => Self::WhenDelivered,
            Start::Long | Start::Wide => Self::Silent,
        }
    }

    /// An acknowledgement under `78 78` once the message is stored, whatever its own start.
    pub(crate) const fn short_when_delivered(number: u8) -> Self {
        Self::Frame {
            class: ReplyClass::WhenDelivered,
            start: Start::Short,
            number,
            body: Bytes::new(),
        }
    }

    /// The reply, if any. `unix_now` is the time in seconds since 1970.
    #[must_use]
    pub fn reply(
        &self,
        start: Start,
        number: u8,
        serial: Option<u16>,
        policy: AckPolicy,
        unix_now: i64,
    ) -> Option<Reply> {
        if let Self::Raw { class, bytes } = self {
            return Some(Reply {
                class: *class,
                bytes: bytes.clone(),
            });
        }
        if let (Self::Time, None) = (self, serial) {
            return Some(Reply {
                class: ReplyClass::Now,
                bytes: topin_time_answer(unix_now)?,
            });
        }
        // All others repeat the serial; what has none is not acknowledged.
        let serial = serial?;
        let reply = |class, bytes| Some(Reply { class, bytes });
        match self {
            Self::Silent | Self::Raw { .. } => None,
            Self::Now => reply(ReplyClass::Now, acknowledgement(start, number, serial)),
            Self::ByPolicy if !policy.locations => None,
            Self::WhenDelivered | Self::ByPolicy => reply(
                ReplyClass::WhenDelivered,
                acknowledgement(start, number, serial),
            ),
            Self::Time => reply(ReplyClass::Now, time_answer_under(start, serial, unix_now)?),
            Self::Frame {
                class,
                start,
                number,
                body,
            } => {
                let mut out = BytesMut::with_capacity(body.len() + 11);
                encode(*start, *number, serial, &mut out, |out| {
                    out.extend_from_slice(body);
                });
                reply(*class, out.freeze())
            }
        }
    }
}

/// The acknowledgement of a message.
///
/// ```
/// use milepost_protocol_gt06::{Start, reply::acknowledgement};
/// assert_eq!(
///     acknowledgement(Start::Short, 0x01, 1)[..],
///     [0x78, 0x78, 0x05, 0x01, 0x00, 0x01, 0xd9, 0xdc, 0x0d, 0x0a]
/// );
/// ```
#[must_use]
pub fn acknowledgement(start: Start, number: u8, serial: u16) -> Bytes {
    let mut out = BytesMut::with_capacity(11);
    encode(start, number, serial, &mut out, |_| ());
    out.freeze()
}

/// The answer to a time request. `None` outside 2000 to 2099.
#[must_use]
pub fn time_answer(serial: u16, unix_now: i64) -> Option<Bytes> {
    time_answer_under(Start::Short, serial, unix_now)
}

fn time_answer_under(start: Start, serial: u16, unix_now: i64) -> Option<Bytes> {
    let now = DateTime::from_unix(unix_now)?;
    let mut out = BytesMut::with_capacity(16);
    encode(start, 0x8a, serial, &mut out, |out| now.encode(out));
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_examples() {
        for (number, serial, expected) in [
            (0x01, 1, "787805010001d9dc0d0a"),
            (0x13, 0x53, "78780513005398660d0a"),
            (0x23, 8, "787805230008f29e0d0a"),
            (0x36, 0x324, "7878053603248fb00d0a"),
            (0x16, 0x36, "78780516003695700d0a"),
            (0x26, 0x1c, "78780526001c9d860d0a"),
            (0xa4, 0x1a, "787805a4001a41e40d0a"),
            (0x19, 0x94, "78780519009459af0d0a"),
            (0x70, 0x50, "78780570005040d40d0a"),
        ] {
            let reply = acknowledgement(Start::Short, number, serial);
            assert_eq!(hex::encode(reply), expected);
        }
        assert_eq!(
            hex::encode(acknowledgement(Start::Long, 0x70, 0x50)),
            "7979000570005 0737d0d0a".replace(' ', "")
        );
        assert_eq!(
            hex::encode(time_answer(6, 1_451_347_221).unwrap()),
            "78780b8a0f0c1d0000150006f0860d0a"
        );
        assert_eq!(time_answer(6, 0), None);
    }

    #[test]
    fn the_policy_decides_about_locations_alone() {
        let with = |answer: &Answer, locations| {
            answer
                .reply(Start::Short, 0x22, Some(1), AckPolicy { locations }, 0)
                .map(|reply| reply.class)
        };
        assert_eq!(with(&Answer::ByPolicy, false), None);
        assert_eq!(
            with(&Answer::ByPolicy, true),
            Some(ReplyClass::WhenDelivered)
        );
        assert_eq!(
            with(&Answer::WhenDelivered, false),
            Some(ReplyClass::WhenDelivered)
        );
        assert_eq!(with(&Answer::Now, false), Some(ReplyClass::Now));
        assert_eq!(with(&Answer::Silent, true), None);
    }
}
