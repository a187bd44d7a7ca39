//! Addresses as text: what devices ask for, and how they are answered.
//!
//! A device asks where it is ([`AddressQuery`](crate::message::AddressQuery)) when somebody sent it
//! a text message, and passes the answer on. Without a [`Resolver`] the answer is [`UNKNOWN`], which
//! satisfies it. With one, alarms get an address too, after their acknowledgement.
//!
//! | part | length | 0x17, Chinese, `78 78` | 0x97, any other language, `79 79` |
//! |---|---|---|---|
//! | size of all that follows | | 1 | 2 |
//! | flag | 4 | 1 | 1 |
//! | word | | `ADDRESS` to a query, `ALARMSMS` to an alarm | the same |
//! | delimiter | 2 | `&&` | `&&` |
//! | address | | UTF-16, high byte first | the same |
//! | delimiter | 2 | `&&` | `&&` |
//! | phone | 21 | that of the query; digits 0 to an alarm | the same |
//! | end | 2 | `##` | `##` |
//!
//! Concox GT06 manual.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::field::{Cell, Position};
use crate::frame::{Start, encode};
use crate::reply::{Answer, ReplyClass};

/// The answer where no address is known.
pub const UNKNOWN: &str = "NA";
/// The phone of a question without one.
pub const NOBODY: [u8; 21] = [b'0'; 21];
/// The longest address that is sent, in UTF-16 units: what a text message of three parts holds.
const MAX_UNITS: usize = 201;
/// The most that the one-byte size of 0x17 can count in a frame of one-byte length.
const MAX_CHINESE: usize = 249;
const FLAG: u32 = 1;

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Why.
    pub purpose: Purpose,
    /// Where the device is, if it knows; check [`Position::is_nowhere`] and validity.
    pub position: Option<Position>,
    /// The cell that serves it, if the message has it.
    pub cell: Option<Cell>,
    /// The number that the device will send the address to, as sent.
    pub phone: [u8; 21],
    /// In which language.
    pub language: Language,
}

/// Why an address is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The device asked.
    Query,
    /// The device raised an alarm.
    Alarm,
}

impl Purpose {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::Query => b"ADDRESS",
            Self::Alarm => b"ALARMSMS",
        }
    }
}

/// A language that devices can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// 1 on the wire.
    Chinese,
    /// 2 on the wire; also for what no manual describes.
    English,
}

impl Language {
    /// From a message's language word.
    #[must_use]
    pub const fn from_raw(raw: u16) -> Self {
        match raw {
            1 => Self::Chinese,
            _ => Self::English,
        }
    }
}

/// Who knows addresses. It is asked while a frame is handled, so it must not wait: what has to ask
/// a service keeps the [`Question`] instead and sends [`Question::reply`] when it knows.
#[derive(Clone)]
pub struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(&Question) -> Option<String> + Send + Sync;

