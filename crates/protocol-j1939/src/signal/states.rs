//! The lists of states that fleets use.
//!
//! Source: SAE J1939-71 and the FMS standard, checked against public tables; a code that no two
//! sources agree on has no label.

const OFF_ON: &[&str] = &["off", "on"];

/// What a code of a state means; `None` where there is no list, or the list does not have it.
#[must_use]
pub fn label(spn: u32, code: u8) -> Option<&'static str> {
    let list: &[&str] = match spn {
        899 => &[
            "low_idle_or_none",
            "pedal",
            "cruise",
            "pto_governor",
            "road_speed_governor",
            "asr",
            "transmission",
            "abs",
            "torque_limit",
            "high_speed_governor",
            "brakes",
            "remote",
            "",
            "",
            "other",
        ],
        1675 => &[
            "none",
            "active_gear_not_engaged",
            "active_gear_engaged",
            "finished",
            "inhibited_engine_running",
            "inhibited_engine_not_ready",
            "inhibited_driveline_engaged",
            "inhibited_immobilizer",
            "inhibited_overheated",
            "",
            "",
            "",
            "inhibited_unknown_reason",
        ],
        527 => &[
            "off",
            "hold",
            "accelerate",
            "decelerate",
            "resume",
            "set",
            "accelerator_override",
        ],
        976 => &[
            "off",
            "hold",
            "remote_hold",
            "standby",
            "remote_standby",
            "set",
            "decelerate",
            "resume",
            "accelerate",
            "override",
            "preset_1",
            "preset_2",
            "preset_3",
            "preset_4",
            "preset_5",
            "preset_6",
            "preset_7",
            "preset_8",
            "memory_1",
            "memory_2",
        ],
        1612 | 1613 => &["rest", "available", "work", "drive"],
        1617 | 1618 => &[
            "normal",
            "15_min_before_4h30",
            "4h30",
            "15_min_before_9h",
            "9h",
            "15_min_before_16h",
            "16h",
            "",
            "",
            "",
            "",
            "",
            "",
            "other",
        ],
        1614 => &["no_overspeed", "overspeed"],
        1619 => &["forward", "reverse"],
        1615 | 1616 => &["no_card", "card"],
        // Inverted with respect to other switches.
        1437 => &["active", "not_active"],
        1856 => &["not_buckled", "buckled"],
        3948 => &["none", "at_least_one_engaged"],
        3697 => &["off", "solid", "", "", "fast_blink"],
        3698 => OFF_ON,
        3700 => &["not_active", "active", "needed"],
        3701 => &["not_needed", "low", "moderate", "high"],
        5245 => &["off", "solid", "", "", "blink"],
        5246 => &[
            "none", "level_1", "level_2", "level_3", "level_4", "level_5",
        ],
        1821 => &["at_least_one_open", "closing", "all_closed"],
        977 => &[
            "off",
            "general",
            "air_temperature",
            "oil_temperature",
            "coolant_temperature",
            "transmission_oil",
            "hydraulic_oil",
            "default",
            "reverse",
            "manual",
            "retarder",
            "air_conditioning",
            "timer",
            "engine_brake",
        ],
        695 => &["disabled", "speed", "torque", "speed_torque_limit"],
        _ => return None,
    };
    list.get(usize::from(code))
        .copied()
        .filter(|label| !label.is_empty())
}

/// Names of the tell-tales of an instrument cluster (group FMS1), by number from 1.
///
/// Source: FMS standard; one public source for the layout, one for the list.
pub const TELL_TALES: [&str; 60] = [
    "cooling_air_conditioning",
    "high_beam",
    "low_beam",
    "turn_signals",
    "hazard",
    "disabled_access",
    "parking_brake",
    "brake_failure",
    "hatch_open",
    "fuel_level",
    "coolant_temperature",
    "battery_charging",
    "engine_oil",
    "position_lights",
    "front_fog_light",
    "rear_fog_light",
    "park_heating",
    "engine_mil",
    "service",
    "transmission_temperature",
    "transmission_failure",
    "abs_failure",
    "worn_brake_linings",
    "washer_fluid",
    "tyre_failure",
    "malfunction",
    "engine_oil_temperature",
    "engine_oil_level",
    "engine_coolant_level",
    "steering_fluid",
    "steering_failure",
    "height_control",
    "retarder",
    "engine_emission_failure",
    "esc",
    "brake_lights",
    "articulation",
    "stop_request",
    "pram_request",
    "bus_stop_brake",
    "def_level",
    "raising",
    "lowering",
    "kneeling",
    "engine_compartment_temperature",
    "auxiliary_air_pressure",
    "air_filter",
    "fuel_filter_pressure",
    "seat_belt",
    "ebs",
    "lane_departure",
    "emergency_braking",
    "adaptive_cruise",
    "trailer_connected",
    "trailer_abs",
    "airbag",
    "trailer_ebs",
    "tachograph",
    "esc_off",
    "lane_departure_off",
];

/// A tell-tale as one block of group FMS1 carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TellTale {
    /// Number, 1 to 60.
    pub number: u8,
    /// 0 off, 1 red, 2 yellow, 3 information, 7 not available; the rest is reserved.
    pub state: u8,
}

impl TellTale {
    /// Its name.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let index = usize::from(self.number.checked_sub(1)?);
        TELL_TALES.get(index).copied()
    }
}

/// The fifteen tell-tales of one block: byte 1 has the block number in its low four bits and the
/// first state in bits 5 to 7; each further byte has two states, in bits 1 to 3 and 5 to 7.
pub fn tell_tales(data: &[u8]) -> impl Iterator<Item = TellTale> {
    let block = data.first().map(|first| first & 0x0F);
    let base = block.filter(|block| *block < 4).map(|block| block * 15);
    let states = data
        .iter()
        .flat_map(|byte| [byte & 7, byte >> 4 & 7])
        .skip(1);
    base.into_iter().flat_map(move |base| {
        states
            .clone()
            .zip(1u8..=15)
            .map(move |(state, index)| TellTale {
                number: base + index,
                state,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_code_that_the_list_lacks_has_no_label() {
        assert_eq!(label(527, 2), Some("accelerate"));
        assert_eq!(label(527, 7), None);
        assert_eq!(label(899, 12), None);
        assert_eq!(label(190, 0), None);
    }

    #[test]
    fn a_block_of_tell_tales_has_fifteen() {
        let block = [0x10 | 1, 0x70, 0x21, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let all: Vec<_> = tell_tales(&block).collect();
        assert_eq!(all.len(), 15);
        assert_eq!((all[0].number, all[0].state), (16, 1));
        assert_eq!((all[1].number, all[1].state), (17, 0));
        assert_eq!((all[2].number, all[2].state), (18, 7));
        assert_eq!((all[3].number, all[3].state), (19, 1));
        assert_eq!((all[4].number, all[4].state), (20, 2));
        assert_eq!(all[2].name(), Some("engine_mil"));
        assert_eq!(tell_tales(&[0x0F; 8]).count(), 0);
        assert_eq!(tell_tales(&[]).count(), 0);
    }
}
