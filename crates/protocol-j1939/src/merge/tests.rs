use super::*;
use crate::can::CanId;
use crate::encode;
use crate::id::{J1939Id, Pgn};
use milepost_telemetry::{Origin, Timestamp};
use std::string::ToString;

fn context() -> ReportContext<'static> {
    ReportContext {
        tenant: None,
        device: None,
        received_at: Timestamp::from_unix(1_763_622_000),
        origin: Origin {
            epoch: 1,
            connection: 1,
            frame: 1,
        },
    }
}

fn single(pgn: u32, source: u8, values: &[(u32, f64)]) -> CanFrame {
    let pgn = Pgn::new(pgn).unwrap();
    let id = J1939Id {
        priority: 6,
        pgn,
        source,
        destination: 255,
    };
    encode::single(id, &encode::payload(pgn, values).unwrap()).unwrap()
}

const SECOND: u64 = 1_000_000;
const START: u64 = 1_700_000_000 * SECOND;

fn at(micros: u64) -> CanTime {
    CanTime(START + micros)
}

fn merger() -> Merger {
    Merger::new(Options::default(), at(0))
}

fn push(merger: &mut Merger, frame: &CanFrame, micros: u64) -> Pushed {
    merger.push(&frame.with_time(Some(at(micros))), at(micros))
}

fn feed(merger: &mut Merger, frame: &CanFrame, micros: u64) {
    let _pushed = push(merger, frame, micros);
}

fn feed_at(merger: &mut Merger, frame: &CanFrame, time: CanTime) {
    let _pushed = merger.push(frame, time);
}

#[test]
fn two_thousand_frames_a_second_are_one_report_per_interval() {
    let mut merger = merger();
    let mut reports = 0;
    let mut covered = 0;
    for n in 0..60_000u64 {
        let frame = single(61444, 0, &[(190, 800.0 + (n % 8) as f64)]);
        if push(&mut merger, &frame, n * 500).due {
            let merged = merger.take(at(n * 500)).unwrap();
            covered += merged.frames;
            reports += 1;
            assert_eq!(merged.cause, Cause::Interval);
        }
    }
    let last = merger.flush(at(31 * SECOND)).unwrap();
    assert_eq!((reports, covered + last.frames), (2, 60_000));
    assert_eq!(last.cause, Cause::Close);
    assert!(merger.flush(at(31 * SECOND)).is_none());
    assert_eq!((merger.wake_at(), merger.held_frames()), (None, 0));
}

#[test]
fn the_last_value_of_each_source_is_kept_and_the_preferred_one_fills_the_groups() {
    let mut merger = merger();
    feed(&mut merger, &single(65265, 33, &[(84, 10.0)]), 0);
    feed(&mut merger, &single(65265, 0, &[(84, 50.0)]), 1);
    feed(&mut merger, &single(65265, 0, &[(84, 51.0)]), 2);
    feed(&mut merger, &single(65265, 11, &[(70, 0.0)]), 3);
    feed(&mut merger, &single(65248, 0, &[(245, 1000.0)]), 4);
    feed(&mut merger, &single(65217, 23, &[(917, 1000.5)]), 5);
    feed(&mut merger, &single(65253, 0, &[(247, 2.0)]), 6);
    feed(&mut merger, &single(65276, 23, &[(96, 40.0)]), 7);
    let merged = merger.flush(at(10)).unwrap();
    let report = merged.report(&context(), false);
    let speeds: Vec<_> = report
        .more
        .signals
        .iter()
        .filter(|s| s.id == SignalId::Spn(84))
        .map(|s| (s.source, s.value.clone()))
        .collect();
    assert_eq!(
        speeds,
        [
            (Some(0), Some(Value::Number(51.0))),
            (Some(33), Some(Value::Number(10.0)))
        ]
    );
    let vehicle = report.more.vehicle.as_ref().unwrap();
    assert_eq!(vehicle.wheel_speed_kmh, Some(51.0));
    assert_eq!(vehicle.engine_hours_s, Some(7200.0));
    assert_eq!(vehicle.fuel, milepost_telemetry::Percent::new(40.0).ok());
    assert_eq!(report.odometer.unwrap().as_metres(), 1_000_500.0);
    assert_eq!(report.time_source, TimeSource::Device);
    let frames = report.more.signals.last().unwrap();
    assert_eq!(frames.value, Some(Value::Number(8.0)));
}

