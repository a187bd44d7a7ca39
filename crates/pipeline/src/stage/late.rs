//! Late is not wrong: a report from the buffer is marked, and never moves the last position back.

use milepost_telemetry::{Report, Timestamp};

use super::{CopyOnWrite, Flow, Stage, StageContext};
use crate::latest::has_device_time;

/// Marks each report as late or not, by comparing it with the newest position of its device.
///
/// - A position is late if its time is before that of the newest position.
/// - What carries only the time of its arrival is never late, and moves nothing: a heartbeat does
///   not make the position that was under way late.
/// - A device's clock may run ahead, by a wrong zone or a fault. The guard is never set later than
///   the arrival, so that a report from the year 2099 does not make all that follow late. A
///   position whose time lies ahead of its arrival, and which says that it comes from the buffer,
///   cannot be placed, and counts as late.
#[derive(Debug, Default)]
pub struct Late;

/// How far a device's clock may run ahead before its time is not believed.
const AHEAD_MS: i64 = 120_000;

impl Stage for Late {
    /// The time of the newest position.
    type State = Option<Timestamp>;
    const NAME: &'static str = "late";
    const VERSION: u32 = 1;

    fn apply(
        &self,
        newest: &mut CopyOnWrite<Self::State>,
        report: &mut Report,
        _: &mut StageContext<'_>,
    ) -> Flow {
        if !has_device_time(report) {
            report.late = Some(false);
            return Flow::Pass;
        }
        let ahead = report.time > report.received_at.offset_millis(AHEAD_MS);
        let stored = report.fix.as_ref().and_then(|fix| fix.live) == Some(false);
        let late = newest.is_some_and(|newest| report.time < newest || (ahead && stored));
        report.late = Some(late);
        if !late && report.fix.is_some() {
            let time = report.time.min(report.received_at);
            if newest.is_none_or(|known| known < time) {
                **newest = Some(time);
            }
        }
        Flow::Pass
    }

    fn snapshot(newest: &Self::State, out: &mut Vec<u8>) {
        if let Some(newest) = newest {
            out.extend_from_slice(&newest.as_millis().to_be_bytes());
        }
    }

    fn restore(_: u32, bytes: &[u8]) -> Option<Self::State> {
        let millis = bytes.try_into().ok()?;
        Some(Some(Timestamp::from_millis(i64::from_be_bytes(millis))))
    }
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{
        Coordinates, Decoder, Fix, FixSource, Kind, Report, ReportId, TimeSource, Zone,
    };

    use super::*;
    use crate::stage::DeviceSettings;

    fn at(unix: i64) -> Timestamp {
        Timestamp::from_unix(unix)
    }

    fn position(time: i64, received: i64) -> Report {
        let decoder = Decoder::new("test", "test/1");
        let id = ReportId::from_bytes([0; 16]);
        let mut report = Report::new(id, decoder, Kind::Location, at(received));
        report.set_device_time(at(time), TimeSource::Fix, Zone::Utc);
        let here = Coordinates::from_degrees(1.0, 2.0).unwrap();
        report.fix = Some(Fix::new(here, true, FixSource::Gnss));
        report
    }

    fn verdict(state: &mut Option<Timestamp>, mut report: Report) -> Option<bool> {
        let settings = DeviceSettings::default();
        let mut cx = StageContext::new(&settings, &report);
        let mut shared = CopyOnWrite::new(*state);
        let flow = Late.apply(&mut shared, &mut report, &mut cx);
        assert_eq!(flow, Flow::Pass);
        *state = *shared;
        report.late
    }

    #[test]
    fn a_position_from_the_buffer_is_late_and_moves_nothing() {
        let mut state = None;
        assert_eq!(verdict(&mut state, position(1_000, 1_001)), Some(false));
        assert_eq!(verdict(&mut state, position(500, 1_002)), Some(true));
        assert_eq!(state, Some(at(1_000)));
        assert_eq!(verdict(&mut state, position(1_003, 1_003)), Some(false));
    }

    #[test]
    fn a_heartbeat_does_not_make_the_position_under_way_late() {
        let mut state = Some(at(1_000));
        let decoder = Decoder::new("test", "test/1");
        let id = ReportId::from_bytes([0; 16]);
        let beat = Report::new(id, decoder, Kind::Heartbeat, at(2_000));
        assert_eq!(verdict(&mut state, beat), Some(false));
        assert_eq!(verdict(&mut state, position(1_999, 2_001)), Some(false));
    }

    #[test]
    fn one_report_from_the_future_does_not_make_all_that_follow_late() {
        let mut state = None;
        assert_eq!(
            verdict(&mut state, position(4_000_000_000, 1_000)),
            Some(false)
        );
        assert_eq!(verdict(&mut state, position(1_010, 1_011)), Some(false));
    }

    #[test]
    fn a_buffered_position_from_the_future_cannot_be_placed_and_is_late() {
        let mut state = None;
        // A clock eight hours ahead, live: in the order of arrival.
        assert_eq!(verdict(&mut state, position(29_800, 1_000)), Some(false));
        let mut stored = position(22_600, 1_010);
        if let Some(fix) = &mut stored.fix {
            fix.live = Some(false);
        }
        assert_eq!(verdict(&mut state, stored), Some(true));
    }

    #[test]
    fn the_state_survives_a_snapshot() {
        let mut out = Vec::new();
        Late::snapshot(&Some(at(5)), &mut out);
        assert_eq!(Late::restore(1, &out), Some(Some(at(5))));
        assert_eq!(Late::restore(1, b"short"), None);
    }
}
