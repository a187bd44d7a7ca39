//! A TCP listener framework for device protocols.

mod command;
mod context;
mod deliver;
mod protocol;
mod registry;

pub use command::{Command, CommandRefused};
pub use context::Context;
pub use deliver::{Deliver, NotDelivered};
pub use protocol::{Identified, Protocol, RawFrame, Session, Skipped};
pub use registry::{AcceptAll, Claim, Registry, Resolution};
