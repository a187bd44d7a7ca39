use std::sync::atomic::Ordering::Relaxed;

use milepost_protocol_gt06::frame::encode;
use milepost_protocol_gt06::{Frame, Framing, Start};
use milepost_telemetry::{Tenant, Timestamp};

use super::super::road::Roads;
use super::super::stats::Wrong;
use super::super::vehicle::Parking;
use super::super::{KindSummary, Summary};
use super::fact::{FACT_TRIES, MEMORY, WINDOW};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn habits() -> Habits {
    Habits {
        interval: 10 * SECOND,
        heartbeat: 60 * SECOND,
        alarm_every: Duration::ZERO,
        outage_every: Duration::ZERO,
        outage_for: 30 * SECOND,
        bad: 0.0,
        speedup: 1.0,
    }
}

/// A tracker and the server's end of its connection, by hand.
struct Script {
    tracker: Tracker,
    journal: Arc<Journal>,
    now: Duration,
}

impl Script {
    fn new(habits: Habits, waits_for_locations: bool) -> Self {
        let start = Timestamp::from_civil(2026, 11, 20, 7, 0, 0).unwrap();
        let journal = Arc::new(Journal::new(None, start, start));
        let id = DeviceId::new("004999010000015").unwrap();
        let parking = Parking {
            shortest: 10.0,
            longest: 20.0,
        };
        let tracker = Tracker::new(
            id,
            habits,
            waits_for_locations,
            Vehicle::new(Roads::built_in(), 1, 1, parking),
            Random::new(1, 1),
            Arc::clone(&journal),
            Keys::new(Tenant::new("default").unwrap(), id),
        );
        Self {
            tracker,
            journal,
            now: Duration::ZERO,
        }
    }

    /// Lets time pass in small steps; every frame goes to `server`, which may answer.
    fn run(
        &mut self,
        duration: Duration,
        mut server: impl FnMut(&Frame) -> Option<Bytes>,
    ) -> (Vec<Frame>, Option<Wish>) {
        let end = self.now + duration;
        let mut frames = Vec::new();
        loop {
            let wish = self.tracker.poll(self.now);
            let output = self.tracker.take_output();
            let sent = split(&output);
            for frame in &sent {
                if let Some(reply) = server(frame) {
                    self.tracker.received(self.now, &reply).unwrap();
                }
            }
            let quiet = sent.is_empty();
            frames.extend(sent);
            match wish {
                Wish::Wait(until) if quiet => {
                    if self.now >= end {
                        return (frames, None);
                    }
                    self.now = until.min(end).max(self.now + Duration::from_millis(1));
                }
                Wish::Wait(_) => {}
                wish => return (frames, Some(wish)),
            }
        }
    }

    fn connect(&mut self) {
        self.tracker.connected(self.now);
    }

    fn summary(&self) -> Summary {
        self.journal.stats.summary(1, 0.0)
    }

    fn kind(&self, kind: Kind) -> KindSummary {
        let kinds = self.summary().kinds;
        kinds.into_iter().find(|k| k.kind == kind).unwrap()
    }
}

/// Cuts well-formed frames apart.
fn split(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [_, _, len, ..] = bytes {
        let (frame, rest) = bytes.split_at(usize::from(*len) + 5);
        frames.push(Frame::parse(Bytes::copy_from_slice(frame), Framing::Checked).unwrap());
        bytes = rest;
    }
    frames
}

fn answer(frame: &Frame) -> Option<Bytes> {
    Some(reply(frame.number(), frame.serial().unwrap(), &[]))
}

fn reply(number: u8, serial: u16, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    encode(Start::Short, number, serial, &mut out, |out| {
        out.put_slice(body);
    });
    out.freeze()
}

/// A server that never stores anything.
fn answer_all_but_locations(frame: &Frame) -> Option<Bytes> {
    (!matches!(frame.number(), wire::LOCATION | wire::LOCATION_CLASSIC)).then(|| answer(frame))?
}

/// The last location.
fn location(frames: &[Frame]) -> &Frame {
    let mut frames = frames.iter().rev();
    frames
        .find(|f| f.number() == wire::LOCATION_CLASSIC)
        .unwrap()
}

