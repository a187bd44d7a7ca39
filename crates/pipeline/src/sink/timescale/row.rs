//! Reports and quarantined frames as rows.

use milepost_telemetry::{
    Cell, Event, Identity, Media, Name, Origin, Quarantine, Report, Signal, Timestamp, Vehicle,
    WifiStation,
};
use serde::Serialize;
use uuid::Uuid;

use super::copy::Fields;
use crate::SinkError;

/// A report and where it comes from.
#[derive(Debug, Clone)]
pub struct ReportRow<'a> {
    /// The report.
    pub report: &'a Report,
    /// The gateway's name.
    pub gateway: &'a str,
    /// The frame; its epoch is the gateway's run.
    pub origin: Origin,
    /// Which report of its envelope.
    pub part: u16,
    /// 0, or the revision of a correction that is in the report already.
    pub revision: u32,
    /// The profile that it was decoded with.
    pub profile: Option<Uuid>,
    /// The frame's bytes, for the first report of an envelope.
    pub raw: Option<&'a [u8]>,
}

/// The columns of `report` in the order in which they are written. Nearly all are overwritten when
/// a newer version of a decoder reads a frame again.
pub(super) const REPORT: &[&str] = &[
    "id",
    "key_time",
    "revision",
    "decoder_version",
    "tenant",
    "device",
    "protocol",
    "decoder",
    "dialect",
    "kind",
    "checksum",
    "sequence",
    "received_at",
    "time",
    "time_source",
    "device_time",
    "raw_time",
    "zone",
    "late",
    "latitude",
    "longitude",
    "altitude_m",
    "speed_kmh",
    "course_deg",
    "satellites",
    "hdop",
    "pdop",
    "fix_time",
    "fix_valid",
    "fix_live",
    "fix_source",
    "smoothed_latitude",
    "smoothed_longitude",
    "smoothed_speed_kmh",
    "smoothed_course_deg",
    "smoothed_accuracy_m",
    "moving",
    "outlier",
    "rejected",
    "external_connected",
    "external_v",
    "battery_v",
    "battery_pct",
    "battery_level",
    "charging",
    "signal_pct",
    "signal_dbm",
    "ignition",
    "ignition_source",
    "armed",
    "inputs",
    "outputs",
    "odometer_m",
    "gateway",
    "epoch",
    "connection",
    "frame",
    "part",
    "profile",
    "raw",
    "rest",
];

/// Columns that stay as they were stored first.
pub(super) const FIRST: &[&str] = &[
    "id",
    "key_time",
    "received_at",
    "gateway",
    "epoch",
    "connection",
    "frame",
    "part",
    "raw",
];

/// The columns of `event`; `number` is added when it is known.
pub(super) const EVENT: &[&str] = &[
    "id",
    "place",
    "tenant",
    "device",
    "time",
    "received_at",
    "kind",
    "raised_by",
    "code",
    "incident",
    "incident_id",
    "late",
    "latitude",
    "longitude",
    "topic",
    "partition",
    "number",
];

/// The columns of `quarantine`.
pub(super) const QUARANTINE: &[&str] = &[
    "received_at",
    "gateway",
    "epoch",
    "connection",
    "frame",
    "frames",
    "peer",
    "protocol",
    "tenant",
    "device",
    "profile",
    "field",
    "place",
    "error",
    "raw",
];

/// What has no column, in the JSON form.
#[derive(Serialize)]
struct Rest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cells: Vec<&'a Cell>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    wifi: &'a [WifiStation],
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicle: Option<&'a Vehicle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a Identity>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [Event],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    signals: &'a [Signal],
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a Media>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<&'a milepost_telemetry::Diagnostics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_claim: Option<&'a milepost_telemetry::AddressClaim>,
}

