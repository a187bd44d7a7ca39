#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::panic
    )
)]

extern crate alloc;
#[cfg(any(feature = "telemetry", test))]
extern crate std;

mod can;
pub mod carrier;
pub mod claim;
#[cfg(feature = "dbc")]
pub mod dbc;
pub mod decoder;
pub mod diagnostics;
pub mod encode;
mod error;
pub mod explain;
mod id;
#[cfg(feature = "telemetry")]
pub mod merge;
pub mod name;
pub mod network;
#[cfg(feature = "telemetry")]
pub mod normalize;
pub mod obd;
pub mod signal;
#[cfg(feature = "simulate")]
pub mod simulate;
pub mod text;
pub mod transport;

pub use can::{CanFrame, CanFrameError, CanId, CanTime};
pub use error::{DecodeError, DecodeErrorKind};
pub use id::{GLOBAL, J1939Id, NULL_ADDRESS, Pgn};
