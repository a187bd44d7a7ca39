//! 0x17 (L 24), 0x1A, 0x2A and 0xA7, the device asks for an address as text.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`]: 0x1A, 0x2A |
//! | 0 | 8, 9, 15, 16 | cell | [`Cell`]: 0x17, 0xA7 |
//! | | 21 | phone | the number that gets the address, ASCII, padded with zeros |
//! | | 2 | language | 1 Chinese, 2 English |
//!
//! L 2E (0x1A, 0x2A), 2B (0xA7). Concox GT06 manual. 0x2A is specified in UTC, 0x1A is not.
//! It is answered with 0x17 or 0x97, see [`address`](crate::address); 0x17 is also a
//! [`RfidLocation`](super::RfidLocation) or a server's answer.

use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::address::{Language, Purpose, Question, UNKNOWN};
use crate::field::{Cell, CellForm, Gps, is_cell};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::{Answer, ReplyClass};

/// A question for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressQuery {
    /// 0x17, 0x1A, 0x2A or 0xA7.
    pub number: u8,
    /// What the address is wanted of.
    pub place: Place,
    /// The number that gets the address, as sent.
    pub phone: [u8; 21],
    /// 1 Chinese, 2 English.
    pub language: u16,
}

/// What an address is wanted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Where the device is.
    Gps(Gps),
    /// Where its cell is.
    Cell(Cell),
}

/// "NA" in English without a phone number, if the question cannot be read.
const UNREAD: &[u8] = b"\x00\x2a\x00\x00\x00\x01ADDRESS&&\x00N\x00A&&000000000000000000000##";

impl Body for AddressQuery {
    const NAME: &'static str = "address_query";
    const ANSWER: Answer = Answer::Frame {
        class: ReplyClass::Now,
        start: Start::Long,
        number: 0x97,
        body: Bytes::from_static(UNREAD),
    };

    fn fit(cx: &Context<'_>) -> Fit {
        let mcc = Cell::peek_mcc(cx.body);
        let place = match cx.number() {
            0x17 => CellForm::L8.len(mcc),
            0xa7 => CellForm::L15.len(mcc),
            _ => Gps::LEN,
        };
        let has_place = cx.number() != 0x17 || is_cell(cx.body, 0);
        Fit::possible_if(cx.is_short() && has_place && cx.body.len() == place + 21 + 2)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let place = match cx.number() {
            0x17 => Place::Cell(Cell::decode(r, CellForm::L8)?),
            0xa7 => Place::Cell(Cell::decode(r, CellForm::L15)?),
            _ => Place::Gps(Gps::decode(r)?),
        };
        let phone = r.array("phone")?;
        r.note(|| printable(&phone));
        Ok(Self {
            number: cx.number(),
            place,
            phone,
            language: crate::field::language(r)?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        match self.place {
            Place::Gps(gps) => gps.encode(out),
            Place::Cell(cell) => cell.encode(out),
        }
        out.put_slice(&self.phone);
        out.put_u16(self.language);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn answer(&self) -> Answer {
        self.question()
            .map_or(Self::ANSWER, |question| question.to_answer(UNKNOWN))
    }

    fn question(&self) -> Option<Question> {
        let (position, cell) = match self.place {
            Place::Gps(gps) => (Some(gps.position()), None),
            Place::Cell(cell) => (None, Some(cell)),
        };
        Some(Question {
            purpose: Purpose::Query,
            position,
            cell,
            phone: self.phone,
            language: Language::from_raw(self.language),
        })
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Kind, Signal};

        let report = match self.place {
            Place::Gps(gps) => {
                let key = crate::normalize::Key::new(self.number);
                cx.positioned_with(out, Kind::AddressRequest, &gps, key, &self.phone)
            }
            // No time is in it, so where the frame arrived is its identity.
            Place::Cell(cell) => {
                let report = cx.untimed(out, Kind::AddressRequest, 0);
                report.network.cell = cell.normalize(true);
                report
            }
        };
        let phone = printable(&self.phone);
        if !phone.is_empty() {
            report
                .more
                .signals
                .push(Signal::named("gt06.phone").text(phone));
        }
    }
}

/// What of a number is printable up to the first byte that pads it.
fn printable(phone: &[u8]) -> String {
    phone
        .iter()
        .take_while(|byte| byte.is_ascii_graphic())
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Resolver;
    use crate::message::testing::{CELL, GPS, body, frame};
    use crate::{AckPolicy, Frame, Reply, Session};

    /// `12520` and zeros.
    const PHONE: &str = "3132353230 00000000000000000000000000000000";
    const LTE: &str = "01cc 00 0000287d 0000000000001f71";

    fn answered(frame: &Frame) -> Reply {
        Session::new(AckPolicy::default())
            .on_frame(frame, 0)
            .reply
            .unwrap()
    }

    #[test]
    fn the_answer_without_an_address_is_in_its_language_and_for_its_number() {
        for (number, place) in [(0x17, CELL), (0x1a, GPS), (0x2a, GPS), (0xa7, LTE)] {
            for (language, start, replied) in [
                ("0001", "7878", 0x17),
                ("0002", "7979", 0x97),
                ("0000", "7979", 0x97),
            ] {
                let bytes = body(&[place, PHONE, language]);
                let reply = answered(&frame(Start::Short, number, &bytes));
                assert_eq!(reply.class, ReplyClass::Now);
                let text = hex::encode(&reply.bytes);
                assert!(text.starts_with(start), "{text}");
                let content = "41444452455353 2626 004e0041 2626 3132353230";
                assert!(text.contains(&content.replace(' ', "")), "{text}");
                let sent = crate::message::testing::read(&text);
                assert_eq!(sent.number(), replied);
                assert!(text.ends_with(&hex::encode(
                    sent.to_bytes(1).slice(sent.to_bytes(1).len() - 6..)
                )));
            }
        }
    }

    #[test]
    fn an_embedder_may_know_the_address() {
        use alloc::string::ToString;
        fn course(question: &Question) -> Option<String> {
            question
                .position
                .map(|position| position.course_status.raw_course().to_string())
        }
        let mut session = Session::new(AckPolicy::default()).with_resolver(Resolver::new(course));
        let by_position = frame(Start::Short, 0x2a, &body(&[GPS, PHONE, "0002"]));
        let reply = session.on_frame(&by_position, 0).reply.unwrap();
        assert!(hex::encode(&reply.bytes).contains("2626 0030 2626".replace(' ', "").as_str()));
        let by_cell = frame(Start::Short, 0x17, &body(&[CELL, PHONE, "0002"]));
        let reply = session.on_frame(&by_cell, 0).reply.unwrap();
        assert_eq!(reply, answered(&by_cell), "what it does not know is NA");
    }
}
