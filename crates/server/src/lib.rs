//! Milepost in one binary: configuration, roles, tools.
//!
//! This is the only crate that knows all others. It is a library so that tests and the binary
//! share one body of code; it promises no stable API. Each subcommand is a module with its
//! `Options` (the flags) and a `run`.

mod api;
pub mod audit;
pub mod backup;
pub mod check_config;
pub mod cli;
mod commands;
pub mod config;
pub mod decode;
pub mod demo;
mod descriptors;
pub mod failure;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod forget;
mod listening;
pub mod logging;
pub mod metrics;
pub mod options;
pub mod protocol;
mod redo;
mod registry;
mod retention;
pub mod serve;
pub mod shutdown;
pub mod simulate;
pub mod smooth;

pub use cli::{main, main_with};

/// Says something on standard output. Whoever closed it does not want to hear it, and the work
/// goes on.
fn say(text: impl std::fmt::Display) {
    use std::io::Write as _;
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// How long a message waits for a standard error that nobody reads.
const COMPLAINT: std::time::Duration = std::time::Duration::from_secs(1);

/// Says something on standard error. If that takes nothing, the process goes on without.
fn complain(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let line = format!("milepost: {text}\n");
    let (done, said) = std::sync::mpsc::channel();
    // On a thread of its own: writing to a full pipe waits for its reader.
    let writing = std::thread::Builder::new().spawn(move || {
        drop(std::io::stderr().write_all(line.as_bytes()));
        // Nobody waits any more if it took too long.
        let _late = done.send(()).is_err();
    });
    if writing.is_ok() {
        let _unread = said.recv_timeout(COMPLAINT).is_err();
    }
}
