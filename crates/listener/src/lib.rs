//! A TCP listener framework for device protocols: it holds very many connections of devices on bad
//! networks, and tells a device "received" only when its data is safe.
//!
//! A protocol brings a sans-IO [`Session`] (bytes in; frames, reports and replies out), an
//! application brings a [`Registry`] (who is this device?) and a [`Deliver`] (make this durable).
//! Sockets, time, limits, order and shutdown are the framework's.
//!
//! # Guarantees
//!
//! - **Acknowledged means delivered.** A reply given by [`Context::reply_when_delivered`] leaves
//!   after the [`Deliver`] future of its own frame has resolved to `Ok`, in the order of the
//!   frames; if it resolves to anything else, or never, the reply does not leave.
//! - **Immediate replies are never held up** by deliveries ([`Context::reply`]: logins,
//!   heartbeats, the time). Only the registry's answer to the device's own name holds a
//!   connection's frames.
//! - **Each frame ends in exactly one envelope**: reports, filtered with a reason, or quarantined
//!   with its bytes. A session that forgets a frame, panics on it, or reports for a device that
//!   it did not name, does not change that. Envelopes are handed over in the order of the frames
//!   and numbered ([`Origin`](milepost_telemetry::Origin)).
//! - **One bad frame costs one frame.** Foreign bytes and unreadable frames are counted, named
//!   and survived; only many in a row cost the connection, and no connection costs another.
//! - **Back-pressure reaches the device.** Frames in flight are bounded per connection, in number
//!   and bytes; at the bound the socket is not read, and the silence is not held against the
//!   device. So while nothing can be delivered, heartbeats are still answered until the bound is
//!   reached ([`Limits::in_flight`] frames since the stall began, heartbeats among them: they are
//!   reports too); from then on a device hears nothing, and after about three silent heartbeats
//!   connects again, or restarts, and keeps what was not acknowledged. A higher bound carries
//!   devices through a longer stall, and costs memory and, in a crash, more frames.
//! - **Memory is bounded** by [`Limits`], per connection (see the table), by the number of
//!   connections, and for the frames in flight on all of them by a [`Room`]. Where that is used
//!   up, connections are read no further than [`Room::SHARE`] frames: each login is answered, and
//!   a heartbeat behind it. An idle connection holds no buffer.
//! - **What was received is settled** also when the peer is gone: a connection ends when its last
//!   verdict is there, though it takes no place among the connections once its socket is closed.
//!   Two things give frames up, and count them: a drain that runs out of time, and the end of a
//!   socket whose frames were taken beyond a [`Room`] that is still used up.
//!
//! What a crash loses: frames in flight, at most [`Limits::in_flight`] per connection, and a
//! [`Room`] with the shares in all. None of them was acknowledged.
//!
//! # A connection's life
//!
//! ```text
//!  permit ─ accept ─ task ─┐                     idle, frame, write deadlines: close
//!                          ▼                    ┌───────────────────────────────────────────┐
//!   socket ──read──▶ next_frame ──▶ on_frame ───┤                                           ▼
//!     ▲  (not at the bound)  ▲          │       └─▶ identify ─▶ Registry ─▶ on_identified  close
//!     │                      │          │           (suspended; login and  │   or refused:  │
//!     │             on_pause when       ▼            resolve deadlines)    ▼   close        │
//!     │             the peer rests   envelope ◀────────────────────────────┘                │
//!     │                                 │ one per frame, in order                           │
//!     │                                 ▼                                                   │
//!     │                              Deliver ──Ok──▶ acknowledgements, in order ─┐          │
//!     │                                                                          ▼          │
//!     └──write── coalesced ◀── immediate replies, commands ──────────────────────┴──────────┤
//!                                                                                           ▼
//!        stop reading ─ on_close ─ settle what is in flight ─ write ─ shut down ─ linger ─ close the
//!        socket, which releases the permit; after `Limits::settle` also while verdicts are awaited
//! ```
//!
//! # What a connection can hold
//!
//! | what | bound |
//! |---|---|
//! | bytes that are no frame yet | [`Limits::partial_frame`] and one read (16 KiB) |
//! | frames in flight | [`Limits::in_flight`] frames; [`Limits::in_flight_bytes`] and one frame; on all connections: [`Room`] |
//! | replies that the peer does not read | [`Limits::unwritten`], one frame's replies, and the acknowledgements of what is in flight |
//! | a frame that waits for the registry | one |
//! | commands that wait to be taken | 16 |
//! | what a session holds beside its frames | the session's own, until [`Session::on_close`] (for GT06: files in blocks) |
//!
//! # A server
//!
//! ```no_run
//! # #[cfg(feature = "gt06")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use milepost_listener::{AcceptAll, NotDelivered, Server, protocols::Gt06};
//! use milepost_telemetry::{Envelope, Tenant};
//! use tokio_util::sync::CancellationToken;
//!
//! let store = |envelope: Envelope| async move {
//!     println!("{envelope:?}"); // `Ok` only when it is durable: the device will be told.
//!     Ok::<(), NotDelivered>(())
//! };
//! let shutdown = CancellationToken::new();
//! let server = Server::new(Gt06::default(), AcceptAll(Tenant::new("acme")?), store)
//!     .bind("0.0.0.0:5023".parse()?)?;
//! server.run(shutdown).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `gt06` (default): the adapter for GT06 / Concox devices.
//! - `test-util`: scripted devices over in-memory streams.

mod accept;
mod carrier;
mod clock;
mod command;
mod connection;
mod connections;
mod context;
mod conversation;
mod datagrams;
mod deliver;
mod error;
mod limits;
mod log_limit;
mod memory;
pub mod metrics;
mod network;
mod protocol;
pub mod protocols;
mod rate;
mod registry;
mod server;
mod shared;
mod trace;

#[cfg(feature = "test-util")]
pub mod test_util;

pub use accept::{Accept, Tcp, listen};
pub use clock::{Clock, SystemClock};
pub use command::{Command, CommandRefused};
pub use connections::{Connected, Connections, NetworkPolicy, NotSent, Sent};
pub use context::Context;
pub use datagrams::{BoundDatagrams, Datagrams};
pub use deliver::{Deliver, NotDelivered};
pub use error::{CloseReason, ServeError};
pub use limits::Limits;
pub use log_limit::LogLimit;
pub use memory::MemoryBudget;
pub use network::{Network, NotANetwork};
pub use protocol::{Closed, Opened, Protocol, RawFrame, Session, Skipped};
pub use rate::Rate;
pub use registry::{AcceptAll, Claim, Identified, Registry, Resolution};
pub use server::{Bound, Drained, Server};
pub use trace::FrameTrace;
