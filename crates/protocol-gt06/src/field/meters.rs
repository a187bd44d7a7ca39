//! Voltages, odometer and working time at the end of a position, of one maker (0x16 L 31, 0x17 L 2E).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 2 | battery | volts × 100 |
//! | 2 | 2 | supply | volts × 100 |
//! | 4 | 4 | mileage | metres |
//! | 8 | 4 | working time | seconds |
//!
//! Seen on devices.

use alloc::format;

use bytes::{BufMut, BytesMut};

use super::{centivolts, mileage};
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// Voltages, odometer and working time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Meters {
    /// The device's own battery, volts × 100.
    pub battery: u16,
    /// The external supply, volts × 100.
    pub supply: u16,
    /// Metres.
    pub mileage: u32,
    /// Seconds.
    pub working_time: u32,
}

impl Meters {
    /// The size of the block.
    pub const LEN: usize = 12;

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        Ok(Self {
            battery: centivolts(r, "battery voltage")?,
            supply: centivolts(r, "supply")?,
            mileage: mileage(r)?,
            working_time: {
                let seconds = r.u32("working time")?;
                r.note(|| format!("{seconds} s"));
                seconds
            },
        })
    }

    /// Writes the block.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u16(self.battery);
        out.put_u16(self.supply);
        out.put_u32(self.mileage);
        out.put_u32(self.working_time);
    }

    /// Notes in a report what the block says.
    #[cfg(feature = "telemetry")]
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        super::note_battery_voltage(report, self.battery);
        super::note_supply(report, self.supply);
        super::note_mileage(report, self.mileage);
        report.vehicle_mut().engine_hours_s = Some(self.working_time.into());
    }
}
