//! External supply and battery.

use serde::{Deserialize, Serialize};

use crate::{Percent, Voltage};

/// How full a battery is, in the words of devices that do not measure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// Nothing left, or no battery.
    Empty,
    /// About to shut down.
    ExtremelyLow,
    /// Low enough for an alarm.
    VeryLow,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Full.
    Full,
}

impl Level {
    /// The word for a step from 0 (empty) to 6 (full).
    #[inline]
    pub const fn from_step(step: u8) -> Option<Self> {
        Some(match step {
            0 => Self::Empty,
            1 => Self::ExtremelyLow,
            2 => Self::VeryLow,
            3 => Self::Low,
            4 => Self::Medium,
            5 => Self::High,
            6 => Self::Full,
            _ => return None,
        })
    }
}

/// What a device says about its supply; every part is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Power {
    /// Whether external power is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_connected: Option<bool>,
    /// External supply.
    #[serde(
        default,
        rename = "external_v",
        skip_serializing_if = "Option::is_none"
    )]
    pub external: Option<Voltage>,
    /// The device's own battery.
    #[serde(default, rename = "battery_v", skip_serializing_if = "Option::is_none")]
    pub battery: Option<Voltage>,
    /// Charge of the device's own battery.
    #[serde(
        default,
        rename = "battery_pct",
        skip_serializing_if = "Option::is_none"
    )]
    pub battery_charge: Option<Percent>,
    /// How full the battery is, where the device only says it in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_level: Option<Level>,
    /// Whether the battery is being charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charging: Option<bool>,
}

impl Power {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
