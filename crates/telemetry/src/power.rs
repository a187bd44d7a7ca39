//! External supply and battery.

use serde::{Deserialize, Serialize};

use crate::{Percent, Voltage};

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