impl Resolver {
    /// By a function of the question.
    pub fn new(resolve: impl Fn(&Question) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(resolve))
    }

    /// The address as text, if it is known.
    #[must_use]
    pub fn resolve(&self, question: &Question) -> Option<String> {
        (self.0)(question)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Question {
    /// The frame that answers with this address, with the serial number of the question.
    ///
    /// What would end the address early for the device is replaced, and what is too long is cut.
    #[must_use]
    pub fn reply(&self, serial: u16, address: &str) -> Bytes {
        let (start, number) = self.form();
        let body = self.body(address);
        let mut out = BytesMut::with_capacity(body.len() + 11);
        encode(start, number, serial, &mut out, |out| out.put_slice(&body));
        out.freeze()
    }

    /// The answer with this address, at once: it does not confirm that anything is stored.
    pub(crate) fn to_answer(&self, address: &str) -> Answer {
        let (start, number) = self.form();
        Answer::Frame {
            class: ReplyClass::Now,
            start,
            number,
            body: self.body(address),
        }
    }

    const fn form(&self) -> (Start, u8) {
        match self.language {
            Language::Chinese => (Start::Short, 0x17),
            Language::English => (Start::Long, 0x97),
        }
    }

    fn body(&self, address: &str) -> Bytes {
        let word = self.purpose.word();
        let around = 4 + word.len() + 2 + 2 + self.phone.len() + 2;
        let units = match self.language {
            Language::Chinese => (MAX_CHINESE - around) / 2,
            Language::English => MAX_UNITS,
        };
        let text = text(address, units);
        let size = around + text.len();
        let mut out = BytesMut::with_capacity(size + 2);
        match self.language {
            Language::Chinese => out.put_u8(u8::try_from(size).unwrap_or(u8::MAX)),
            Language::English => out.put_u16(u16::try_from(size).unwrap_or(u16::MAX)),
        }
        out.put_u32(FLAG);
        out.put_slice(word);
        out.put_slice(b"&&");
        out.put_slice(&text);
        out.put_slice(b"&&");
        out.put_slice(&self.phone);
        out.put_slice(b"##");
        out.freeze()
    }
}

/// UTF-16, high byte first, of no more than `max` units. Devices look for the delimiters byte by
/// byte, so no unit may bring one about.
fn text(address: &str, max: usize) -> BytesMut {
    let mut out = BytesMut::new();
    let mut left = max;
    for c in address.chars() {
        let c = match c {
            // `&` is 26, `#` is 23: a high byte of 26 or 23 may follow a low one.
            '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{26ff}' => '?',
            '&' => '+',
            '#' => ' ',
            c if c.is_control() => ' ',
            c => c,
        };
        // Nor may the last low byte run into the delimiter.
        let c = if u32::from(c) & 0xff == 0x26 { '?' } else { c };
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units);
        let Some(rest) = left.checked_sub(units.len()) else {
            break;
        };
        left = rest;
        for unit in units {
            out.put_u16(*unit);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::read;
    use crate::{Direction, Message};

    fn question(purpose: Purpose, language: Language) -> Question {
        Question {
            purpose,
            position: None,
            cell: None,
            phone: NOBODY,
            language,
        }
    }

    #[test]
    fn the_worked_examples() {
        let zeros = "30".repeat(21);
        let content = std::format!("00000001 414c41524d534d53 2626 004f004b 2626 {zeros} 2323");
        let english = std::format!("7979 0032 97 002b {content} 0036 778b 0d0a");
        let reply = question(Purpose::Alarm, Language::English).reply(0x36, "OK");
        assert_eq!(hex::encode(reply), english.replace(' ', ""));
        let chinese = std::format!("7878 31 17 2b {content} 0036 9893 0d0a");
        let reply = question(Purpose::Alarm, Language::Chinese).reply(0x36, "OK");
        assert_eq!(hex::encode(reply), chinese.replace(' ', ""));
    }

    #[test]
    fn our_replies_are_known_as_a_servers() {
        for purpose in [Purpose::Query, Purpose::Alarm] {
            for language in [Language::Chinese, Language::English] {
                let long = "北京市海淀区".repeat(300);
                for address in ["", UNKNOWN, "Rue de la Paix 1", &long] {
                    let reply = question(purpose, language).reply(7, address);
                    let message = read(&hex::encode(&reply));
                    assert!(matches!(message, Message::AddressReply(_)), "{message:?}");
                    assert_eq!(message.direction(), Direction::Server);
                    assert_eq!(message.to_bytes(7), reply);
                }
            }
        }
    }

    #[test]
    fn an_alarm_gets_an_address_after_its_acknowledgement_if_one_is_known() {
        use crate::{AckPolicy, Session};
        // The worked example of an alarm, in Chinese.
        let alarm = "787825160b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f72650604010100 36\
                     56a40d0a";
        let frame = |hex: &str| {
            let raw = hex::decode(hex.replace(' ', "")).unwrap();
            crate::Frame::parse(raw.into(), crate::Framing::Checked).unwrap()
        };
        let reply = |session: &mut Session| session.on_frame(&frame(alarm), 0).reply.unwrap();

        let mut plain = Session::new(AckPolicy::default());
        let acknowledgement = reply(&mut plain);
        assert_eq!(hex::encode(&acknowledgement.bytes), "78780516003695700d0a");

        let known = Resolver::new(|_: &Question| Some("OK".into()));
        let answered = reply(&mut plain.clone().with_resolver(known));
        assert_eq!(answered.class, ReplyClass::WhenDelivered);
        let (first, second) = answered.bytes.split_at(acknowledgement.bytes.len());
        assert_eq!(first, acknowledgement.bytes);
        assert_eq!(
            second,
            question(Purpose::Alarm, Language::Chinese).reply(0x36, "OK")
        );

        let unknown = Resolver::new(|_: &Question| None);
        assert_eq!(reply(&mut plain.with_resolver(unknown)), acknowledgement);
    }

    #[test]
    fn a_long_address_is_cut_between_characters() {
        let long = "𝄞".repeat(300);
        let text = text(&long, 5);
        assert_eq!(text.len(), 8, "no half of a pair");
        let reply = question(Purpose::Query, Language::Chinese).reply(1, &"北".repeat(300));
        assert!(reply.len() <= crate::frame::MAX_SHORT);
    }

    #[test]
    fn no_address_ends_itself() {
        for address in [
            "A&&B##C",
            "Café ☦ ⌣",
            "Ħ",
            "x\u{126}\u{2626}",
            "a&",
            "\u{2323}\u{2323}",
        ] {
            let text = text(address, 100);
            for pair in text.windows(2) {
                assert!(pair != b"&&" && pair != b"##", "{address}");
            }
            assert_ne!(text.last(), Some(&b'&'), "{address}");
        }
    }
}
