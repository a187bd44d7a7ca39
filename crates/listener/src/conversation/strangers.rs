//! What a conversation may do before an accepted login.

use super::Conversation;
use crate::{CloseReason, Deliver, Protocol, Registry};

impl<P, R, D> Conversation<P, R, D>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
{
    /// Whether one more frame of a connection without an accepted login may be received; if not,
    /// the connection is closed. A login that is accepted does not come here.
    pub(super) fn admit_stranger_frame(&mut self) -> bool {
        let limits = &self.shared.limits;
        self.stranger_frames = self.stranger_frames.saturating_add(1);
        // A device in quarantine is slowed down instead: closed, it would come again at once.
        if self.who.is_none() && self.stranger_frames > limits.stranger_frames {
            self.refuse_stranger("too many frames before an accepted login");
            return false;
        }
        let bucket = self.shared.connections.stranger_frames();
        if !bucket.try_take(limits.stranger_rate, self.now) {
            self.refuse_stranger("too many frames from connections without an accepted login");
            return false;
        }
        true
    }

    pub(super) fn refuse_stranger(&mut self, why: &'static str) {
        if self.closing.is_none()
            && let Some(left_out) = self.shared.log.stranger.admit(self.shared.clock.now())
        {
            tracing::info!(
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                protocol = %self.shared.name,
                frames = self.frames,
                bytes = self.stranger_bytes,
                left_out,
                "{why}: the connection is closed, and what it sent since is not read (a device has \
                 to log in first; is this port open to strangers?)"
            );
        }
        self.begin_close(CloseReason::Stranger);
    }

    pub(super) fn log_refused(&self) {
        if let Some(left_out) = self.shared.log.refused.admit(self.shared.clock.now()) {
            tracing::info!(
                connection = self.entry.link().id,
                peer = self.entry.link().peer.map(tracing::field::display),
                protocol = %self.shared.name,
                left_out,
                "a device was refused and its connection is closed: if it is yours, add it to the \
                 registry"
            );
        }
    }
}
