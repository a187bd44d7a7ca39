//! Voltages, odometer and working time at the end of a position, of one maker (0x16 L 31, 0x17 L 2E).
//!
//! Seen on devices.

use super::{BatteryVoltage, Mileage, Supply, WorkingSeconds};
use crate::layout::layout;

layout! {
    /// Voltages, odometer and working time.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Meters {
        /// The device's own battery.
        battery: BatteryVoltage,
        /// The external supply.
        supply: Supply,
        /// The odometer.
        mileage: Mileage,
        /// How long the engine has run.
        working_time: WorkingSeconds,
    }
}

impl Meters {
    /// The size of the block.
    pub const LEN: usize = 12;
}
