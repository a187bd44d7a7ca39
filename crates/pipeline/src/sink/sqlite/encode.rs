//! Batches as rows: done in the shard's thread, so that the writer only writes.

use telemetry::{Kind, Report};

use crate::SinkError;
use crate::sink::{Batch, Content, Frame};

/// A batch in the form in which it is written.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) received: i64,
    pub(super) devices: Vec<DeviceRow>,
    pub(super) frames: Vec<FrameRow>,
}

#[derive(Debug)]
pub(super) struct DeviceRow {
    pub(super) id: i64,
    pub(super) tenant: telemetry::Tenant,
    pub(super) device: telemetry::DeviceId,
    pub(super) latest: String,
    pub(super) state: Vec<u8>,
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
    /// The number of the command that it answers, and the answer.
    pub(super) answer: Option<(u32, Box<str>)>,
}

/// Bodies are mostly of this size; starting with it saves growing.
const BODY: usize = 768;

impl Rows {
    pub(super) fn encode(batch: &Batch) -> Result<Self, SinkError> {
        let devices = batch.devices.iter().map(|changed| {
            Ok(DeviceRow {
                id: changed.slot.0,
                tenant: changed.key.tenant.clone(),
                device: changed.key.device,
                latest: json(&changed.latest, 512)?,
                state: changed.states.clone(),
            })
        });
        let frames = batch.frames.iter().map(|frame| {
            let reports = match &frame.content {
                Content::Reports(range) => batch.reports.get(range.clone()).unwrap_or_default(),
                _ => &[],
            };
            Ok(FrameRow {
                frame: frame.clone(),
                reports: reports
                    .iter()
                    .map(|report| ReportRow::encode(report, frame.device.is_some()))
                    .collect::<Result<_, SinkError>>()?,
            })
        });
        Ok(Self {
            received: int(batch.received),
            devices: devices.collect::<Result<_, SinkError>>()?,
            frames: frames.collect::<Result<_, SinkError>>()?,
        })
    }
}

impl ReportRow {
    fn encode(report: &Report, identified: bool) -> Result<Self, SinkError> {
        let mut lean = report.clone();
        lean.late = None;
        lean.raw = None;
        if identified {
            lean.device = None;
            lean.tenant = None;
        }
        let answer = match (report.kind, report.reply_to) {
            (Kind::CommandReply, Some(flag)) => {
                Some((flag, report.text.clone().unwrap_or_default()))
            }
            _ => None,
        };
        Ok(Self {
            id: *report.id.as_bytes(),
            time: report.time.as_millis(),
            late: report.late,
            body: json(&lean, BODY)?,
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