impl<'a> Rest<'a> {
    /// `None` if everything has a column.
    fn of(report: &'a Report) -> Option<Self> {
        let more = &report.more;
        if more.is_none() && report.network.cell.is_none() {
            return None;
        }
        Some(Self {
            operator: more.operator.as_deref(),
            cells: report.cells().collect(),
            wifi: &more.wifi,
            vehicle: more.vehicle.as_ref(),
            identity: more.identity.as_ref(),
            events: &more.events,
            signals: &more.signals,
            media: more.media.as_ref(),
            reply_to: more.reply_to,
            text: more.text.as_deref(),
            diagnostics: more.diagnostics.as_deref(),
            address_claim: more.address_claim.as_deref(),
        })
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number that orders the versions in names like `gt06/0.1.0`; 0 if there is none.
pub(super) fn decoder_version(decoder: Name) -> i64 {
    let version = decoder.as_str().split_once('/').map_or("", |(_, v)| v);
    let mut parts = version
        .split(['-', '+'])
        .next()
        .unwrap_or_default()
        .split('.')
        .map(|part| part.parse::<i64>().unwrap_or(0).clamp(0, 0xF_FFFF));
    let mut next = || parts.next().unwrap_or(0);
    next() << 40 | next() << 20 | next()
}

impl ReportRow<'_> {
    /// Appends the fields of [`REPORT`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), SinkError> {
        let report = self.report;
        let mut f = Fields(out);
        f.bytes(report.id.as_bytes());
        f.time(report.id.key_time());
        f.i32(i32::try_from(self.revision).unwrap_or(i32::MAX));
        f.i64(decoder_version(report.decoder));
        f.opt_text(report.tenant.as_ref().map(|tenant| tenant.as_str()));
        f.opt_text(report.device.as_ref().map(|device| device.as_str()));
        f.text(&report.protocol);
        f.text(&report.decoder);
        f.opt_text(report.dialect.as_deref());
        f.word(report.kind);
        f.word(report.checksum);
        f.opt_i64(report.sequence.map(i64::from));
        f.time(report.received_at);
        f.time(report.time);
        f.word(report.time_source);
        f.opt_time(report.device_time);
        match report.raw_time {
            Some(raw) => f.shown(raw),
            None => f.null(),
        }
        f.opt_word(report.zone);
        f.opt_bool(report.late);

        let fix = report.fix.as_ref();
        f.opt_f64(fix.map(|fix| fix.coordinates.latitude()));
        f.opt_f64(fix.map(|fix| fix.coordinates.longitude()));
        f.opt_f32(fix.and_then(|fix| fix.altitude).map(|v| v.as_metres()));
        f.opt_f32(fix.and_then(|fix| fix.speed).map(|v| v.as_kmh()));
        f.opt_f32(fix.and_then(|fix| fix.course).map(|v| v.as_degrees()));
        f.opt_i16(fix.and_then(|fix| fix.satellites).map(i16::from));
        f.opt_f32(fix.and_then(|fix| fix.hdop).map(|v| v.value()));
        f.opt_f32(fix.and_then(|fix| fix.pdop).map(|v| v.value()));
        f.opt_time(fix.and_then(|fix| fix.time));
        f.opt_bool(fix.map(|fix| fix.valid));
        f.opt_bool(fix.and_then(|fix| fix.live));
        f.opt_word(fix.map(|fix| fix.source));

        let smoothed = report.smoothed.as_ref();
        f.opt_f64(smoothed.map(|s| s.latitude));
        f.opt_f64(smoothed.map(|s| s.longitude));
        f.opt_f32(smoothed.and_then(|s| s.speed).map(|v| v.as_kmh()));
        f.opt_f32(smoothed.and_then(|s| s.course).map(|v| v.as_degrees()));
        f.opt_f32(smoothed.and_then(|s| s.accuracy_m));
        f.opt_bool(smoothed.and_then(|s| s.moving));
        f.opt_bool(smoothed.map(|s| s.outlier));
        f.opt_word(smoothed.and_then(|s| s.rejected));

        let power = &report.power;
        f.opt_bool(power.external_connected);
        f.opt_f32(power.external.map(|v| v.as_volts()));
        f.opt_f32(power.battery.map(|v| v.as_volts()));
        f.opt_f32(power.battery_charge.map(|v| v.value()));
        f.opt_word(power.battery_level);
        f.opt_bool(power.charging);

        f.opt_f32(report.network.signal.map(|v| v.value()));
        f.opt_i16(report.network.signal_dbm);

        f.opt_bool(report.io.ignition);
        f.opt_word(report.io.ignition_source);
        f.opt_bool(report.io.armed);
        f.switches(report.io.inputs);
        f.switches(report.io.outputs);

        f.opt_f64(report.odometer.map(|v| v.as_metres()));

        f.text(self.gateway);
        f.i64(int(self.origin.epoch));
        f.i64(int(self.origin.connection));
        f.i64(int(self.origin.frame));
        f.i16(i16::try_from(self.part).unwrap_or(i16::MAX));
        f.opt_bytes(self.profile.as_ref().map(|id| id.as_bytes().as_slice()));
        f.opt_bytes(self.raw);
        match Rest::of(report) {
            Some(rest) => f.json(&rest).map_err(SinkError::permanent)?,
            None => f.null(),
        }
        Ok(())
    }

