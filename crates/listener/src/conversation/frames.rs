//! From bytes to frames, in their turn; urgent ones ahead of it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Context;

use bytes::BytesMut;

use super::{AHEAD, Conversation, FrameOf, Gate};
use crate::{CloseReason, Deliver, MemoryBudget, Protocol, RawFrame, Registry, Session, Skipped};

/// What was found at the front of the bytes.
enum Next<F> {
    Frame(F),
    Skipped,
    /// More bytes are needed, or the conversation ends.
    Nothing,
}

impl<P, R, D> Conversation<P, R, D>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
{
    /// Handles the frames that are complete, as long as it may.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) {
        self.stopped = false;
        if self.closing.is_some() {
            return;
        }
        if self.held_too_much() {
            self.wake(true, cx);
        }
        if self.buf.is_empty() && self.ahead.is_none() && !self.eof {
            return;
        }
        let mut consumed = false;
        while self.closing.is_none() {
            if self.held_too_much() {
                self.wake(true, cx);
                continue;
            }
            match self.gate() {
                Gate::Open => {}
                Gate::Bound => {
                    self.look_ahead(&mut consumed);
                    if self.closing.is_some() {
                        break;
                    }
                    if self.may_use_reserve() {
                        self.in_reserve = true;
                        self.handle_ahead(cx);
                        self.in_reserve = false;
                        continue;
                    }
                    if self.eof && self.ahead.is_none() && self.buf.is_empty() {
                        self.close_at_end();
                    }
                    self.stopped = true;
                    break;
                }
                Gate::Shut => {
                    self.stopped = true;
                    break;
                }
            }
            if self.handle_ahead(cx) {
                continue;
            }
            match self.next(&mut consumed) {
                Next::Frame(frame) => self.on_frame(frame, cx),
                Next::Skipped => {}
                Next::Nothing if self.closing.is_some() => break,
                // The end of the stream, or of a datagram, is a pause: what waited for a suffix
                // is taken now.
                Next::Nothing if (self.eof || self.datagrams) && !self.paused => self.pause(),
                Next::Nothing if self.eof => self.close_at_end(),
                Next::Nothing => {
                    if self.datagrams && !self.buf.is_empty() {
                        // What a datagram does not complete, the next one does not either.
                        self.shared.metrics.skipped(self.buf.len(), "truncated");
                        self.buf.clear();
                    }
                    break;
                }
            }
        }
        self.keep_partial(consumed);
    }

    fn close_at_end(&mut self) {
        let reason = self.muted.map_or(CloseReason::Peer, CloseReason::Io);
        self.begin_close(reason);
    }

    /// Takes the next frame off the bytes, or says why there is none.
    fn next(&mut self, consumed: &mut bool) -> Next<FrameOf<P>> {
        let before = self.buf.len();
        if before == 0 {
            return Next::Nothing;
        }
        let next = catch_unwind(AssertUnwindSafe(|| self.session.next_frame(&mut self.buf)));
        let Ok(next) = next else {
            self.defect("the session panicked between frames");
            return Next::Nothing;
        };
        let progress = self.buf.len() < before;
        match next {
            Ok(None) => {
                if self.buf.len() > self.shared.limits.partial_frame {
                    self.begin_close(CloseReason::FrameTooLong);
                }
                Next::Nothing
            }
            _ if !progress => {
                self.defect("the session consumed nothing");
                Next::Nothing
            }
            Ok(Some(frame)) => {
                *consumed = true;
                Next::Frame(frame)
            }
            Err(skipped) => {
                *consumed = true;
                self.on_skipped(skipped);
                Next::Skipped
            }
        }
    }

    /// Takes some frames off the bytes though they have to wait: one may be urgent.
    fn look_ahead(&mut self, consumed: &mut bool) {
        while self.closing.is_none() && self.ahead.as_ref().map_or(0, |ahead| ahead.len()) < AHEAD {
            match self.next(consumed) {
                Next::Frame(frame) => {
                    let urgent = frame.urgent() && self.is_accepted();
                    self.ahead
                        .get_or_insert_with(|| Box::new(VecDeque::with_capacity(AHEAD)))
                        .push_back((frame, urgent));
                }
                Next::Skipped => {}
                Next::Nothing => {
                    if (self.eof || self.datagrams)
                        && !self.paused
                        && !self.buf.is_empty()
                        && self.closing.is_none()
                    {
                        self.pause();
                        continue;
                    }
                    if self.datagrams {
                        self.buf.clear();
                    }
                    return;
                }
            }
        }
    }

    /// Handles the first of the frames that were taken ahead of their turn; whether there was one.
    fn handle_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(ahead) = &mut self.ahead else {
            return false;
        };
        let frame = ahead.pop_front();
        if ahead.is_empty() {
            self.ahead = None;
        }
        match frame {
            Some((frame, _)) => {
                self.on_frame(frame, cx);
                true
            }
            None => false,
        }
    }

    /// Whether the session holds more than it may, and can be woken to report it.
    fn held_too_much(&self) -> bool {
        let Some(held) = &self.held else { return false };
        let limits = &self.shared.limits;
        let short_of_memory = self.outbox.in_flight() == 0
            && held.len() >= MemoryBudget::SHARE
            && self.shared.memory.is_full();
        (short_of_memory || held.len() >= limits.held || held.bytes() >= limits.held_bytes)
            && self.can_wake()
    }

    /// Keeps what is left of the bytes, and no more memory than they need.
    fn keep_partial(&mut self, consumed: bool) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
            self.partial_since = None;
        } else if consumed {
            // What is left shares its allocation with the frames that were taken off it.
            self.buf = BytesMut::from(&*self.buf);
            self.partial_since = Some(self.last_read);
        } else if self.partial_since.is_none() {
            self.partial_since = Some(self.last_read);
        }
    }

    fn on_skipped(&mut self, skipped: Skipped) {
        let looks_like = skipped.looks_like.unwrap_or("unknown");
        self.shared.metrics.skipped(skipped.bytes, looks_like);
        if !self.foreign_named
            && let Some(what) = skipped.looks_like
        {
            self.foreign_named = true;
            if let Some(left_out) = self.shared.log.foreign_protocol.admit(self.arrived) {
                tracing::warn!(
                    connection = self.entry.link().id,
                    peer = self.entry.link().peer.map(tracing::field::display),
                    protocol = %self.shared.name,
                    looks_like = what,
                    left_out,
                    "something else speaks on this port"
                );
            }
        }
        self.count_bad();
        self.close_if_too_many_bad();
    }

    pub(super) fn count_bad(&mut self) {
        self.bad_in_row = self.bad_in_row.saturating_add(1);
    }

    pub(super) fn close_if_too_many_bad(&mut self) {
        if self.bad_in_row <= self.shared.limits.bad_in_row {
            return;
        }
        if self.closing.is_none()
            && let Some(left_out) = self.shared.log.bad_frame.admit(self.arrived)
        {
            tracing::warn!(
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                device = self.who.as_ref().map(|who| tracing::field::display(&who.key)),
                protocol = %self.shared.name,
                in_row = self.bad_in_row,
                left_out,
                "too many unreadable frames or foreign bytes in a row: the connection is closed \
                 (does the device speak this protocol?)"
            );
        }
        self.begin_close(CloseReason::TooManyBad);
    }
}
