//! 0x10, position without cell.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 0 or 2 | language | 1 Chinese, 2 English |
//!
//! L 17 and 19. Concox GT06 manual, which does not say in which zone the time is. The relatives
//! without checksum use the number too; theirs is another message.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{DateTime, Gps};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpsOnly {
    /// Where and when.
    pub gps: Gps,
    /// Language.
    pub language: Option<u16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for GpsOnly {
    const NAME: &'static str = "gps";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            language: if r.remaining() == 2 {
                Some(crate::field::language(r)?)
            } else {
                None
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.extend(self.language.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x10
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        Some((self.gps.time(), None))
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x10);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    #[test]
    fn the_language_is_optional() {
        for (parts, language) in [(&[GPS][..], None), (&[GPS, "0002"], Some(2))] {
            let Message::GpsOnly(read) = read_parts(Start::Short, 0x10, parts) else {
                panic!("{parts:?}")
            };
            assert_eq!(
                (read.language, read.gps.position().satellites()),
                (language, 9)
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn an_odd_tail_does_not_lose_the_fix() {
        let read = read_parts(Start::Short, 0x10, &[GPS, "aabbcc"]);
        let report = crate::message::testing::report(read);
        let fix = report.fix.as_ref().unwrap();
        assert_eq!(fix.coordinates.latitude(), 23.1116933);
        assert_eq!(report.zone, Some(milepost_telemetry::Zone::Assumed));
        assert_eq!(
            crate::message::testing::signal(&report, "gt06.tail").unwrap(),
            "aabbcc"
        );
    }
}
