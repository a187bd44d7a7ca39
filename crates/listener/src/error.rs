//! Why a server does not start, and why a connection ends.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says: in use, not permitted, not ours.
        source: io::Error,
    },
}

/// Why a connection ended. Logs and metrics use the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it.
    Peer,
    /// The network broke it.
    Io(io::ErrorKind),
    /// It did not log in in time.
    LoginTimeout,
    /// It was silent for too long.
    IdleTimeout,
    /// A frame was begun and not completed in time.
    FrameTimeout,
    /// The peer did not read what it was sent.
    WriteTimeout,
    /// The registry did not answer in time.
    RegistryTimeout,
    /// The registry refused the device.
    Refused,
    /// The session asked for it; why.
    Session(&'static str),
    /// Too many unreadable frames or foreign bytes in a row.
    TooManyBad,
    /// The beginning of a frame grew beyond the limit.
    FrameTooLong,
    /// Newer connections took its place: its device has too many from this network or from too
    /// many networks, or there are too many peers of a datagram socket.
    Superseded,
    /// Too many frames or bytes before an accepted login.
    Stranger,
    /// Memory was short, and this connection had most of it in partial frames and uploads.
    Memory,
    /// The session held more frames than it may, and reported none.
    HeldTooMuch,
    /// The session broke its contract (it panicked, or made no progress).
    Defect,
    /// The server is being drained; all frames were resolved.
    Drained,
    /// The server is being drained; some frames were not resolved in time.
    DrainTimeout,
    /// Its task was ended from outside, or panicked.
    Aborted,
}

impl CloseReason {
    /// The word for it in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Io(_) => "io",
            Self::LoginTimeout => "login_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::FrameTimeout => "frame_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::RegistryTimeout => "registry_timeout",
            Self::Refused => "refused",
            Self::Session(_) => "session",
            Self::TooManyBad => "too_many_bad",
            Self::FrameTooLong => "frame_too_long",
            Self::Superseded => "superseded",
            Self::Stranger => "stranger",
            Self::Memory => "memory",
            Self::HeldTooMuch => "held_too_much",
            Self::Defect => "defect",
            Self::Drained => "drained",
            Self::DrainTimeout => "drain_timeout",
            Self::Aborted => "aborted",
        }
    }

    /// Whether nothing can be written any more.
    pub(crate) const fn is_abrupt(self) -> bool {
        matches!(self, Self::Io(_) | Self::WriteTimeout)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => write!(f, "io: {kind}"),
            Self::Session(why) => write!(f, "session: {why}"),
            other => f.write_str(other.as_str()),
        }
    }
}
