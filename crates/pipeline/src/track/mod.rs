//! Smoothing.

mod bank;
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
pub use motion::{Events, Kind, Leg, Limits, Motion, MotionEvent, Now, Record};
pub use plausible::{Counts, Rules};
pub use replay::{Replayed, replay};
pub use sample::{Estimate, Rejected, Sample, Source};
pub use tracker::{Dirty, Output, Revised, Settings, Tracker};
