//! Every connection is an open file: takes as many as the system allows this process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit on open files to what may be had without a privilege. Many systems start
/// processes with 1,024, for the sake of programs from before `poll`.
pub(crate) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => tracing::debug!(?before, now = ?limit.maximum, "open files"),
        Err(error) => tracing::warn!(%error, ?before, "the limit on open files stays as it is"),
    }
}
