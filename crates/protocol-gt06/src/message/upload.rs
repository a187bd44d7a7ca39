//! What messages and reports call the files that [`media`](crate::media) puts together.

use alloc::string::String;
use core::fmt;

#[cfg(feature = "telemetry")]
use bytes::Bytes;

use super::{FileBlock, Message, PhotoPart};
#[cfg(feature = "telemetry")]
use crate::media::Abandoned;
use crate::media::{Place, UploadId};

impl UploadId {
    /// What the reports of its blocks call it, in `media.id`.
    pub(crate) fn media_id(self) -> String {
        match self.number {
            0x41 => alloc::format!("{}", PhotoPart::number_of(self)),
            0x8d => FileBlock::id_of(self),
            _ => alloc::format!("{}", self.file),
        }
    }

    /// And in `media.type`.
    pub(crate) const fn media_type(self) -> &'static str {
        match self.number {
            0x41 if !PhotoPart::is_image(self) => "file",
            0x8d => "audio",
            _ => "image",
        }
    }

    /// The file, without any of its bytes.
    #[cfg(feature = "telemetry")]
    pub(crate) fn media(self) -> milepost_telemetry::Media {
        milepost_telemetry::Media::new(self.media_id(), self.media_type())
    }
}

/// Type and name, as in the reports of its blocks.
impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.media_type(), self.media_id())
    }
}

/// A block of a file, as its message has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) id: UploadId,
    pub(crate) place: Place,
    pub(crate) total: Option<u64>,
    /// The block alone is the whole file, and is reported so.
    pub(crate) is_whole: bool,
    pub(crate) data: &'a [u8],
}

impl Message {
    /// The block of a file that the message carries.
    pub(crate) fn block(&self) -> Option<Block<'_>> {
        match self {
            Self::PhotoBlock(block) => Some(Block {
                id: UploadId::photo(block.photo),
                place: Place::Offset(block.offset.into()),
                total: None,
                is_whole: false,
                data: &block.data,
            }),
            Self::PhotoPart(part) => Some(Block {
                id: part.upload(),
                place: Place::Part(part.part),
                total: Some(part.total.into()),
                is_whole: part.is_complete(),
                data: &part.data,
            }),
            Self::FileBlock(block) => Some(Block {
                id: block.upload(),
                place: Place::Offset(block.offset.into()),
                total: Some(block.size.into()),
                is_whole: block.is_whole(),
                data: &block.data,
            }),
            _ => None,
        }
    }

    /// The report of a file that the block of this message completed.
    #[cfg(feature = "telemetry")]
    pub(crate) fn normalize_whole(
        &self,
        cx: &crate::normalize::Context<'_>,
        whole: &Bytes,
        out: &mut crate::normalize::Reports,
    ) {
        match self {
            Self::PhotoBlock(block) => block.normalize_whole(cx, whole, out),
            Self::PhotoPart(part) => part.normalize_whole(cx, whole, out),
            Self::FileBlock(block) => block.normalize_whole(cx, whole, out),
            _ => {}
        }
    }
}

#[cfg(feature = "telemetry")]
impl Abandoned {
    /// The file, without any of its bytes: those are in the reports of its blocks.
    pub(crate) fn media(&self) -> milepost_telemetry::Media {
        let mut media = self.id.media();
        media.size = self.total;
        media
    }
}

/// A file with all its bytes.
#[cfg(feature = "telemetry")]
pub(crate) fn completed(
    mut media: milepost_telemetry::Media,
    whole: &Bytes,
) -> milepost_telemetry::Media {
    media.size = u64::try_from(whole.len()).ok();
    media.complete = true;
    media.data = whole.clone();
    media
}
