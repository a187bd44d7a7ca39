//! What is counted, through the [`metrics`] facade: whatever recorder the application installed
//! before it built the server receives it.
//!
//! | name | labels | meaning |
//! |---|---|---|
//! | `milepost_listener_connections_open` | protocol | gauge: connections whose last frame is not resolved |
//! | `milepost_listener_accepted_total` | protocol | connections accepted |
//! | `milepost_listener_accept_errors_total` | protocol | failed accepts (out of file descriptors, aborted) |
//! | `milepost_listener_rejected_total` | protocol, reason | connections closed at once: `connections_per_ip`; datagrams not taken: `datagram_peers`, `datagram_queue` |
//! | `milepost_listener_closed_total` | protocol, reason | connections ended, by [`CloseReason`] |
//! | `milepost_listener_received_bytes_total` | protocol | bytes read |
//! | `milepost_listener_decode_errors_total` | protocol, field | frames that could not be read, by the field at fault |
//! | `milepost_listener_frames_total` | protocol, outcome | frames: `reports`, `filtered`, `quarantined`, `lost` |
//! | `milepost_listener_skipped_bytes_total` | protocol, looks_like | bytes that belong to no frame |
//! | `milepost_listener_replies_total` | protocol, class | answers: `immediate`, `delivered`, `withheld` |
//! | `milepost_listener_in_flight` | protocol | gauge: envelopes handed over that wait for their verdict |
//! | `milepost_listener_not_delivered_total` | protocol, reason | verdicts that were not `Ok`: `failed`, `lost` |
//! | `milepost_listener_abandoned_total` | protocol | frames without verdict when a drain ran out of time |
//! | `milepost_listener_given_up_total` | protocol | frames beyond the [`MemoryBudget`](crate::MemoryBudget) whose peer has gone: not stored |
//! | `milepost_listener_gave_way_total` | protocol | connections that gave up an upload or were closed because memory for partial frames was used up |
//! | `milepost_listener_parallel_logins_total` | protocol, network | logins of a device that was connected already: from the `same` network, from an `other` |
//! | `milepost_listener_uploads_abandoned_total` | protocol, reason | files in blocks that were not whole: when the connection ended (`closed`), at a `login` of another device; what is given up otherwise is told by a report |
//!
//! `outcome` is what the listener made of a frame. `lost` is a defect of a session: it said
//! nothing about a frame; the frame is kept in quarantine.

use metrics::{Counter, Gauge, counter, gauge};
use milepost_telemetry::Name;

use crate::{CloseReason, NotDelivered};

/// The handles of what is counted often.
pub(crate) struct Metrics {
    protocol: &'static str,
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) reports: Counter,
    pub(crate) filtered: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) lost: Counter,
    pub(crate) replies: Counter,
    pub(crate) replies_delivered: Counter,
    pub(crate) replies_withheld: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) abandoned: Counter,
    pub(crate) given_up: Counter,
    pub(crate) gave_way: Counter,
}

impl Metrics {
    pub(crate) fn new(protocol: Name) -> Self {
        let protocol = protocol.as_str();
        let frames = |outcome| counter!("milepost_listener_frames_total", "protocol" => protocol, "outcome" => outcome);
        let replies = |class| counter!("milepost_listener_replies_total", "protocol" => protocol, "class" => class);
        Self {
            protocol,
            open: gauge!("milepost_listener_connections_open", "protocol" => protocol),
            accepted: counter!("milepost_listener_accepted_total", "protocol" => protocol),
            accept_errors: counter!("milepost_listener_accept_errors_total", "protocol" => protocol),
            received_bytes: counter!(
                "milepost_listener_received_bytes_total", "protocol" => protocol
            ),
            reports: frames("reports"),
            filtered: frames("filtered"),
            quarantined: frames("quarantined"),
            lost: frames("lost"),
            replies: replies("immediate"),
            replies_delivered: replies("delivered"),
            replies_withheld: replies("withheld"),
            in_flight: gauge!("milepost_listener_in_flight", "protocol" => protocol),
            abandoned: counter!("milepost_listener_abandoned_total", "protocol" => protocol),
            given_up: counter!("milepost_listener_given_up_total", "protocol" => protocol),
            gave_way: counter!("milepost_listener_gave_way_total", "protocol" => protocol),
        }
    }

    pub(crate) fn closed(&self, reason: CloseReason) {
        counter!(
            "milepost_listener_closed_total",
            "protocol" => self.protocol, "reason" => reason.as_str()
        )
        .increment(1);
    }

    /// A frame that could not be read; by the field where that showed. Decoders name their fields.
    pub(crate) fn unreadable(&self, field: Option<Name>) {
        let field = field.map_or("none", |field| field.as_str());
        counter!(
            "milepost_listener_decode_errors_total", "protocol" => self.protocol, "field" => field
        )
        .increment(1);
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        counter!(
            "milepost_listener_rejected_total", "protocol" => self.protocol, "reason" => reason
        )
        .increment(1);
    }

    pub(crate) fn skipped(&self, bytes: usize, looks_like: &'static str) {
        counter!(
            "milepost_listener_skipped_bytes_total",
            "protocol" => self.protocol, "looks_like" => looks_like
        )
        .increment(bytes as u64);
    }

    pub(crate) fn not_delivered(&self, verdict: NotDelivered) {
        let reason = match verdict {
            NotDelivered::Failed => "failed",
            NotDelivered::Lost => "lost",
        };
        counter!(
            "milepost_listener_not_delivered_total",
            "protocol" => self.protocol, "reason" => reason
        )
        .increment(1);
    }

    pub(crate) fn parallel_login(&self, same_network: bool) {
        let network = if same_network { "same" } else { "other" };
        counter!(
            "milepost_listener_parallel_logins_total",
            "protocol" => self.protocol, "network" => network
        )
        .increment(1);
    }
}
