//! Single values that many messages hold, read with their meaning.

use alloc::format;
use alloc::string::String;

use super::{DateTime, Gps, TerminalInfo};
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// Reads TI1.
pub(crate) fn terminal<T: Trace>(r: &mut Reader<'_, T>) -> Result<TerminalInfo, DecodeError> {
    let terminal = TerminalInfo(r.u8("terminal information")?);
    r.note(|| terminal.describe());
    Ok(terminal)
}

/// Reads volts × 100.
pub(crate) fn centivolts<T: Trace>(
    r: &mut Reader<'_, T>,
    field: &'static str,
) -> Result<u16, DecodeError> {
    let raw = r.u16(field)?;
    r.note(|| volts_100(raw));
    Ok(raw)
}

pub(super) fn volts_100(raw: u16) -> String {
    format!("{:.2} V", f32::from(raw) / 100.0)
}

/// Reads LNG2.
pub(crate) fn language<T: Trace>(r: &mut Reader<'_, T>) -> Result<u16, DecodeError> {
    let raw = r.u16("language")?;
    r.note(|| crate::text::language(raw));
    Ok(raw)
}

/// Reads the number of a card or a key.
pub(crate) fn card<const N: usize, T: Trace>(
    r: &mut Reader<'_, T>,
    field: &'static str,
) -> Result<[u8; N], DecodeError> {
    let number = r.array(field)?;
    r.note(|| crate::text::card(&number));
    Ok(number)
}

/// Reads a hardware address.
pub(crate) fn mac<T: Trace>(
    r: &mut Reader<'_, T>,
    field: &'static str,
) -> Result<[u8; 6], DecodeError> {
    let address = r.array(field)?;
    r.note(|| crate::text::mac(address));
    Ok(address)
}

/// Whether a possible time is at that offset: layouts with a field before the time differ by this
/// from those that begin with it.
#[inline]
pub(crate) fn is_time(body: &[u8], at: usize) -> bool {
    match body.get(at..) {
        Some([year, month, day, hour, minute, second, ..]) => {
            DateTime::from_bytes([*year, *month, *day, *hour, *minute, *second])
                .to_unix()
                .is_some()
        }
        _ => false,
    }
}

/// Whether a country code that can be (200 to 999) is at that offset.
#[inline]
pub(crate) fn is_mcc(body: &[u8], at: usize) -> bool {
    match body.get(at..) {
        Some([high, low, ..]) => {
            let mcc = u16::from_be_bytes([*high, *low]) & !super::Cell::WIDE_MNC;
            (200..=999).contains(&mcc)
        }
        _ => false,
    }
}

/// Whether each half of each byte is a digit, as in an id.
pub(crate) fn is_digits(id: &[u8]) -> bool {
    id.iter().all(|pair| pair >> 4 <= 9 && pair & 0x0f <= 9)
}

/// Whether a body begins with a position: a possible time, a place on Earth, and the length of the
/// GPS block (12) before the satellites.
pub(crate) fn is_gps(body: &[u8]) -> bool {
    is_timed_place(body) && matches!(body.get(6), Some(0xc0..=0xcf))
}

/// Whether a body begins with a possible time and has a place on Earth after it.
pub(crate) fn is_timed_place(body: &[u8]) -> bool {
    let place = body
        .first_chunk()
        .map(|gps| Gps::from_bytes(gps).position());
    is_time(body, 0) && place.is_some_and(|place| place.is_on_earth())
}

/// Whether a cell begins at that place: with a possible country code, or with none (zeros, ones).
pub(crate) fn is_cell(body: &[u8], at: usize) -> bool {
    is_mcc(body, at) || matches!(body.get(at..), Some([0, 0, ..] | [0xff, 0xff, ..]))
}

/// Whether a body begins with a time, and has a cell after the position.
pub(crate) fn is_gps_and_cell(body: &[u8]) -> bool {
    is_time(body, 0) && is_cell(body, Gps::LEN)
}

/// Whether four bytes are a mileage in metres: up to a million kilometres, or ones, which are no value.
pub(crate) fn is_mileage(bytes: &[u8]) -> bool {
    let metres = bytes.try_into().map(u32::from_be_bytes);
    matches!(metres, Ok(0..=1_000_000_000 | u32::MAX))
}

/// Notes the volts × 100 of the supply. All ones fill a place that has no value, here and below:
/// they are shown as sent.
#[cfg(feature = "telemetry")]
pub(crate) fn note_supply(report: &mut milepost_telemetry::Report, centivolts: u16) {
    match centivolts {
        u16::MAX => note_filler(report, "gt06.supply_raw", centivolts.into()),
        _ => report.power.external = volts(centivolts),
    }
}

/// Notes the volts × 100 of the device's own battery.
#[cfg(feature = "telemetry")]
pub(crate) fn note_battery_voltage(report: &mut milepost_telemetry::Report, centivolts: u16) {
    match centivolts {
        u16::MAX => note_filler(report, "gt06.battery_voltage_raw", centivolts.into()),
        _ => report.power.battery = volts(centivolts),
    }
}

/// Notes the volts × 10 of the device's own battery.
#[cfg(feature = "telemetry")]
pub(crate) fn note_battery_decivolts(report: &mut milepost_telemetry::Report, decivolts: u8) {
    match decivolts {
        u8::MAX => note_filler(report, "gt06.battery_voltage_raw", decivolts.into()),
        _ => report.power.battery = volts(u16::from(decivolts) * 10),
    }
}

/// Notes a mileage in metres.
#[cfg(feature = "telemetry")]
#[inline]
pub(crate) fn note_mileage(report: &mut milepost_telemetry::Report, metres: u32) {
    match metres {
        u32::MAX => note_filler(report, "gt06.mileage_raw", metres),
        _ => report.odometer = Some(metres.into()),
    }
}

/// Shows a value of all ones, which is none.
#[cfg(feature = "telemetry")]
#[cold]
pub(crate) fn note_filler(report: &mut milepost_telemetry::Report, name: &'static str, raw: u32) {
    report
        .more
        .signals
        .push(milepost_telemetry::Signal::named(name).number(raw.into(), None));
}

#[cfg(feature = "telemetry")]
fn volts(centivolts: u16) -> Option<milepost_telemetry::Voltage> {
    milepost_telemetry::Voltage::from_volts(f32::from(centivolts) / 100.0).ok()
}
