//! 0x35, a photo is ready (X1).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 1 | fix | |
//! | 7 | 4 | latitude | degrees × 1 800 000, without hemisphere |
//! | 11 | 4 | longitude | degrees × 1 800 000, without hemisphere |
//! | 15 | 1 | camera | |
//! | 16 | 1 | source | |
//! | 17 | 1 | format | |
//! | 18 | 4 | size | bytes |
//! | 22 | 4 | photo | its number |
//!
//! Seen on devices. It is answered by a request for the first block, once it is stored; each
//! further block is requested when the one before is.

use alloc::format;

#[cfg(feature = "telemetry")]
use bytes::BufMut;
use bytes::{Bytes, BytesMut};

use super::{Body, Context, PhotoRequest};
use crate::field::DateTime;
use crate::frame::Start;
use crate::layout::{layout, meant, plain};
use crate::reply::{Answer, ReplyClass};

layout! {
    /// A photo is ready.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PhotoInfo {
        /// When it was taken.
        time: DateTime,
        /// Whether there was a fix.
        fix: u8 as "fix",
        /// Degrees × 1 800 000; north or south is not stated.
        raw_latitude: u32 as meant("latitude", describe_degrees),
        /// Degrees × 1 800 000; east or west is not stated.
        raw_longitude: u32 as meant("longitude", describe_degrees),
        /// Which camera.
        camera: u8 as "camera",
        /// Why it was taken.
        source: u8 as "source",
        /// How it is coded.
        format: u8 as "format",
        /// Its size in bytes.
        size: u32 as "size",
        /// Its number.
        photo: u32 as "photo",
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

impl Body for PhotoInfo {
    const NAME: &'static str = "photo_info";

    plain!(0x35);

    fn answer(&self) -> Answer {
        let len = u16::try_from(self.size)
            .unwrap_or(u16::MAX)
            .min(PhotoRequest::LONGEST);
        if len == 0 {
            return Answer::Silent;
        }
        PhotoRequest {
            photo: self.photo,
            offset: 0,
            len,
        }
        .to_answer(ReplyClass::WhenDelivered)
    }

    /// Key: number, time, camera, photo.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Kind, Signal};

        let mut key = BytesMut::with_capacity(12);
        key.put_u8(0x35);
        self.time.encode(&mut key);
        key.put_u8(self.camera);
        key.put_u32(self.photo);
        let report = cx.timed(out, Kind::Media, self.time, &key, 0);
        let mut media = crate::media::UploadId::photo(self.photo).media();
        media.channel = Some(self.camera.into());
        media.event = Some(self.source.into());
        media.size = Some(self.size.into());
        report.more.media = Some(media);
        let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
        report.more.signals.extend([
            number("gt06.photo_format", self.format.into(), None),
            number("gt06.photo_fix", self.fix.into(), None),
        ]);
        if (self.raw_latitude, self.raw_longitude) != (0, 0) {
            report.more.signals.extend([
                number(
                    "gt06.latitude_unsigned",
                    degrees(self.raw_latitude),
                    Some("°"),
                ),
                number(
                    "gt06.longitude_unsigned",
                    degrees(self.raw_longitude),
                    Some("°"),
                ),
            ]);
        }
        cx.note_tail(report, &self.tail);
    }
}

fn describe_degrees(bytes: &[u8]) -> alloc::string::String {
    let raw = bytes.try_into().map_or(0, u32::from_be_bytes);
    format!("{:.6}°, hemisphere not stated", degrees(raw))
}

pub(super) fn degrees(raw: u32) -> f64 {
    f64::from(raw) / 1_800_000.0
}

impl PhotoRequest {
    /// The request as an answer.
    pub(crate) fn to_answer(self, class: ReplyClass) -> Answer {
        let mut body = BytesMut::with_capacity(10);
        self.encode(&mut body);
        Answer::Frame {
            class,
            start: Start::Short,
            number: 0x36,
            body: body.freeze(),
        }
    }
}