fn numbers(frames: &[Frame]) -> Vec<u8> {
    frames.iter().map(Frame::number).collect()
}

/// Whether a location is marked as a stored fix.
fn is_stored(frame: &Frame) -> bool {
    frame.body()[28] == 1
}

#[test]
fn nothing_is_said_before_the_login_is_answered() {
    let mut script = Script::new(habits(), true);
    script.connect();
    let (frames, _) = script.run(4 * SECOND, |_| None);
    assert_eq!(numbers(&frames), [wire::LOGIN]);
}

#[test]
fn once_logged_in_it_reports_at_its_interval_and_beats() {
    let mut script = Script::new(habits(), false);
    script.connect();
    let (frames, _) = script.run(600 * SECOND, answer);
    let count = |number| frames.iter().filter(|f| f.number() == number).count();
    assert_eq!(count(wire::LOGIN), 1);
    assert_eq!(count(wire::LOCATION), 60);
    assert!((9..=11).contains(&count(wire::HEARTBEAT)));
    let serials: Vec<_> = frames.iter().map(|f| f.serial().unwrap()).collect();
    assert!(serials.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let summary = script.summary();
    assert!(summary.is_ok(), "{summary}");
    assert_eq!(summary.unneeded_replies, 60, "these devices do not wait");
}

#[test]
fn an_unanswered_login_is_repeated_and_the_third_is_the_last() {
    let mut script = Script::new(habits(), false);
    script.connect();
    let (frames, wish) = script.run(60 * SECOND, |_| None);
    assert_eq!(numbers(&frames), [wire::LOGIN; 3]);
    assert!(matches!(wish, Some(Wish::HangUp(_))));
    assert!((15 * SECOND..16 * SECOND).contains(&script.now));
    assert_eq!(script.kind(Kind::Login).unanswered, 3);
    assert!(!script.summary().is_ok());
}

#[test]
fn a_late_answer_is_an_answer() {
    let mut script = Script::new(habits(), false);
    script.connect();
    let mut first = None;
    script.run(6 * SECOND, |frame| {
        first = first.or_else(|| frame.serial());
        None
    });
    let late = reply(wire::LOGIN, first.unwrap(), &[]);
    script.tracker.received(script.now, &late).unwrap();
    assert_eq!(script.tracker.link, Link::Online);
    assert_eq!(script.kind(Kind::Login).acknowledged, 1);
}

#[test]
fn one_missed_heartbeat_is_repeated_once_and_counted() {
    let mut script = Script::new(habits(), false);
    script.connect();
    let mut beats = 0;
    let (frames, wish) = script.run(200 * SECOND, |frame| {
        beats += usize::from(frame.number() == wire::HEARTBEAT);
        if frame.number() == wire::HEARTBEAT && beats == 2 {
            return None;
        }
        answer(frame)
    });
    assert_eq!(wish, None, "one is no reason to hang up");
    let heartbeats = frames.iter().filter(|f| f.number() == wire::HEARTBEAT);
    assert!((4..=6).contains(&heartbeats.count()));
    let summary = script.kind(Kind::Heartbeat);
    assert_eq!((summary.again, summary.unanswered), (1, 1));
}

#[test]
fn a_location_that_is_waited_for_is_sent_again_on_the_next_connection() {
    let mut script = Script::new(habits(), true);
    script.connect();
    let (first, _) = script.run(12 * SECOND, answer_all_but_locations);
    let first = location(&first);
    assert!(!is_stored(first));

    script.tracker.disconnected();
    script.connect();
    let (second, _) = script.run(SECOND, answer);
    let again = location(&second);
    assert!(is_stored(again));
    assert_ne!(again.serial(), first.serial());
    assert_eq!(again.body()[..28], first.body()[..28], "the same fact");
    let locations = script.kind(Kind::Location);
    assert_eq!((locations.again, locations.unanswered), (1, 0));

    // Now it is acknowledged, so that is the end of it.
    script.tracker.disconnected();
    script.connect();
    let (third, _) = script.run(SECOND, answer);
    assert!(!numbers(&third).contains(&wire::LOCATION_CLASSIC));
}

#[test]
fn a_location_that_is_not_waited_for_is_sent_once() {
    let mut script = Script::new(habits(), false);
    script.connect();
    script.run(12 * SECOND, answer);
    script.tracker.disconnected();
    script.connect();
    let (frames, _) = script.run(SECOND, answer);
    assert!(!numbers(&frames).contains(&wire::LOCATION));
}

#[test]
fn what_was_recorded_offline_is_uploaded_in_order_as_stored_fixes() {
    let mut script = Script::new(habits(), false);
    script.run(605 * SECOND, answer);
    script.connect();
    let (frames, _) = script.run(5 * SECOND, answer);
    let stored: Vec<_> = frames
        .iter()
        .filter(|frame| frame.number() == wire::LOCATION && is_stored(frame))
        .collect();
    assert!((60..=61).contains(&stored.len()), "{}", stored.len());
    let times: Vec<_> = stored.iter().map(|frame| &frame.body()[..6]).collect();
    assert!(times.is_sorted());
}

#[test]
fn an_alarm_is_repeated_until_it_is_acknowledged() {
    let mut script = Script::new(
        Habits {
            alarm_every: 100 * SECOND,
            interval: 10_000 * SECOND,
            ..habits()
        },
        false,
    );
    script.connect();
    let mut alarms = Vec::new();
    script.run(3_000 * SECOND, |frame| {
        if frame.number() != wire::ALARM {
            return answer(frame);
        }
        alarms.push(frame.body().to_vec());
        // Only every second is heard.
        alarms.len().is_multiple_of(2).then(|| answer(frame))?
    });
    assert!(alarms.len() > 20);
    let summary = script.kind(Kind::Alarm);
    assert!(summary.again > 5, "{summary:?}");
    assert_eq!(summary.unanswered, 0);
    alarms.sort();
    alarms.dedup();
    let different = u64::try_from(alarms.len()).unwrap();
    assert_eq!(
        different,
        summary.sent - summary.again,
        "repetitions say the same"
    );
}

#[test]
fn replies_to_repetitions_are_not_wrong() {
    let mut script = Script::new(habits(), true);
    script.connect();
    let mut held: Vec<Bytes> = Vec::new();
    script.run(40 * SECOND, |frame| {
        if frame.number() == wire::LOCATION_CLASSIC {
            held.extend(answer(frame));
            return None;
        }
        answer(frame)
    });
    assert!(held.len() > 4);
    for reply in held {
        script.tracker.received(script.now, &reply).unwrap();
    }
    let summary = script.summary();
    assert!(summary.is_ok(), "{summary}");
    assert!(summary.unneeded_replies > 0, "{summary}");
}

#[test]
fn wrong_replies_are_counted_by_what_is_wrong() {
    let mut script = Script::new(habits(), true);
    script.connect();
    let (frames, _) = script.run(SECOND, |_| None);
    let serial = frames[0].serial().unwrap();
    let mut wrong_sum = reply(wire::LOGIN, serial, &[]).to_vec();
    wrong_sum[7] ^= 1;
    let now = script.now;
    let mut hear = |bytes: &[u8]| script.tracker.received(now, bytes);
    hear(&reply(wire::LOGIN, serial + 1, &[])).unwrap();
    hear(&reply(wire::HEARTBEAT, serial, &[])).unwrap();
    hear(&wrong_sum).unwrap();
    hear(&reply(wire::LOGIN, serial, &[1])).unwrap();
    assert_eq!(hear(b"HTTP/1.1 400"), Err(Wrong::Garbage));
    let counts: Vec<_> = script
        .summary()
        .wrong_replies
        .iter()
        .map(|wrong| (wrong.wrong, wrong.count))
        .collect();
    assert_eq!(
        counts,
        [
            (Wrong::Checksum, 1),
            (Wrong::Unasked, 2),
            (Wrong::Content, 1),
            (Wrong::Garbage, 1)
        ]
    );
}

#[test]
fn the_same_acknowledgement_twice_is_wrong() {
    let mut script = Script::new(habits(), true);
    script.connect();
    let (frames, _) = script.run(12 * SECOND, answer);
    let again = answer(location(&frames)).unwrap();
    script.tracker.received(script.now, &again).unwrap();
    assert!(!script.summary().is_ok());
}

#[test]
fn only_so_many_facts_wait_at_once_and_the_rest_is_kept() {
    let mut script = Script::new(
        Habits {
            interval: SECOND,
            ..habits()
        },
        true,
    );
    script.connect();
    let (frames, _) = script.run(600 * SECOND, answer_all_but_locations);
    let locations = frames
        .iter()
        .filter(|f| f.number() == wire::LOCATION_CLASSIC);
    let tries = usize::try_from(FACT_TRIES).unwrap();
    assert_eq!(locations.count(), WINDOW * tries);
    assert!(script.tracker.stored.len() > 500);
}

#[test]
fn memory_is_bounded_and_says_what_it_forgot() {
    let mut script = Script::new(
        Habits {
            interval: SECOND / 10,
            ..habits()
        },
        true,
    );
    script.run(1_100 * SECOND, |_| None);
    assert_eq!(script.tracker.stored.len(), MEMORY);
    assert!(script.summary().forgotten >= 1_000);
}

#[test]
fn at_the_end_it_waits_for_what_is_missing_and_no_longer() {
    let mut script = Script::new(habits(), true);
    script.connect();
    let (frames, _) = script.run(12 * SECOND, answer_all_but_locations);
    script.tracker.finish();
    let (nothing, wish) = script.run(SECOND, answer);
    assert_eq!((nothing.len(), wish), (0, None), "one is missing");
    let last = answer(location(&frames)).unwrap();
    script.tracker.received(script.now, &last).unwrap();
    assert_eq!(script.tracker.poll(script.now), Wish::Done);
    assert!(script.summary().is_ok());
}

#[test]
fn what_is_given_up_counts_as_unanswered() {
    let mut script = Script::new(habits(), true);
    script.connect();
    script.run(35 * SECOND, answer_all_but_locations);
    script.tracker.finish();
    script.tracker.give_up();
    assert!(script.kind(Kind::Location).unanswered >= 3);
    assert!(!script.summary().is_ok());
}

#[test]
fn an_outage_hangs_up_and_is_over_some_time() {
    let mut script = Script::new(
        Habits {
            outage_every: 60 * SECOND,
            ..habits()
        },
        false,
    );
    script.connect();
    let (_, wish) = script.run(3_600 * SECOND, answer);
    let Some(Wish::HangUp(until)) = wish else {
        panic!("no outage in an hour");
    };
    assert!(until > script.now);
    assert_eq!(script.journal.stats.outages.load(Relaxed), 1);
}

#[test]
fn a_faster_clock_reports_more_often_with_its_own_times() {
    let mut script = Script::new(
        Habits {
            speedup: 10.0,
            ..habits()
        },
        false,
    );
    script.connect();
    let (frames, _) = script.run(60 * SECOND, answer);
    let locations: Vec<_> = frames
        .iter()
        .filter(|f| f.number() == wire::LOCATION)
        .collect();
    assert_eq!(locations.len(), 60);
    // 07:00:00 plus about ten minutes.
    assert_eq!(locations[59].body()[3], 7);
    assert!(matches!(locations[59].body()[4], 9 | 10));
}

#[test]
fn a_command_is_obeyed_and_answered_with_its_flag() {
    let mut script = Script::new(habits(), false);
    script.connect();
    script.run(SECOND, answer);
    let body = [&[12_u8, 1, 2, 3, 4][..], b"RELAY,1#"].concat();
    let command = reply(wire::COMMAND, 1, &body);
    script.tracker.received(script.now, &command).unwrap();
    let (frames, _) = script.run(Duration::ZERO, |_| None);
    assert_eq!(frames[0].number(), wire::COMMAND_ANSWER);
    assert_eq!(frames[0].body()[1..5], [1, 2, 3, 4]);
    assert!(script.tracker.condition.fuel_cut);
}
