//! 0x8D, a block of a recording.
//!
//! Under `79 79`:
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | type | 0 monitoring, 1 SOS, 2 intercom |
//! | 1 | 4 | size | of the file, bytes |
//! | 5 | 1 | kind of check | 0 CRC, 1 MD5 |
//! | 6 | 2 or 16 | check | of the file |
//! | | 4 | offset | where the block begins |
//! | | 2 | length | of the data |
//! | | | data | |
//! | | 6 or 2 | mark | types 0 and 2 the time, type 1 the alarm's serial |
//!
//! Seen on devices. No answer is known. Which CRC it is is unknown, so a file is not checked.

use alloc::format;
use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::DateTime;
use crate::frame::Start;
use crate::media::UploadId;
use crate::parse::{Reader, Trace};

/// A block of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBlock {
    /// 0 monitoring, 1 SOS, 2 intercom.
    pub kind: u8,
    /// The file's size in bytes.
    pub size: u32,
    /// The file's check sum.
    pub check: FileCheck,
    /// Where the block begins.
    pub offset: u32,
    /// The block.
    pub data: Bytes,
    /// What distinguishes recordings: a time, or the serial of an alarm.
    pub mark: Bytes,
}

/// A file's check sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileCheck {
    /// Two bytes.
    Crc(u16),
    /// Sixteen bytes.
    Md5([u8; 16]),
}

impl FileBlock {
    /// The upload that the block belongs to: its type and mark.
    #[must_use]
    pub(crate) fn upload(&self) -> UploadId {
        let mark = self
            .mark
            .iter()
            .take(6)
            .fold(0_u64, |mark, byte| mark << 8 | u64::from(*byte));
        let marked = u64::from(!self.mark.is_empty());
        UploadId {
            number: 0x8d,
            file: marked << 56 | u64::from(self.kind) << 48 | mark,
        }
    }

    /// A name for the file: its type and mark.
    pub(crate) fn id_of(upload: UploadId) -> String {
        let mark = upload.file & 0xffff_ffff_ffff;
        let is_marked = upload.file >> 56 != 0;
        match upload.file >> 48 & 0xff {
            // Nothing distinguishes it from others of its type.
            0 if !is_marked => "monitoring".into(),
            1 if !is_marked => "sos".into(),
            2 if !is_marked => "intercom".into(),
            other if !is_marked => alloc::format!("{other}"),
            0 => alloc::format!("monitoring-{mark:012x}"),
            1 => alloc::format!("sos-{mark:04x}"),
            2 => alloc::format!("intercom-{mark:012x}"),
            other => alloc::format!("{other}-{mark:x}"),
        }
    }

    /// Whether the block is all of the file.
    pub(crate) fn is_whole(&self) -> bool {
        self.offset == 0 && usize::try_from(self.size).is_ok_and(|size| size == self.data.len())
    }

    /// When the recording was made, where its mark is a time.
    #[must_use]
    pub fn time(&self) -> Option<DateTime> {
        match (self.kind, &self.mark[..]) {
            (0 | 2, &[year, month, day, hour, minute, second]) => Some(DateTime::from_bytes([
                year, month, day, hour, minute, second,
            ])),
            _ => None,
        }
    }
}

impl Body for FileBlock {
    const NAME: &'static str = "file_block";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let kind = r.u8("type")?;
        let size = r.u32("size")?;
        let check = match r.u8("kind of check")? {
            0 => FileCheck::Crc(r.u16("check")?),
            1 => FileCheck::Md5(r.array("check")?),
            other => return Err(r.out_of_range("kind of check", 1, other.into())),
        };
        let offset = r.u32("offset")?;
        let len = r.u16("length")?;
        let block = Self {
            kind,
            size,
            check,
            offset,
            data: r.bytes("data", usize::from(len))?,
            mark: r.take_rest("mark"),
        };
        if let Some(time) = block.time() {
            r.note(|| format!("{time}"));
        }
        Ok(block)
    }

    fn encode(&self, out: &mut BytesMut) {
        let data = self.data.get(..usize::from(u16::MAX)).unwrap_or(&self.data);
        out.put_u8(self.kind);
        out.put_u32(self.size);
        match self.check {
            FileCheck::Crc(crc) => {
                out.put_u8(0);
                out.put_u16(crc);
            }
            FileCheck::Md5(md5) => {
                out.put_u8(1);
                out.put_slice(&md5);
            }
        }
        out.put_u32(self.offset);
        out.put_u16(u16::try_from(data.len()).unwrap_or(u16::MAX));
        out.put_slice(data);
        out.put_slice(&self.mark);
    }

    fn number(&self) -> u8 {
        0x8d
    }

    fn start(&self) -> Start {
        Start::Long
    }

    /// Key: number, type, mark, offset; where the mark is no time, where the frame arrived.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = self.report(cx, out, self.offset, 0);
        let mut media = self.media();
        media.size = Some(self.size.into());
        media.offset = self.offset.into();
        media.complete = self.is_whole();
        media.data = self.data.clone();
        report.more.media = Some(media);
    }
}

#[cfg(feature = "telemetry")]
impl FileBlock {
    fn report<'r>(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &'r mut crate::normalize::Reports,
        offset: u32,
        index: u32,
    ) -> &'r mut milepost_telemetry::Report {
        let mut key = BytesMut::with_capacity(12);
        key.put_slice(&[0x8d, self.kind]);
        key.put_slice(&self.mark);
        key.put_u32(offset);
        let report = match self.time() {
            Some(time) => cx.timed(out, milepost_telemetry::Kind::Media, time, &key, index),
            None => cx.untimed(out, milepost_telemetry::Kind::Media, index),
        };
        let check = match &self.check {
            FileCheck::Crc(crc) => format!("crc {crc:04x}"),
            FileCheck::Md5(md5) => format!("md5 {}", crate::text::hex(md5)),
        };
        report
            .more
            .signals
            .push(milepost_telemetry::Signal::named("gt06.file_check").text(check));
        report
    }

    fn media(&self) -> milepost_telemetry::Media {
        let mut media = self.upload().media();
        media.event = Some(self.kind.into());
        media
    }

    /// The whole recording, which this block completed.
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
