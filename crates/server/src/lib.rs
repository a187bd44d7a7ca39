//! Milepost in one binary: configuration, roles, tools.
//!
//! This is the only crate that knows all others. It is a library so that tests and the binary
//! share one body of code; it promises no stable API. Each subcommand is a module with its
//! `Options` (the flags) and a `run`.

mod api;
pub mod audit;
pub mod check_config;
pub mod cli;
mod commands;
pub mod config;
pub mod decode;
pub mod demo;
mod descriptors;
pub mod failure;
mod listening;
pub mod logging;
pub mod options;
pub mod protocol;
mod registry;
mod retention;
pub mod serve;
pub mod shutdown;
pub mod simulate;

pub use cli::{main, main_with};

/// Says something on standard output. Whoever closed it does not want to hear it, and the work
/// goes on.
fn say(text: impl std::fmt::Display) {
    use std::io::Write as _;
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Says something on standard error. If that cannot be written, nothing else happens.
fn complain(text: impl std::fmt::Display) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "milepost: {text}"));
}