#[test]
fn each_axle_keeps_its_weight() {
    let mut merger = merger();
    for (axle, weight) in [(0.0, 7000.0), (16.0, 11_000.0)] {
        let frame = single(65258, 47, &[(928, axle), (582, weight)]);
        feed(&mut merger, &frame, 0);
    }
    let report = merger.flush(at(1)).unwrap().report(&context(), false);
    let weights = report
        .more
        .signals
        .iter()
        .filter(|s| s.id == SignalId::Spn(582));
    assert_eq!(weights.count(), 2);
}

#[test]
fn a_trouble_code_is_reported_at_once_and_once() {
    let mut merger = merger();
    let dm1 = |codes: &[(u32, u8)]| {
        let mut data = std::vec![0x04, 0xFF];
        for (spn, fmi) in codes {
            data.extend(crate::diagnostics::Dtc::encode(*spn, *fmi, 1));
        }
        if codes.is_empty() {
            data.extend([0, 0, 0, 0, 0xFF, 0xFF]);
        }
        data
    };
    let one = encode::single(J1939Id::from_raw(0x18FE_CA00), &dm1(&[(100, 1)])).unwrap();
    assert!(push(&mut merger, &one, 0).due);
    let merged = merger.take(at(0)).unwrap();
    assert_eq!(merged.cause, Cause::Urgent);
    let report = merged.report(&context(), false);
    assert_eq!(report.more.events[0].kind, EventKind::TroubleCodeRaised);
    assert_eq!(report.more.events[0].code, Some(100 << 5 | 1));
    let dtcs = report
        .more
        .diagnostics
        .as_ref()
        .unwrap()
        .dtcs
        .as_ref()
        .unwrap();
    assert_eq!(dtcs[0].source, Some(0));
    // Repeated every second: no further event.
    for n in 1..5 {
        assert!(!push(&mut merger, &one, n * SECOND).due);
    }
    // Two codes by BAM, then none.
    for frame in encode::broadcast(0, Pgn::DM1, &dm1(&[(100, 1), (110, 0)])).unwrap() {
        feed(&mut merger, &frame, 6 * SECOND);
    }
    let report = merger
        .take(at(6 * SECOND))
        .unwrap()
        .report(&context(), false);
    assert_eq!(report.more.events.len(), 1);
    let none = encode::single(J1939Id::from_raw(0x18FE_CA00), &dm1(&[])).unwrap();
    // Reports that leave at once keep a distance of one second.
    assert!(!push(&mut merger, &none, 6 * SECOND + 10).due);
    assert_eq!(merger.wake_at(), Some(at(7 * SECOND)));
    let report = merger
        .take(at(7 * SECOND))
        .unwrap()
        .report(&context(), false);
    let kinds: Vec<_> = report.more.events.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [EventKind::TroubleCodeCleared; 2]);
}

#[test]
fn a_switch_is_reported_at_once_when_it_changes() {
    let mut merger = merger();
    assert!(!push(&mut merger, &single(65265, 0, &[(70, 1.0)]), 0).due);
    assert!(!push(&mut merger, &single(65265, 0, &[(70, 1.0)]), 10).due);
    assert!(push(&mut merger, &single(65265, 0, &[(70, 0.0)]), 20).due);
    let report = merger.take(at(20)).unwrap().report(&context(), false);
    let brake = report
        .more
        .signals
        .iter()
        .find(|s| s.id == SignalId::Spn(70));
    assert_eq!(brake.unwrap().value, Some(Value::Number(0.0)));
}

