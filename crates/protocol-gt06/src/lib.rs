#![doc = include_str!("../README.md")]
#![cfg_attr(
    all(test, not(feature = "telemetry")),
    allow(
        dead_code,
        unused_imports,
        reason = "most tests of messages look at reports"
    )
)]
//!
//! # Layers
//!
//! | layer | type | does |
//! |---|---|---|
//! | frames | [`Deframer`], [`frame`], [`find`], `codec` (feature `codec`) | delimits: partial reads, garbage, wrong lengths; a wrong checksum is reported, and the frame read |
//! | messages | [`Message`], [`message`], [`field`] | reads and writes bodies, losslessly |
//! | conversation | [`Session`], [`reply`], [`address`] | who logged in, what is answered and when, what is learned ([`Profile`]) |
//! | reports | [`normalize`] (feature `telemetry`) | units, zones, validity, identity |
//! | commands | [`command`], [`answer`] | what is sent to a device, and what the text of its answer means |
//! | files | [`media`] | photos and recordings put together from their blocks, with bounds |
//! | explanation | [`Message::explain`] | every byte of a frame with name and meaning |
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
#[cfg(any(feature = "telemetry", feature = "codec", test))]
extern crate std;

pub mod address;
pub mod answer;
mod checksum;
#[cfg(feature = "codec")]
pub mod codec;
pub mod command;
mod deframer;
mod dialect;
mod error;
mod explain;
pub mod field;
pub mod find;
mod foreign;
pub mod frame;
mod head;
mod layout;
pub mod media;
pub mod message;
#[cfg(feature = "telemetry")]
pub mod normalize;
mod offset;
mod parse;
mod profile;
mod relative;
pub mod reply;
mod session;
mod text;

pub use checksum::checksum;
pub use deframer::Deframer;
pub use dialect::{Dialect, Models, UnknownDialect};
pub use error::{DecodeError, DecodeErrorKind, FrameError};
pub use explain::Field;
pub use frame::{Checksum, Frame, Framing, Head, Start};
pub use message::{Direction, Message};
pub use parse::{Reader, Trace};
#[cfg(feature = "telemetry")]
pub use profile::ProfileError;
pub use profile::{Profile, Zones};
pub use reply::{AckPolicy, Reply, ReplyClass};
pub use session::{CardJudge, Handled, Session, Upload};
