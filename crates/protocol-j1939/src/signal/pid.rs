//! Parameters of OBD-II (SAE J1979): lengths, scalings, units. Numbers are big endian.

/// How one part of a parameter is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Name, `snake_case`.
    pub name: &'static str,
    /// First byte.
    pub at: u8,
    /// Number of bytes, 1 to 4.
    pub len: u8,
    /// Units per bit.
    pub scale: f64,
    /// Value of code 0.
    pub offset: f64,
    /// Unit; empty if there is none.
    pub unit: &'static str,
}

/// A parameter of mode 01 (and 02).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pid {
    /// Its number.
    pub number: u8,
    /// How many data bytes it has: needed to find the next one in an answer.
    pub len: u8,
    /// Its parts; none for a bit map or a parameter whose scaling is not in the table.
    pub parts: &'static [Part],
}

impl Part {
    /// The value of this part of a parameter's data; `None` if the data is too short.
    #[must_use]
    pub fn value(&self, data: &[u8]) -> Option<f64> {
        let at = usize::from(self.at);
        let bytes = data.get(at..at + usize::from(self.len))?;
        let raw = bytes
            .iter()
            .fold(0u32, |raw, byte| raw << 8 | u32::from(*byte));
        Some(f64::from(raw) * self.scale + self.offset)
    }
}

const fn part(
    name: &'static str,
    at: u8,
    len: u8,
    scale: f64,
    offset: f64,
    unit: &'static str,
) -> Part {
    Part {
        name,
        at,
        len,
        scale,
        offset,
        unit,
    }
}

const fn pid(number: u8, len: u8, parts: &'static [Part]) -> Pid {
    Pid { number, len, parts }
}

const PERCENT: f64 = 100.0 / 255.0;
const TRIM: f64 = 100.0 / 128.0;
const LAMBDA: f64 = 2.0 / 65536.0;
const WIDE_V: f64 = 8.0 / 65536.0;

macro_rules! one {
    ($name:literal, $len:literal, $scale:expr, $offset:expr, $unit:literal) => {
        &[part($name, 0, $len, $scale, $offset, $unit)]
    };
}

macro_rules! narrow_sensor {
    ($voltage:literal, $trim:literal) => {
        &[
            part($voltage, 0, 1, 0.005, 0.0, "V"),
            part($trim, 1, 1, TRIM, -100.0, "%"),
        ]
    };
}

macro_rules! wide_voltage {
    ($lambda:literal, $voltage:literal) => {
        &[
            part($lambda, 0, 2, LAMBDA, 0.0, "ratio"),
            part($voltage, 2, 2, WIDE_V, 0.0, "V"),
        ]
    };
}

macro_rules! wide_current {
    ($lambda:literal, $current:literal) => {
        &[
            part($lambda, 0, 2, LAMBDA, 0.0, "ratio"),
            part($current, 2, 2, 1.0 / 256.0, -128.0, "mA"),
        ]
    };
}

