//! The last known state of a device.

use milepost_telemetry::{Event, EventKind, Fix, Io, Power, Report, TimeSource, Timestamp};
use serde::{Deserialize, Serialize};

/// What is last known of a device: each part with the time at which it held.
///
/// A late report never changes a part that is newer than it. Parts are merged field by field: a
/// message that says only whether the ignition is on leaves the inputs as they were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Latest {
    /// When anything was last heard of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// The last known position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// The time of that position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix_time: Option<Timestamp>,
    /// The switches.
    #[serde(default, skip_serializing_if = "Io::is_empty")]
    pub io: Io,
    /// When any switch was last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_time: Option<Timestamp>,
    /// When the ignition was last reported. Its source is in `io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignition_time: Option<Timestamp>,
    /// Supply and battery.
    #[serde(default, skip_serializing_if = "Power::is_empty")]
    pub power: Power,
    /// When the supply was last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply_time: Option<Timestamp>,
    /// By what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply_source: Option<PowerSource>,
    /// When the device's own battery was last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_time: Option<Timestamp>,
    /// By what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_source: Option<PowerSource>,
    /// What happened last: the events of the newest report that had any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_time: Option<Timestamp>,
}

/// By what the state of a supply or battery was told, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PowerSource {
    /// A measured value: volts or percent.
    Field,
    /// The message is an alarm that says so.
    Alarm,
    /// A switch or a level among several in a status.
    Status,
}

impl PowerSource {
    fn of_supply(report: &Report) -> Option<Self> {
        let is_said = |event: &Event| {
            use EventKind::{LowExternalPower, PowerCut, PowerRestored};
            matches!(event.kind, PowerCut | PowerRestored | LowExternalPower)
        };
        if report.power.external.is_some() {
            Some(Self::Field)
        } else if report.power.external_connected.is_none() {
            None
        } else if report.more.events.iter().any(is_said) {
            Some(Self::Alarm)
        } else {
            Some(Self::Status)
        }
    }

    const fn of_battery(power: &Power) -> Option<Self> {
        if power.battery.is_some() || power.battery_charge.is_some() {
            Some(Self::Field)
        } else if power.battery_level.is_some() || power.charging.is_some() {
            Some(Self::Status)
        } else {
            None
        }
    }
}

impl Latest {
    /// Something arrived from the device.
    pub(crate) fn seen(&mut self, at: Timestamp) {
        self.last_seen = Some(self.last_seen.map_or(at, |known| known.max(at)));
    }

    /// Takes over what a report says, where it is not older than what is known.
    pub(crate) fn observe(&mut self, report: &Report) {
        // A device's clock can be wrong in the future: nothing is newer than its arrival.
        let time = report.time.min(report.received_at);
        if report.late != Some(true)
            && let Some(fix) = &report.fix
            // What the track contradicts is no place.
            && report.smoothed.is_none_or(|smoothed| smoothed.rejected.is_none())
            && (fix.valid || self.fix.as_ref().is_none_or(|known| !known.valid))
        {
            self.fix = Some(fix.clone());
            self.fix_time = Some(report.time);
        }
        let newer = |known: Option<Timestamp>| {
            report.late != Some(true) && known.is_none_or(|known| time >= known)
        };
        let Io {
            armed,
            inputs,
            outputs,
            ..
        } = report.io;
        if report.io.ignition.is_some() && newer(self.ignition_time) {
            self.io.ignition = report.io.ignition;
            self.io.ignition_source = report.io.ignition_source;
            self.ignition_time = Some(time);
        }
        if !report.io.is_empty() && newer(self.io_time) {
            self.io.armed = armed.or(self.io.armed);
            if !inputs.is_empty() {
                self.io.inputs = inputs;
            }
            if !outputs.is_empty() {
                self.io.outputs = outputs;
            }
            self.io_time = Some(time);
        }
        let said = &report.power;
        if let Some(source) = PowerSource::of_supply(report)
            && newer(self.supply_time)
        {
            let known = &mut self.power;
            known.external_connected = said.external_connected.or(known.external_connected);
            known.external = said.external.or(known.external);
            self.supply_source = Some(source);
            self.supply_time = Some(time);
        }
        if let Some(source) = PowerSource::of_battery(said)
            && newer(self.battery_time)
        {
            let known = &mut self.power;
            known.battery = said.battery.or(known.battery);
            known.battery_charge = said.battery_charge.or(known.battery_charge);
            known.battery_level = said.battery_level.or(known.battery_level);
            known.charging = said.charging.or(known.charging);
            self.battery_source = Some(source);
            self.battery_time = Some(time);
        }
        // That a trip starts is no reason to forget what a device has raised.
        if report.more.events.iter().any(|event| !is_motion(event)) && newer(self.events_time) {
            self.events.clone_from(&report.more.events);
            self.events_time = Some(time);
        }
    }
}

