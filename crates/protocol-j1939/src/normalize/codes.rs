//! Trouble codes, lamps and the other diagnostic messages.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

use milepost_telemetry as telemetry;
use telemetry::{Diagnostics, LampFlash, LampFlashes, LampState, Report};

use super::hex;
use crate::diagnostics::{Diagnostic, Dtc, Flash, Lamp, Lamps, TroubleCodes};
use crate::obd::{ObdMessage, VehicleInfo};
use crate::text;

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

pub(super) fn diagnostics(diagnostic: &Diagnostic) -> Diagnostics {
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

/// Diagnostics and identity of an OBD-II message.
pub(super) fn fill_obd(report: &mut Report, obd: &ObdMessage, source: u8) {
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
