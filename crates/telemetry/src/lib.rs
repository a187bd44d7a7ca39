//! The one normalized schema of Milepost: what a vehicle tracker said.
//!
//! A [`Report`] is what one frame (or one item of a batch) said, with the protocol's own units,
//! zones and flags resolved: which device, when, where, and what else. It does no I/O, reads no
//! clock and knows no protocol.
//!
//! ```
//! use milepost_telemetry::{
//!     Coordinates, Decoder, Fix, FixSource, IdentitySeed, Kind, Report, ReportId, Speed,
//!     TimeSource, Timestamp, Zone,
//! };
//!
//! let decoder = Decoder::new("example", "example/1.0.0");
//! let seed = IdentitySeed::new(None, None, "example");
//! let sent = Timestamp::from_civil(2026, 11, 20, 6, 59, 58).expect("a real date");
//! let arrived = sent.offset_millis(2_123);
//!
//! let id = ReportId::mint(seed, sent, b"what stays the same when it is sent again");
//! let mut report = Report::new(id, decoder, Kind::Location, arrived);
//! report.set_device_time(sent, TimeSource::Fix, Zone::Utc);
//! let here = Coordinates::from_degrees(23.111755, 114.40923)?;
//! let mut fix = Fix::new(here, true, FixSource::Gnss);
//! fix.speed = Some(Speed::from_kmh(54.0)?);
//! report.fix = Some(fix);
//!
//! let json = serde_json::to_string(&report)?;
//! assert!(json.contains(r#""speed_kmh":54.0"#));
//! assert_eq!(serde_json::from_str::<Report>(&json)?, report);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! - **One unit per quantity**, fixed by the type and named in the JSON key (`speed_kmh`).
//! - **Checked when made.** [`Coordinates`], [`Speed`] and their like refuse what cannot be; they
//!   never clamp. A report that exists is plausible, and nothing defaults to 0, 0.
//! - **Absent, invalid and last-known are three things.** An absent key was not said. A fix with
//!   `valid: false` was sent without a satellite fix. [`FixSource::LastKnown`] is an old position
//!   sent again.
//! - **The same fact has the same [`ReportId`]**, however often a device sends it.
//! - **The JSON form is public**: additive, snapshot-tested, versioned by [`SCHEMA_VERSION`].

mod command;
mod device;
mod diagnostics;
mod envelope;
mod error;
mod event;
mod fix;
mod geo;
mod id;
mod io;
mod media;
mod name;
mod network;
mod power;
mod profile;
#[cfg(feature = "proto")]
pub mod proto;
mod quantity;
mod report;
mod signal;
mod time;
mod vehicle;

pub use command::{CommandAnswer, CommandOutcome};
pub use device::{DeviceId, DeviceKey, Tenant};
pub use diagnostics::{
    AddressClaim, Calibration, Diagnostics, Dtc, FreezeFrame, LampFlash, LampFlashes, LampState,
    Lamps, MonitorRatio, Refusal, SupportedSpn, TestResult,
};
pub use envelope::{Content, Envelope, FrameRanges, Quarantine};
pub use error::{Malformed, OutOfRange};
pub use event::{Event, EventKind, Incident, RaisedBy};
pub use fix::{Fix, FixSource, Rejected, Smoothed};
pub use geo::Coordinates;
pub use id::{IdentitySeed, Origin, ReportId};
pub use io::{IgnitionSource, Io, Switches};
pub use media::Media;
pub use name::Name;
pub use network::{Cell, MacAddress, Network, Radio, WifiStation};
pub use power::{Level, Power};
pub use profile::Profile;
pub use quantity::{Altitude, Course, Dop, Odometer, Percent, Speed, Voltage};
pub use report::{Checksum, Decoder, Kind, More, Rare, Report, SCHEMA_VERSION};
pub use signal::{Signal, SignalId, SignalState, Value};
pub use time::{RawTime, TimeSource, Timestamp, Zone};
pub use vehicle::{Identity, Vehicle};