#[test]
fn a_value_that_is_lost_is_said_once() {
    let mut merger = merger();
    let lost = single(61444, 0, &[(899, 0.0)]);
    feed(&mut merger, &single(61444, 0, &[(190, 800.0)]), 0);
    merger.flush(at(1)).unwrap();
    let speed = |merged: &Merged| {
        merged
            .signals
            .iter()
            .find(|s| s.id == SignalId::Spn(190))
            .cloned()
    };
    feed(&mut merger, &lost, 2);
    let signal = speed(&merger.flush(at(3)).unwrap()).unwrap();
    assert_eq!(
        signal.state,
        Some(milepost_telemetry::SignalState::NotAvailable)
    );
    feed(&mut merger, &lost, 4);
    assert!(speed(&merger.flush(at(5)).unwrap()).is_none());
}

#[test]
fn raw_is_decoded_to_the_same_signals_and_codes() {
    let mut merger = merger();
    let mut frames = Vec::from([
        single(61444, 0, &[(190, 700.0)]),
        single(61444, 0, &[(190, 800.0)]),
        single(65265, 0, &[(84, 50.0), (70, 0.0)]),
    ]);
    frames.extend(encode::broadcast(0, Pgn::VI, b"1M8GDM9AXKP042788*").unwrap());
    frames.extend(encode::addressed(0, 0xF9, Pgn::CI, b"MAKE*MODEL*1*2*").unwrap());
    frames.extend(encode::extended(0, 0xF9, Pgn::CI, &[b'x'; 2000]).unwrap());
    frames.extend(
        encode::iso_tp(CanId::Standard(0x7E8), b"\x49\x02\x011HGBH41JXMN109186", 0).unwrap(),
    );
    frames.extend(encode::broadcast(0, Pgn::DM1, &[4, 255, 100, 0, 1, 1, 110, 0, 2, 1]).unwrap());
    for (frame, n) in frames.iter().zip(0..) {
        feed(&mut merger, frame, n);
    }
    let merged = merger.flush(at(SECOND)).unwrap();
    assert_eq!((merged.failures, merged.dropped), (0, 0));
    let text = String::from_utf8(merged.raw.clone()).unwrap();
    assert!(text.starts_with("(1700000000.00"), "{text}");
    // The older frame of a group is not there.
    assert_eq!(
        text.matches("0CF00400").count() + text.matches("18F00400").count(),
        1
    );
    let mut again = Merger::new(Options::default(), at(0));
    for line in text.lines() {
        let (time, frame) = line[1..].split_once(") can0 ").unwrap();
        let (seconds, micros) = time.split_once('.').unwrap();
        let time = CanTime::new(seconds.parse().unwrap(), micros.parse().unwrap());
        let (id, data) = frame.split_once('#').unwrap();
        let raw = u32::from_str_radix(id, 16).unwrap();
        let id = match id.len() {
            3 => CanId::Standard(raw.try_into().unwrap()),
            _ => CanId::Extended(raw),
        };
        let frame = CanFrame::new(id, &hex::decode(data).unwrap()).unwrap();
        feed_at(&mut again, &frame.with_time(Some(time)), time);
    }
    let second = again.flush(at(SECOND)).unwrap();
    assert_eq!(second.failures, 0);
    assert_eq!(second.signals, merged.signals);
    assert_eq!(second.diagnostics, merged.diagnostics);
    assert_eq!(second.vin, merged.vin);
}

#[test]
fn every_frame_is_kept_when_asked_for_within_the_bound() {
    let options = Options {
        keep_frames: true,
        raw_bytes: 56 * 10,
        ..Options::default()
    };
    let mut merger = Merger::new(options, at(0));
    for n in 0..20 {
        feed(&mut merger, &single(61444, 0, &[(190, 700.0)]), n);
    }
    let merged = merger.flush(at(30)).unwrap();
    let lines = merged.raw.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    assert_eq!(lines.count(), 10);
    assert_eq!((merged.frames, merged.dropped), (20, 10));
}

