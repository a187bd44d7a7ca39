//! Decoded messages to normalized reports.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use milepost_telemetry as telemetry;
use telemetry::{
    DeviceId, Diagnostics, IdentitySeed, Kind, LampFlash, LampFlashes, LampState, Origin, Report,
    ReportId, Signal, SignalId, SignalState, Tenant, TimeSource, Timestamp, Zone,
};

use crate::can::CanTime;
use crate::decoder::{Content, Head, Message};
use crate::diagnostics::{self, Diagnostic, Dtc, Flash, Lamp, Lamps, TroubleCodes};
use crate::obd::{ObdMessage, PidData, VehicleInfo};
use crate::signal::{Reading, Sample, pid, states};
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
            let mut all = diagnostics_of(diagnostic);
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
        Content::Obd(obd) => fill_obd(report, obd, source),
        Content::Unknown => report.more.raw = Some((*message.data).into()),
        _ => {}
    }
}

fn fill_obd(report: &mut Report, obd: &ObdMessage, source: u8) {
    let mut all = Diagnostics::default();
    all.source = Some(source);
    match obd {
        ObdMessage::Codes { service, codes } => {
            all.message = Some(match service {
                3 => "obd.03".into(),
                7 => "obd.07".into(),
                _ => "obd.0a".into(),
            });
            let list = codes.iter().map(|c| telemetry::Dtc::obd(c.to_string()));
            all.dtcs = Some(list.collect());
        }
        ObdMessage::Monitors(results) => {
            all.message = Some("obd.06".into());
            all.tests = results
                .iter()
                .map(|one| {
                    let mut test = telemetry::TestResult::new(one.test, one.scaling.into());
                    test.monitor = Some(one.monitor);
                    test.value = Some(one.value);
                    test.min = Some(one.min);
                    test.max = Some(one.max);
                    test
                })
                .collect();
        }
        ObdMessage::Refused { service, code } => {
            all.refused = Some(telemetry::Refusal {
                service: *service,
                code: *code,
            });
        }
        ObdMessage::Values { values, .. } => {
            let Some(status) = values.iter().find(|value| value.pid == 1) else {
                return;
            };
            let is_on = status.data.first().is_some_and(|a| a & 0x80 != 0);
            all.message = Some("obd.01".into());
            all.lamps = Some(telemetry::Lamps {
                mil: if is_on { LampState::On } else { LampState::Off },
                rsl: LampState::NotAvailable,
                awl: LampState::NotAvailable,
                pl: LampState::NotAvailable,
            });
        }
        ObdMessage::Info { info, .. } => match info {
            VehicleInfo::Vin(vin) => {
                report.identity_mut().vin = text::vin(vin).map(Into::into);
                report.more.text = Some(vin.as_str().into());
                return;
            }
            VehicleInfo::EcuName(name) => {
                report.more.text = Some(name.as_str().into());
                return;
            }
            VehicleInfo::CalibrationIds(ids) => {
                all.message = Some("obd.09".into());
                all.calibrations = ids
                    .iter()
                    .map(|id| telemetry::Calibration::new(Some(id.as_str().into()), None))
                    .collect();
            }
            VehicleInfo::CalibrationNumbers(numbers) => {
                all.message = Some("obd.09".into());
                all.calibrations = numbers
                    .iter()
                    .map(|cvn| telemetry::Calibration::new(None, Some(cvn_text(*cvn))))
                    .collect();
            }
            _ => return,
        },
        _ => return,
    }
    report.more.diagnostics = Some(Box::new(all));
}

fn cvn_text(cvn: u32) -> Box<str> {
    format!("{cvn:08X}").into()
}

/// A trouble code of J1939. The bytes are kept where their meaning depends on a setting.
#[must_use]
pub fn dtc(code: &Dtc) -> telemetry::Dtc {
    let cm = u8::from(code.conversion_method);
    let mut dtc = telemetry::Dtc::j1939(code.spn, code.fmi, code.count, cm);
    if code.conversion_method {
        dtc.raw = Some(hex(&code.raw).into());
    }
    dtc
}

fn lamps<T, U>(from: Lamps<T>, map: impl Fn(T) -> U) -> [U; 4] {
    [from.mil, from.rsl, from.awl, from.pl].map(map)
}

pub(crate) fn lamp_states(codes: &TroubleCodes) -> telemetry::Lamps {
    let [mil, rsl, awl, pl] = lamps(codes.lamps, |lamp| match lamp {
        Lamp::Off => LampState::Off,
        Lamp::On => LampState::On,
        Lamp::Error => LampState::Error,
        Lamp::NotAvailable => LampState::NotAvailable,
    });
    telemetry::Lamps { mil, rsl, awl, pl }
}

