//! Emergencies are incidents: joined over connections and restarts, and named after the report
//! that began them.

use milepost_telemetry::{Event, EventKind, Incident, Report, ReportId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CopyOnWrite, Flow, Stage, StageContext};

/// Gives every event that is part of an incident its `incident_id`.
///
/// A session marks what one connection shows: begin, repeat, end. This stage knows the device's
/// incidents before it, by the kind of event:
///
/// | event | incident | becomes |
/// |---|---|---|
/// | begin, repeat | open | repeat of that one |
/// | the same, live | none open | begin |
/// | the same, from the buffer, after the last end | none open | begin, `late` |
/// | the same, from the buffer, before the last end | ended | repeat of that one, `late`; it stays ended |
/// | end | open | its end |
/// | end | none open | an end of the last one, if there was one |
/// | any report, 24 hours after the begin arrived | open | one event of the pipeline's own, `stuck` |
///
/// What comes from the buffer is told by the position (`live`), or by being late: so the stage
/// belongs after [`Late`](super::Late).
#[derive(Debug, Default)]
pub struct Incidents;

/// After so long without an end, somebody should look.
const STUCK_MS: i64 = 24 * 3_600_000;

/// Kinds of events that are kept per device; a device that has more forgets the oldest.
const KINDS: usize = 8;

/// The incidents of one device: one for each kind of event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known(Vec<Course>);

/// The incidents of one kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Course {
    kind: EventKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Ended>,
}

/// An incident that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    id: ReportId,
    begun: Timestamp,
    /// When the report that began it arrived: a device's clock says nothing about how long we wait.
    arrived: Timestamp,
    late: bool,
    stuck: bool,
}

/// The incident that ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    /// Nothing if its begin was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<ReportId>,
    at: Timestamp,
}

impl Course {
    const fn new(kind: EventKind) -> Self {
        Self {
            kind,
            open: None,
            last: None,
        }
    }

    /// What the event is, and the course of incidents after it.
    fn join(&mut self, event: &mut Event, mark: Incident, report: &Report, is_stored: bool) {
        let at = report.time;
        let is_before_end = self.last.is_some_and(|last| at <= last.at);
        match (mark, self.open) {
            // Another one's end, which was buffered while this one began.
            (Incident::End, Some(open)) if is_stored && at < open.begun => {
                event.incident_id = self.last.and_then(|last| last.id);
            }
            (Incident::End, Some(open)) => {
                event.incident_id = Some(open.id);
                self.open = None;
                self.end(Some(open.id), at);
            }
            (Incident::End, None) => {
                let id = self.last.and_then(|last| last.id);
                event.incident_id = id;
                self.end(id, at);
            }
            (Incident::Stuck, open) => event.incident_id = open.map(|open| open.id),
            (Incident::Begin | Incident::Repeat, _) if is_stored && is_before_end => {
                event.incident = Some(Incident::Repeat);
                event.incident_id = self.last.and_then(|last| last.id);
                event.late = Some(true);
            }
            (Incident::Begin | Incident::Repeat, Some(open)) => {
                // The report that began it may come a second time.
                if open.id != report.id {
                    event.incident = Some(Incident::Repeat);
                }
                event.incident_id = Some(open.id);
                event.late = open.late.then_some(true);
            }
            (Incident::Begin | Incident::Repeat, None) => {
                event.incident = Some(Incident::Begin);
                event.incident_id = Some(report.id);
                event.late = is_stored.then_some(true);
                self.open = Some(Open {
                    id: report.id,
                    begun: at,
                    arrived: report.received_at,
                    late: is_stored,
                    stuck: false,
                });
            }
        }
    }

    fn end(&mut self, id: Option<ReportId>, at: Timestamp) {
        let at = self.last.map_or(at, |last| last.at.max(at));
        self.last = Some(Ended { id, at });
    }
}

impl Known {
    fn of(&self, kind: EventKind) -> Course {
        let known = self.0.iter().find(|course| course.kind == kind);
        known.cloned().unwrap_or_else(|| Course::new(kind))
    }

    fn put(&mut self, course: Course) {
        self.0.retain(|known| known.kind != course.kind);
        if self.0.len() >= KINDS {
            self.0.remove(0);
        }
        self.0.push(course);
    }
}