#[test]
fn memory_is_bounded_under_frames_of_every_source() {
    let options = Options {
        signals: 100,
        groups: 50,
        ..Options::default()
    };
    let mut merger = Merger::new(options, at(0));
    for source in 0..=253 {
        for pgn in [61444u32, 65265, 65262] {
            let id = J1939Id {
                priority: 6,
                pgn: Pgn::new(pgn).unwrap(),
                source,
                destination: 255,
            };
            feed(&mut merger, &encode::single(id, &[0; 8]).unwrap(), 0);
        }
    }
    let merged = merger.flush(at(1)).unwrap();
    assert_eq!(merged.signals.len(), 100);
    assert_eq!(merged.frames, 762);
    assert!(merged.dropped > 1_000 && merged.raw.len() <= 50 * 56);
}

#[test]
fn a_vin_is_found_on_the_bus() {
    let mut merger = merger();
    let mut found = false;
    for frame in encode::broadcast(0, Pgn::VI, b"1M8GDM9AXKP042788*").unwrap() {
        found |= push(&mut merger, &frame, 0).vin;
    }
    assert!(found);
    assert_eq!(
        merger.vin().map(ToString::to_string).as_deref(),
        Some("1M8GDM9AXKP042788")
    );
}

fn fix(merger: &mut Merger, micros: u64) -> Option<milepost_telemetry::Fix> {
    merger
        .flush(at(micros))
        .unwrap()
        .report(&context(), false)
        .fix
}

fn place(source: u8, latitude: f64) -> CanFrame {
    single(65267, source, &[(584, latitude), (585, 77.5)])
}

#[test]
fn a_position_on_the_bus_is_the_fix_with_the_time_of_its_frame() {
    let mut merger = merger();
    let motion = [(165, 90.0), (517, 42.0), (580, 920.0)];
    feed(&mut merger, &single(65256, 37, &motion), 0);
    feed(&mut merger, &place(37, 12.25), SECOND);
    feed(&mut merger, &single(65265, 0, &[(84, 40.0)]), 3 * SECOND);
    let found = fix(&mut merger, 4 * SECOND).unwrap();
    assert_eq!(found.coordinates.latitude_e7(), 122_500_000);
    assert_eq!(found.coordinates.longitude_e7(), 775_000_000);
    assert_eq!(found.time, Some(Timestamp::from_unix(1_700_000_001)));
    assert!(found.valid);
    assert_eq!(found.source, milepost_telemetry::FixSource::Gnss);
    assert_eq!(found.course.unwrap().as_degrees(), 90.0);
    assert_eq!(found.speed.unwrap().as_kmh(), 42.0);
    assert_eq!(found.altitude.unwrap().as_metres(), 920.0);
    // The course belongs to positions of its time only, and a position to its interval.
    feed(&mut merger, &place(37, 12.25), 9 * SECOND);
    assert_eq!(fix(&mut merger, 10 * SECOND).unwrap().course, None);
    feed(&mut merger, &single(65265, 0, &[(84, 40.0)]), 11 * SECOND);
    assert!(fix(&mut merger, 12 * SECOND).is_none());
}

#[test]
fn a_lost_or_impossible_position_is_no_fix_and_the_lowest_sender_is_taken() {
    let mut merger = merger();
    feed(&mut merger, &place(37, 12.25), 0);
    feed(&mut merger, &single(65267, 37, &[]), 1);
    assert!(fix(&mut merger, 2).is_none(), "the receiver lost it");
    feed(&mut merger, &place(37, -210.0), 3);
    assert!(fix(&mut merger, 4).is_none(), "no such latitude");
    feed(&mut merger, &place(40, 1.0), 5);
    feed(&mut merger, &place(37, 2.0), 6);
    feed(&mut merger, &place(40, 3.0), 7);
    let found = fix(&mut merger, 8).unwrap();
    assert_eq!(found.coordinates.latitude_e7(), 20_000_000);
    // Without a time stamp of the carrier the fix has no time.
    feed_at(&mut merger, &place(37, 2.0), at(9));
    assert_eq!(fix(&mut merger, 10).unwrap().time, None);
}
