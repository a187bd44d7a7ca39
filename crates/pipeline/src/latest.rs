//! The last known state of a device.

use serde::{Deserialize, Serialize};
use telemetry::{Event, Fix, Io, Power, Report, TimeSource, Timestamp};

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
    /// When the switches were last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_time: Option<Timestamp>,
    /// Supply and battery.
    #[serde(default, skip_serializing_if = "Power::is_empty")]
    pub power: Power,
    /// When supply and battery were last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_time: Option<Timestamp>,
    /// What happened last: the events of the newest report that had any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_time: Option<Timestamp>,
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
            && (fix.valid || self.fix.as_ref().is_none_or(|known| !known.valid))
        {
            self.fix = Some(fix.clone());
            self.fix_time = Some(report.time);
        }
        let newer = |known: Option<Timestamp>| {
            report.late != Some(true) && known.is_none_or(|known| time >= known)
        };
        if !report.io.is_empty() && newer(self.io_time) {
            merge_io(&mut self.io, &report.io);
            self.io_time = Some(time);
        }
        if !report.power.is_empty() && newer(self.power_time) {
            merge_power(&mut self.power, &report.power);
            self.power_time = Some(time);
        }
        if !report.more.events.is_empty() && newer(self.events_time) {
            self.events.clone_from(&report.more.events);
            self.events_time = Some(time);
        }
    }
}

/// Whether a report's time is the device's own.
pub(crate) const fn has_device_time(report: &Report) -> bool {
    matches!(report.time_source, TimeSource::Fix | TimeSource::Device)
}

fn merge_io(known: &mut Io, said: &Io) {
    if said.ignition.is_some() {
        known.ignition = said.ignition;
        known.ignition_source = said.ignition_source;
    }
    known.armed = said.armed.or(known.armed);
    if !said.inputs.is_empty() {
        known.inputs = said.inputs;
    }
    if !said.outputs.is_empty() {
        known.outputs = said.outputs;
    }
}

fn merge_power(known: &mut Power, said: &Power) {
    known.external_connected = said.external_connected.or(known.external_connected);
    known.external = said.external.or(known.external);
    known.battery = said.battery.or(known.battery);
    known.battery_charge = said.battery_charge.or(known.battery_charge);
    known.charging = said.charging.or(known.charging);
}

#[cfg(test)]
mod tests {
    use telemetry::{Decoder, EventKind, IdentitySeed, Kind, ReportId};

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
}
