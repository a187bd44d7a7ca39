//! A conversation: all state of one peer, without I/O.
//!
//! It is given bytes and the time, and keeps what is to be written; a driver
//! ([`Connection`](crate::connection::Connection)) moves both. A byte stream and a sequence of
//! datagrams drive it alike: a datagram is bytes followed by a pause.
//!
//! The size of what is kept for an idle peer is a promise: its session, its entry in
//! [`Connections`](crate::Connections), and no buffer. What few conversations need is boxed.

mod close;
mod deadline;
mod frames;
mod handle;
mod held;
mod outbox;
mod strangers;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use bytes::BytesMut;
use milepost_telemetry::{Content, DeviceKey, Origin, Profile, Timestamp};
use tokio::time::Instant;

pub(crate) use self::deadline::{Due, Nearest};
use self::handle::Suspended;
use self::held::Held;
pub(crate) use self::outbox::Outbox;
use crate::connections::{NotSent, Registered, Signal, Signals};
use crate::context::Actions;
use crate::memory::{Class, PartialPermit};
use crate::rate::TokenBucket;
use crate::shared::Shared;
use crate::{
    CloseReason, Context, Deliver, MemoryBudget, Opened, Protocol, RawFrame, Registry, Session,
};

/// Frames that are taken off the stream ahead of their turn, to see whether one is urgent; and
/// how many of them may then be in flight beyond the bound.
const AHEAD: usize = 16;

type FrameOf<P> = <<P as Protocol>::Session as Session>::Frame;

/// Frames that have to wait, and whether each is urgent.
#[allow(clippy::box_collection, reason = "an idle conversation pays for it")]
type Ahead<F> = Box<VecDeque<(F, bool)>>;

/// One peer's state.
pub(crate) struct Conversation<P: Protocol, R, D> {
    shared: Arc<Shared<P, R, D>>,
    entry: Registered,
    session: P::Session,
    /// The session has been notified that the connection has ended.
    session_closed: bool,
    who: Option<Who>,
    profile: Option<Profile>,
    /// Bytes that no frame has claimed; empty means no heap.
    buf: BytesMut,
    /// Frames that were taken off `buf` ahead of their turn.
    ahead: Option<Ahead<FrameOf<P>>>,
    outbox: Outbox,
    /// What waits for the registry; the session is suspended meanwhile.
    suspended: Option<Box<Suspended>>,
    held: Option<Box<Held>>,
    closing: Option<Box<Closing>>,
    /// How many frames were received.
    frames: u64,
    bad_in_row: u32,
    /// Frames and bytes before an accepted login.
    stranger_frames: u32,
    stranger_bytes: usize,
    bucket: TokenBucket,
    partial: PartialPermit,
    /// Bytes come as datagrams.
    datagrams: bool,
    /// Of datagrams: how many bytes may still be answered before an accepted login.
    may_answer: usize,
    /// The peer will send no more.
    eof: bool,
    /// Nothing can be written any more; why. What was sent before is still read.
    muted: Option<io::ErrorKind>,
    /// The peer has gone: neither can anything be written nor will anything be read.
    gone: bool,
    /// The session knows that the sender has paused.
    paused: bool,
    /// The log knows that something else than the protocol arrived.
    foreign_named: bool,
    /// Frames were left because the session was blocked.
    stopped: bool,
    /// The session may not be given bytes at the moment, so silence is not the peer's.
    blocked: bool,
    /// Frames and replies are logged.
    traced: bool,
    /// The frame at hand uses the reserve for urgent ones.
    in_reserve: bool,
    /// Bytes of the last read that no envelope was charged for.
    uncharged: usize,
    /// When the bytes in `buf` arrived.
    arrived: Timestamp,
    now: Instant,
    opened: Instant,
    last_read: Instant,
    partial_since: Option<Instant>,
}

/// Who the registry says this is.
struct Who {
    key: DeviceKey,
    /// All it reports is kept in quarantine.
    quarantined: bool,
}

