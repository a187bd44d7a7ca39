//! 0x9B from a server: whether a card is accepted.
//!
//! Under `79 79`: module 1 (always 02), 01 accepted or 00 refused.

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::{Answer, ReplyClass};

/// Whether a card is accepted, from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardAnswer {
    /// 1 accepted, 0 refused.
    pub raw_accepted: u8,
}

impl CardAnswer {
    /// The module of answers.
    pub const MODULE: u8 = 0x02;

    /// An answer.
    #[must_use]
    pub const fn new(accepted: bool) -> Self {
        Self {
            raw_accepted: if accepted { 1 } else { 0 },
        }
    }

    /// As an answer: a card is accepted when it is known that it was read, and by whom.
    pub(crate) fn to_answer(self) -> Answer {
        let mut body = BytesMut::with_capacity(2);
        self.encode(&mut body);
        let class = ReplyClass::WhenDelivered;
        Answer::Frame {
            class,
            start: Start::Long,
            number: 0x9b,
            body: body.freeze(),
        }
    }
}

impl Body for CardAnswer {
    const NAME: &'static str = "card_answer";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && matches!(cx.body, [Self::MODULE, 0 | 1]))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let _: u8 = r.u8("module")?;
        let raw_accepted = r.u8("accepted")?;
        r.note(|| {
            if raw_accepted == 1 {
                "accepted".into()
            } else {
                "refused".into()
            }
        });
        Ok(Self { raw_accepted })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[Self::MODULE, self.raw_accepted]);
    }

    fn number(&self) -> u8 {
        0x9b
    }

    fn start(&self) -> Start {
        Start::Long
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
