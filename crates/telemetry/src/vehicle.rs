//! The vehicle, its driver, and who made the device.

use serde::{Deserialize, Serialize};

use crate::Percent;

/// What a vehicle's own controllers say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Vehicle {
    /// Engine running time, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_hours_s: Option<f64>,
    /// Fuel level.
    #[serde(default, rename = "fuel_pct", skip_serializing_if = "Option::is_none")]
    pub fuel: Option<Percent>,
    /// Fuel used in total, litres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_used_l: Option<f64>,
    /// Engine speed, revolutions per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_rpm: Option<f64>,
    /// Speed by the wheels, km/h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel_speed_kmh: Option<f64>,
    /// Coolant temperature, degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coolant_c: Option<f64>,
}

/// Names and numbers that identify vehicle, device, card and driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// Vehicle identification number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vin: Option<Box<str>>,
    /// Licence plate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Box<str>>,
    /// Maker of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Box<str>>,
    /// Firmware of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Box<str>>,
    /// Model of the device, or the type word it logs in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<str>>,
    /// IMEI of the modem where it differs from, or repeats, the device id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imei: Option<Box<str>>,
    /// Number of the SIM card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iccid: Option<Box<str>>,
    /// Number of the subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imsi: Option<Box<str>>,
    /// Card, key or licence of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Box<str>>,
}
