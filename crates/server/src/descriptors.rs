//! Every connection is an open file: takes as many as the system allows this process, and keeps
//! some back, so that strangers' connections cannot take those that HTTP and the store need.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Files of the store (each reader has three), of the runtime and of standard streams.
const RESERVE: u64 = 96;

/// How the open files are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Device connections of each listener.
    pub(crate) devices: usize,
    /// HTTP connections.
    pub(crate) http: usize,
}

/// Raises the limit on open files to what may be had without a privilege. Many systems start
/// processes with 1,024, for the sake of programs from before `poll`. Gives the limit.
pub(crate) fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        match setrlimit(Resource::Nofile, limit) {
            Ok(()) => tracing::debug!(?before, now = ?limit.maximum, "open files"),
            Err(error) => {
                tracing::warn!(%error, ?before, "the limit on open files stays as it is");
                limit.current = before;
            }
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// Shares out the open files. Says so if there are fewer than the configuration asks for.
pub(crate) fn share(limit: u64, config: &Config, listeners: usize) -> Share {
    let share = shared(
        limit,
        config.limits.max_connections,
        config.http.max_connections,
        listeners,
    );
    if share.devices < config.limits.max_connections {
        tracing::warn!(
            open_files = limit,
            device_connections = share.devices,
            http_connections = share.http,
            "the limit on open files allows fewer device connections than \
             limits.max_connections; raise it (LimitNOFILE, ulimit -Hn)"
        );
    }
    share
}

fn shared(limit: u64, devices: usize, http: usize, listeners: usize) -> Share {
    let left = usize::try_from(limit.saturating_sub(RESERVE)).unwrap_or(usize::MAX);
    // HTTP gets up to a quarter: operators look when trackers are many.
    let http = http.min(left / 4).max(1);
    let each = left.saturating_sub(http + milepost_api::HEALTH_CONNECTIONS) / listeners.max(1);
    Share {
        devices: devices.min(each).max(1),
        http,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_leave_files_for_http_and_the_store() {
        for (limit, listeners) in [(256, 1), (1_024, 1), (1_024, 3), (65_536, 2), (u64::MAX, 1)] {
            let share = shared(limit, 100_000, 1_024, listeners);
            let taken = share.devices * listeners + share.http + milepost_api::HEALTH_CONNECTIONS;
            assert!(taken as u64 + RESERVE <= limit, "{limit}: {share:?}");
            assert!(share.http >= 40, "{limit}: {share:?}");
        }
        let share = shared(u64::MAX, 100_000, 1_024, 1);
        assert_eq!((share.devices, share.http), (100_000, 1_024));
    }
}
