//! The lists of states that fleets use.
//!
//! Source: SAE J1939-71 and the FMS standard, checked against public tables; a code that no two
//! sources agree on has no label.

/// One line a parameter: its number, then a label for each code.
static LABELS: &str = include_str!("../../data/states.txt");

/// What a code of a state means; `None` where there is no list, or the list does not have it.
#[must_use]
pub fn label(spn: u32, code: u8) -> Option<&'static str> {
    let labels = LABELS.lines().find_map(|line| {
        let (number, labels) = line.split_once(' ')?;
        (number.parse() == Ok(spn)).then_some(labels)
    })?;
    let label = labels.split(' ').nth(code.into())?;
    (label != "-").then_some(label)
}

/// Signals of the tell-tales of an instrument cluster (group FMS1), by number from 1.
///
/// Source: FMS standard; one public source for the layout, one for the list.
#[rustfmt::skip]
pub const TELL_TALES: [&str; 60] = [
    "fms.cooling_air_conditioning", "fms.high_beam", "fms.low_beam", "fms.turn_signals",
    "fms.hazard", "fms.disabled_access", "fms.parking_brake", "fms.brake_failure", "fms.hatch_open",
    "fms.fuel_level", "fms.coolant_temperature", "fms.battery_charging", "fms.engine_oil",
    "fms.position_lights", "fms.front_fog_light", "fms.rear_fog_light", "fms.park_heating",
    "fms.engine_mil", "fms.service", "fms.transmission_temperature", "fms.transmission_failure",
    "fms.abs_failure", "fms.worn_brake_linings", "fms.washer_fluid", "fms.tyre_failure",
    "fms.malfunction", "fms.engine_oil_temperature", "fms.engine_oil_level",
    "fms.engine_coolant_level", "fms.steering_fluid", "fms.steering_failure", "fms.height_control",
    "fms.retarder", "fms.engine_emission_failure", "fms.esc", "fms.brake_lights",
    "fms.articulation", "fms.stop_request", "fms.pram_request", "fms.bus_stop_brake",
    "fms.def_level", "fms.raising", "fms.lowering", "fms.kneeling",
    "fms.engine_compartment_temperature", "fms.auxiliary_air_pressure", "fms.air_filter",
    "fms.fuel_filter_pressure", "fms.seat_belt", "fms.ebs", "fms.lane_departure",
    "fms.emergency_braking", "fms.adaptive_cruise", "fms.trailer_connected", "fms.trailer_abs",
    "fms.airbag", "fms.trailer_ebs", "fms.tachograph", "fms.esc_off", "fms.lane_departure_off",
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
    /// The id of its signal.
    #[must_use]
    pub fn id(self) -> Option<&'static str> {
        let index = usize::from(self.number.checked_sub(1)?);
        TELL_TALES.get(index).copied()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.id()?.strip_prefix("fms.")
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
