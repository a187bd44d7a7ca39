//! Decoded messages to normalized reports.

mod codes;
mod navigation;
mod signals;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

pub use codes::dtc;
pub(crate) use codes::lamp_states;
use milepost_telemetry as telemetry;
pub(crate) use navigation::{Found, Navigation};
pub use signals::{signal, signals};
use telemetry::{
    DeviceId, IdentitySeed, Kind, Origin, Report, ReportId, Signal, SignalId, Tenant, TimeSource,
    Timestamp, Zone,
};

use crate::can::CanTime;
use crate::decoder::{Content, Head, Message};
use crate::diagnostics;
use crate::obd::ObdMessage;
use crate::text;
use crate::transport::Stamp;

/// The decoder's names.
pub const DECODER: telemetry::Decoder =
    telemetry::Decoder::new("j1939", concat!("j1939/", env!("CARGO_PKG_VERSION")));

/// Identity of the reporting device and place of the frame, for the reports of one frame.
#[derive(Debug, Clone, Copy)]
pub struct ReportContext<'a> {
    /// Whose device it is.
    pub tenant: Option<&'a Tenant>,
    /// The device, once it is known.
    pub device: Option<&'a DeviceId>,
    /// When the frame arrived.
    pub received_at: Timestamp,
    /// Where it arrived.
    pub origin: Origin,
}

impl ReportContext<'_> {
    /// An empty report. The bus carries no plausible device time, so its id is made of the place
    /// of the frame, with the arrival as key time.
    #[must_use]
    pub fn report(&self, kind: Kind, index: u32) -> Report {
        let seed = IdentitySeed::new(self.tenant, self.device, "j1939");
        let id = ReportId::mint(seed, self.received_at, &self.origin.key(index));
        let mut report = Report::new(id, DECODER, kind, self.received_at);
        report.tenant = self.tenant.cloned();
        report.device = self.device.copied();
        report
    }
}

/// A stamp from this time on (2001-09-09) is Unix time; a smaller one counts from the start of an
/// adapter.
const UNIX_FROM_MICROS: u64 = 1_000_000_000_000_000;

/// The instant of a carrier's stamp, if it is Unix time.
#[must_use]
pub fn instant(time: CanTime) -> Option<Timestamp> {
    let is_unix = time.as_micros() >= UNIX_FROM_MICROS;
    let millis = i64::try_from(time.as_micros() / 1_000).ok()?;
    is_unix.then(|| Timestamp::from_millis(millis))
}

/// Notes the time of a report: the carrier's stamp if it is Unix time, else the arrival.
pub fn set_time(report: &mut Report, stamp: Stamp) {
    if stamp.estimated {
        report.time_source = TimeSource::Estimated;
    } else if let Some(time) = instant(stamp.at) {
        report.set_device_time(time, TimeSource::Device, Zone::Utc);
    }
}

/// The report of one message.
#[must_use]
pub fn report(message: &Message, context: &ReportContext<'_>) -> Report {
    let kind = match &message.content {
        Content::Diagnostic(_) => Kind::Diagnostics,
        Content::Obd(
            ObdMessage::Codes { .. } | ObdMessage::Monitors(_) | ObdMessage::Refused { .. },
        ) => Kind::Diagnostics,
        Content::Unknown => Kind::Unknown,
        _ => Kind::Can,
    };
    let mut report = context.report(kind, 0);
    set_time(&mut report, message.stamp);
    fill(&mut report, message);
    let mut navigation = Navigation::default();
    navigation.message(message);
    report.fix = navigation.take().map(|fix| fix.at(context.received_at));
    for signal in signals(message) {
        note(&mut report, &signal);
        report.more.signals.push(signal);
    }
    report
}