/// How far the end has come.
struct Closing {
    reason: CloseReason,
    settle_by: Instant,
    drain_by: Option<Instant>,
}

/// Whether frames may be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Too much is in flight: only urgent frames, and those before them.
    Bound,
    Shut,
}

impl<P, R, D> Conversation<P, R, D>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
{
    pub(crate) fn new(shared: Arc<Shared<P, R, D>>, entry: Registered, datagrams: bool) -> Self {
        let now = Instant::now();
        let arrived = shared.clock.now();
        shared.metrics.open.increment(1);
        let peer = entry.link().peer;
        let claim = shared.claims.as_ref().and_then(|claims| claims(peer));
        let session = shared.protocol.session(&Opened {
            connection: entry.link().id,
            peer,
            local: shared.local,
            claim,
            now: arrived,
        });
        let mut conversation = Self {
            session,
            session_closed: false,
            who: None,
            profile: None,
            buf: BytesMut::new(),
            ahead: None,
            outbox: if datagrams {
                Outbox::of_datagrams()
            } else {
                Outbox::default()
            },
            suspended: None,
            held: None,
            closing: None,
            frames: 0,
            bad_in_row: 0,
            stranger_frames: 0,
            stranger_bytes: 0,
            bucket: TokenBucket::full(now),
            partial: PartialPermit::new(),
            datagrams,
            may_answer: 0,
            eof: false,
            muted: None,
            gone: false,
            paused: false,
            foreign_named: false,
            stopped: false,
            blocked: false,
            traced: shared.trace.iter().any(|trace| trace.includes(peer, None)),
            in_reserve: false,
            uncharged: 0,
            arrived,
            now,
            opened: now,
            last_read: now,
            partial_since: None,
            entry,
            shared,
        };
        if let Some(id) = claim {
            conversation.suspend(None, Actions::default(), id);
        }
        conversation
    }

