//! Batches as rows: done in the shard's thread, so that the writer only writes.

use std::collections::HashMap;
use std::sync::Arc;

use milepost_telemetry::{Content, Profile, Report};

use super::provenance::Provenance;
use super::rest::rest;
use crate::SinkError;
use crate::sink::{Batch, FrameResult};

/// A batch as rows. The plain columns are read from the batch itself.
#[derive(Debug)]
pub struct Rows {
    pub(super) batch: Arc<Batch>,
    /// The last known state of each device, as JSON.
    pub(super) latest: Vec<String>,
    /// For each report of the batch.
    pub(super) reports: Vec<ReportRow>,
    /// What the reports have in common, each once.
    pub(super) provenance: Vec<Provenance>,
    /// The profiles of the frames, each once.
    pub(super) profiles: Vec<Profile>,
    /// For each frame of the batch, its place among them.
    pub(super) profile_of: Vec<Option<usize>>,
}

#[derive(Debug)]
pub(super) struct ReportRow {
    /// Its place in [`Rows::provenance`].
    pub(super) provenance: usize,
    /// Its place among what its frame said.
    pub(super) item: usize,
    /// What has no column, as JSON; empty if there is nothing.
    pub(super) rest: String,
}

impl Rows {
    pub(super) fn encode(batch: &Arc<Batch>) -> Result<Self, SinkError> {
        let latest = batch.devices.iter().map(|device| json(&device.latest, 512));
        let mut rows = Self {
            latest: latest.collect::<Result<_, SinkError>>()?,
            reports: Vec::with_capacity(batch.reports.len()),
            provenance: Vec::new(),
            profiles: Vec::new(),
            profile_of: Vec::with_capacity(batch.frames.len()),
            batch: Arc::clone(batch),
        };
        let mut profiles: HashMap<&str, usize> = HashMap::new();
        let mut places = HashMap::new();
        let mut reports = batch.reports.iter();
        for frame in &batch.frames {
            let envelope = &frame.envelope;
            rows.profile_of
                .push(envelope.profile.as_ref().map(|profile| {
                    *profiles.entry(profile.as_str()).or_insert_with(|| {
                        rows.profiles.push(profile.clone());
                        rows.profiles.len() - 1
                    })
                }));
            let FrameResult::Reports { own, derived } = frame.result else {
                continue;
            };
            let said: &[Report] = match &envelope.content {
                Content::Reports(said) => said,
                _ => &[],
            };
            let mut item = 0;
            for report in reports.by_ref().take(own) {
                // Repeats were taken out; the others are in order.
                let left = said.get(item..).unwrap_or_default();
                item += left
                    .iter()
                    .position(|said| said.id == report.id)
                    .unwrap_or(0);
                rows.push(report, item, frame.device.is_some(), &mut places)?;
                item += 1;
            }
            for report in reports.by_ref().take(derived) {
                rows.push(report, 0, frame.device.is_some(), &mut places)?;
            }
        }
        Ok(rows)
    }

    fn push(
        &mut self,
        report: &Report,
        item: usize,
        identified: bool,
        places: &mut HashMap<Provenance, usize>,
    ) -> Result<(), SinkError> {
        let provenance = Provenance::of(report);
        // Neighbours mostly have the same.
        let last = self.reports.last().map(|row| row.provenance);
        let place = match last.and_then(|at| Some((at, self.provenance.get(at)?))) {
            Some((at, known)) if *known == provenance => at,
            _ => *places.entry(provenance).or_insert_with(|| {
                self.provenance.push(provenance);
                self.provenance.len() - 1
            }),
        };
        self.reports.push(ReportRow {
            provenance: place,
            item,
            rest: rest(report, &provenance, identified)?,
        });
        Ok(())
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T, capacity: usize) -> Result<String, SinkError> {
    let mut out = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut out, value).map_err(SinkError::permanent)?;
    String::from_utf8(out).map_err(SinkError::permanent)
}

/// SQLite's integers are signed; no counter gets near the end.
pub(super) fn int(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}
