//! Batches as rows: done in the shard's thread, so that the writer only writes.

use milepost_telemetry::{CommandAnswer, Report};

use crate::SinkError;
use crate::sink::{Batch, Content, Frame};

/// A batch as rows.
#[derive(Debug, Default)]
pub struct Rows {
    pub(super) received: i64,
    pub(super) devices: Vec<DeviceRow>,
    pub(super) frames: Vec<FrameRow>,
}

#[derive(Debug)]
pub(super) struct DeviceRow {
    pub(super) id: i64,
    pub(super) tenant: milepost_telemetry::Tenant,
    pub(super) device: milepost_telemetry::DeviceId,
    pub(super) latest: String,
    pub(super) state: Vec<u8>,
    /// Whether it is to be written.
    pub(super) known: bool,
}

#[derive(Debug)]
pub(super) struct FrameRow {
    pub(super) frame: Frame,
    /// The device's place in `devices`.
    pub(super) reports: Vec<ReportRow>,
}

#[derive(Debug)]
pub(super) struct ReportRow {
    pub(super) id: [u8; 16],
    pub(super) time: i64,
    pub(super) late: Option<bool>,
    pub(super) body: String,
    /// What it says about a command.
    pub(super) answer: Option<CommandAnswer>,
}

/// Bodies are mostly of this size; starting with it saves growing.
const BODY: usize = 768;

impl Rows {
    pub(super) fn encode(batch: Batch) -> Result<Self, SinkError> {
        let devices = batch.devices.into_iter().map(|changed| {
            Ok(DeviceRow {
                id: changed.slot.0,
                latest: json(&changed.latest, 512)?,
                tenant: changed.key.tenant,
                device: changed.key.device,
                state: changed.states,
                known: changed.known,
            })
        });
        let devices = devices.collect::<Result<_, SinkError>>()?;
        let mut reports = batch.reports.into_iter();
        let frames = batch.frames.into_iter().map(|frame| {
            let count = match &frame.content {
                Content::Reports(count) => *count,
                _ => 0,
            };
            let rows = reports
                .by_ref()
                .take(count)
                .map(|report| ReportRow::encode(report, frame.device.is_some()));
            Ok(FrameRow {
                reports: rows.collect::<Result<_, SinkError>>()?,
                frame,
            })
        });
        Ok(Self {
            received: int(batch.received),
            devices,
            frames: frames.collect::<Result<_, SinkError>>()?,
        })
    }
}

impl ReportRow {
    fn encode(mut report: Report, identified: bool) -> Result<Self, SinkError> {
        let late = report.late.take();
        report.more.raw = None;
        if identified {
            report.device = None;
            report.tenant = None;
        }
        // Most reports have no rare part, and none is made for this.
        let answer = if report.more.is_none() {
            None
        } else {
            report.more.answer.take()
        };
        Ok(Self {
            id: *report.id.as_bytes(),
            time: report.time.as_millis(),
            late,
            body: json(&report, BODY)?,
            answer,
        })
    }
}

fn json<T: serde::Serialize>(value: &T, capacity: usize) -> Result<String, SinkError> {
    let mut out = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut out, value).map_err(SinkError::permanent)?;
    String::from_utf8(out).map_err(SinkError::permanent)
}

/// SQLite's integers are signed; no counter gets near the end.
pub(super) fn int(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}
