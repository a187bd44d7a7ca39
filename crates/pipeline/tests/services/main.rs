//! Tests against real servers: `services/up && services/env cargo test … -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[cfg(feature = "fleet")]
mod events;
#[cfg(feature = "fleet")]
mod fleet;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "fleet")]
mod random;
#[cfg(feature = "redis")]
mod redis;
mod support;
#[cfg(feature = "timescale")]
mod timescale;
#[cfg(feature = "fleet")]
mod trips;
