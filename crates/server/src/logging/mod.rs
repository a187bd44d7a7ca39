//! Logs on standard error, which never stop the work: a line that cannot be written now waits in
//! a bounded queue, and if that is full it is dropped and counted. A closed standard error, a full
//! disk and a pipe that nobody reads cost lines and nothing else.

mod writer;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use writer::Writer;

use crate::config::{Log, LogFormat};

/// How long the end of the process waits until the last lines are written.
const LAST_LINES: Duration = Duration::from_millis(500);

static WRITER: OnceLock<Writer> = OnceLock::new();

/// Starts logging. Later calls do nothing, so that one process can run several roles.
pub fn start(log: &Log) {
    let mut filter = EnvFilter::builder().parse_lossy(&log.level);
    if log.trace_device.is_some() || log.trace_peer.is_some() {
        // Whoever names a device to trace wants its lines whatever the level.
        if let Ok(frames) = "milepost_listener::frames=trace".parse() {
            filter = filter.add_directive(frames);
        }
    }
    let writer = WRITER.get_or_init(|| Writer::start(std::io::stderr()));
    let builder = tracing_subscriber::fmt()
        .with_writer(|| writer.line())
        .with_ansi(std::io::stderr().is_terminal())
        // It would write to standard error by itself, and panic if it cannot.
        .log_internal_errors(false)
        .with_env_filter(filter);
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    match started {
        Ok(()) => end_on_lost_thread(),
        Err(_) => tracing::debug!("logging had been started before"),
    }
}

/// Waits for the last lines, for half a second at most: nobody may be reading them.
pub fn finish() {
    if let Some(writer) = WRITER.get() {
        writer.flush(LAST_LINES);
    }
}

/// Logs panics, and ends the process if a thread of the data path has one: a server that takes
/// connections and stores nothing is worse than one that a supervisor starts again.
///
/// Tasks are not meant: a panic in one ends that task, and its owner gets the error. Nor are stages
/// and followers, whose panics the pipeline catches, counts and logs.
fn end_on_lost_thread() {
    std::panic::set_hook(Box::new(|panic| {
        if milepost_pipeline::catches(panic) {
            return;
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = place.unwrap_or_default();
        tracing::error!(
            thread = name,
            place,
            message,
            "a panic: a defect of this program"
        );
        if is_data_path(name) {
            tracing::error!("the process ends: nothing more could be stored");
            finish();
            std::process::exit(1);
        }
    }));
}

/// Whether a thread's end leaves the server unable to store. Tokio's threads outlive a panic of
/// their tasks; all threads that we start ourselves carry data, except the one that writes logs.
fn is_data_path(thread: &str) -> bool {
    !(thread.starts_with("tokio-") || thread == "main" || thread == writer::THREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_the_pipeline_are_the_data_path_and_tokio_s_are_not() {
        assert!(is_data_path("shard-0"));
        assert!(is_data_path("store-writer"));
        for other in [
            "tokio-rt-worker",
            "tokio-runtime-worker",
            "main",
            writer::THREAD,
        ] {
            assert!(!is_data_path(other), "{other}");
        }
    }
}
