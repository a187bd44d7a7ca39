//! 0x41, a part of a photo with its circumstances.
//!
//! Under `79 79`:
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | serial number | |
//! | 8 | 4 | time | Unix, UTC |
//! | 12 | 4 | latitude | hemisphere not stated |
//! | 16 | 4 | longitude | hemisphere not stated |
//! | 20 | 2, 1, 1, 2 | unknown | |
//! | 26 | 8 | cell | form not stated |
//! | 34 | 4 | media | its number |
//! | 38 | 4 | total | size, in bytes or parts: which of them is not stated |
//! | 42 | 1 | type | 0 image |
//! | 43 | 1 | format | 0 jpeg |
//! | 44 | 1 | event | |
//! | 45 | 2 | part | |
//! | 47 | | data | |
//!
//! Seen on devices. Each part is acknowledged under `79 79` when it is stored.

use bytes::Bytes;
#[cfg(feature = "telemetry")]
use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
use crate::frame::Start;
use crate::layout::{layout, meant, plain};
use crate::media::UploadId;
use crate::reply::Answer;

layout! {
    /// A part of a photo.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PhotoPart {
        /// Serial number.
        serial_number: [u8; 8] as "serial number",
        /// Seconds since 1970.
        unix: u32 as meant("time", crate::text::unix_bytes),
        /// North or south is not stated.
        raw_latitude: u32 as "latitude",
        /// East or west is not stated.
        raw_longitude: u32 as "longitude",
        /// Six bytes that no manual explains.
        unknown: [u8; 6] as "unknown",
        /// The serving cell, in a form that no manual explains.
        cell: [u8; 8] as "cell",
        /// The file's number.
        media: u32 as "media",
        /// The file's size, in bytes or parts.
        total: u32 as "total",
        /// 0 image.
        kind: u8 as "type",
        /// 0 jpeg.
        format: u8 as "format",
        /// Why it was taken.
        event: u8 as "event",
        /// The part's number.
        part: u16 as "part",
        /// The part.
        data: Bytes as "data",
    }
}

impl PhotoPart {
    /// Which file the part is of. An image and another file of one number are two.
    pub(crate) fn upload(&self) -> UploadId {
        UploadId {
            number: 0x41,
            file: u64::from(self.kind != 0) << 32 | u64::from(self.media),
        }
    }

    /// The device's number for the file.
    pub(crate) const fn number_of(upload: UploadId) -> u64 {
        upload.file & 0xffff_ffff
    }

    /// Whether the file is an image.
    pub(crate) const fn is_image(upload: UploadId) -> bool {
        upload.file >> 32 == 0
    }

    /// Whether the part is all of the file.
    pub(crate) fn is_complete(&self) -> bool {
        self.part <= 1 && usize::try_from(self.total).is_ok_and(|total| total == self.data.len())
    }
}

impl Body for PhotoPart {
    const NAME: &'static str = "photo_part";
    const ANSWER: Answer = Answer::WhenDelivered;

    plain!(0x41);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn start(&self) -> Start {
        Start::Long
    }

    /// Key: number, time, media, part.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::Signal;

        let report = self.report(cx, out, u32::from(self.part), 0);
        let mut media = self.media();
        media.complete = self.is_complete();
        media.data = self.data.clone();
        if media.complete {
            media.size = Some(self.total.into());
        }
        report.more.media = Some(media);
        let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
        let hex = |name, bytes| Signal::named(name).text(crate::text::hex(bytes));
        report.more.signals.extend([
            number("gt06.media_part", self.part.into(), None),
            number("gt06.media_total", self.total.into(), None),
            hex("gt06.camera_serial_number", &self.serial_number),
            hex("gt06.camera_cell", &self.cell),
            hex("gt06.camera_unknown", &self.unknown),
        ]);
        if (self.raw_latitude, self.raw_longitude) != (0, 0) {
            report.more.signals.extend([
                number("gt06.latitude_raw", self.raw_latitude.into(), None),
                number("gt06.longitude_raw", self.raw_longitude.into(), None),
            ]);
        }
    }
}

#[cfg(feature = "telemetry")]
impl PhotoPart {
    fn report<'r>(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &'r mut crate::normalize::Reports,
        part: u32,
        index: u32,
    ) -> &'r mut milepost_telemetry::Report {
        let mut key = BytesMut::with_capacity(13);
        key.put_u8(0x41);
        key.put_u32(self.unix);
        key.put_u32(self.media);
        key.put_u32(part);
        cx.timed_unix(
            out,
            milepost_telemetry::Kind::Media,
            self.unix,
            self.unix != 0,
            &key,
            index,
        )
    }

    fn media(&self) -> milepost_telemetry::Media {
        let mut media = self.upload().media();
        media.format = (self.format == 0).then(|| milepost_telemetry::Name::new("jpeg"));
        media.event = Some(self.event.into());
        media
    }

    /// The whole photo, which this part completed.
    pub(crate) fn normalize_whole(
        &self,
        cx: &crate::normalize::Context<'_>,
        whole: &Bytes,
        out: &mut crate::normalize::Reports,
    ) {
        let report = self.report(cx, out, u32::MAX, 1);
        report.more.media = Some(super::upload::completed(self.media(), whole));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: u16, total: u32, data: &'static [u8]) -> PhotoPart {
        PhotoPart {
            serial_number: [1; 8],
            unix: 1_700_000_000,
            raw_latitude: 1,
            raw_longitude: 2,
            unknown: [3; 6],
            cell: [4; 8],
            media: 5,
            total,
            kind: 0,
            format: 0,
            event: 6,
            part,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn the_upload_of_a_part_is_called_what_its_report_calls_it() {
        for (kind, name) in [(0, "image 5"), (1, "file 5")] {
            let part = PhotoPart {
                kind,
                ..part(0, 4, b"ab")
            };
            let upload = crate::Message::from(part.clone()).block().unwrap().id;
            assert_eq!(alloc::format!("{upload}"), name);
            #[cfg(feature = "telemetry")]
            {
                let report = crate::message::testing::report(part);
                let media = report.more.media.as_ref().unwrap();
                assert_eq!(alloc::format!("{} {}", media.kind, media.id), name);
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn each_part_is_a_report_of_its_own() {
        use crate::message::testing::report;

        let (a, b) = (report(part(0, 4, b"ab")), report(part(1, 4, b"cd")));
        assert_ne!(a.id, b.id);
        assert_eq!(report(part(0, 4, b"ab")).id, a.id);
        assert!(!a.more.media.as_ref().unwrap().complete);
        let media = report(part(0, 2, b"ab")).more.media.clone().unwrap();
        assert!(media.complete, "one part is the whole");
        assert_eq!(media.format.unwrap().as_str(), "jpeg");
    }
}
