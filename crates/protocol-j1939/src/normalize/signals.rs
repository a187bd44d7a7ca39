//! The signals of a message.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use milepost_telemetry::{Signal, SignalId, SignalState};

use super::hex;
use crate::decoder::{Content, Message};
use crate::diagnostics::Diagnostic;
use crate::obd::{ObdMessage, PidData, VehicleInfo};
use crate::signal::{Reading, Sample, pid, states};

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
