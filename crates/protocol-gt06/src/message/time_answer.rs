//! 0x8A with a body: the time, from a server.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`], UTC |

use bytes::BytesMut;

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::field::DateTime;
use crate::parse::{Reader, Trace};

/// The time, from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeAnswer {
    /// UTC.
    pub time: DateTime,
}

impl Body for TimeAnswer {
    const NAME: &'static str = "time_answer";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && cx.body.len() == 6)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            time: DateTime::decode(r)?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
    }

    fn number(&self) -> u8 {
        0x8a
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
