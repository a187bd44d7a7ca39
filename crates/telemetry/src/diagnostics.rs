//! Trouble codes, lamps and emission diagnostics of a vehicle's control units.

use serde::{Deserialize, Serialize};

use crate::Name;

/// What one diagnostic message of one control unit says.
///
/// Only `message` and what that message carries are present. `dtcs` is an empty list if the
/// control unit states that it has no trouble codes, and absent if the message carries none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diagnostics {
    /// The message: `dm1` to `dm34`, or `obd.03`, `obd.07`, `obd.0a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Name>,
    /// The address of the control unit; for OBD-II the last byte of its identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u8>,
    /// The lamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lamps: Option<Lamps>,
    /// How the lamps flash; meaningful only while a lamp is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash: Option<LampFlashes>,
    /// Trouble codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtcs: Option<Vec<Dtc>>,
    /// Monitor performance ratios (DM20).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratios: Vec<MonitorRatio>,
    /// Results of on-board tests (DM30, OBD mode 06).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestResult>,
    /// Parameters that the control unit supports for diagnostics (DM24).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported: Vec<SupportedSpn>,
    /// Calibrations of the control unit (DM19, OBD mode 09).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibrations: Vec<Calibration>,
    /// Values that were stored when a trouble code was set (DM25).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze_frames: Vec<FreezeFrame>,
    /// An OBD-II request that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// State of a warning lamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LampState {
    /// Off.
    Off,
    /// On.
    On,
    /// The lamp or its control is faulty.
    Error,
    /// The control unit does not control this lamp.
    NotAvailable,
}

/// The four lamps of J1939.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lamps {
    /// Malfunction indicator lamp: an emission-related fault.
    pub mil: LampState,
    /// Red stop lamp: stop the vehicle.
    pub rsl: LampState,
    /// Amber warning lamp: the vehicle need not be stopped.
    pub awl: LampState,
    /// Protect lamp: a fault that is most likely not electronic.
    pub pl: LampState,
}

/// How a lamp that is on flashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LampFlash {
    /// About once per second.
    Slow,
    /// About twice per second or faster.
    Fast,
    /// Reserved code.
    Reserved,
    /// Does not flash, or not available.
    None,
}

/// Flashing of the four lamps of J1939.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LampFlashes {
    /// Malfunction indicator lamp.
    pub mil: LampFlash,
    /// Red stop lamp.
    pub rsl: LampFlash,
    /// Amber warning lamp.
    pub awl: LampFlash,
    /// Protect lamp.
    pub pl: LampFlash,
}

/// A diagnostic trouble code: SPN and FMI of J1939, or the five characters of OBD-II.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dtc {
    /// Suspect parameter number, 0 to 524287.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spn: Option<u32>,
    /// Failure mode identifier, 0 to 31.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fmi: Option<u8>,
    /// Occurrence count, 0 to 126; 127 is not available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oc: Option<u8>,
    /// Conversion method bit. With 1 the SPN was read by a configured version, and `raw` is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cm: Option<u8>,
    /// The OBD-II code, for example `P0143`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// The four bytes as sent, hexadecimal, where the conversion method is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Box<str>>,
    /// The address of the control unit, where the message's codes come from several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u8>,
}

impl Dtc {
    /// A code of J1939.
    pub const fn j1939(spn: u32, fmi: u8, oc: u8, cm: u8) -> Self {
        Self {
            spn: Some(spn),
            fmi: Some(fmi),
            oc: Some(oc),
            cm: Some(cm),
            code: None,
            raw: None,
            source: None,
        }
    }

    /// A code of OBD-II.
    pub fn obd(code: impl Into<Box<str>>) -> Self {
        Self {
            spn: None,
            fmi: None,
            oc: None,
            cm: None,
            code: Some(code.into()),
            raw: None,
            source: None,
        }
    }
}

/// How often a monitor ran, compared with how often it could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MonitorRatio {
    /// The monitor's SPN.
    pub spn: u32,
    /// How often the monitor ran to completion.
    pub numerator: u16,
    /// How often the conditions for it were met.
    pub denominator: u16,
}

