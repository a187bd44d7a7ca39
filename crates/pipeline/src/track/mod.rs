//! Smoothing.

mod bank;
mod filter;
mod frame;
mod gate;
mod lagged;
mod live;
mod motion;
mod numeric;
mod pace;
mod plausible;
mod rts;
mod sample;
mod standing;
mod window;

pub use filter::{Filter, Fix};
pub use frame::{Frame, distance_m};
pub use lagged::Lagged;
pub use live::Live;
pub use plausible::{Counts, Rules};
pub use sample::{Estimate, Rejected, Sample, Source};