/// The part of an output object that describes the frame, for `milepost decode`.
#[must_use]
pub fn frame_json(head: Head, data: &[u8]) -> serde_json::Value {
    match head {
        Head::Group(id) => serde_json::json!({
            "pgn": id.pgn.raw(),
            "priority": id.priority,
            "source": id.source,
            "destination": id.destination,
            "data": hex(data),
        }),
        Head::Can(id) => serde_json::json!({ "can_id": id.to_string(), "data": hex(data) }),
    }
}

/// Upper-case hexadecimal.
#[must_use]
pub fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Everything of a message but its signals.
pub(crate) fn fill(report: &mut Report, message: &Message) {
    let source = message.head.source();
    match &message.content {
        Content::Diagnostic(diagnostic) => {
            let mut all = codes::diagnostics(diagnostic);
            if let Head::Group(id) = message.head {
                all.message = diagnostics::message(id.pgn).map(|(_, name)| name.into());
            }
            all.source = Some(source);
            report.more.diagnostics = Some(Box::new(all));
        }
        Content::Text(fields) => {
            let texts: Vec<&str> = fields
                .iter()
                .map(|field| field.text.as_deref().unwrap_or(""))
                .collect();
            report.more.text = Some(texts.join("*").into());
            for field in fields {
                let Some(value) = field.text.as_deref().filter(|text| !text.is_empty()) else {
                    continue;
                };
                match field.spn {
                    237 => report.identity_mut().vin = text::vin(value).map(Into::into),
                    1625 => report.identity_mut().driver = Some(value.into()),
                    _ => {}
                }
            }
        }
        Content::AddressClaim(name, _) => {
            let claim = telemetry::AddressClaim::new(source, name.0);
            report.more.address_claim = Some(Box::new(claim));
        }
        Content::CommandedAddress(command) => {
            let claim = telemetry::AddressClaim::new(command.address, command.name.0);
            report.more.address_claim = Some(Box::new(claim));
            report.more.text = Some("commanded address".into());
        }
        Content::Obd(obd) => codes::fill_obd(report, obd, source),
        Content::Unknown => report.more.raw = Some((*message.data).into()),
        _ => {}
    }
}

/// Copies a signal that has a place of its own in the report.
pub(crate) fn note(report: &mut Report, signal: &Signal) {
    let Some(telemetry::Value::Number(value)) = signal.value else {
        return;
    };
    match signal.id {
        SignalId::Spn(247) => report.vehicle_mut().engine_hours_s = Some(value * 3600.0),
        SignalId::Spn(96) | SignalId::Pid { mode: 1, pid: 0x2F } => {
            report.vehicle_mut().fuel = telemetry::Percent::new(narrow(value)).ok();
        }
        // The finer one of the two totals wins, whichever comes first.
        SignalId::Spn(5054) => report.vehicle_mut().fuel_used_l = Some(value),
        SignalId::Spn(250) => {
            report.vehicle_mut().fuel_used_l.get_or_insert(value);
        }
        SignalId::Spn(190) | SignalId::Pid { mode: 1, pid: 0x0C } => {
            report.vehicle_mut().engine_rpm = Some(value);
        }
        SignalId::Spn(84) | SignalId::Pid { mode: 1, pid: 0x0D } => {
            report.vehicle_mut().wheel_speed_kmh = Some(value);
        }
        SignalId::Spn(110) | SignalId::Pid { mode: 1, pid: 0x05 } => {
            report.vehicle_mut().coolant_c = Some(value);
        }
        SignalId::Spn(917) | SignalId::Pid { mode: 1, pid: 0xA6 } => {
            report.odometer = telemetry::Odometer::from_metres(value * 1000.0).ok();
        }
        SignalId::Spn(245) if report.odometer.is_none() => {
            report.odometer = telemetry::Odometer::from_metres(value * 1000.0).ok();
        }
        SignalId::Spn(168) | SignalId::Pid { mode: 1, pid: 0x42 } => {
            report.power.external = telemetry::Voltage::from_volts(narrow(value)).ok();
        }
        _ => {}
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "percent and volts need no more than the 24 bits of a single"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}
