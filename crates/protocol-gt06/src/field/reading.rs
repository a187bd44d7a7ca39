//! Single values that many messages hold, read with their meaning.

use alloc::format;

use super::{DateTime, TerminalInfo};
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
    r.note(|| format!("{:.2} V", f32::from(raw) / 100.0));
    Ok(raw)
}

/// Reads volts × 10 in one byte.
pub(crate) fn decivolts<T: Trace>(
    r: &mut Reader<'_, T>,
    field: &'static str,
) -> Result<u8, DecodeError> {
    let raw = r.u8(field)?;
    r.note(|| format!("{:.1} V", f32::from(raw) / 10.0));
    Ok(raw)
}

/// Reads MIL4, metres.
pub(crate) fn mileage<T: Trace>(r: &mut Reader<'_, T>) -> Result<u32, DecodeError> {
    let mileage = r.u32("mileage")?;
    r.note(|| format!("{mileage} m"));
    Ok(mileage)
}

/// Whether a possible time stands at that place: how layouts that put something before the time
/// are told from those that begin with it.
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

/// Whether a country code that can be (200 to 999) stands at that place.
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

/// Volts × 100 as a voltage.
#[cfg(feature = "telemetry")]
pub(crate) fn volts(centivolts: u16) -> Option<telemetry::Voltage> {
    telemetry::Voltage::from_volts(f32::from(centivolts) / 100.0).ok()
}
