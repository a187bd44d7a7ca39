//! The spool against a model, with a fault at every write, and its thread.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod memory;
mod model;
mod waiting;