/// Parameters by ascending number.
#[rustfmt::skip]
static PIDS: &[Pid] = &[
    pid(0x00, 4, &[]),
    pid(0x01, 4, &[part("monitor_status", 0, 4, 1.0, 0.0, "")]),
    pid(0x02, 2, &[part("freeze_frame_trouble_code", 0, 2, 1.0, 0.0, "")]),
    pid(0x03, 2, &[part("fuel_system_1_status", 0, 1, 1.0, 0.0, ""), part("fuel_system_2_status", 1, 1, 1.0, 0.0, "")]),
    pid(0x04, 1, one!("calculated_engine_load", 1, PERCENT, 0.0, "%")),
    pid(0x05, 1, one!("engine_coolant_temperature", 1, 1.0, -40.0, "degC")),
    pid(0x06, 1, one!("short_term_fuel_trim_bank_1", 1, TRIM, -100.0, "%")),
    pid(0x07, 1, one!("long_term_fuel_trim_bank_1", 1, TRIM, -100.0, "%")),
    pid(0x08, 1, one!("short_term_fuel_trim_bank_2", 1, TRIM, -100.0, "%")),
    pid(0x09, 1, one!("long_term_fuel_trim_bank_2", 1, TRIM, -100.0, "%")),
    pid(0x0A, 1, one!("fuel_pressure", 1, 3.0, 0.0, "kPa")),
    pid(0x0B, 1, one!("intake_manifold_pressure", 1, 1.0, 0.0, "kPa")),
    pid(0x0C, 2, one!("engine_speed", 2, 0.25, 0.0, "rpm")),
    pid(0x0D, 1, one!("vehicle_speed", 1, 1.0, 0.0, "km/h")),
    pid(0x0E, 1, one!("timing_advance", 1, 0.5, -64.0, "deg")),
    pid(0x0F, 1, one!("intake_air_temperature", 1, 1.0, -40.0, "degC")),
    pid(0x10, 2, one!("mass_air_flow", 2, 0.01, 0.0, "g/s")),
    pid(0x11, 1, one!("throttle_position", 1, PERCENT, 0.0, "%")),
    pid(0x12, 1, one!("commanded_secondary_air_status", 1, 1.0, 0.0, "")),
    pid(0x13, 1, one!("oxygen_sensors_present", 1, 1.0, 0.0, "")),
    pid(0x14, 2, narrow_sensor!("oxygen_sensor_1_voltage", "oxygen_sensor_1_trim")),
    pid(0x15, 2, narrow_sensor!("oxygen_sensor_2_voltage", "oxygen_sensor_2_trim")),
    pid(0x16, 2, narrow_sensor!("oxygen_sensor_3_voltage", "oxygen_sensor_3_trim")),
    pid(0x17, 2, narrow_sensor!("oxygen_sensor_4_voltage", "oxygen_sensor_4_trim")),
    pid(0x18, 2, narrow_sensor!("oxygen_sensor_5_voltage", "oxygen_sensor_5_trim")),
    pid(0x19, 2, narrow_sensor!("oxygen_sensor_6_voltage", "oxygen_sensor_6_trim")),
    pid(0x1A, 2, narrow_sensor!("oxygen_sensor_7_voltage", "oxygen_sensor_7_trim")),
    pid(0x1B, 2, narrow_sensor!("oxygen_sensor_8_voltage", "oxygen_sensor_8_trim")),
    pid(0x1C, 1, one!("obd_standard", 1, 1.0, 0.0, "")),
    pid(0x1D, 1, one!("oxygen_sensors_present_4_banks", 1, 1.0, 0.0, "")),
    pid(0x1E, 1, one!("auxiliary_input_status", 1, 1.0, 0.0, "")),
    pid(0x1F, 2, one!("run_time_since_engine_start", 2, 1.0, 0.0, "s")),
    pid(0x20, 4, &[]),
    pid(0x21, 2, one!("distance_with_mil_on", 2, 1.0, 0.0, "km")),
    pid(0x22, 2, one!("fuel_rail_pressure_relative", 2, 0.079, 0.0, "kPa")),
    pid(0x23, 2, one!("fuel_rail_gauge_pressure", 2, 10.0, 0.0, "kPa")),
    pid(0x24, 4, wide_voltage!("oxygen_sensor_1_lambda", "oxygen_sensor_1_wide_voltage")),
    pid(0x25, 4, wide_voltage!("oxygen_sensor_2_lambda", "oxygen_sensor_2_wide_voltage")),
    pid(0x26, 4, wide_voltage!("oxygen_sensor_3_lambda", "oxygen_sensor_3_wide_voltage")),
    pid(0x27, 4, wide_voltage!("oxygen_sensor_4_lambda", "oxygen_sensor_4_wide_voltage")),
    pid(0x28, 4, wide_voltage!("oxygen_sensor_5_lambda", "oxygen_sensor_5_wide_voltage")),
    pid(0x29, 4, wide_voltage!("oxygen_sensor_6_lambda", "oxygen_sensor_6_wide_voltage")),
    pid(0x2A, 4, wide_voltage!("oxygen_sensor_7_lambda", "oxygen_sensor_7_wide_voltage")),
    pid(0x2B, 4, wide_voltage!("oxygen_sensor_8_lambda", "oxygen_sensor_8_wide_voltage")),
    pid(0x2C, 1, one!("commanded_egr", 1, PERCENT, 0.0, "%")),
    pid(0x2D, 1, one!("egr_error", 1, TRIM, -100.0, "%")),
    pid(0x2E, 1, one!("commanded_evaporative_purge", 1, PERCENT, 0.0, "%")),
    pid(0x2F, 1, one!("fuel_level", 1, PERCENT, 0.0, "%")),
    pid(0x30, 1, one!("warm_ups_since_codes_cleared", 1, 1.0, 0.0, "count")),
    pid(0x31, 2, one!("distance_since_codes_cleared", 2, 1.0, 0.0, "km")),
    pid(0x32, 2, &[]),
    pid(0x33, 1, one!("barometric_pressure", 1, 1.0, 0.0, "kPa")),
    pid(0x34, 4, wide_current!("oxygen_sensor_1_lambda", "oxygen_sensor_1_current")),
    pid(0x35, 4, wide_current!("oxygen_sensor_2_lambda", "oxygen_sensor_2_current")),
    pid(0x36, 4, wide_current!("oxygen_sensor_3_lambda", "oxygen_sensor_3_current")),
    pid(0x37, 4, wide_current!("oxygen_sensor_4_lambda", "oxygen_sensor_4_current")),
    pid(0x38, 4, wide_current!("oxygen_sensor_5_lambda", "oxygen_sensor_5_current")),
    pid(0x39, 4, wide_current!("oxygen_sensor_6_lambda", "oxygen_sensor_6_current")),
    pid(0x3A, 4, wide_current!("oxygen_sensor_7_lambda", "oxygen_sensor_7_current")),
    pid(0x3B, 4, wide_current!("oxygen_sensor_8_lambda", "oxygen_sensor_8_current")),
    pid(0x3C, 2, one!("catalyst_temperature_bank_1_sensor_1", 2, 0.1, -40.0, "degC")),
    pid(0x3D, 2, one!("catalyst_temperature_bank_2_sensor_1", 2, 0.1, -40.0, "degC")),
    pid(0x3E, 2, one!("catalyst_temperature_bank_1_sensor_2", 2, 0.1, -40.0, "degC")),
    pid(0x3F, 2, one!("catalyst_temperature_bank_2_sensor_2", 2, 0.1, -40.0, "degC")),
    pid(0x40, 4, &[]),
    pid(0x41, 4, one!("monitor_status_this_drive_cycle", 4, 1.0, 0.0, "")),
    pid(0x42, 2, one!("control_module_voltage", 2, 0.001, 0.0, "V")),
    pid(0x43, 2, one!("absolute_load", 2, PERCENT, 0.0, "%")),
    pid(0x44, 2, one!("commanded_equivalence_ratio", 2, LAMBDA, 0.0, "ratio")),
    pid(0x45, 1, one!("relative_throttle_position", 1, PERCENT, 0.0, "%")),
    pid(0x46, 1, one!("ambient_air_temperature", 1, 1.0, -40.0, "degC")),
    pid(0x47, 1, one!("absolute_throttle_position_b", 1, PERCENT, 0.0, "%")),
    pid(0x48, 1, one!("absolute_throttle_position_c", 1, PERCENT, 0.0, "%")),
    pid(0x49, 1, one!("accelerator_pedal_position_d", 1, PERCENT, 0.0, "%")),
    pid(0x4A, 1, one!("accelerator_pedal_position_e", 1, PERCENT, 0.0, "%")),
    pid(0x4B, 1, one!("accelerator_pedal_position_f", 1, PERCENT, 0.0, "%")),
    pid(0x4C, 1, one!("commanded_throttle_actuator", 1, PERCENT, 0.0, "%")),
    pid(0x4D, 2, one!("time_with_mil_on", 2, 1.0, 0.0, "min")),
    pid(0x4E, 2, one!("time_since_codes_cleared", 2, 1.0, 0.0, "min")),
    pid(0x4F, 4, &[]),
    pid(0x50, 4, &[]),
    pid(0x51, 1, one!("fuel_type", 1, 1.0, 0.0, "")),
    pid(0x52, 1, one!("ethanol_fuel", 1, PERCENT, 0.0, "%")),
    pid(0x59, 2, one!("fuel_rail_absolute_pressure", 2, 10.0, 0.0, "kPa")),
    pid(0x5A, 1, one!("relative_accelerator_pedal_position", 1, PERCENT, 0.0, "%")),
    pid(0x5B, 1, one!("hybrid_battery_remaining_life", 1, PERCENT, 0.0, "%")),
    pid(0x5C, 1, one!("engine_oil_temperature", 1, 1.0, -40.0, "degC")),
    pid(0x5D, 2, one!("fuel_injection_timing", 2, 1.0 / 128.0, -210.0, "deg")),
    pid(0x5E, 2, one!("engine_fuel_rate", 2, 0.05, 0.0, "L/h")),
    pid(0x60, 4, &[]),
    pid(0x61, 1, one!("demanded_engine_torque", 1, 1.0, -125.0, "%")),
    pid(0x62, 1, one!("actual_engine_torque", 1, 1.0, -125.0, "%")),
    pid(0x63, 2, one!("engine_reference_torque", 2, 1.0, 0.0, "Nm")),
    pid(0x7A, 7, &[]),
    pid(0x80, 4, &[]),
    pid(0x9D, 4, &[part("engine_fuel_rate_mass", 0, 2, 0.02, 0.0, "g/s"), part("vehicle_fuel_rate_mass", 2, 2, 0.02, 0.0, "g/s")]),
    pid(0xA0, 4, &[]),
    pid(0xA6, 4, one!("odometer", 4, 0.1, 0.0, "km")),
    pid(0xC0, 4, &[]),
];

