//! The end of a connection: what was received is settled first.
//!
//! Reading stops. While the socket can be written, acknowledgements whose verdict comes within
//! [`Limits::settle`](crate::Limits::settle) still leave. Then the sending side is shut down and
//! what the peer still sends is thrown away for a moment, since closing a socket that holds
//! unread bytes resets it and may take the last replies along. Verdicts are awaited to the last,
//! also without a socket: a delivery that is dropped may never have been handed over. Only a
//! drain that runs out of time abandons them, and a [`Room`](crate::Room) that is used up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Connection;
use crate::{CloseReason, Deliver, Protocol, Registry};

/// Discarding reads in a row before other tasks get their turn.
const ROUNDS: u32 = 16;

/// How far the end has come.
pub(super) struct Closing {
    reason: CloseReason,
    pub(super) settle_by: Instant,
    /// Set when the sending side is shut down.
    pub(super) linger_by: Option<Instant>,
    pub(super) drain_by: Option<Instant>,
}

impl Closing {
    pub(super) const fn reason(&self) -> CloseReason {
        self.reason
    }
}

impl<P, R, D, I> Connection<P, R, D, I>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
    I: AsyncRead + AsyncWrite + Unpin,
{
    /// Starts the end; the first reason counts.
    pub(super) fn begin_close(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            if !self.buf.is_empty() && self.eof {
                self.shared.metrics.skipped(self.buf.len(), "truncated");
            }
            self.buf = BytesMut::new();
            self.entry.unbind();
            self.entry.link().hang_up();
            self.closing = Some(Box::new(Closing {
                reason,
                settle_by: Instant::now() + self.shared.limits.settle,
                linger_by: None,
                drain_by: None,
            }));
        }
        if reason.is_abrupt() || self.muted.is_some() {
            self.drop_io();
        }
    }

    /// Nothing more can be told to the peer.
    pub(super) fn drop_io(&mut self) {
        self.io = None;
        self.stalled_since = None;
        self.outbox.discard(&self.shared.metrics);
        self.give_up_excess();
    }

    /// Nobody waits for what has no room: who reconnects again and again in a long stall must not
    /// leave more behind each time.
    pub(super) fn give_up_excess(&mut self) {
        if self.outbox.give_up_excess(&self.shared.metrics) {
            self.entry.link().wake();
        }
    }

    /// A drain has run out of time.
    pub(super) fn abandon(&mut self) {
        self.io = None;
        let mut frames = self.outbox.abandon(&self.shared.metrics);
        if self.held.take().is_some() {
            self.shared.metrics.abandoned.increment(1);
            frames = frames.saturating_add(1);
        }
        if frames > 0
            && let Some(closing) = &mut self.closing
        {
            closing.reason = CloseReason::DrainTimeout;
            self.shared.abandoned(frames);
        }
    }

    /// Resolves when all is settled and the socket is done with.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Some(closing) = &mut self.closing else {
            return Poll::Pending;
        };
        if self.held.is_some() || self.outbox.in_flight() > 0 {
            return Poll::Pending;
        }
        if let Some(io) = &mut self.io {
            if !self.outbox.is_written() {
                return Poll::Pending;
            }
            if closing.linger_by.is_none() {
                let shut_down = ready!(Pin::new(&mut *io).poll_shutdown(cx));
                closing.linger_by = Some(Instant::now() + self.shared.limits.linger);
                // The peer's end is known, or there will be none.
                self.eof |= shut_down.is_err();
            }
            if !self.eof {
                ready!(poll_discard(io, cx));
            }
            self.io = None;
        }
        Poll::Ready(closing.reason)
    }
}

/// Reads and throws away until the peer's end.
fn poll_discard<I: AsyncRead + Unpin>(io: &mut I, cx: &mut Context<'_>) -> Poll<()> {
    let mut scratch = [0; 1_024];
    for _ in 0..ROUNDS {
        let mut scratch = ReadBuf::new(&mut scratch);
        let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut scratch));
        if read.is_err() || scratch.filled().is_empty() {
            return Poll::Ready(());
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
