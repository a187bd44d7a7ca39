//! Frames that cannot be stored for what they are: kept in quarantine like those that cannot be
//! read.

use std::fmt;
use std::sync::Arc;

use milepost_telemetry::{Content, Envelope, Quarantine};

use crate::intake::Pending;

/// So many are logged one by one; of more only each whose count is a power of two, since anyone who
/// finds such a frame can send it again and again.
const LOGGED: u64 = 32;

/// Sets frames aside, and logs it.
#[derive(Debug, Default)]
pub(crate) struct SetAside {
    count: u64,
}

impl SetAside {
    /// Replaces a frame's content by the reason why it cannot be stored.
    pub(super) fn quarantine(&mut self, pending: &mut Pending, error: &dyn fmt::Display) {
        self.count += 1;
        if self.count <= LOGGED || self.count.is_power_of_two() {
            tracing::error!(
                origin = ?pending.envelope.origin,
                device = ?pending.envelope.device,
                %error,
                count = self.count,
                "a frame cannot be stored and is set aside"
            );
        }
        pending.envelope = Arc::new(in_quarantine(&pending.envelope, error));
    }
}

/// An envelope with the same bytes, in quarantine.
pub(super) fn in_quarantine(envelope: &Envelope, error: &dyn fmt::Display) -> Envelope {
    let mut envelope = envelope.clone();
    let reason = format!("could not be stored: {error}");
    envelope.content = Content::Quarantined(Quarantine::new(reason));
    envelope
}
