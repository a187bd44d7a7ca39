//! 0x10, position without cell.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 0 or 2 | language | 1 Chinese, 2 English |
//!
//! L 17 and 19. Concox GT06 manual, which does not state in which zone the time is. The relatives
//! without checksum use the number for another message.

use super::{Body, Context, Fit};
use crate::field::{DateTime, Gps, Language};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position and nothing else.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct GpsOnly {
        /// Where and when.
        gps: Gps,
        /// Language.
        language: Option<Language>,
    }
}

impl Body for GpsOnly {
    const NAME: &'static str = "gps";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x10);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && Self::is_whole(cx.body))
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        Some((self.gps.time(), None))
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x10);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        self.note_fields(cx, report);
    }
}
