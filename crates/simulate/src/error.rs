//! Why a simulation could not start.

use std::io;
use std::path::PathBuf;

/// Why a simulation could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ledger's file cannot be created.
    #[error("cannot write the ledger {}: {source}", .path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The server's name has no address.
    #[error("{server} has no address: {reason}")]
    NoAddress {
        /// The server as it was named.
        server: String,
        /// Why.
        reason: String,
    },
    /// Nothing answers at the server's address.
    #[error("no server answers at {server}: {source}")]
    NoServer {
        /// The server as it was named.
        server: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The devices' frames have no such form.
    #[error("{form:?} is {reason}")]
    Form {
        /// The form as it was named.
        form: String,
        /// What it may be.
        reason: String,
    },
    /// There are not so many device ids from the first one on.
    #[error("there are no {devices} ids from {first} on")]
    TooFewIds {
        /// The number of devices asked for.
        devices: u32,
        /// The first id.
        first: String,
    },
}

impl Error {
    /// What would help, for people who use the command line.
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Ledger { .. } | Self::Form { .. } => None,
            Self::NoAddress { .. } => Some("--server is a name or an address, and a port"),
            Self::NoServer { .. } => {
                Some("start one with `milepost serve`, or name another with --server")
            }
            Self::TooFewIds { .. } => Some("choose a lower --first-id"),
        }
    }
}