fn is_motion(event: &Event) -> bool {
    use EventKind::{Idle, StopEnd, StopStart, TripEnd, TripStart};
    matches!(event.kind, TripStart | TripEnd | StopStart | StopEnd | Idle)
}

/// Whether a report's time is the device's own.
pub(crate) const fn has_device_time(report: &Report) -> bool {
    matches!(report.time_source, TimeSource::Fix | TimeSource::Device)
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{
        Decoder, IdentitySeed, IgnitionSource, Kind, Level, Percent, ReportId, Voltage,
    };

    use super::*;

    fn report(at: i64, events: &[EventKind]) -> Report {
        let time = Timestamp::from_millis(at);
        let id = ReportId::mint(IdentitySeed::new(None, None, "test"), time, b"key");
        let decoder = Decoder::new("test", "test/1");
        let mut report = Report::new(id, decoder, Kind::Alarm, time);
        report.more.events = events
            .iter()
            .map(|&kind| Event::by_device(kind, None))
            .collect();
        report
    }

    #[test]
    fn the_last_events_stay_until_there_are_newer_ones() {
        let mut latest = Latest::default();
        latest.observe(&report(2000, &[EventKind::Sos]));
        latest.observe(&report(3000, &[]));
        latest.observe(&report(1000, &[EventKind::Tow]));
        assert_eq!(latest.events, [Event::by_device(EventKind::Sos, None)]);
        assert_eq!(latest.events_time, Some(Timestamp::from_millis(2000)));

        latest.observe(&report(4000, &[EventKind::PowerCut]));
        assert_eq!(latest.events, [Event::by_device(EventKind::PowerCut, None)]);
    }

    /// One ignition, supply and battery, each with its own age and source.
    #[test]
    fn a_state_keeps_its_age_while_others_change() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let mut latest = Latest::default();

        let mut first = report(1000, &[]);
        first.io.note_ignition(true, IgnitionSource::Status);
        first.power.external_connected = Some(true);
        first.power.battery_level = Some(Level::High);
        latest.observe(&first);
        assert_eq!(latest.ignition_time, at(1000));
        assert_eq!(
            (latest.supply_time, latest.battery_time),
            (at(1000), at(1000))
        );
        assert_eq!(latest.supply_source, Some(PowerSource::Status));
        assert_eq!(latest.battery_source, Some(PowerSource::Status));
        assert_eq!(latest.power.battery_level, Some(Level::High));

        let mut armed = report(2000, &[]);
        armed.io.armed = Some(true);
        armed.power.battery_charge = Percent::new(80.0).ok();
        latest.observe(&armed);
        assert_eq!((latest.io_time, latest.ignition_time), (at(2000), at(1000)));
        assert_eq!(
            (latest.supply_time, latest.battery_time),
            (at(1000), at(2000))
        );
        assert_eq!(latest.battery_source, Some(PowerSource::Field));

        let mut cut = report(3000, &[EventKind::PowerCut]);
        cut.power.external_connected = Some(false);
        latest.observe(&cut);
        assert_eq!(latest.supply_source, Some(PowerSource::Alarm));
        assert_eq!(latest.power.external_connected, Some(false));

        // What is older than what is known changes nothing.
        let mut old = report(2500, &[]);
        old.power.external = Voltage::from_volts(12.0).ok();
        old.power.battery = Voltage::from_volts(4.0).ok();
        latest.observe(&old);
        assert_eq!(latest.power.external, None);
        assert_eq!(
            (latest.supply_time, latest.battery_time),
            (at(3000), at(2500))
        );
    }
}
