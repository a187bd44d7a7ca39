//! 0x36 with data, a block of a photo (X1).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | photo | its number |
//! | 4 | 4 | offset | where the block begins |
//! | 8 | 2 | length | of the data |
//! | 10 | | data | |
//!
//! Seen on devices, under both starts. The number has other meanings (see
//! [`ItemHeartbeat`](super::ItemHeartbeat)); a frame is a block if its own length
//! ends with the body.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};

/// A block of a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoBlock {
    /// How the frame starts.
    pub start: Start,
    /// The photo's number.
    pub photo: u32,
    /// Where the block begins.
    pub offset: u32,
    /// The block.
    pub data: Bytes,
}

impl Body for PhotoBlock {
    const NAME: &'static str = "photo_block";

    fn fit(cx: &Context<'_>) -> Fit {
        let fits = matches!(cx.body, [_, _, _, _, _, _, _, _, high, low, data @ ..]
            if !data.is_empty() && usize::from(u16::from_be_bytes([*high, *low])) == data.len());
        Fit::possible_if(cx.head.serial().is_some() && fits)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let photo = r.u32("photo")?;
        let offset = r.u32("offset")?;
        let len = r.u16("length")?;
        let data = r.bytes("data", usize::from(len))?;
        Ok(Self {
            start: cx.head.start(),
            photo,
            offset,
            data,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        let data = self.data.get(..usize::from(u16::MAX)).unwrap_or(&self.data);
        out.put_u32(self.photo);
        out.put_u32(self.offset);
        out.put_u16(u16::try_from(data.len()).unwrap_or(u16::MAX));
        out.put_slice(data);
    }

    fn number(&self) -> u8 {
        0x36
    }

    fn start(&self) -> Start {
        self.start
    }

    /// Key: where the frame arrived, since a block has no time.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Media, 0);
        let mut media = crate::media::UploadId::photo(self.photo).media();
        media.offset = self.offset.into();
        media.data = self.data.clone();
        report.more.media = Some(media);
    }
}

#[cfg(feature = "telemetry")]
impl PhotoBlock {
    /// The whole photo, which this block completed.
    pub(crate) fn normalize_whole(
        &self,
        cx: &crate::normalize::Context<'_>,
        whole: &Bytes,
        out: &mut crate::normalize::Reports,
    ) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Media, 1);
        let media = crate::media::UploadId::photo(self.photo).media();
        report.more.media = Some(super::upload::completed(media, whole));
    }
}
