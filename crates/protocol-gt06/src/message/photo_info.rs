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

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, PhotoRequest};
use crate::DecodeError;
use crate::field::DateTime;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::{Answer, ReplyClass};

/// A photo is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoInfo {
    /// When it was taken.
    pub time: DateTime,
    /// Whether there was a fix.
    pub fix: u8,
    /// Degrees × 1 800 000; north or south is not said.
    pub raw_latitude: u32,
    /// Degrees × 1 800 000; east or west is not said.
    pub raw_longitude: u32,
    /// Which camera.
    pub camera: u8,
    /// Why it was taken.
    pub source: u8,
    /// How it is coded.
    pub format: u8,
    /// Its size in bytes.
    pub size: u32,
    /// Its number.
    pub photo: u32,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for PhotoInfo {
    const NAME: &'static str = "photo_info";

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let fix = r.u8("fix")?;
        let raw_latitude = r.u32("latitude")?;
        r.note(|| format!("{:.6}°, hemisphere not said", degrees(raw_latitude)));
        let raw_longitude = r.u32("longitude")?;
        r.note(|| format!("{:.6}°, hemisphere not said", degrees(raw_longitude)));
        Ok(Self {
            time,
            fix,
            raw_latitude,
            raw_longitude,
            camera: r.u8("camera")?,
            source: r.u8("source")?,
            format: r.u8("format")?,
            size: r.u32("size")?,
            photo: r.u32("photo")?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        out.put_u8(self.fix);
        out.put_u32(self.raw_latitude);
        out.put_u32(self.raw_longitude);
        out.put_slice(&[self.camera, self.source, self.format]);
        out.put_u32(self.size);
        out.put_u32(self.photo);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x35
    }

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