fn lamp_flashes(codes: &TroubleCodes) -> LampFlashes {
    let [mil, rsl, awl, pl] = lamps(codes.flash, |flash| match flash {
        Flash::Slow => LampFlash::Slow,
        Flash::Fast => LampFlash::Fast,
        Flash::Reserved => LampFlash::Reserved,
        Flash::None => LampFlash::None,
    });
    LampFlashes { mil, rsl, awl, pl }
}

fn diagnostics_of(diagnostic: &Diagnostic) -> Diagnostics {
    let mut all = Diagnostics::default();
    match diagnostic {
        Diagnostic::TroubleCodes(codes) => {
            all.lamps = Some(lamp_states(codes));
            all.flash = Some(lamp_flashes(codes));
            all.dtcs = Some(codes.codes.iter().map(dtc).collect());
        }
        Diagnostic::Calibrations(list) => {
            all.calibrations = list
                .iter()
                .map(|one| {
                    let id = one.id.as_deref().map(Into::into);
                    telemetry::Calibration::new(id, one.cvn.map(cvn_text))
                })
                .collect();
        }
        Diagnostic::Ratios(ratios) => {
            all.ratios = ratios
                .monitors
                .iter()
                .map(|&(spn, numerator, denominator)| telemetry::MonitorRatio {
                    spn,
                    numerator,
                    denominator,
                })
                .collect();
        }
        Diagnostic::Supported(list) => {
            all.supported = list
                .iter()
                .map(|one| telemetry::SupportedSpn {
                    spn: one.spn,
                    freeze_frame: one.freeze_frame,
                    data_stream: one.data_stream,
                    test_results: one.test_results,
                    rationality: one.rationality,
                    length: one.length,
                })
                .collect();
        }
        Diagnostic::FreezeFrames(list) => {
            all.freeze_frames = list
                .iter()
                .map(|one| telemetry::FreezeFrame {
                    dtc: dtc(&one.dtc),
                    data: hex(&one.data).into(),
                })
                .collect();
        }
        Diagnostic::Tests(list) => {
            all.tests = list
                .iter()
                .map(|one| {
                    let limit = |raw: u16| (raw < 0xFB00).then_some(raw);
                    let mut test = telemetry::TestResult::new(one.test, one.slot);
                    test.spn = Some(one.spn);
                    test.fmi = Some(one.fmi);
                    test.value = limit(one.value);
                    test.max = limit(one.max);
                    test.min = limit(one.min);
                    test
                })
                .collect();
        }
        Diagnostic::Clear | Diagnostic::EmissionControl(_) => {}
    }
    all
}

/// A sample as a signal of a report; `None` where it is absent.
#[must_use]
pub fn signal(sample: &Sample, source: u8) -> Option<Signal> {
    let spn = sample.spn;
    let id = if spn.number == 0 {
        SignalId::named(spn.name)
    } else {
        SignalId::Spn(spn.number)
    };
    let mut signal = Signal::new(id, spn.name);
    signal.source = Some(source);
    let unit = (!spn.unit.is_empty()).then_some(spn.unit);
    signal.unit = unit.map(Into::into);
    signal.state = Some(match sample.reading {
        Reading::Value(value) => return Some(signal.number(value, unit)),
        Reading::ParameterSpecific => SignalState::ParameterSpecific,
        Reading::Reserved => SignalState::Reserved,
        Reading::Error => SignalState::Error,
        Reading::NotAvailable => SignalState::NotAvailable,
        Reading::Absent => return None,
    });
    Some(signal)
}