/// Result of an on-board test, in raw units of its scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TestResult {
    /// Test identifier.
    pub test: u8,
    /// SPN of the component (J1939).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spn: Option<u32>,
    /// FMI of the test (J1939).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fmi: Option<u8>,
    /// Monitor identifier (OBD-II).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<u8>,
    /// Scaling: the SLOT of J1939, or unit and scaling identifier of OBD-II.
    pub slot: u16,
    /// The raw value; absent if the test has not been completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u16>,
    /// The raw upper limit, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u16>,
    /// The raw lower limit, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u16>,
}

impl TestResult {
    /// A test that has not been completed.
    pub const fn new(test: u8, slot: u16) -> Self {
        Self {
            test,
            spn: None,
            fmi: None,
            monitor: None,
            slot,
            value: None,
            max: None,
            min: None,
        }
    }
}

/// What a control unit supports for one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SupportedSpn {
    /// The parameter.
    pub spn: u32,
    /// Part of expanded freeze frames.
    pub freeze_frame: bool,
    /// Sent in the data stream.
    pub data_stream: bool,
    /// Has test results.
    pub test_results: bool,
    /// Has rationality fault results.
    pub rationality: bool,
    /// Number of bytes in a freeze frame.
    pub length: u8,
}

/// Identifier and verification number of a calibration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Calibration {
    /// Calibration identifier; absent while the control unit does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// Calibration verification number, eight hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvn: Option<Box<str>>,
}

impl Calibration {
    /// A calibration.
    pub const fn new(id: Option<Box<str>>, cvn: Option<Box<str>>) -> Self {
        Self { id, cvn }
    }
}

/// Values stored when a trouble code was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FreezeFrame {
    /// The code.
    pub dtc: Dtc,
    /// The values, hexadecimal, in the order that the control unit's DM24 states.
    pub data: Box<str>,
}

/// A request that a control unit refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// The service that was asked for.
    pub service: u8,
    /// The response code, for example 0x12 (sub-function not supported).
    pub code: u8,
}

/// A control unit claims an address on a J1939 bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AddressClaim {
    /// The address; 254 states that the unit could not claim one.
    pub address: u8,
    /// The NAME, 16 hexadecimal digits.
    #[serde(with = "hex_name")]
    pub name: u64,
    /// Identity number, 21 bits.
    pub identity_number: u32,
    /// Manufacturer code, 11 bits.
    pub manufacturer_code: u16,
    /// ECU instance, 3 bits.
    pub ecu_instance: u8,
    /// Function instance, 5 bits.
    pub function_instance: u8,
    /// Function, 8 bits.
    pub function: u8,
    /// Vehicle system, 7 bits.
    pub vehicle_system: u8,
    /// Vehicle system instance, 4 bits.
    pub vehicle_system_instance: u8,
    /// Industry group, 3 bits.
    pub industry_group: u8,
    /// Whether the unit can choose its address by itself.
    pub arbitrary_address_capable: bool,
}

impl AddressClaim {
    /// Splits a NAME into its fields.
    pub fn new(address: u8, name: u64) -> Self {
        let field = |shift: u32, bits: u32| (name >> shift) & ((1 << bits) - 1);
        let byte = |shift, bits| u8::try_from(field(shift, bits)).unwrap_or(u8::MAX);
        Self {
            address,
            name,
            identity_number: u32::try_from(field(0, 21)).unwrap_or(u32::MAX),
            manufacturer_code: u16::try_from(field(21, 11)).unwrap_or(u16::MAX),
            ecu_instance: byte(32, 3),
            function_instance: byte(35, 5),
            function: byte(40, 8),
            vehicle_system: byte(49, 7),
            vehicle_system_instance: byte(56, 4),
            industry_group: byte(60, 3),
            arbitrary_address_capable: field(63, 1) == 1,
        }
    }
}

mod hex_name {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(name: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{name:016X}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        u64::from_str_radix(&text, 16).map_err(de::Error::custom)
    }
}

impl Diagnostics {
    /// About how much memory its lists take, in bytes.
    pub(crate) fn footprint(&self) -> usize {
        [
            size_of::<Self>(),
            size_of_val(self.dtcs.as_deref().unwrap_or(&[])),
            size_of_val(&*self.ratios),
            size_of_val(&*self.tests),
            size_of_val(&*self.supported),
            size_of_val(&*self.calibrations),
            size_of_val(&*self.freeze_frames),
            self.freeze_frames.iter().map(|one| one.data.len()).sum(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}
