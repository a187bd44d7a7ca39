//! The id that a frame's report has in the store, worked out without the store.

use bytes::Bytes;
use milepost_protocol_gt06::normalize::{Context, ReportSource, normalize};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile};
use milepost_telemetry::{DeviceId, Origin, ReportId, Tenant, Timestamp};

/// Works out ids for one device.
#[derive(Debug)]
pub(crate) struct Keys {
    speaker: ReportSource,
    profile: Profile,
}

impl Keys {
    pub(crate) fn new(tenant: Tenant, device: DeviceId) -> Self {
        Self {
            speaker: ReportSource::new(Some(tenant), Some(device)),
            profile: Profile::default(),
        }
    }

    /// The id of the one report that this frame becomes. `None` when it becomes none, or several.
    ///
    /// Neither arrival nor profile are part of the id of a fact that has a time of its own.
    pub(crate) fn key(&self, frame: &Bytes) -> Option<ReportId> {
        let frame = Frame::parse(frame.clone(), Framing::Checked)?;
        let message = Message::decode(&frame, Dialect::default()).ok()?;
        let context = Context::new(
            frame.head(),
            &self.profile,
            &self.speaker,
            Timestamp::UNIX_EPOCH,
            Origin::default(),
        );
        let mut reports = Vec::with_capacity(1);
        normalize(&message, &context, &mut reports);
        match reports.as_slice() {
            [report] => Some(report.id),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vehicle::Observation;
    use super::super::wire::{self, AlarmCode, Condition, Position};
    use super::*;

    fn keys(tenant: &str) -> Keys {
        let device = DeviceId::new("004999010000015").unwrap();
        Keys::new(Tenant::new(tenant).unwrap(), device)
    }

    fn position(second: u8) -> Position {
        Position {
            time: Timestamp::from_civil(2026, 11, 20, 7, 0, second).unwrap(),
            seen: Observation {
                latitude: -25.4,
                longitude: -17.2,
                speed_kmh: 50.0,
                course: 90.0,
                ignition: true,
                odometer_m: 0.0,
            },
        }
    }

    #[test]
    fn a_repetition_has_the_same_key_and_another_fact_another() {
        let keys_of = keys("default");
        let key = |second, serial, again| {
            let frame = wire::location(wire::LOCATION, serial, &position(second), again);
            keys_of.key(&frame).unwrap()
        };
        assert_eq!(key(1, 1, false), key(1, 9, true));
        assert_ne!(key(1, 1, false), key(2, 1, false));
    }

    #[test]
    fn number_tenant_and_alarm_are_part_of_it() {
        let condition = Condition {
            ignition: true,
            fuel_cut: false,
            battery: 6,
            signal: 4,
        };
        let location = |number| wire::location(number, 1, &position(1), false);
        let alarm = |number, code| wire::alarm(number, 1, &position(1), &condition, code);
        let mut ids = vec![keys("other").key(&location(wire::LOCATION)).unwrap()];
        for frame in [
            location(wire::LOCATION),
            location(wire::LOCATION_CLASSIC),
            alarm(wire::ALARM, AlarmCode::Sos),
            alarm(wire::ALARM, AlarmCode::PowerCut),
            alarm(wire::ALARM_CLASSIC, AlarmCode::Sos),
        ] {
            ids.push(keys("default").key(&frame).unwrap());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }
}