    /// Appends the fields of [`EVENT`] of the report's event at `place`, without its number.
    pub(super) fn encode_event(
        &self,
        place: usize,
        event: &Event,
        topic: &str,
        partition: i32,
        out: &mut Vec<u8>,
    ) {
        let report = self.report;
        let mut f = Fields(out);
        f.bytes(report.id.as_bytes());
        f.i16(i16::try_from(place).unwrap_or(i16::MAX));
        f.opt_text(report.tenant.as_ref().map(|tenant| tenant.as_str()));
        f.opt_text(report.device.as_ref().map(|device| device.as_str()));
        f.time(report.time);
        f.time(report.received_at);
        f.word(event.kind);
        f.word(event.by);
        f.opt_i64(event.code.map(i64::from));
        f.opt_word(event.incident);
        f.opt_bytes(
            event
                .incident_id
                .as_ref()
                .map(|id| id.as_bytes().as_slice()),
        );
        f.opt_bool(event.late);
        let fix = report.fix.as_ref();
        f.opt_f64(fix.map(|fix| fix.coordinates.latitude()));
        f.opt_f64(fix.map(|fix| fix.coordinates.longitude()));
        f.text(topic);
        f.i32(partition);
    }
}

/// A frame that could not be read.
#[derive(Debug, Clone)]
pub struct QuarantineRow<'a> {
    /// When it arrived.
    pub received_at: Timestamp,
    /// The gateway's name.
    pub gateway: &'a str,
    /// The frame.
    pub origin: Origin,
    /// How many frames it stands for.
    pub frames: u64,
    /// The peer's address.
    pub peer: Option<std::net::SocketAddr>,
    /// The protocol.
    pub protocol: Name,
    /// The device.
    pub device: Option<milepost_telemetry::DeviceKey>,
    /// What was known of it.
    pub profile: Option<Uuid>,
    /// Why it cannot be read.
    pub why: &'a Quarantine,
    /// Its bytes.
    pub raw: &'a [u8],
}

impl QuarantineRow<'_> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut f = Fields(out);
        f.time(self.received_at);
        f.text(self.gateway);
        f.i64(int(self.origin.epoch));
        f.i64(int(self.origin.connection));
        f.i64(int(self.origin.frame));
        f.i64(int(self.frames));
        match self.peer {
            Some(peer) => f.shown(peer),
            None => f.null(),
        }
        f.text(&self.protocol);
        f.opt_text(self.device.as_ref().map(|key| key.tenant.as_str()));
        f.opt_text(self.device.as_ref().map(|key| key.device.as_str()));
        f.opt_bytes(self.profile.as_ref().map(|id| id.as_bytes().as_slice()));
        f.opt_text(self.why.field.as_deref());
        f.opt_i64(self.why.offset.map(i64::from));
        f.text(&self.why.message);
        f.bytes(self.raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        let version = |name| decoder_version(Name::new(name));
        assert!(version("gt06/0.9.0") < version("gt06/0.10.0"));
        assert!(version("gt06/0.10.0") < version("gt06/1.0.0-beta"));
        assert_eq!(version("gt06"), 0);
    }
}