/// Every parameter of the table.
pub fn pids() -> impl Iterator<Item = &'static Pid> {
    PIDS.iter()
}

/// A parameter of mode 01.
#[must_use]
pub fn find(number: u8) -> Option<&'static Pid> {
    let at = PIDS.binary_search_by_key(&number, |pid| pid.number).ok()?;
    PIDS.get(at)
}

/// Whether a parameter is the bit map of supported ones: 00, 20, 40 and so on.
#[must_use]
pub const fn is_supported_map(number: u8) -> bool {
    number.is_multiple_of(0x20)
}

/// The parameters that the bit map of `base` (00, 20, …) lists: its first bit stands for
/// `base + 1`.
pub fn supported(base: u8, map: [u8; 4]) -> impl Iterator<Item = u8> {
    let map = u32::from_be_bytes(map);
    (0..32u8)
        .filter(move |n| map >> (31 - u32::from(*n)) & 1 == 1)
        .filter_map(move |n| base.checked_add(n)?.checked_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_table_is_sorted_and_its_parts_fit() {
        assert!(PIDS.windows(2).all(|two| two[0].number < two[1].number));
        for pid in PIDS {
            for part in pid.parts {
                assert!(part.at + part.len <= pid.len, "{:02x}", pid.number);
            }
        }
    }

    #[test]
    fn numbers_are_big_endian() {
        let value = |number, data: &[u8]| find(number).unwrap().parts[0].value(data);
        assert_eq!(value(0x0C, &[0x1A, 0xF8]), Some(1726.0));
        assert_eq!(value(0x05, &[0x8B]), Some(99.0));
        assert_eq!(value(0x5D, &[0x69, 0x00]), Some(0.0));
        assert_eq!(value(0x0C, &[0x1A]), None);
        let wide = find(0x34).unwrap();
        assert_eq!(wide.parts[0].value(&[0x80, 0, 0x80, 0]), Some(1.0));
        assert_eq!(wide.parts[1].value(&[0x80, 0, 0x80, 0]), Some(0.0));
    }

    #[test]
    fn the_first_bit_of_a_map_is_the_next_parameter() {
        let all: Vec<_> = supported(0, [0xBE, 0x3E, 0xB0, 0x11]).collect();
        assert_eq!(
            all,
            [
                0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11, 0x13, 0x14,
                0x1C, 0x20
            ]
        );
    }
}
