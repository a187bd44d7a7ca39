//! One connection: one task, generic over its stream.
//!
//! It is a hand-written future, since the size of what is kept per idle connection is a promise:
//! an idle connection owns its session, its entry in [`Connections`](crate::Connections) and a
//! timer, and no buffer. Reads go through a scratch buffer of the thread; only what arrived is
//! copied, and only the beginning of a frame stays.

mod close;
mod deadline;
mod frames;

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use milepost_telemetry::{DeviceKey, Profile, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use self::close::Closing;
use self::deadline::{Due, Nearest, Timer};
use self::frames::Held;
use crate::connections::{NotSent, Registered, Signal, Signals};
use crate::context::Wishes;
use crate::outbox::Outbox;
use crate::server::Shared;
use crate::{CloseReason, Closed, Deliver, Protocol, Registry, Room, Session};

/// What one read takes at most.
const SCRATCH: usize = 16 * 1_024;
/// Reads in a row before other tasks get their turn, whatever the stream.
const ROUNDS: u32 = 32;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// The task of one connection; resolves to why it ended, when its last frame is settled.
pub(crate) struct Connection<P: Protocol, R, D, I> {
    shared: Arc<Shared<P, R, D>>,
    /// `None` once nothing can be written any more.
    io: Option<I>,
    entry: Registered,
    session: P::Session,
    /// The session has been told that the connection has ended.
    session_closed: bool,
    who: Option<Who>,
    profile: Option<Profile>,
    /// Bytes that no frame has claimed; empty means no heap.
    buf: BytesMut,
    outbox: Outbox,
    /// The frame that waits for the registry; the session is suspended meanwhile.
    held: Option<Box<Held>>,
    closing: Option<Box<Closing>>,
    frames: u64,
    bad_in_row: u32,
    /// The peer will send no more.
    eof: bool,
    /// Nothing can be written any more; why. What was sent before is still read.
    muted: Option<io::ErrorKind>,
    /// The session knows that the sender has paused.
    paused: bool,
    /// The log knows that something else than the protocol arrived.
    stranger_named: bool,
    /// Frames were left unhandled because the session was blocked.
    stopped: bool,
    /// The session may not be given bytes at the moment, so silence is not the peer's.
    blocked: bool,
    /// When the bytes in `buf` arrived.
    arrived: Timestamp,
    opened: Instant,
    last_read: Instant,
    partial_since: Option<Instant>,
    stalled_since: Option<Instant>,
    superseded_by: Option<Instant>,
    timer: Timer,
}

/// Who the registry says this is.
struct Who {
    key: DeviceKey,
    /// All it says is kept in quarantine.
    set_aside: bool,
}

// The session is never pinned.
impl<P: Protocol, R, D, I: Unpin> Unpin for Connection<P, R, D, I> {}

impl<P, R, D, I> Connection<P, R, D, I>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
    I: AsyncRead + AsyncWrite + Unpin,
{
    pub(crate) fn new(shared: Arc<Shared<P, R, D>>, io: I, entry: Registered) -> Self {
        let now = Instant::now();
        shared.metrics.open.increment(1);
        Self {
            io: Some(io),
            session: shared.protocol.session(),
            session_closed: false,
            entry,
            who: None,
            profile: None,
            buf: BytesMut::new(),
            outbox: Outbox::default(),
            held: None,
            closing: None,
            frames: 0,
            bad_in_row: 0,
            eof: false,
            muted: None,
            paused: false,
            stranger_named: false,
            stopped: false,
            blocked: false,
            arrived: Timestamp::UNIX_EPOCH,
            opened: now,
            last_read: now,
            partial_since: None,
            stalled_since: None,
            superseded_by: None,
            timer: Timer::new(now + shared.limits.login),
            shared,
        }
    }

    fn on_signals(&mut self, signals: Signals) {
        if signals.has(Signal::Order) {
            self.on_orders();
        }
        if signals.has(Signal::Superseded) && self.superseded_by.is_none() {
            self.superseded_by = Some(Instant::now() + self.shared.limits.superseded);
        }
        if signals.has(Signal::Evicted) {
            self.begin_close(CloseReason::Superseded);
        }
        if signals.has(Signal::Drain) {
            self.begin_close(CloseReason::Drained);
            if let Some(closing) = &mut self.closing {
                closing.drain_by = Some(Instant::now() + self.shared.limits.drain);
            }
        }
    }

    fn on_orders(&mut self) {
        for order in self.entry.link().take_orders() {
            let device = self.who.as_ref().map(|who| &who.key);
            if !self.can_be_told() || device.is_none() {
                order.verdict.send(Err(NotSent::NotConnected)).ok();
                continue;
            }
            let mut wishes = Wishes::default();
            let origin = frames::origin(self.shared.epoch, self.entry.link().id, self.frames);
            let mut context = crate::Context::new(
                self.shared.clock.now(),
                self.entry.link().peer,
                origin,
                device,
                &mut wishes,
            );
            let verdict = catch_unwind(AssertUnwindSafe(|| {
                self.session.on_command(&order.command, &mut context)
            }));
            match verdict {
                Err(_) => self.defect("the session panicked on a command"),
                Ok(Ok(())) => {
                    for reply in &wishes.replies {
                        self.outbox.reply(reply, &self.shared.metrics);
                    }
                    self.outbox.tell_when_written(order.verdict);
                }
                Ok(Err(refused)) => {
                    order.verdict.send(Err(refused.into())).ok();
                }
            }
        }
    }

    /// Whether what is written now can reach the peer.
    const fn can_be_told(&self) -> bool {
        self.closing.is_none() && self.muted.is_none()
    }

    /// Whether the session must not be given bytes now.
    fn is_blocked(&self) -> bool {
        let limits = &self.shared.limits;
        let in_flight = self.outbox.in_flight();
        self.held.is_some()
            || in_flight >= limits.in_flight
            // The verdict on one of its own frames is what wakes it, not room that others give
            // back: the share is always more than nothing.
            || in_flight >= Room::SHARE && self.shared.room.is_full()
            || self.outbox.in_flight_bytes() >= limits.in_flight_bytes
            || self.outbox.unwritten() >= limits.unwritten
    }

    /// Notes whether the peer is being listened to. Its deadlines start anew when it is again.
    fn note_blocked(&mut self) {
        let blocked = self.is_blocked();
        if self.blocked && !blocked {
            let now = Instant::now();
            self.last_read = now;
            self.partial_since = self.partial_since.map(|_| now);
        }
        self.blocked = blocked;
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else {
            return Poll::Pending;
        };
        let buf = &mut self.buf;
        let read = ready!(
            SCRATCH_BUFFER.with(|scratch| match scratch.try_borrow_mut() {
                Ok(mut scratch) => poll_read_through(io, &mut scratch, buf, cx),
                // A stream that polls another connection from inside its own read.
                Err(_) => poll_read_through(io, &mut [0; 512], buf, cx),
            })
        );
        match read {
            Ok(0) => {
                self.eof = true;
                self.paused = false;
            }
            Ok(n) => {
                self.last_read = Instant::now();
                self.arrived = self.shared.clock.now();
                self.paused = false;
                self.entry.link().heard();
                self.shared.metrics.received_bytes.increment(n as u64);
            }
            Err(e) => self.begin_close(CloseReason::Io(e.kind())),
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) {
        if self.outbox.is_idle() {
            return;
        }
        let Some(io) = self.io.as_mut().filter(|_| self.muted.is_none()) else {
            return self.outbox.discard(&self.shared.metrics);
        };
        match self.outbox.poll_write(io, cx) {
            (_, Poll::Ready(Ok(()))) => self.stalled_since = None,
            (progress, Poll::Pending) => {
                if progress || self.stalled_since.is_none() {
                    self.stalled_since = Some(Instant::now());
                }
            }
            (_, Poll::Ready(Err(e))) => {
                self.muted = Some(e.kind());
                // Commands wait for a connection that takes them.
                self.entry.unbind();
                self.entry.link().hang_up();
                self.stalled_since = None;
                self.outbox.discard(&self.shared.metrics);
                if self.closing.is_some() {
                    self.drop_io();
                }
            }
        }
    }

    fn nearest_deadline(&self) -> Option<(Instant, Due)> {
        let limits = &self.shared.limits;
        let mut nearest = Nearest::default();
        nearest.add(Due::Resolve, self.held.as_ref().map(|held| held.until));
        nearest.add(Due::Write, self.stalled_since.map(|at| at + limits.write));
        if let Some(closing) = &self.closing {
            nearest.add(Due::Drain, closing.drain_by);
            if self.io.is_some() {
                nearest.add(Due::Settle, Some(closing.settle_by));
                nearest.add(Due::Linger, closing.linger_by);
            }
            return nearest.get();
        }
        nearest.add(Due::Superseded, self.superseded_by);
        if self.who.is_none() && self.held.is_none() {
            nearest.add(Due::Login, Some(self.opened + limits.login));
        }
        if !self.blocked {
            nearest.add(Due::Idle, Some(self.last_read + limits.idle));
            nearest.add(Due::Frame, self.partial_since.map(|at| at + limits.frame));
            if !self.buf.is_empty() && !self.paused {
                nearest.add(Due::Pause, Some(self.last_read + limits.pause));
            }
        }
        nearest.get()
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let Some((at, due)) = self.nearest_deadline() else {
            return Poll::Pending;
        };
        ready!(self.timer.poll(at, cx));
        Poll::Ready(due)
    }

    fn on_due(&mut self, due: Due, cx: &mut Context<'_>) {
        match due {
            Due::Login => self.begin_close(CloseReason::LoginTimeout),
            Due::Idle => self.begin_close(CloseReason::IdleTimeout),
            Due::Frame => self.begin_close(CloseReason::FrameTimeout),
            Due::Write => self.begin_close(CloseReason::WriteTimeout),
            Due::Superseded => self.begin_close(CloseReason::Superseded),
            Due::Resolve => self.on_no_resolution(cx),
            Due::Pause => self.pause(),
            Due::Settle | Due::Linger => self.drop_io(),
            Due::Drain => self.abandon(),
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        if catch_unwind(AssertUnwindSafe(|| self.session.on_pause())).is_err() {
            self.defect("the session panicked on a pause");
        }
    }
}

impl<P: Protocol, R, D, I> Connection<P, R, D, I> {
    /// Why the connection ends; without anybody's decision its task is ended from outside.
    fn reason(&self) -> CloseReason {
        self.closing
            .as_ref()
            .map_or(CloseReason::Aborted, |closing| closing.reason())
    }

    /// Tells the session, once, that nothing will be handed to it any more.
    fn close_session(&mut self) {
        if self.session_closed {
            return;
        }
        self.session_closed = true;
        let closed = Closed {
            connection: self.entry.link().id,
            peer: self.entry.link().peer,
            device: self.who.as_ref().map(|who| &who.key),
            reason: self.reason(),
        };
        if catch_unwind(AssertUnwindSafe(|| self.session.on_close(&closed))).is_err() {
            tracing::error!(
                protocol = %self.shared.name,
                connection = closed.connection,
                peer = ?closed.peer,
                "the session panicked at its end"
            );
        }
    }
}

impl<P: Protocol, R, D, I> Drop for Connection<P, R, D, I> {
    fn drop(&mut self) {
        self.close_session();
        let reason = self.reason();
        // Only when the task is ended from outside is there anything left.
        self.outbox.abandon(&self.shared.metrics);
        self.shared.metrics.open.decrement(1);
        self.shared.metrics.closed(reason);
        tracing::debug!(
            connection = self.entry.link().id,
            peer = ?self.entry.link().peer,
            device = self.who.as_ref().map(|who| tracing::field::display(&who.key)),
            frames = self.frames,
            %reason,
            "closed"
        );
    }
}

impl<P, R, D, I> Future for Connection<P, R, D, I>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
    I: AsyncRead + AsyncWrite + Unpin,
{
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        this.entry.link().register(cx.waker());
        for _ in 0..ROUNDS {
            if let Some(signals) = this.entry.link().take_signals() {
                this.on_signals(signals);
            }
            this.poll_resolution(cx);
            this.outbox.poll_verdicts(&this.shared.metrics, cx);
            this.work(cx);
            this.poll_write(cx);
            this.note_blocked();
            if this.closing.is_some() {
                // Verdicts may take long: what the session holds need not wait for them. A frame
                // that waits for the registry goes on in it.
                if this.held.is_none() {
                    this.close_session();
                }
                if let Poll::Ready(reason) = this.poll_close(cx) {
                    return Poll::Ready(reason);
                }
            } else if this.can_work() || (!this.blocked && this.poll_read(cx).is_ready()) {
                continue;
            }
            match this.poll_deadline(cx) {
                Poll::Ready(due) => this.on_due(due, cx),
                Poll::Pending => return Poll::Pending,
            }
        }
        // A peer that never rests has deadlines too.
        if let Poll::Ready(due) = this.poll_deadline(cx) {
            this.on_due(due, cx);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn poll_read_through<I: AsyncRead + Unpin>(
    io: &mut I,
    scratch: &mut [u8],
    buf: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut scratch = ReadBuf::new(scratch);
    ready!(Pin::new(io).poll_read(cx, &mut scratch))?;
    buf.extend_from_slice(scratch.filled());
    Poll::Ready(Ok(scratch.filled().len()))
}
