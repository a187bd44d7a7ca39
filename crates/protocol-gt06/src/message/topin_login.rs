//! 0x01 without serial and checksum, login (Topin, ZX303, 365GPS).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 0 or 1 | version | of the firmware |
//!
//! Seen on devices; bytes after are kept.

use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{TerminalId, topin_answer};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A device of the relatives names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopinLogin {
    /// The frame's length byte, as sent.
    pub announced: u8,
    /// Who.
    pub id: TerminalId,
    /// Version of the firmware.
    pub version: Option<u8>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for TopinLogin {
    const NAME: &'static str = "topin_login";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && cx.body.len() >= 8)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        Ok(Self {
            announced: cx.bare().unwrap_or_default(),
            id,
            version: match r.remaining() {
                0 => None,
                _ => Some(r.u8("version")?),
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.id.0);
        out.extend(self.version);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x01
    }

    fn bare(&self) -> Option<u8> {
        Some(self.announced)
    }

    fn answer(&self) -> Answer {
        topin_answer(0x01, self.announced, &[])
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Topin)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Login, 0);
        if let Some(version) = self.version {
            report.identity_mut().firmware = Some(version.to_string().into());
        }
        if report.device.is_none() {
            report.device = self.id.device_id();
        }
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{read_bare, read_body, round_trip_bare};
    use crate::{AckPolicy, Checksum, Deframer, Message, ReplyClass, Session, Start};

    /// LEN is 13 whatever the size is, as devices send it.
    const LOGIN: &str = "78780d01 0123456789012345 42 0d0a";

    #[test]
    fn without_serial_and_checksum_it_is_a_relatives_login() {
        let Message::TopinLogin(login) = read_bare(LOGIN) else {
            panic!("no login")
        };
        assert_eq!(
            (login.id.to_string().as_str(), login.version),
            ("123456789012345", Some(0x42))
        );
        assert_eq!(login.announced, 13);
        let checked = read_body(Start::Short, 0x01, &[1; 10]).unwrap();
        assert!(matches!(checked, Message::Login(_)), "{checked:?}");
    }

    #[test]
    fn every_size_is_written_as_it_was_read() {
        for tail in ["", "42", "42aa"] {
            let message = read_bare(&std::format!("78780d01 0123456789012345 {tail} 0d0a"));
            assert!(matches!(message, Message::TopinLogin(_)), "{message:?}");
            round_trip_bare(&message);
        }
    }

    /// As from a socket: the pause is what ends the first frame, for its length says more.
    fn talk(session: &mut Session, stream: &mut BytesMut) -> crate::Handled {
        let frame = match session.next_frame(stream).unwrap() {
            Some(frame) => frame,
            None => {
                session.on_pause();
                session.next_frame(stream).unwrap().unwrap()
            }
        };
        session.on_frame(&frame, 1_451_347_221)
    }

    #[test]
    fn a_whole_conversation_is_answered_byte_by_byte() {
        let mut session = Session::new(AckPolicy::default());
        let mut stream = BytesMut::new();
        for (sent, answered, class) in [
            (LOGIN, "78780d01 01 0d0a", Some(ReplyClass::Now)),
            ("78780108 0d0a", "", None),
            (
                "78780613 55230803 0d0a",
                "78780613 55230803 0d0a",
                Some(ReplyClass::Now),
            ),
            (
                "78780130 0d0a",
                "78780730 07df0c1d000015 0d0a",
                Some(ReplyClass::Now),
            ),
            (
                "78781210 11091c0b1b29 99 058508040097a89e003452 0d0a",
                "78781210 11091c0b1b29 0d0a",
                Some(ReplyClass::WhenDelivered),
            ),
            (
                "78780169 160413031849 02005e10000132 0101cc00 28660f2132 0d0a",
                "78780169 160413031849 0d0a",
                Some(ReplyClass::WhenDelivered),
            ),
            // Its terminal gets no answer: an echo would reset it.
            ("78780115 0d0a", "", None),
        ] {
            stream.extend_from_slice(&hex::decode(sent.replace(' ', "")).unwrap());
            let handled = talk(&mut session, &mut stream);
            assert!(stream.is_empty(), "{sent}");
            let reply = handled.reply;
            assert_eq!(reply.as_ref().map(|reply| reply.class), class, "{sent}");
            let bytes = reply
                .map(|reply| hex::encode(reply.bytes))
                .unwrap_or_default();
            assert_eq!(bytes, answered.replace(' ', ""), "{sent}");
            if sent == LOGIN {
                assert!(handled.identify.is_some());
                assert!(session.on_identified(None), "something was learned");
            }
        }
        let profile = session.profile();
        assert_eq!(
            (profile.dialect(), profile.bare_frames),
            (Dialect::Topin, true)
        );
        assert_eq!(
            session.id().map(|id| id.to_string()).as_deref(),
            Some("123456789012345")
        );
    }

    #[test]
    fn a_login_with_a_checksum_ends_what_was_known_about_frames_without() {
        let mut session = Session::new(AckPolicy::default());
        let mut stream = BytesMut::from(&hex::decode(LOGIN.replace(' ', "")).unwrap()[..]);
        talk(&mut session, &mut stream);
        session.on_identified(None);
        let known = session.profile().clone();

        let checked = Message::from(super::super::Login {
            id: TerminalId::from_digits("123456789012345").unwrap(),
            ..Default::default()
        });
        stream.extend_from_slice(&checked.to_bytes(1));
        talk(&mut session, &mut stream);
        session.on_identified(Some(known));
        assert!(!session.profile().bare_frames);
        assert_eq!(session.profile().dialect, None);
    }

    #[test]
    fn a_wrong_checksum_makes_no_relative_of_a_device_that_has_one() {
        let mut session = Session::new(AckPolicy::default());
        let login = Message::from(super::super::Login {
            id: TerminalId::from_digits("123456789012345").unwrap(),
            ..Default::default()
        });
        let mut stream = BytesMut::from(&login.to_bytes(1)[..]);
        talk(&mut session, &mut stream);
        session.on_identified(None);
        for (sent, name, checksum, reply) in [
            // A heartbeat of L 08, a cell of L 13: as long as a status and a position of theirs.
            (
                "78780813 460604 0051 be49 0d0a",
                "heartbeat",
                Checksum::Mismatch,
                "7878051300 51bb74 0d0a",
            ),
            (
                "78781311 1a0b1c0a141e 01cc00287d001f71 0001 81f1 0d0a",
                "cell",
                Checksum::Mismatch,
                "",
            ),
            // One that has their form alone is read so, and changes nothing for the next.
            (
                "78780613 55230803 0d0a",
                "topin_status",
                Checksum::Absent,
                "78780613 55230803 0d0a",
            ),
            (
                "78780a13 4606040001 0052 0000 0d0a",
                "heartbeat",
                Checksum::Mismatch,
                "78780513 0052 89ef 0d0a",
            ),
        ] {
            stream.extend_from_slice(&hex::decode(sent.replace(' ', "")).unwrap());
            session.on_pause();
            let frame = session.next_frame(&mut stream).unwrap().expect("whole");
            assert_eq!(frame.checksum(), checksum, "{sent}");
            let handled = session.on_frame(&frame, 0);
            assert_eq!(handled.message.unwrap().name(), name, "{sent}");
            let bytes = handled.reply.map(|reply| hex::encode(reply.bytes));
            assert_eq!(bytes.unwrap_or_default(), reply.replace(' ', ""), "{sent}");
            assert_eq!(session.profile().dialect, None, "{sent}");
        }
    }

    #[test]
    fn frames_that_follow_each_other_are_found_in_any_cut() {
        let whole: std::vec::Vec<u8> = [
            LOGIN,
            "78780613 55230803 0d0a",
            "78780169 160413031849 02005e10000132 0101cc00 28660f2132 0d0a",
            "78781210 11091c0b1b29 99 058508040097a89e003452 0d0a",
            "78780194 0d0a",
            "78780114 0d0a",
        ]
        .iter()
        .flat_map(|frame| hex::decode(frame.replace(' ', "")).unwrap())
        .collect();
        for size in 1..=whole.len() {
            let (mut deframer, mut stream) = (Deframer::new(), BytesMut::new());
            let mut numbers = std::vec::Vec::new();
            for chunk in whole.chunks(size) {
                stream.extend_from_slice(chunk);
                while let Some(frame) = deframer.next_frame(&mut stream).unwrap() {
                    assert_eq!(frame.serial(), None);
                    numbers.push(frame.number());
                }
            }
            assert_eq!(
                numbers,
                [0x01, 0x13, 0x69, 0x10, 0x94, 0x14],
                "chunks of {size}"
            );
        }
    }
}
