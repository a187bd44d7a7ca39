//! 0x38 under `79 79`, position with radio and items (VL106).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 1 | upload mode | [`upload_mode_name`](crate::field::upload_mode_name) |
//! | 19 | 1 | re-upload | 0 live, 1 stored |
//! | 20 | 8 to 18 | cell | [`RadioCell`] |
//! | | | items | [`Items`] |
//!
//! Seen on devices. Unlike in other messages no ignition comes before the upload mode.

use super::{Body, Context, Fit};
use crate::field::{Gps, Items, RadioCell, Reupload, UploadMode};
use crate::frame::Start;
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with radio and items.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RadioLocation {
        /// Where and when.
        gps: Gps,
        /// Why it was sent.
        upload_mode: UploadMode,
        /// 0 live, 1 a stored fix that is sent late.
        reupload: Reupload,
        /// The serving cell.
        cell: RadioCell,
        /// The rest.
        items: Items,
    }
}

impl Body for RadioLocation {
    const NAME: &'static str = "radio_location";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x38);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if((cx.is_long() || cx.is_short()) && Self::is_whole(cx.body))
    }

    fn start(&self) -> Start {
        Start::Long
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x38).upload_mode(Some(self.upload_mode.0));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        crate::field::Trailer {
            // Neither on nor off: the message has no ignition.
            raw_ignition: u8::MAX,
            upload_mode: self.upload_mode.0,
            raw_reupload: self.reupload.0,
        }
        .normalize(report);
        self.note_fields(cx, report);
    }
}
