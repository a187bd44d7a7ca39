//! 0x8A with a body: the time, from a server.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`], UTC |

use super::{Body, Context, Direction, Fit};
use crate::field::DateTime;
use crate::layout::{layout, plain};

layout! {
    /// The time, from a server.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TimeAnswer {
        /// UTC.
        time: DateTime,
    }
}

impl Body for TimeAnswer {
    const NAME: &'static str = "time_answer";

    plain!(0x8a);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && cx.body.len() == 6)
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
