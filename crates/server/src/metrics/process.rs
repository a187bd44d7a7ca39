//! The process, its version and its store, read when somebody asks.

use std::fs;
use std::path::Path;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::{head, sample};

pub(super) fn render(text: &mut String, store: Option<&Path>) {
    head(text, "milepost_build_info", "gauge");
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    sample(text, "milepost_build_info", &version, 1);

    if let Some(store) = store {
        head(text, "milepost_store_bytes", "gauge");
        let log = store.with_extension("sqlite-wal");
        for (file, path) in [("database", store), ("log", &log)] {
            let bytes = fs::metadata(path).map_or(0, |file| file.len());
            sample(
                text,
                "milepost_store_bytes",
                &format!("file=\"{file}\""),
                bytes,
            );
        }
    }

    let mut gauge = |name: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            head(text, name, kind);
            sample(text, name, "", value);
        }
    };
    let stat = Stat::read();
    gauge(
        "process_resident_memory_bytes",
        "gauge",
        stat.as_ref().map(|stat| stat.resident_bytes),
    );
    gauge(
        "process_cpu_seconds_total",
        "counter",
        stat.as_ref().map(|stat| stat.cpu_seconds),
    );
    gauge(
        "process_start_time_seconds",
        "gauge",
        stat.as_ref()
            .and_then(|stat| Some(booted()? + stat.started_after_boot)),
    );
    gauge(
        "process_open_fds",
        "gauge",
        fs::read_dir("/proc/self/fd")
            .ok()
            .map(|files| number(files.count() as u64)),
    );
    gauge(
        "process_max_fds",
        "gauge",
        getrlimit(Resource::Nofile).current.map(number),
    );
}

/// What Linux knows of this process; absent elsewhere.
struct Stat {
    resident_bytes: f64,
    cpu_seconds: f64,
    started_after_boot: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets, which may hold blanks.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) counts from 1, and `rest` begins with the third.
        let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok().map(number);
        let tick = number(clock_ticks_per_second());
        Some(Self {
            resident_bytes: field(24)? * number(page_size() as u64),
            cpu_seconds: (field(14)? + field(15)?) / tick,
            started_after_boot: field(22)? / tick,
        })
    }
}

/// When the machine was started, in Unix time.
fn booted() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse::<u64>().ok().map(number)
}

/// Exact up to 2^53, which is more than any of these is.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
const fn number(value: u64) -> f64 {
    value as f64
}
