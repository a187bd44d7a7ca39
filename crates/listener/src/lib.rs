//! A TCP listener framework for device protocols.

mod accept;
mod clock;
mod command;
mod connection;
mod connections;
mod context;
mod deliver;
mod error;
mod limits;
pub mod metrics;
mod outbox;
mod protocol;
pub mod protocols;
mod registry;
mod server;

#[cfg(feature = "test-util")]
pub mod test_util;

pub use accept::{Accept, Tcp};
pub use clock::{Clock, SystemClock};
pub use command::{Command, CommandRefused};
pub use connections::{Connected, Connections, NotSent, TakeoverPolicy};
pub use context::Context;
pub use deliver::{Deliver, NotDelivered};
pub use error::{CloseReason, ServeError};
pub use limits::Limits;
pub use protocol::{Identified, Protocol, RawFrame, Session, Skipped};
pub use registry::{AcceptAll, Claim, Registry, Resolution};
pub use server::{Bound, Drained, Server};
