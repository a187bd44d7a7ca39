//! 0x36 from a server: a block of a photo is wanted (X1).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | photo | its number |
//! | 4 | 4 | offset | where the block begins |
//! | 8 | 2 | length | at most 1024 |

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// A block of a photo is wanted, from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoRequest {
    /// The photo's number.
    pub photo: u32,
    /// Where the block begins.
    pub offset: u32,
    /// How long it is.
    pub len: u16,
}

impl PhotoRequest {
    /// The longest block that may be asked for.
    pub const LONGEST: u16 = 1_024;
}

impl Body for PhotoRequest {
    const NAME: &'static str = "photo_request";

    /// Ten bytes that end in the length that is asked for.
    fn fit(cx: &Context<'_>) -> Fit {
        let is_length =
            |high: u8, low: u8| (1..=Self::LONGEST).contains(&u16::from_be_bytes([high, low]));
        let fits = matches!(cx.body, [.., high, low] if is_length(*high, *low));
        Fit::possible_if(cx.is_short() && cx.body.len() == 10 && fits)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            photo: r.u32("photo")?,
            offset: r.u32("offset")?,
            len: r.u16("length")?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(self.photo);
        out.put_u32(self.offset);
        out.put_u16(self.len);
    }

    fn number(&self) -> u8 {
        0x36
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
