//! A batch as it is written: encoded without I/O.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use milepost_telemetry::{DeviceKey, IdentitySeed, Name, Origin, Profile, ReportId, Timestamp};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::row::{QuarantineRow, ReportRow, decoder_version};
use crate::SinkError;
use crate::sink::Correction;
use crate::track::Leg;

/// A partition of the log, held by one shard until the next claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The topic.
    pub topic: Name,
    /// The partition.
    pub partition: i32,
    /// Raised with each claim: an older one can no longer write.
    pub generation: i64,
}

/// Where a report goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Straight into the hypertable: it is surely new ([`Newness`](super::Newness)).
    Straight,
    /// Into the hypertable, compared with what is stored.
    Compared,
    /// Into the plain table, compared ([`is_odd`](super::is_odd)).
    Odd,
}

/// What a frame is, before the store has decided whether its reports are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It has reports: stored if one of them is new, else a duplicate.
    Reports,
    /// All that it says is stored already.
    Duplicate,
    /// It holds nothing to store; why.
    Filtered(Name),
    /// It is set aside.
    Quarantined,
}

/// Frames of one envelope.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FrameRow {
    /// The gateway's name.
    pub gateway: Arc<str>,
    /// The gateway's run.
    pub epoch: u64,
    /// How many frames.
    pub frames: u64,
    /// What they are.
    pub fate: Fate,
}

impl FrameRow {
    /// The frames of an envelope.
    pub fn new(gateway: Arc<str>, origin: Origin, frames: u64, fate: Fate) -> Self {
        Self {
            gateway,
            epoch: origin.epoch,
            frames,
            fate,
        }
    }
}

/// Rows for one transaction.
#[derive(Debug)]
pub struct BatchRows {
    pub(super) claim: Claim,
    pub(super) from: Option<i64>,
    pub(super) to: i64,
    pub(super) fields: Vec<u8>,
    pub(super) reports: Vec<Encoded>,
    pub(super) event_fields: Vec<u8>,
    pub(super) events: Vec<Range<usize>>,
    pub(super) quarantine_fields: Vec<u8>,
    pub(super) quarantined: Vec<Range<usize>>,
    pub(super) frames: Vec<FrameRow>,
    pub(super) positions: BTreeMap<Uuid, u64>,
    pub(super) profiles: BTreeMap<Uuid, Profile>,
    pub(super) corrections: Vec<Correction>,
    /// Trips and stops by their ids, with their revisions.
    pub(super) trips: BTreeMap<Uuid, (DeviceKey, Leg, u32)>,
}

/// A report's row.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) id: ReportId,
    pub(super) order: (i64, u32),
    pub(super) route: Route,
    pub(super) frame: usize,
    pub(super) fields: Range<usize>,
    /// Its events, by their places in [`BatchRows::events`].
    pub(super) events: Range<usize>,
}

impl BatchRows {
    /// Rows that move the partition's mark from the first offset that is not stored to another one.
    pub fn new(claim: Claim, from: Option<i64>, to: i64) -> Self {
        Self {
            claim,
            from,
            to,
            fields: Vec::new(),
            reports: Vec::new(),
            event_fields: Vec::new(),
            events: Vec::new(),
            quarantine_fields: Vec::new(),
            quarantined: Vec::new(),
            frames: Vec::new(),
            positions: BTreeMap::new(),
            profiles: BTreeMap::new(),
            corrections: Vec::new(),
            trips: BTreeMap::new(),
        }
    }

    /// Adds the frames of an envelope; returns their number for its reports.
    pub fn frame(&mut self, frame: FrameRow) -> usize {
        self.frames.push(frame);
        self.frames.len() - 1
    }

    /// Adds a report of a frame, and its events.
    ///
    /// # Errors
    /// When it cannot be written in any form.
    pub fn report(
        &mut self,
        frame: usize,
        row: &ReportRow<'_>,
        route: Route,
    ) -> Result<(), SinkError> {
        let start = self.fields.len();
        if let Err(error) = row.encode(&mut self.fields) {
            self.fields.truncate(start);
            return Err(error);
        }
        let first_event = self.events.len();
        for (place, event) in row.report.more.events.iter().enumerate() {
            let start = self.event_fields.len();
            row.encode_event(
                place,
                event,
                &self.claim.topic,
                self.claim.partition,
                &mut self.event_fields,
            );
            self.events.push(start..self.event_fields.len());
        }
        self.reports.push(Encoded {
            id: row.report.id,
            order: (decoder_version(row.report.decoder), row.revision),
            route,
            frame,
            fields: start..self.fields.len(),
            events: first_event..self.events.len(),
        });
        Ok(())
    }

    /// Adds a frame that is set aside.
    pub fn quarantine(&mut self, row: &QuarantineRow<'_>) {
        let start = self.quarantine_fields.len();
        row.encode(&mut self.quarantine_fields);
        self.quarantined.push(start..self.quarantine_fields.len());
    }

    /// Adds a change of a report that is stored or in this batch.
    pub fn correction(&mut self, correction: Correction) {
        self.corrections.push(correction);
    }

    /// Adds a trip or a stop that has ended; an open one is in the states of its device. It replaces
    /// one that began at the same time and has no higher revision.
    pub fn trip(&mut self, device: DeviceKey, leg: Leg, revision: u32) {
        if leg.to_ms.is_none() {
            return;
        }
        let seed = IdentitySeed::new(Some(&device.tenant), Some(&device.device), "trip");
        let id = ReportId::mint(seed, Timestamp::from_millis(leg.from_ms), b"trip");
        let id = Uuid::from_bytes(*id.as_bytes());
        self.trips.insert(id, (device, leg, revision));
    }

    /// Notes the highest position of a gateway's log.
    pub fn position(&mut self, log: u128, position: u64) {
        let highest = self.positions.entry(Uuid::from_u128(log)).or_insert(0);
        *highest = position.max(*highest);
    }

    /// Notes a profile that rows refer to; returns its id, a hash of its text.
    pub fn profile(&mut self, profile: &Profile) -> Uuid {
        let id = Uuid::from_u128(xxh3_128(profile.as_str().as_bytes()));
        self.profiles.entry(id).or_insert_with(|| profile.clone());
        id
    }

    /// How many reports there are.
    pub fn len(&self) -> usize {
        self.reports.len()
    }

    /// Whether there are no reports.
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// About how many bytes it is.
    pub fn bytes(&self) -> usize {
        self.fields.len() + self.event_fields.len() + self.quarantine_fields.len()
    }
}
