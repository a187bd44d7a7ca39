//! A [`Deframer`] as a `tokio-util` codec.
//!
//! Bytes that belong to no frame are items, not errors: `FramedRead` ends at an error, and a
//! stream goes on after noise. Errors are those of the socket alone.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{Deframer, Frame, FrameError};

/// Reads [`Frame`]s and writes whole frames, such as [`Reply::bytes`](crate::Reply::bytes).
#[derive(Debug, Clone, Default)]
pub struct Codec {
    deframer: Deframer,
}

impl Codec {
    /// For a stream of which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            deframer: Deframer::new(),
        }
    }

    /// What finds the frames: to notify it of a pause, or set how the device's frames are delimited.
    pub const fn deframer_mut(&mut self) -> &mut Deframer {
        &mut self.deframer
    }
}

impl Decoder for Codec {
    type Item = Result<Frame, FrameError>;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        Ok(self.deframer.next_frame(src).transpose())
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> io::Result<Option<Self::Item>> {
        self.deframer.on_pause();
        let rest = src.len();
        let item = self.deframer.next_frame(src).transpose();
        Ok(item.or_else(|| {
            // A frame that was cut off: more of it will not come.
            src.clear();
            (rest > 0).then_some(Err(FrameError::Skipped {
                bytes: rest,
                looks_like: None,
            }))
        }))
    }
}

impl Encoder<Bytes> for Codec {
    type Error = io::Error;

    fn encode(&mut self, frame: Bytes, dst: &mut BytesMut) -> io::Result<()> {
        dst.extend_from_slice(&frame);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::Start;
    use crate::reply::acknowledgement;

    #[test]
    fn noise_is_an_item_and_what_is_cut_off_at_the_end_is_told() {
        let frame = acknowledgement(Start::Short, 0x01, 1);
        let mut src = BytesMut::from(&b"noise"[..]);
        let mut codec = Codec::new();
        for _ in 0..2 {
            codec.encode(frame.clone(), &mut src).unwrap();
        }
        src.extend_from_slice(&frame[..7]);

        let mut items = Vec::new();
        while let Some(item) = codec.decode(&mut src).unwrap() {
            items.push(item.map(|frame| frame.raw().clone()));
        }
        assert_eq!(src.len(), 7, "the third frame may still come");
        while let Some(item) = codec.decode_eof(&mut src).unwrap() {
            items.push(item.map(|frame| frame.raw().clone()));
        }
        let skipped = |bytes| {
            Err(FrameError::Skipped {
                bytes,
                looks_like: None,
            })
        };
        assert_eq!(
            items,
            [skipped(5), Ok(frame.clone()), Ok(frame), skipped(7)]
        );
    }

    #[test]
    fn a_frame_whose_length_lies_is_released_at_the_end() {
        // It announces twelve bytes more than it has.
        let raw = b"\x78\x78\x11\x01\x00\x01\xd9\xdc\x0d\x0a";
        let mut src = BytesMut::from(&raw[..]);
        let mut codec = Codec::new();
        assert_eq!(codec.decode(&mut src).unwrap(), None);
        let mut found = 0;
        while let Some(item) = codec.decode_eof(&mut src).unwrap() {
            found += match item {
                Ok(frame) => frame.raw().len(),
                Err(FrameError::Skipped { bytes, .. }) => bytes,
            };
        }
        assert_eq!((found, src.len()), (raw.len(), 0));
    }
}
