//! What a protocol brings: sessions that turn bytes into frames, and frames into reports and
//! replies. All of it synchronous; the framework does every piece of I/O.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use milepost_telemetry::{DeviceId, DeviceKey, Name, Quarantine, Timestamp};

use crate::{CloseReason, Command, CommandRefused, Context, Identified};

/// A protocol that a listener can speak: a factory of sessions.
pub trait Protocol: Send + Sync + 'static {
    /// The state of one connection.
    type Session: Session;

    /// The protocol's name, for example `gt06`.
    fn name(&self) -> Name;

    /// A session for a conversation that has just begun.
    fn session(&self, opened: &Opened) -> Self::Session;

    /// Whether its sessions can be given commands. A device that is connected by several
    /// protocols gets its commands by one that can.
    fn has_commands(&self) -> bool {
        true
    }
}

/// Where a session stands when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The connection's number, as in [`Origin::connection`](milepost_telemetry::Origin).
    pub connection: u64,
    /// The peer's address, on a network.
    pub peer: Option<SocketAddr>,
    /// The address that the server listens on, on a network.
    pub local: Option<SocketAddr>,
    /// The device that the configuration says this is. The registry resolves it before the first
    /// frame; the session then goes on in [`Session::on_identified`], where there is no frame to
    /// report.
    pub claim: Option<DeviceId>,
    /// The time.
    pub now: Timestamp,
}

impl Opened {
    /// A session of which nothing more is known, for tests.
    pub const fn new(connection: u64, now: Timestamp) -> Self {
        Self {
            connection,
            peer: None,
            local: None,
            claim: None,
            now,
        }
    }
}

/// One conversation's protocol state, without I/O.
///
/// The framework calls [`next_frame`](Self::next_frame) until it asks for more bytes, and
/// [`on_frame`](Self::on_frame) for each frame, strictly in the order of the stream. While frames
/// have to wait, it takes up to 16 off the stream ahead of `on_frame`, to see whether one is
/// [urgent](RawFrame::urgent).
///
/// # Holding frames
///
/// A session may [hold](Context::hold) frames and report them together later: with a later frame,
/// when it is [woken](Self::on_wake), or when the connection [ends](Self::on_close). That
/// envelope lists the frames it covers, and its bytes are theirs, one after the other. Each call
/// makes at most one envelope, and an envelope covers at least one frame: reports for which no
/// frame is covered are dropped as a defect. What is held at the end of a connection, or when the
/// session panics, becomes one quarantined envelope.
pub trait Session: Send + 'static {
    /// A delimited frame, not interpreted yet.
    type Frame: RawFrame;

    /// Takes the next frame off the front of `src`.
    ///
    /// `Ok(None)` asks for more bytes. Every other return has consumed at least one byte, and an
    /// error is never terminal: it says how much was passed over. The session bounds how much it
    /// leaves in `src` by its own limit on a frame's size.
    ///
    /// # Errors
    /// [`Skipped`] when bytes were passed over that belong to no frame.
    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Self::Frame>, Skipped>;

    /// Interprets a frame: what it says goes to `cx`.
    ///
    /// Each frame ends in exactly one bucket, so a session calls, for each frame, one of
    /// [`Context::emit`] (once or more), [`Context::filter`] or [`Context::hold`], or returns an
    /// error. A frame for which it does none of these is kept in quarantine and counted as lost;
    /// one that asks [`Context::identify`] may do so in [`on_identified`](Self::on_identified).
    ///
    /// # Errors
    /// [`Quarantine`] when the frame cannot be read. It is kept with its bytes; replies that were
    /// given to `cx` before are sent all the same.
    fn on_frame(&mut self, frame: Self::Frame, cx: &mut Context<'_>) -> Result<(), Quarantine>;

    /// Goes on after [`Context::identify`], once the registry has accepted the device. What is
    /// given to `cx` belongs to the frame that identified it.
    ///
    /// # Errors
    /// As for [`on_frame`](Self::on_frame).
    fn on_identified(
        &mut self,
        identified: &Identified,
        cx: &mut Context<'_>,
    ) -> Result<(), Quarantine> {
        let _ = (identified, cx);
        Ok(())
    }

    /// The sender went quiet with bytes left over: a frame that waited for a possible suffix may
    /// now be taken. The framework calls [`next_frame`](Self::next_frame) again afterwards.
    fn on_pause(&mut self) {}

    /// A command for the device; its bytes go to [`Context::reply`].
    ///
    /// # Errors
    /// [`CommandRefused`] when the session cannot send it, now or ever.
    fn on_command(
        &mut self,
        command: &Command,
        cx: &mut Context<'_>,
    ) -> Result<(), CommandRefused> {
        let _ = (command, cx);
        Err(CommandRefused::unsupported())
    }

    /// When the session wants to be woken, on the clock of [`Context::instant`]. Asked again after
    /// each call into the session.
    ///
    /// While the session is suspended or its frames have to wait, the wake waits too. A connection
    /// that ends is not woken any more.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// The time of [`wake_at`](Self::wake_at) has come; or earlier, if the frames that the session
    /// holds take too much memory: it should then report them. An envelope of this call covers
    /// frames that were held.
    fn on_wake(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// How many bytes the session holds beside its frames: uploads that are not whole, and the
    /// like. Asked after each read; must be cheap.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Memory is short: give up the largest upload. Returns how many bytes that freed; if none,
    /// the connection is closed.
    fn shed(&mut self) -> usize {
        0
    }

    /// The connection has ended, for whatever reason: nothing will be handed to the session any
    /// more, and what it holds can go. Called exactly once. An envelope of this call covers frames
    /// that were held; replies have nowhere to go.
    fn on_close(&mut self, closed: &Closed<'_>, cx: &mut Context<'_>) {
        let _ = (closed, cx);
    }
}

/// A frame that still has its bytes.
pub trait RawFrame: Send + 'static {
    /// All bytes of the frame, as they came; cheap, shared.
    fn raw(&self) -> Bytes;

    /// Whether the frame is an alarm or an emergency, as far as its header shows. Urgent frames
    /// pass those of other connections, and have reserves of their own.
    fn urgent(&self) -> bool {
        false
    }
}

impl RawFrame for Bytes {
    fn raw(&self) -> Bytes {
        self.clone()
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// Its number, as in [`Origin::connection`](milepost_telemetry::Origin).
    pub connection: u64,
    /// The peer's address, on a network.
    pub peer: Option<SocketAddr>,
    /// The device, if it was identified.
    pub device: Option<&'a DeviceKey>,
    /// Why.
    pub reason: CloseReason,
}

/// Bytes that belong to no frame were passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// How many; at least one.
    pub bytes: usize,
    /// What they look like, if that is recognised: `http`, `tls`, another tracker's protocol.
    pub looks_like: Option<&'static str>,
}

impl Skipped {
    /// So many bytes that look like nothing known.
    pub const fn new(bytes: usize) -> Self {
        Self {
            bytes,
            looks_like: None,
        }
    }

    /// With what they look like.
    #[must_use]
    pub const fn looks_like(mut self, what: Option<&'static str>) -> Self {
        self.looks_like = what;
        self
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes passed over", self.bytes)?;
        match self.looks_like {
            Some(name) => write!(f, " (looks like {name})"),
            None => Ok(()),
        }
    }
}