impl Stage for Incidents {
    type State = Known;
    const NAME: &'static str = "incident";
    const VERSION: u32 = 1;

    fn apply(
        &self,
        known: &mut CopyOnWrite<Known>,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow {
        let is_live = report.fix.as_ref().and_then(|fix| fix.live);
        let is_stored = is_live == Some(false) || report.late == Some(true);
        for at in 0..report.more.events.len() {
            let Some(mut event) = report.more.events.get(at).copied() else {
                break;
            };
            let Some(mark) = event.incident else { continue };
            let before = known.of(event.kind);
            let mut course = before.clone();
            course.join(&mut event, mark, report, is_stored);
            if course != before {
                known.put(course);
            }
            if let Some(slot) = report.more.events.get_mut(at) {
                *slot = event;
            }
        }
        let now = report.received_at;
        let waits_long = |open: &Open| !open.stuck && open.arrived.offset_millis(STUCK_MS) <= now;
        let stuck = |course: &Course| course.open.as_ref().is_some_and(waits_long);
        if known.0.iter().any(stuck) {
            for course in known.0.iter_mut().filter(|course| stuck(course)) {
                let Some(open) = &mut course.open else {
                    continue;
                };
                open.stuck = true;
                let mut event = Event::by_pipeline(course.kind);
                event.incident = Some(Incident::Stuck);
                event.incident_id = Some(open.id);
                event.late = open.late.then_some(true);
                cx.event(event);
            }
        }
        Flow::Pass
    }

    fn snapshot(known: &Known, out: &mut Vec<u8>) {
        if !known.0.is_empty() {
            // Ids, times and names: nothing that JSON could refuse.
            out.extend(serde_json::to_vec(known).unwrap_or_default());
        }
    }

    fn restore(_: u32, bytes: &[u8]) -> Option<Known> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{Coordinates, Decoder, Fix, FixSource, Kind, TimeSource, Zone};

    use super::*;
    use crate::stage::DeviceSettings;

    /// A device's lane with this stage alone.
    #[derive(Default)]
    struct Lane {
        known: Known,
        reports: u8,
    }

    /// What an event became: where it stands, the number of the report that began its incident,
    /// whether it is late.
    type Seen = (Option<Incident>, Option<u8>, bool);

    const HOUR: i64 = 3_600;

    impl Lane {
        /// A report of that time, which arrives at that time.
        fn hear(&mut self, mark: Option<Incident>, at: i64, now: i64, is_live: bool) -> Vec<Seen> {
            self.reports += 1;
            let id = ReportId::from_bytes([self.reports; 16]);
            let received = Timestamp::from_unix(now);
            let mut report = Report::new(
                id,
                Decoder::new("test", "test/1"),
                Kind::Emergency,
                received,
            );
            report.set_device_time(Timestamp::from_unix(at), TimeSource::Fix, Zone::Utc);
            let here = Coordinates::from_degrees(1.0, 2.0).unwrap();
            let mut fix = Fix::new(here, true, FixSource::Gnss);
            fix.live = Some(is_live);
            report.fix = Some(fix);
            if let Some(mark) = mark {
                let mut event = Event::by_device(EventKind::Sos, None);
                event.incident = Some(mark);
                report.more.events.push(event);
            }
            let settings = DeviceSettings::default();
            let mut cx = StageContext::new(&settings, &report);
            let mut known = CopyOnWrite::new(self.known.clone());
            let flow = Incidents.apply(&mut known, &mut report, &mut cx);
            assert_eq!(flow, Flow::Pass);
            assert_eq!(known.is_touched(), *known != self.known);
            self.known = known.clone();
            cx.leave(&mut report);
            let seen = |event: &Event| {
                let number = event.incident_id.map(|id| id.as_bytes()[0]);
                (event.incident, number, event.late == Some(true))
            };
            report.more.events.iter().map(seen).collect()
        }

        fn live(&mut self, mark: Incident, at: i64) -> Vec<Seen> {
            self.hear(Some(mark), at, at, true)
        }

        fn stored(&mut self, mark: Incident, at: i64, now: i64) -> Vec<Seen> {
            self.hear(Some(mark), at, now, false)
        }

        fn restart(&mut self) {
            let mut kept = Vec::new();
            Incidents::snapshot(&self.known, &mut kept);
            self.known = Incidents::restore(1, &kept).unwrap();
        }
    }

    use Incident::{Begin, End, Repeat, Stuck};

    const fn one(mark: Incident, begun_by: u8) -> Seen {
        (Some(mark), Some(begun_by), false)
    }

    #[test]
    fn an_incident_is_one_over_reconnections_and_restarts() {
        let mut lane = Lane::default();
        assert_eq!(lane.live(Begin, 100), [one(Begin, 1)]);
        assert_eq!(lane.live(Repeat, 110), [one(Repeat, 1)]);
        // A new connection knows nothing of it.
        assert_eq!(lane.live(Begin, 200), [one(Repeat, 1)]);
        lane.restart();
        assert_eq!(lane.live(Begin, 300), [one(Repeat, 1)]);
        assert_eq!(lane.live(End, 400), [one(End, 1)]);
        // Said again by another connection.
        assert_eq!(lane.live(End, 401), [one(End, 1)]);
        // Pressed again, in a connection that began with a repeat.
        assert_eq!(lane.live(Repeat, 500), [one(Begin, 7)]);
    }

    #[test]
    fn a_stored_packet_opens_a_late_incident_and_reopens_none_that_ended_later() {
        let mut lane = Lane::default();
        let late = |mark, begun_by| (Some(mark), Some(begun_by), true);
        assert_eq!(lane.stored(Begin, 100, 1_000), [late(Begin, 1)]);
        assert_eq!(lane.stored(Repeat, 110, 1_001), [late(Repeat, 1)]);
        assert_eq!(lane.stored(End, 120, 1_002), [one(End, 1)]);
        assert_eq!(lane.stored(Begin, 115, 1_003), [late(Repeat, 1)]);
        // After that end, it is another one; live, whatever its clock says.
        assert_eq!(lane.stored(Begin, 130, 1_004), [late(Begin, 5)]);
        assert_eq!(lane.live(End, 1_100), [one(End, 5)]);
        assert_eq!(lane.live(Begin, 1_090), [one(Begin, 7)]);
    }

    #[test]
    fn a_stored_end_from_before_an_incident_does_not_close_it() {
        let mut lane = Lane::default();
        assert_eq!(lane.live(Begin, 100), [one(Begin, 1)]);
        assert_eq!(lane.live(End, 200), [one(End, 1)]);
        assert_eq!(lane.live(Begin, 300), [one(Begin, 3)]);
        assert_eq!(lane.stored(End, 150, 310), [one(End, 1)]);
        assert_eq!(lane.live(Repeat, 320), [one(Repeat, 3)]);
    }

    #[test]
    fn an_end_without_a_begin_has_no_incident_and_what_is_buffered_before_it_opens_none() {
        let mut lane = Lane::default();
        assert_eq!(lane.live(End, 200), [(Some(End), None, false)]);
        assert_eq!(lane.stored(Begin, 100, 210), [(Some(Repeat), None, true)]);
        assert_eq!(lane.live(Begin, 300), [one(Begin, 3)]);
    }

    #[test]
    fn after_a_day_without_an_end_the_next_report_says_once_that_it_is_stuck() {
        let mut lane = Lane::default();
        assert_eq!(lane.live(Begin, 0), [one(Begin, 1)]);
        assert_eq!(lane.hear(None, 24 * HOUR - 1, 24 * HOUR - 1, true), []);
        lane.restart();
        let at = 24 * HOUR;
        assert_eq!(lane.hear(None, at, at, true), [one(Stuck, 1)]);
        assert_eq!(lane.hear(None, at + 1, at + 1, true), []);
        assert_eq!(lane.live(End, at + 2), [one(End, 1)]);
    }

    #[test]
    fn a_report_that_ends_an_old_incident_does_not_call_it_stuck() {
        let mut lane = Lane::default();
        lane.live(Begin, 0);
        assert_eq!(lane.live(End, 48 * HOUR), [one(End, 1)]);
        assert_eq!(lane.hear(None, 49 * HOUR, 49 * HOUR, true), []);
    }

    #[test]
    fn kinds_of_events_have_incidents_of_their_own_and_few_are_kept() {
        let mut known = Known::default();
        for kind in EventKind::ALL {
            known.put(Course::new(*kind));
        }
        assert_eq!(known.0.len(), KINDS);
        assert_eq!(Incidents::restore(1, b"{"), None);
    }
}
