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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    fn read(parts: &[&str]) -> RadioLocation {
        match read_parts(Start::Long, 0x38, parts) {
            Message::RadioLocation(read) => read,
            other => panic!("{other:?}"),
        }
    }

    fn area_and_signal(read: &RadioLocation) -> (u32, Option<i16>) {
        let cell = read.cell;
        (cell.cell.lac, cell.signal_dbm())
    }

    #[test]
    fn the_radio_decides_about_the_size_of_the_cell() {
        let lte = read(&[GPS, "00 01", "03 01cc 00 0000287d 0000000000001f71 ffb0"]);
        assert!(lte.cell.is_lte());
        assert_eq!(area_and_signal(&lte), (10_365, Some(-80)));
        let gsm = read(&[GPS, "00 01", "00 01cc 00 287d 001f71 50", "0027 02 04e4"]);
        assert_eq!(area_and_signal(&gsm), (10_365, Some(-80)));
        assert_eq!(gsm.items.0.len(), 1);
        let wide = read(&[GPS, "00 01", "03 81cc 0007 0000287d 0000000000001f71 0050"]);
        assert_eq!(
            (wide.cell.cell.mnc, area_and_signal(&wide).1),
            (7, Some(-80))
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn no_ignition_is_read_from_a_message_that_has_none() {
        let parts = [GPS, "00 01", "03 01cc 00 0000287d 0000000000001f71 ffb0"];
        let report = crate::message::testing::report(read(&parts));
        assert_eq!(report.io.ignition, None);
        assert_eq!(report.fix.unwrap().live, Some(false));
        let cell = report.network.cell.unwrap();
        assert_eq!(
            (cell.radio, cell.signal_dbm),
            (milepost_telemetry::Radio::Lte, Some(-80))
        );
    }
}
