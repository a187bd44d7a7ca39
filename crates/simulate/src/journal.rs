//! What all trackers write into: the counters, and the ledger if there is one.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use milepost_telemetry::{DeviceId, ReportId, Timestamp};

use super::ledger::{Entry, What, Writer};
use super::stats::{Kind, Stats, Wrong};

/// Times are counted from the start of the simulation.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) stats: Stats,
    pub(crate) ledger: Option<Writer>,
    /// The start by our clock, and by the devices' clocks.
    started: Timestamp,
    devices_started: Timestamp,
}

impl Journal {
    pub(crate) fn new(
        ledger: Option<Writer>,
        started: Timestamp,
        devices_started: Timestamp,
    ) -> Self {
        Self {
            stats: Stats::default(),
            ledger,
            started,
            devices_started,
        }
    }

    /// What a device's clock shows after so much of its own time.
    pub(crate) fn device_time(&self, own: Duration) -> Timestamp {
        self.devices_started.offset_millis(millis(own))
    }

    /// Whether anybody wants to know the reports' ids.
    pub(crate) const fn keeps_keys(&self) -> bool {
        self.ledger.is_some()
    }

    pub(crate) fn sent(
        &self,
        now: Duration,
        device: DeviceId,
        kind: Kind,
        key: Option<ReportId>,
        frame: &[u8],
        again: bool,
    ) {
        self.stats.sent(kind, again);
        if let Some(ledger) = &self.ledger {
            ledger.record(&Entry {
                t: self.started.offset_millis(millis(now)),
                device,
                event: What::Sent,
                kind,
                key,
                frame: Some(hex::encode(frame)),
            });
        }
    }

    pub(crate) fn acknowledged(
        &self,
        now: Duration,
        device: DeviceId,
        kind: Kind,
        key: Option<ReportId>,
        waited: Duration,
    ) {
        self.stats.acknowledged(kind, waited);
        if let Some(ledger) = &self.ledger {
            ledger.record(&Entry {
                t: self.started.offset_millis(millis(now)),
                device,
                event: What::Acked,
                kind,
                key,
                frame: None,
            });
        }
    }

    pub(crate) fn unanswered(&self, kind: Kind) {
        self.stats.unanswered(kind);
    }

    pub(crate) fn wrong(&self, wrong: Wrong) {
        self.stats.wrong(wrong);
    }

    pub(crate) fn unneeded(&self) {
        self.stats.unneeded.fetch_add(1, Relaxed);
    }

    pub(crate) fn command(&self) {
        self.stats.commands.fetch_add(1, Relaxed);
    }

    pub(crate) fn outage(&self) {
        self.stats.outages.fetch_add(1, Relaxed);
    }

    pub(crate) fn forgotten(&self) {
        self.stats.forgotten.fetch_add(1, Relaxed);
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
