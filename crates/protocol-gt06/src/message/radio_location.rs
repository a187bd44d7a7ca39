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
//! Seen on devices. Unlike elsewhere no ignition stands before the upload mode. Of what is cut short
//! behind the position the whole fields are read, and the list only where it ends with the body; the
//! rest is kept as it is.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Gps, Items, RadioCell, upload_mode_name};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with radio and items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadioLocation {
    /// How the frame starts.
    pub start: Start,
    /// Where and when.
    pub gps: Gps,
    /// Why it was sent.
    pub upload_mode: Option<u8>,
    /// 0 live, 1 a stored fix that is sent late.
    pub raw_reupload: Option<u8>,
    /// The serving cell; `None`, as all before it, where the body ends before.
    pub cell: Option<RadioCell>,
    /// The rest.
    pub items: Items,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for RadioLocation {
    const NAME: &'static str = "radio_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if((cx.is_long() || cx.is_short()) && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        let upload_mode = whole.read(1, |r| {
            let upload_mode = r.u8("upload mode")?;
            r.note(|| upload_mode_name(upload_mode).unwrap_or("unknown").into());
            Ok(upload_mode)
        })?;
        let raw_reupload = whole.read(1, |r| {
            let raw_reupload = r.u8("re-upload")?;
            r.note(|| match raw_reupload {
                0 => "live".into(),
                1 => "stored, sent late".into(),
                other => format!("unknown ({other})"),
            });
            Ok(raw_reupload)
        })?;
        let cell = RadioCell::decode_whole(&mut whole)?;
        Ok(Self {
            start: cx.head.start(),
            gps,
            upload_mode,
            raw_reupload,
            cell,
            items: match cell {
                Some(_) => Items::decode_if_fits(r)?,
                None => Items::default(),
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.extend(self.upload_mode);
        out.extend(self.raw_reupload);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        self.items.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x38
    }

    fn start(&self) -> Start {
        self.start
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x38).upload_mode(self.upload_mode);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        crate::field::Trailer {
            // No ignition is said: a byte that means neither on nor off.
            raw_ignition: u8::MAX,
            // "By interval" is not noted.
            upload_mode: self.upload_mode.unwrap_or_default(),
            // Neither live nor stored.
            raw_reupload: self.raw_reupload.unwrap_or(u8::MAX),
        }
        .normalize(report);
        if let Some(cell) = &self.cell {
            cell.normalize(report);
        }
        self.items.normalize(report);
        cx.note_tail(report, &self.tail);
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
        let cell = read.cell.unwrap();
        (cell.cell.lac, cell.signal_dbm())
    }

    #[test]
    fn the_radio_decides_about_the_size_of_the_cell() {
        let lte = read(&[GPS, "00 01", "03 01cc 00 0000287d 0000000000001f71 ffb0"]);
        assert!(lte.cell.unwrap().is_lte());
        assert_eq!(area_and_signal(&lte), (10_365, Some(-80)));
        let gsm = read(&[GPS, "00 01", "00 01cc 00 287d 001f71 50", "0027 02 04e4"]);
        assert_eq!(area_and_signal(&gsm), (10_365, Some(-80)));
        assert_eq!(gsm.items.0.len(), 1);
        let wide = read(&[GPS, "00 01", "03 81cc 0007 0000287d 0000000000001f71 0050"]);
        assert_eq!(
            (wide.cell.unwrap().cell.mnc, area_and_signal(&wide).1),
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

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        const LTE: &str = "03 01cc 00 0000287d 0000000000001f71 ffb0";
        const WIDE: &str = "00 81cc 0007 287d 001f71 50";
        for (cell, cell_ends) in [(LTE, 38), (WIDE, 31)] {
            let parts = [GPS, "04 01", cell, "0027 02 04e4", "002e 04 00002328"];
            for (len, message, report) in cut_short(Start::Long, 0x38, 18, &parts) {
                let Message::RadioLocation(read) = message else {
                    panic!("{message:?}")
                };
                assert_eq!(report.kind, milepost_telemetry::Kind::Location);
                assert_eq!(read.upload_mode, (len > 18).then_some(4));
                let live = report.fix.as_ref().and_then(|fix| fix.live);
                assert_eq!(live, (len > 19).then_some(false), "{len}");
                assert_eq!(report.network.cell.is_some(), len >= cell_ends, "{len}");
                // A list that goes beyond the body is raw as a whole.
                let items = usize::from(len == cell_ends + 5);
                assert_eq!(read.items.0.len(), items, "{len}");
                let is_whole = len < 21 || len == cell_ends || items > 0;
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }
}