/// The signals of a message.
#[must_use]
pub fn signals(message: &Message) -> Vec<Signal> {
    let source = message.head.source();
    let mut all: Vec<Signal> = message
        .signals()
        .filter_map(|sample| signal(&sample, source))
        .collect();
    let number = |id: &'static str, value: f64| {
        let mut signal = Signal::named(id).number(value, None);
        signal.source = Some(source);
        signal
    };
    match &message.content {
        Content::Text(fields) => all.extend(fields.iter().map(|field| {
            let mut signal = Signal::new(SignalId::Spn(field.spn), field.name);
            signal.source = Some(source);
            match &field.text {
                Some(text) => signal.text(text.as_str()),
                None => {
                    signal.state = Some(SignalState::NotAvailable);
                    signal
                }
            }
        })),
        Content::TellTales => all.extend(states::tell_tales(&message.data).filter_map(|one| {
            let mut signal = Signal::named(one.id()?);
            signal.source = Some(source);
            match one.state {
                7 => signal.state = Some(SignalState::NotAvailable),
                4..=6 => signal.state = Some(SignalState::Reserved),
                state => signal = signal.number(state.into(), None),
            }
            Some(signal)
        })),
        Content::Diagnostic(Diagnostic::Ratios(ratios)) => {
            for (spn, name, value) in [
                (3048, "ignition_cycle_counter", ratios.ignition_cycles),
                (
                    3049,
                    "obd_monitoring_conditions_encountered",
                    ratios.obd_conditions,
                ),
            ] {
                let mut signal = Signal::new(SignalId::Spn(spn), name);
                signal.source = Some(source);
                match value {
                    Some(value) => signal = signal.number(value.into(), None),
                    None => signal.state = Some(SignalState::NotAvailable),
                }
                all.push(signal);
            }
        }
        Content::Diagnostic(Diagnostic::EmissionControl(state)) => {
            for (id, code) in [
                ("j1939.nox_control_area", state.nox.control_area),
                ("j1939.nox_carve_out", state.nox.carve_out),
                ("j1939.nox_deficiency", state.nox.deficiency),
                ("j1939.pm_control_area", state.pm.control_area),
                ("j1939.pm_carve_out", state.pm.carve_out),
                ("j1939.pm_deficiency", state.pm.deficiency),
            ] {
                let mut signal = Signal::named(id);
                signal.source = Some(source);
                match code {
                    3 => signal.state = Some(SignalState::NotAvailable),
                    2 => signal.state = Some(SignalState::Reserved),
                    code => signal = signal.number(code.into(), None),
                }
                all.push(signal);
            }
        }
        Content::Request(request) => {
            all.push(number("j1939.requested_pgn", request.pgn.raw().into()));
        }
        Content::Acknowledge(ack) => {
            all.push(number("j1939.control", ack.control.code().into()));
            all.push(number("j1939.group_function", ack.group_function.into()));
            if let Some(address) = ack.address {
                all.push(number("j1939.address_acknowledged", address.into()));
            }
            all.push(number("j1939.acknowledged_pgn", ack.pgn.raw().into()));
        }
        Content::Obd(obd) => obd_signals(obd, source, &mut all),
        _ => {}
    }
    all
}

fn obd_signals(obd: &ObdMessage, source: u8, all: &mut Vec<Signal>) {
    match obd {
        ObdMessage::Values {
            service, values, ..
        } => {
            for value in values {
                pid_signals(*service, value, source, all);
            }
        }
        ObdMessage::Info { pid, info } => {
            let (name, text) = match info {
                VehicleInfo::Vin(vin) => ("vehicle_identification_number", vin.clone()),
                VehicleInfo::EcuName(name) => ("ecu_name", name.clone()),
                VehicleInfo::Supported(pids) => ("supported_parameters", list(pids)),
                VehicleInfo::CalibrationIds(ids) => ("calibration_ids", ids.join(" ")),
                VehicleInfo::CalibrationNumbers(numbers) => {
                    let texts: Vec<String> = numbers.iter().map(|n| format!("{n:08X}")).collect();
                    ("calibration_verification_numbers", texts.join(" "))
                }
                VehicleInfo::Other(bytes) => ("vehicle_information", hex(bytes)),
            };
            let id = SignalId::Pid {
                mode: 9,
                pid: (*pid).into(),
            };
            let mut signal = Signal::new(id, name).text(text);
            signal.source = Some(source);
            all.push(signal);
        }
        _ => {}
    }
}

fn list(pids: &[u8]) -> String {
    let texts: Vec<String> = pids.iter().map(|pid| format!("{pid:02X}")).collect();
    texts.join(" ")
}

fn pid_signals(mode: u8, value: &PidData, source: u8, all: &mut Vec<Signal>) {
    let id = SignalId::Pid {
        mode,
        pid: value.pid.into(),
    };
    if pid::is_supported_map(value.pid)
        && let Some(map) = value.data.first_chunk::<4>()
    {
        let pids: Vec<u8> = pid::supported(value.pid, *map).collect();
        let mut signal = Signal::new(id, "supported_parameters").text(list(&pids));
        signal.source = Some(source);
        all.push(signal);
        return;
    }
    let parts = value.definition().map_or(&[][..], |pid| pid.parts);
    for part in parts {
        if let Some(number) = part.value(&value.data) {
            let unit = (!part.unit.is_empty()).then_some(part.unit);
            let mut signal = Signal::new(id, part.name).number(number, unit);
            signal.source = Some(source);
            all.push(signal);
        }
    }
    if parts.is_empty() {
        let mut signal = Signal::new(id, "raw").text(hex(&value.data));
        signal.source = Some(source);
        all.push(signal);
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
