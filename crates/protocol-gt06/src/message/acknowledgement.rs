//! A server's acknowledgement: a number and no body.
//!
//! Devices send such frames too, as echoes of what they were sent (`78 78 05 12 …`). They hold
//! nothing. A few numbers are a device's own without a body; those are not taken for echoes.

use bytes::BytesMut;

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};

/// An acknowledgement, or its echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The number of the message that is acknowledged.
    pub number: u8,
    /// How the frame starts.
    pub start: Start,
}

impl Body for Acknowledgement {
    const NAME: &'static str = "acknowledgement";

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        // Those that the manuals, or makers, have acknowledged. The others with an empty body are a
        // device's own: 0x8A asks for the time, 0x08 is a ping.
        let is_acknowledged = || {
            matches!(
                cx.number(),
                0x01 | 0x10..=0x13
                    | 0x16..=0x1a
                    | 0x1e
                    | 0x22..=0x2e
                    | 0x31..=0x41
                    | 0x61
                    | 0x65
                    | 0x66
                    | 0x70
                    | 0x8c
                    | 0x94
                    | 0x95
                    | 0xa0..=0xa9
                    | 0xb2
                    | 0xf1..=0xf3
                    | 0xfd
            )
        };
        Fit::possible_if(
            cx.body.is_empty()
                && cx.head.serial().is_some()
                && match cx.head.start() {
                    Start::Short => is_acknowledged(),
                    Start::Long => is_acknowledged() || matches!(cx.number(), 0x21 | 0x8d | 0x9b),
                    Start::Wide => false,
                },
        )
    }

    #[inline]
    fn decode<T: Trace>(_: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: cx.number(),
            start: cx.head.start(),
        })
    }

    fn encode(&self, _: &mut BytesMut) {}

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        self.start
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
