#![doc = include_str!("../README.md")]
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

pub mod checksum;
mod clock;
pub mod command;
mod deframer;
pub mod dialect;
mod encode;
mod error;
mod exact;
mod explain;
mod field;
mod frame;
mod imei;
mod incident;
mod items;
mod layout;
#[cfg(feature = "telemetry")]
mod lines;
pub mod message;
pub mod neighbour;
#[cfg(feature = "telemetry")]
pub mod normalize;
mod profile;
mod read;
mod record;
mod reply;
mod session;
#[cfg(feature = "simulate")]
pub mod simulate;
mod text;
mod time;

pub use deframer::{Deframer, LONGEST, LONGEST_BATCH};
pub use dialect::{Dialect, Dialects, Kind, Meaning, ReplyClass};
pub use encode::{EncodeError, encode};
pub use error::{DecodeError, DecodeErrorKind, FrameError};
pub use explain::Part;
pub use field::{Field, UnknownField};
pub use frame::{Form, Frame};
pub use imei::Imei;
pub use incident::Mark;
#[cfg(feature = "telemetry")]
pub use lines::{Line, Lines};
pub use message::{Certainty, Known, Message};
#[cfg(feature = "telemetry")]
pub use profile::ProfileError;
pub use profile::{Checksum, Checksums, Profile};
pub use record::{Alarm, Few, More, Record};
pub use reply::{Reply, ReplyPolicy};
pub use session::{Handled, Session};
pub use text::{Bits, Code, Text};
pub use time::DateTime;

/// Latitude and longitude in degrees. Where one of them is beyond its range, both are degrees and
/// minutes (`ddmm.mmmm`).
pub(crate) fn degrees(latitude: f64, longitude: f64) -> (f64, f64) {
    if latitude <= 90.0 && longitude <= 180.0 {
        return (latitude, longitude);
    }
    let split = |value: f64| {
        let degrees = (value / 100.0).trunc();
        degrees + (value - degrees * 100.0) / 60.0
    };
    (split(latitude), split(longitude))
}
