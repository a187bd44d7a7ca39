//! The task of one connection: moves bytes and time between a carrier and a conversation.
//!
//! It is a hand-written future, since the size of what is kept per idle connection is a promise.
//! At its end the sending side is shut down, and what the peer still sends is thrown away for a
//! moment: closing a socket that holds unread bytes resets it and may take the last replies along.

mod timer;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use self::timer::Timer;
use crate::carrier::{Carrier, Received};
use crate::connections::Registered;
use crate::conversation::{Conversation, Due, Nearest};
use crate::shared::Shared;
use crate::{CloseReason, Deliver, Protocol, Registry};

/// Reads in a row before other tasks get their turn, whatever the carrier.
const ROUNDS: u32 = 32;

/// Drives one conversation; resolves to why it ended, when its last frame is resolved.
pub(crate) struct Connection<P: Protocol, R, D, C> {
    conversation: Conversation<P, R, D>,
    /// `None` once nothing can be written any more.
    carrier: Option<C>,
    needs_flush: bool,
    stalled_since: Option<Instant>,
    /// Set when the sending side is shut down.
    linger_by: Option<Instant>,
    write: Duration,
    linger: Duration,
    timer: Timer,
}

// The session is never pinned.
impl<P: Protocol, R, D, C: Unpin> Unpin for Connection<P, R, D, C> {}

impl<P, R, D, C> Connection<P, R, D, C>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
    C: Carrier,
{
    pub(crate) fn new(shared: Arc<Shared<P, R, D>>, carrier: C, entry: Registered) -> Self {
        let limits = &shared.limits;
        Self {
            carrier: Some(carrier),
            needs_flush: false,
            stalled_since: None,
            linger_by: None,
            write: limits.write,
            linger: limits.linger,
            timer: Timer::new(Instant::now() + limits.login),
            conversation: Conversation::new(shared, entry, C::DATAGRAMS),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(carrier) = &mut self.carrier else {
            return Poll::Pending;
        };
        let read = ready!(carrier.poll_receive(self.conversation.buffer(), cx));
        match read {
            Ok(Received::End) => self.conversation.ended(),
            Ok(Received::Bytes(n)) => self.conversation.received(n),
            Err(e) => self.conversation.broken(e.kind()),
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) {
        if self.conversation.outbox().is_idle() && !self.needs_flush {
            return;
        }
        let muted = self.conversation.is_muted();
        let Some(carrier) = self.carrier.as_mut().filter(|_| !muted) else {
            self.needs_flush = false;
            return self.conversation.discard_output();
        };
        let mut progress = false;
        let outbox = self.conversation.outbox();
        let written = loop {
            let next = outbox.next();
            if next.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match carrier.poll_write(next, cx) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Err(e)) => break Poll::Ready(Err(e)),
                Poll::Ready(Ok(0)) => {
                    break Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(n)) => {
                    progress = true;
                    self.needs_flush = true;
                    outbox.advance(n);
                }
            }
        };
        let flushed = match written {
            Poll::Ready(Ok(())) if self.needs_flush => carrier.poll_flush(cx),
            other => other,
        };
        match flushed {
            Poll::Ready(Ok(())) => {
                self.needs_flush = false;
                self.stalled_since = None;
                outbox.all_written();
            }
            Poll::Pending => {
                if progress || self.stalled_since.is_none() {
                    self.stalled_since = Some(Instant::now());
                }
            }
            Poll::Ready(Err(e)) => {
                self.needs_flush = false;
                self.stalled_since = None;
                self.conversation.mute(e.kind());
                if self.conversation.is_closing() {
                    self.conversation.peer_gone();
                }
            }
        }
    }

    /// Resolves when all is resolved and the carrier is done with.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.conversation.is_gone() {
            self.carrier = None;
            self.stalled_since = None;
        }
        let Some(reason) = self.conversation.resolved() else {
            return Poll::Pending;
        };
        if let Some(carrier) = &mut self.carrier {
            if !self.conversation.outbox().is_idle() || self.needs_flush {
                return Poll::Pending;
            }
            if self.linger_by.is_none() {
                let shut_down = ready!(carrier.poll_shutdown(cx));
                self.linger_by = Some(Instant::now() + self.linger);
                if shut_down.is_err() {
                    // The peer's end is known, or there will be none.
                    self.conversation.ended();
                }
            }
            if !self.conversation.is_eof() {
                ready!(carrier.poll_discard(cx));
            }
            self.carrier = None;
        }
        Poll::Ready(reason)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let mut nearest = Nearest::default();
        self.conversation.deadlines(&mut nearest);
        nearest.add(Due::Write, self.stalled_since.map(|at| at + self.write));
        if self.carrier.is_some() {
            nearest.add(Due::Linger, self.linger_by);
        }
        let Some((at, due)) = nearest.get() else {
            return Poll::Pending;
        };
        ready!(self.timer.poll(at, cx));
        Poll::Ready(due)
    }

    fn on_due(&mut self, due: Due, cx: &mut Context<'_>) {
        self.conversation.set_now(Instant::now());
        self.conversation.on_due(due, cx);
    }
}

impl<P, R, D, C> Future for Connection<P, R, D, C>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
    C: Carrier,
{
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        this.conversation.set_now(Instant::now());
        this.conversation.register(cx.waker());
        for _ in 0..ROUNDS {
            this.conversation.advance(cx);
            if this.conversation.is_closing() {
                // Verdicts may take long: what the session holds need not wait for them.
                this.conversation.close_session(cx);
            }
            this.poll_write(cx);
            this.conversation.note_blocked();
            if this.conversation.is_closing() {
                if let Poll::Ready(reason) = this.poll_close(cx) {
                    return Poll::Ready(reason);
                }
            } else if this.conversation.can_work()
                || (this.conversation.wants_bytes() && this.poll_read(cx).is_ready())
            {
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
