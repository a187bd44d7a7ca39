//! The spool against a model, with a fault at every write, and its thread.

mod memory;
mod model;
mod waiting;
