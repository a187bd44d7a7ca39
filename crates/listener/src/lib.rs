//! Holds connections of devices, over TCP and UDP, and tells a device "received" only when its data
//! is safe.
//!
//! A protocol brings a sans-IO [`Session`] (bytes in; frames, reports and replies out), an
//! application brings a [`Registry`] (who is this device?) and a [`Deliver`] (make this durable).
//! Sockets, time, limits, order and shutdown are the framework's.
//!
//! # Guarantees
//!
//! - **Acknowledged means delivered.** A reply given by [`Context::reply_when_delivered`] leaves
//!   after the [`Deliver`] future of the envelope that covers its frame has resolved to `Ok`, in
//!   the order of the envelopes; if it resolves to anything else, or never, the reply does not
//!   leave.
//! - **Immediate replies are never held up** by deliveries ([`Context::reply`]: logins,
//!   heartbeats, the time). Only the registry's answer to a login holds a connection's frames.
//! - **Each frame ends in exactly one envelope**: reports, filtered with a reason, or quarantined
//!   with its bytes. An envelope lists the frames that it covers: nearly always one; more if the
//!   session [held](Context::hold) some for it. A session that forgets a frame, panics on it, still
//!   holds it at the end, or reports for a device that it did not name, does not change that.
//!   Frames are numbered ([`Origin`](milepost_telemetry::Origin)), and envelopes are handed over in
//!   the order in which they were made.
//! - **One bad frame costs one frame.** Foreign bytes and unreadable frames are counted, named
//!   and survived; only many in a row cost the connection, and no connection costs another.
//! - **Back-pressure reaches the device.** Envelopes in flight are bounded per connection, in
//!   number and bytes; at the bound the socket is not read beyond the next 16 frames, and the
//!   silence is not held against the device. While nothing can be delivered, heartbeats are
//!   answered until the bound is reached ([`Limits::in_flight`] frames since the stall began,
//!   heartbeats among them: they are reports too); from then on a device hears nothing, and after
//!   about three silent heartbeats connects again, or restarts, and keeps what was not
//!   acknowledged. A higher bound carries devices through a longer stall, and costs memory and, in
//!   a crash, more frames.
//! - **Urgent frames pass the bounds.** Of the next 16 frames, an [urgent](RawFrame::urgent) one and
//!   those before it use a reserve of 16 frames and of 5 % of the memory; the envelope says that it
//!   is urgent.
//! - **Memory is bounded** by [`Limits`] per connection (see the table), by the number of
//!   connections, and over all of them by a [`MemoryBudget`]. An idle connection holds no buffer.
//! - **Strangers have little.** Before an accepted login a connection has
//!   [`Limits::stranger_frames`] and [`Limits::stranger_bytes`], all of them together
//!   [`Limits::stranger_rate`] and a twelfth of the memory; what is beyond is closed unread, and
//!   what is not read is not received. A login costs nothing unless it is refused. The log lines
//!   that they can cause are limited per kind.
//! - **What was received is resolved** also when the peer is gone: a connection ends when its last
//!   verdict is there, though it takes no place among the connections once its socket is closed.
//!   Two things give frames up, and count them: a drain that runs out of time, and the end of a
//!   socket whose frames were taken beyond a [`MemoryBudget`] that is still used up.
//!
//! What a crash loses: frames in flight or held, at most [`Limits::in_flight`] and
//! [`Limits::held`] per connection, and two thirds of a [`MemoryBudget`] with the shares in all.
//! None of them was acknowledged.
//!
//! # Who may speak for a device
//!
//! Anyone can claim an id. Connections of one device and protocol live side by side for data, each
//! acknowledged on its own; [`Connections`] says which of them gets commands, and when none does.
//!
//! # A connection's life
//!
//! ```text
//!  permit ─ accept ─ task ─┐                     idle, frame, write deadlines: close
//!        (claim ─▶ Registry)▼                   ┌───────────────────────────────────────────┐
//!   socket ──read──▶ next_frame ──▶ on_frame ───┤                                           ▼
//!     ▲  (not at the bound)  ▲          │       └─▶ identify ─▶ Registry ─▶ on_identified  close
//!     │                      │          │           (suspended; login and  │   or refused:  │
//!     │             on_pause when       ▼            resolve deadlines)    ▼   close        │
//!     │             the peer rests   envelope ◀── hold ─ on_wake ◀─────────┘                │
//!     │                                 │ of one frame or several                           │
//!     │                                 ▼                                                   │
//!     │                              Deliver ──Ok──▶ acknowledgements, in order ─┐          │
//!     │                                                                          ▼          │
//!     └──write── coalesced ◀── immediate replies, commands ──────────────────────┴──────────┤
//!                                                                                           ▼
//!        stop reading ─ on_close (may report what was held) ─ settle what is in flight ─ write ─
//!        shut down ─ linger ─ close the socket, which releases the permit; after
//!        `Limits::settle` also while verdicts are awaited
//! ```
//!
//! Datagrams drive the same conversation ([`Server::bind_datagrams`]): a datagram is bytes followed
//! by a pause. Each peer's address is one conversation, at most [`Limits::datagram_peers`]; those
//! without an accepted login make way first, and get no reply larger than their datagram.
//!
//! # What a connection can hold
//!
//! | what | bound |
//! |---|---|
//! | bytes that are no frame yet | [`Limits::partial_frame`] and one read (16 KiB); on all connections: [`MemoryBudget`] |
//! | frames in flight | [`Limits::in_flight`] envelopes, and 16 more for urgent ones; [`Limits::in_flight_bytes`] and one frame; on all connections: [`MemoryBudget`] |
//! | frames that wait at the bound | 16 |
//! | frames that its session holds | [`Limits::held`], [`Limits::held_bytes`]; on all connections: [`MemoryBudget`] |
//! | replies that the peer does not read | [`Limits::unwritten`], one frame's replies, and the acknowledgements of what is in flight |
//! | a frame that waits for the registry | one |
//! | commands that wait to be taken | 16 |
//! | datagrams that wait for their conversation | 16; on all of a socket: 16 MiB |
//! | what a session holds beside its frames | [`Session::held_bytes`], in the [`MemoryBudget`]; given up by [`Session::shed`] |
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
//!     println!("{envelope:?}"); // `Ok` only when it is durable: the device gets its acknowledgement.
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
//! - `test-util`: scripted devices over in-memory streams and datagrams.

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
mod drain;
mod error;
mod limits;
mod log_limit;
mod memory;
pub mod metrics;
mod network;
mod peers;
mod protocol;
pub mod protocols;
mod rate;
mod registry;
mod server;
mod shared;
mod socket;
mod trace;

#[cfg(feature = "test-util")]
pub mod test_util;

#[cfg(all(doctest, feature = "gt06"))]
#[doc = include_str!("../README.md")]
struct Readme;

pub use accept::{Accept, Tcp, listen};
pub use clock::{Clock, SystemClock};
pub use command::{Command, CommandRefused};
pub use connections::{Connected, Connections, NetworkPolicy, NotSent, Sent};
pub use context::Context;
pub use datagrams::BoundDatagrams;
pub use deliver::{Deliver, NotDelivered};
pub use drain::Drained;
pub use error::{CloseReason, ServeError};
pub use limits::Limits;
pub use log_limit::LogLimit;
pub use memory::MemoryBudget;
pub use network::{Network, NotANetwork};
pub use protocol::{Closed, Opened, Protocol, RawFrame, Session, Skipped};
pub use rate::Rate;
pub use registry::{AcceptAll, Binding, Claim, Identified, Registry, Resolution};
pub use server::{Bound, Server};
pub use socket::Datagrams;
pub use trace::FrameTrace;
