//! Smoothing, motion and trips: what a device's positions mean together.
//!
//! ```text
//! Sample ─▶ plausible ─▶ filter (bank + standing) ─▶ Estimate ─▶ motion ─▶ events, trips, stops
//!            which fixes    where, how fast,             │
//!            are believed   how sure                     └─▶ beside the raw fix, never instead
//! ```
//!
//! [`Tracker`] is the live state of one device: at most 2 KiB, no heap, with a versioned snapshot.
//! [`Lagged`] smooths a sequence with some following reports, [`replay`] finds the trips of stored
//! reports again, and [`csv`] does both for a file. All are pure: no clock, no I/O, and one setting
//! for all receivers. Method, figures and limits: `docs/smoothing.md`.

mod bank;
mod column;
pub mod csv;
mod filter;
mod frame;
mod gate;
mod lagged;
mod live;
mod motion;
mod numeric;
mod pace;
mod plausible;
mod replay;
mod rts;
mod sample;
mod snapshot;
mod standing;
mod tracker;
mod window;

pub use filter::{Filter, Fix};
pub use frame::{Frame, distance_m};
pub use lagged::Lagged;
pub use live::Live;
pub use milepost_telemetry::Rejected;
pub use motion::{Events, Kind, Leg, Limits, Motion, MotionEvent, Now, Record};
pub use plausible::{Counts, Rules};
pub use replay::{Replayed, replay};
pub use sample::{Estimate, REASONS, Sample, Source};
pub use tracker::{Dirty, Output, Revised, Settings, Tracker};
