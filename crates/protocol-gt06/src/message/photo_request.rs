//! 0x36 from a server: a block of a photo is wanted (X1).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | photo | its number |
//! | 4 | 4 | offset | where the block begins |
//! | 8 | 2 | length | at most 1024 |

use super::{Body, Context, Direction, Fit};
use crate::layout::{layout, plain};

layout! {
    /// A block of a photo is wanted, from a server.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct PhotoRequest {
        /// The photo's number.
        photo: u32 as "photo",
        /// Where the block begins.
        offset: u32 as "offset",
        /// How long it is.
        len: u16 as "length",
    }
}

impl PhotoRequest {
    /// The longest block that may be asked for.
    pub const LONGEST: u16 = 1_024;
}

impl Body for PhotoRequest {
    const NAME: &'static str = "photo_request";

    plain!(0x36);

    /// Ten bytes that end in the length that is asked for.
    fn fit(cx: &Context<'_>) -> Fit {
        let is_length =
            |high: u8, low: u8| (1..=Self::LONGEST).contains(&u16::from_be_bytes([high, low]));
        let fits = matches!(cx.body, [.., high, low] if is_length(*high, *low));
        Fit::possible_if(cx.is_short() && cx.body.len() == 10 && fits)
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
