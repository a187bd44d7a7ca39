//! The end of a conversation: what was received is resolved first.
//!
//! Reading stops, and the session may report what it held. While replies can reach the peer,
//! acknowledgements whose verdict comes within [`Limits::settle`](crate::Limits::settle) still
//! leave. Verdicts are awaited to the last, also without a peer: a delivery that is dropped may
//! never have been handed over. Only a drain that runs out of time abandons them, and a
//! [`MemoryBudget`](crate::MemoryBudget) that is used up.

use bytes::BytesMut;

use super::{Closing, Conversation};
use crate::context::{Actions, Covers};
use crate::memory::Class;
use crate::{CloseReason, Closed, Deliver, Protocol, Registry, Session};

impl<P, R, D> Conversation<P, R, D>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
{
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether nothing can be written any more and nothing will be read.
    pub(crate) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether the peer's end has been seen.
    pub(crate) const fn is_eof(&self) -> bool {
        self.eof
    }

    /// Starts the end; the first reason counts.
    pub(crate) fn begin_close(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            if !self.buf.is_empty() && self.eof {
                self.shared.metrics.skipped(self.buf.len(), "truncated");
            }
            self.buf = BytesMut::new();
            self.ahead = None;
            self.entry.unbind();
            self.entry.link().refuse_commands();
            self.closing = Some(Box::new(Closing {
                reason,
                settle_by: self.now + self.shared.limits.settle,
                drain_by: None,
            }));
        }
        if reason.is_abrupt() || self.muted.is_some() {
            self.peer_gone();
        }
    }

    /// Nothing can be written any more, and nothing will be read.
    pub(crate) fn peer_gone(&mut self) {
        self.gone = true;
        self.outbox.discard(&self.shared.metrics);
        self.give_up_excess();
    }

    /// Nobody waits for what the budget has no memory for: who reconnects again and again in a
    /// long stall must not leave more behind each time.
    pub(super) fn give_up_excess(&mut self) {
        if self.outbox.give_up_excess(&self.shared.metrics) {
            self.entry.link().wake();
        }
    }

    /// A drain has run out of time.
    pub(super) fn abandon(&mut self) {
        self.gone = true;
        let mut frames = self.outbox.abandon(&self.shared.metrics);
        let waiting = self.suspended.take().and_then(|s| s.frame).is_some();
        let held = self.held.take().map_or(0, |held| held.len());
        let more = held.saturating_add(usize::from(waiting));
        self.shared.metrics.abandoned.increment(more as u64);
        frames = frames.saturating_add(more);
        if frames > 0
            && let Some(closing) = &mut self.closing
        {
            closing.reason = CloseReason::DrainTimeout;
            self.shared.abandon(frames);
        }
    }

    /// Notifies the session, once, that the conversation has ended; it may report what it held. What
    /// waits for the registry goes on in the session first.
    pub(crate) fn close_session(&mut self, cx: &mut std::task::Context<'_>) {
        if self.session_closed || self.suspended.is_some() {
            return;
        }
        let mut actions = Actions::default();
        self.notify_session(&mut actions);
        // The end is decided already.
        actions.close = None;
        actions.replies.clear();
        self.finish_without_frame(actions, cx);
        self.quarantine_held("the connection ended", cx);
        self.account_partial();
    }

    /// Why it ends, if all that was received is resolved.
    pub(crate) fn resolved(&self) -> Option<CloseReason> {
        let closing = self.closing.as_ref()?;
        let resolved = self.suspended.is_none() && self.outbox.in_flight() == 0;
        resolved.then_some(closing.reason)
    }

    pub(super) fn defect(&mut self, what: &'static str) {
        if let Some(left_out) = self.shared.log.defect.admit(self.shared.clock.now()) {
            tracing::error!(
                protocol = %self.shared.name,
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                frame = self.frames,
                unread = self.buf.len(),
                left_out,
                "{what}: the connection is closed"
            );
        }
        self.begin_close(CloseReason::Defect);
    }
}

impl<P: Protocol, R, D> Conversation<P, R, D> {
    /// Why it ends; without anybody's decision its task is ended from outside.
    fn reason(&self) -> CloseReason {
        self.closing
            .as_ref()
            .map_or(CloseReason::Aborted, |closing| closing.reason)
    }

    fn notify_session(&mut self, actions: &mut Actions) {
        if self.session_closed {
            return;
        }
        self.session_closed = true;
        let link = self.entry.link();
        let device = self.who.as_ref().map(|who| who.key);
        let closed = Closed {
            connection: link.id,
            peer: link.peer,
            device: device.as_ref(),
            reason: self.reason(),
        };
        let notified = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let origin = milepost_telemetry::Origin {
                epoch: self.shared.epoch,
                connection: link.id,
                frame: self.frames,
            };
            let mut context = crate::Context::new(
                self.shared.clock.now(),
                self.now.into_std(),
                link.peer,
                origin,
                device.as_ref(),
                actions,
            );
            self.session.on_close(&closed, &mut context);
        }));
        if notified.is_err() {
            *actions = Actions::default();
            tracing::error!(
                protocol = %self.shared.name,
                connection = closed.connection,
                peer = closed.peer.map(tracing::field::display),
                "the session panicked at its end"
            );
        }
    }
}

impl<P: Protocol, R, D> Drop for Conversation<P, R, D> {
    fn drop(&mut self) {
        self.notify_session(&mut Actions::default());
        let reason = self.reason();
        let metrics = &self.shared.metrics;
        // Only when the task is ended from outside is there anything left.
        self.outbox.abandon(metrics);
        if let Some(mut held) = self.held.take() {
            let frames = held.take(&Covers::All).len();
            metrics.abandoned.increment(frames as u64);
        }
        let (memory, link) = (&self.shared.memory, self.entry.link());
        self.partial.set(memory, link, 0, Class::Stranger);
        metrics.open.decrement(1);
        metrics.closed(reason);
        tracing::debug!(
            connection = link.id,
            peer = link.peer.map(tracing::field::display),
            device = self.who.as_ref().map(|who| tracing::field::display(&who.key)),
            frames = self.frames,
            %reason,
            "closed"
        );
    }
}
