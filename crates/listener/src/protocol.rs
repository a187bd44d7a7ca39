//! What a protocol brings: sessions that turn bytes into frames, and frames into reports and
//! replies. All of it synchronous; the framework does every piece of I/O.

use std::fmt;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use milepost_telemetry::{DeviceKey, Name, Profile, Quarantine};

use crate::{CloseReason, Command, CommandRefused, Context};

/// A protocol that a listener can speak: a factory of sessions.
pub trait Protocol: Send + Sync + 'static {
    /// The state of one connection.
    type Session: Session;

    /// The protocol's name, for example `gt06`.
    fn name(&self) -> Name;

    /// A session for a connection that was just accepted.
    fn session(&self) -> Self::Session;
}

/// One connection's protocol state, without I/O.
///
/// The framework calls [`next_frame`](Self::next_frame) until it asks for more bytes, and
/// [`on_frame`](Self::on_frame) for each frame, strictly in the order of the stream.
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
    /// Each frame ends in exactly one bucket, so a session calls, for each frame, either
    /// [`Context::emit`] at least once, or [`Context::filter`], or returns an error. A frame for
    /// which it does none of these is counted as lost and is never acknowledged; one that asks
    /// [`Context::identify`] may do so in [`on_identified`](Self::on_identified).
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

    /// Somebody wants to tell the device something; the bytes go to [`Context::reply`].
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

    /// The connection has ended, for whatever reason: nothing will be handed to the session any
    /// more, and what it holds beside its frames can go. Called exactly once; nothing can be
    /// reported or answered here, since that belongs to a frame.
    fn on_close(&mut self, closed: &Closed<'_>) {
        let _ = closed;
    }
}

/// A frame that still has its bytes.
pub trait RawFrame: Send + 'static {
    /// All bytes of the frame, as they came; cheap, shared.
    fn raw(&self) -> Bytes;
}

impl RawFrame for Bytes {
    fn raw(&self) -> Bytes {
        self.clone()
    }
}

/// Who a connection turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// Tenant and device.
    pub device: DeviceKey,
    /// What is known about the device, if anything.
    pub profile: Option<Profile>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// Its number, as in [`Origin::connection`](milepost_telemetry::Origin).
    pub connection: u64,
    /// Who was on the other end, on a network.
    pub peer: Option<SocketAddr>,
    /// The device, if it was identified.
    pub device: Option<&'a DeviceKey>,
    /// Why.
    pub reason: CloseReason,
}

/// Bytes that belong to no frame were passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// How many; at least one.
    pub bytes: usize,
    /// What they look like, if that is recognised: `http`, `tls`, another tracker's protocol.
    pub looks_like: Option<&'static str>,
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
