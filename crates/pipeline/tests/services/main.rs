//! Tests against real servers: `services/up && services/env cargo test … -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;
#[cfg(feature = "timescale")]
mod timescale;