    /// The time; everything until the next call happens at it.
    pub(crate) const fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.entry.link().register(waker);
    }

    /// Does all that can be done now: what others ask for, what the registry and the store have
    /// answered, frames that are complete.
    pub(crate) fn advance(&mut self, cx: &mut std::task::Context<'_>) {
        if let Some(signals) = self.entry.link().take_signals() {
            self.on_signals(signals);
        }
        self.poll_resolution(cx);
        self.outbox.poll_verdicts(&self.shared.metrics, cx);
        self.work(cx);
        self.account_partial();
    }

    /// The buffer for bytes that arrive; what was put in is reported to [`received`](Self::received).
    pub(crate) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// So many bytes have arrived.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.last_read = self.now;
        self.arrived = self.shared.clock.now();
        self.paused = false;
        self.uncharged = bytes;
        self.shared.metrics.received_bytes.increment(bytes as u64);
        if !self.is_accepted() {
            self.may_answer = bytes;
            self.stranger_bytes = self.stranger_bytes.saturating_add(bytes);
            if self.who.is_none() && self.stranger_bytes > self.shared.limits.stranger_bytes {
                self.refuse_stranger("too many bytes before an accepted login");
            }
        }
    }

    /// The peer will send no more.
    pub(crate) const fn ended(&mut self) {
        self.eof = true;
        self.paused = false;
    }

    /// The connection broke: what has arrived is still handled, and nothing can be written.
    pub(crate) fn broken(&mut self, kind: io::ErrorKind) {
        self.mute(kind);
        self.ended();
        if self.closing.is_some() {
            self.peer_gone();
        }
    }

    /// Whether bytes may arrive now. At the bound of frames in flight the peer is listened to just
    /// as far as it takes to see whether one of the next frames is urgent.
    pub(crate) fn wants_bytes(&self) -> bool {
        if self.eof || self.closing.is_some() {
            return false;
        }
        // A datagram ends before the next one begins.
        if self.datagrams && !self.buf.is_empty() {
            return false;
        }
        match self.gate() {
            Gate::Open => true,
            Gate::Bound => self.ahead.as_ref().map_or(0, |ahead| ahead.len()) < AHEAD,
            Gate::Shut => false,
        }
    }

    /// Whether frames were left for a reason that is gone.
    pub(crate) fn can_work(&self) -> bool {
        self.stopped && (self.gate() == Gate::Open || self.may_use_reserve())
    }

    pub(crate) const fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Whether what is written now can reach the peer.
    pub(crate) const fn is_muted(&self) -> bool {
        self.muted.is_some()
    }

    /// Nothing can be written any more.
    pub(crate) fn mute(&mut self, kind: io::ErrorKind) {
        self.muted = Some(kind);
        // Commands wait for a connection that takes them.
        self.entry.unbind();
        self.entry.link().refuse_commands();
        self.outbox.discard(&self.shared.metrics);
    }

    /// What was to be written has nowhere to go.
    pub(crate) fn discard_output(&mut self) {
        self.outbox.discard(&self.shared.metrics);
    }

    /// Notes whether the peer is being listened to. Its deadlines start anew when it is again.
    pub(crate) fn note_blocked(&mut self) {
        let blocked = self.gate() != Gate::Open;
        if self.blocked && !blocked {
            self.last_read = self.now;
            self.partial_since = self.partial_since.map(|_| self.now);
        }
        self.blocked = blocked;
    }

    /// Adds what the conversation waits for.
    pub(crate) fn deadlines(&self, nearest: &mut Nearest) {
        let limits = &self.shared.limits;
        nearest.add(Due::Resolve, self.suspended.as_ref().map(|s| s.until));
        if let Some(closing) = &self.closing {
            nearest.add(Due::Drain, closing.drain_by);
            if !self.gone {
                nearest.add(Due::Settle, Some(closing.settle_by));
            }
            return;
        }
        if self.who.is_none() && self.suspended.is_none() {
            nearest.add(Due::Login, Some(self.opened + limits.login));
        }
        if self.can_wake() {
            nearest.add(Due::Wake, self.session.wake_at().map(Instant::from_std));
        }
        if self.blocked {
            if let Some(ready_at) = self.waits_for_rate() {
                nearest.add(Due::Rate, Some(ready_at));
            }
            return;
        }
        nearest.add(Due::Idle, Some(self.last_read + limits.idle));
        nearest.add(Due::Frame, self.partial_since.map(|at| at + limits.frame));
        if !self.buf.is_empty() && !self.paused {
            nearest.add(Due::Pause, Some(self.last_read + limits.pause));
        }
    }

    pub(crate) fn on_due(&mut self, due: Due, cx: &mut std::task::Context<'_>) {
        match due {
            Due::Login => self.begin_close(CloseReason::LoginTimeout),
            Due::Idle => self.begin_close(CloseReason::IdleTimeout),
            Due::Frame => self.begin_close(CloseReason::FrameTimeout),
            Due::Write => self.begin_close(CloseReason::WriteTimeout),
            Due::Resolve => self.on_no_resolution(cx),
            Due::Pause => self.pause(),
            Due::Wake => self.wake(false, cx),
            Due::Settle | Due::Linger => self.peer_gone(),
            Due::Drain => self.abandon(),
            // The next turn finds a token.
            Due::Rate => {}
        }
    }

    fn on_signals(&mut self, signals: Signals) {
        if signals.has(Signal::Command) {
            self.on_commands();
        }
        if signals.has(Signal::GiveWay) {
            self.give_way();
        }
        if signals.has(Signal::Evicted) {
            self.begin_close(CloseReason::Superseded);
        }
        if signals.has(Signal::Drain) {
            self.begin_close(CloseReason::Drained);
            if let Some(closing) = &mut self.closing {
                closing.drain_by = Some(self.now + self.shared.limits.drain);
            }
        }
    }

    fn on_commands(&mut self) {
        for pending in self.entry.link().take_commands() {
            if !self.can_answer() || self.who.is_none() {
                pending.verdict.send(Err(NotSent::NotConnected)).ok();
                continue;
            }
            let mut actions = Actions::default();
            let result = self.call(None, &mut actions, |session, cx| {
                session.on_command(&pending.command, cx)
            });
            match result {
                Err(Panicked) => self.defect("the session panicked on a command"),
                Ok(Ok(())) => {
                    self.reply(actions.replies);
                    let sent = self.entry.link().sent();
                    self.outbox.confirm_when_written(pending.verdict, sent);
                }
                Ok(Err(refused)) => {
                    pending.verdict.send(Err(refused.into())).ok();
                }
            }
        }
    }

    /// Calls into the session about a frame, or about none.
    fn call<T>(
        &mut self,
        frame: Option<(Origin, Timestamp)>,
        actions: &mut Actions,
        f: impl FnOnce(&mut P::Session, &mut Context<'_>) -> T,
    ) -> Result<T, Panicked> {
        let (origin, now) =
            frame.unwrap_or_else(|| (self.origin(self.frames), self.shared.clock.now()));
        let mut context = Context::new(
            now,
            self.now.into_std(),
            self.entry.link().peer,
            origin,
            self.who.as_ref().map(|who| &who.key),
            actions,
        );
        let session = &mut self.session;
        catch_unwind(AssertUnwindSafe(|| f(session, &mut context))).map_err(|_| Panicked)
    }

    fn origin(&self, frame: u64) -> Origin {
        Origin {
            epoch: self.shared.epoch,
            connection: self.entry.link().id,
            frame,
        }
    }

    /// Whether what is answered now can reach the peer.
    const fn can_answer(&self) -> bool {
        self.closing.is_none() && self.muted.is_none()
    }

    /// Whether the device has logged in and is one of ours.
    fn is_accepted(&self) -> bool {
        self.who.as_ref().is_some_and(|who| !who.quarantined)
    }

    fn gate(&self) -> Gate {
        let limits = &self.shared.limits;
        if self.suspended.is_some()
            || self.outbox.unwritten() >= limits.unwritten
            || self.waits_for_rate().is_some()
        {
            return Gate::Shut;
        }
        let in_flight = self.outbox.in_flight();
        let held = self.held_len();
        let bound = in_flight >= limits.in_flight
            || self.outbox.in_flight_bytes() >= limits.in_flight_bytes
            // The verdict on one of its own envelopes is what wakes it, not memory that others
            // give back: the share is always more than nothing.
            || in_flight.saturating_add(held) >= MemoryBudget::SHARE && self.shared.memory.is_full();
        if bound { Gate::Bound } else { Gate::Open }
    }

    /// Whether an urgent frame waits for which there is a reserve.
    fn may_use_reserve(&self) -> bool {
        self.ahead
            .as_ref()
            .is_some_and(|ahead| ahead.iter().any(|(_, urgent)| *urgent))
            && self.gate() == Gate::Bound
            && self.outbox.in_flight() < self.shared.limits.in_flight.saturating_add(AHEAD)
            && (self.outbox.in_flight() < MemoryBudget::SHARE
                || !self.shared.memory.is_full_for_urgent())
    }

    /// When the next envelope may be handed over, if not now.
    fn waits_for_rate(&self) -> Option<Instant> {
        let ready_at = self.bucket.ready_at(self.rate()?);
        (ready_at > self.now).then_some(ready_at)
    }

    fn rate(&self) -> Option<crate::Rate> {
        match &self.who {
            Some(who) if who.quarantined => Some(self.shared.limits.quarantine_rate),
            _ => self.shared.limits.rate,
        }
    }

    /// Whether the session may be woken. A wake makes at most one envelope, of frames that are in
    /// memory already: it does not wait for memory.
    fn can_wake(&self) -> bool {
        self.closing.is_none()
            && self.suspended.is_none()
            && self.outbox.in_flight() < self.shared.limits.in_flight
            && self.outbox.unwritten() < self.shared.limits.unwritten
            && self.waits_for_rate().is_none()
    }

    fn pause(&mut self) {
        self.paused = true;
        if catch_unwind(AssertUnwindSafe(|| self.session.on_pause())).is_err() {
            self.defect("the session panicked on a pause");
        }
    }

    /// Notes what the conversation has of the memory for partial frames and uploads.
    fn account_partial(&mut self) {
        let bytes = self.partial_bytes();
        if bytes == 0 && self.partial.is_empty() {
            return;
        }
        let class = if self.is_accepted() {
            Class::Accepted
        } else {
            Class::Stranger
        };
        let (memory, link) = (&self.shared.memory, self.entry.link());
        self.partial.set(memory, link, bytes, class);
    }

    fn partial_bytes(&self) -> usize {
        let ahead = self.ahead.as_ref().map_or(0, |ahead| {
            let bytes = ahead.iter().map(|(frame, _)| frame.raw().len());
            bytes.fold(0, usize::saturating_add)
        });
        let session = if self.session_closed {
            0
        } else {
            self.session.held_bytes()
        };
        self.buf.len().saturating_add(ahead).saturating_add(session)
    }

    /// Memory is short and this conversation has most of it: gives up an upload, or closes.
    fn give_way(&mut self) {
        let bytes = self.partial_bytes();
        if self.closing.is_none() && bytes >= MemoryBudget::NEVER_BELOW {
            let from_uploads = bytes.saturating_sub(self.buf.len());
            let shed = if from_uploads > self.buf.len() {
                catch_unwind(AssertUnwindSafe(|| self.session.shed())).unwrap_or_default()
            } else {
                0
            };
            self.shared.metrics.gave_way.increment(1);
            if shed == 0 {
                self.log_gave_way(bytes);
                self.begin_close(CloseReason::Memory);
            }
        }
        // Even if nothing has changed, the answer is known now.
        let (memory, link) = (&self.shared.memory, self.entry.link());
        self.partial.set(memory, link, 0, Class::Stranger);
        self.account_partial();
    }

    fn log_gave_way(&self, bytes: usize) {
        if let Some(left_out) = self.shared.log.gave_way.admit(self.shared.clock.now()) {
            tracing::warn!(
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                device = self
                    .who
                    .as_ref()
                    .map(|who| tracing::field::display(&who.key)),
                bytes,
                left_out,
                "memory for partial frames and uploads is used up: the connection that has most \
                 of it is closed (raise limits.connection_memory_mib if it is a device's)"
            );
        }
    }

    /// Logs a reply or a command, if this connection is traced.
    pub(crate) fn trace_out(&self, bytes: &[u8]) {
        self.trace("out", bytes, None);
    }

    /// Logs a frame with its reading, if this connection is traced.
    fn trace_in(&self, bytes: &[u8], reading: &dyn std::fmt::Display) {
        self.trace("in", bytes, Some(reading));
    }

    fn trace(&self, direction: &str, bytes: &[u8], reading: Option<&dyn std::fmt::Display>) {
        if self.traced {
            tracing::trace!(
                target: "milepost_listener::frames",
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                device = self.who.as_ref().map(|who| tracing::field::display(&who.key)),
                direction,
                bytes = %crate::trace::Hex(bytes),
                reading = reading.map(tracing::field::display),
                "frame"
            );
        }
    }

    /// Logs what became of frames that were held, if this connection is traced. Their bytes were
    /// logged when they came.
    fn trace_held(&self, frames: usize, content: &Content) {
        if self.traced && frames > 0 {
            tracing::trace!(
                target: "milepost_listener::frames",
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                device = self.who.as_ref().map(|who| tracing::field::display(&who.key)),
                frames,
                reading = %crate::trace::Reading(content),
                "held frames"
            );
        }
    }

    fn held_len(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.len())
    }
}

/// The session panicked.
struct Panicked;
