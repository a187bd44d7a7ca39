use super::*;
use crate::frame::Start;
use crate::message::testing::{read_body, round_trip};

const TIME: DateTime = DateTime::from_bytes([20, 10, 6, 14, 34, 8]);

fn alarm(form: CameraAlarmForm, files: &'static [u8]) -> CameraAlarm {
    CameraAlarm {
        time: TIME,
        form,
        event: Some(0x91),
        data: (form != CameraAlarmForm::Plain).then_some(0),
        files: Bytes::from_static(files),
    }
}

fn forms() -> [CameraAlarmForm; 3] {
    let p = Position::from_degrees(50.0, -19.0, 0, 197, 0).unwrap();
    [
        CameraAlarmForm::Plain,
        CameraAlarmForm::Located {
            raw_latitude: p.raw_latitude,
            raw_longitude: p.raw_longitude,
            course_status: p.course_status,
        },
        CameraAlarmForm::Marked {
            version: 1,
            raw_satellites: 0xda,
            raw_latitude: p.raw_latitude,
            raw_longitude: p.raw_longitude,
            course_status: p.course_status,
            speed: Some(300),
            voltage: Some(138),
        },
    ]
}

#[test]
fn all_three_forms_read_back() {
    let [plain, located, marked] = forms();
    for (form, files) in [
        (plain, &b""[..]),
        (plain, b"\x01\x02"),
        (located, b""),
        (located, b"EVENT_1_I_56.mp4,EVENT_1_F_55.mp4"),
        (marked, b""),
        (marked, b"EVENT_1_I_56.mp4"),
    ] {
        round_trip(alarm(form, files));
    }
}

#[test]
fn each_length_without_a_whole_place_is_an_error() {
    for len in 1..7 {
        assert!(
            read_body(Start::Short, 0x95, &[9; 7][..len]).is_err(),
            "{len}"
        );
    }
    let mut body = BytesMut::new();
    alarm(forms()[2], b"").encode(&mut body);
    for len in 2..20 {
        assert!(
            read_body(Start::Short, 0x95, &body[..len]).is_err(),
            "{len}"
        );
    }
}

#[cfg(feature = "telemetry")]
#[test]
fn what_is_cut_short_after_the_place_costs_no_fix_and_gives_no_event() {
    use crate::message::testing::{report, signal};

    for (form, place_ends, event_at) in [(forms()[1], 16, 16), (forms()[2], 20, 24)] {
        let mut whole = BytesMut::new();
        alarm(form, b"").encode(&mut whole);
        for len in place_ends..whole.len() {
            let read = read_body(Start::Short, 0x95, &whole[..len]).unwrap();
            round_trip(read.clone());
            let report = report(read);
            assert!(report.fix.is_some(), "{len}");
            let has_event = len > event_at;
            assert_eq!(report.more.events.len(), usize::from(has_event), "{len}");
            assert_eq!(report.power.external.is_some(), len >= 24, "{len}");
            assert_eq!(signal(&report, "gt06.files"), None, "{len}");
        }
    }
    // A JC100's event is no latitude.
    let plain = report(read_body(Start::Short, 0x95, &alarm_bytes(&[9; 9])).unwrap());
    assert_eq!((plain.fix, plain.more.events.len()), (None, 1));
}

#[cfg(feature = "telemetry")]
fn alarm_bytes(after: &'static [u8]) -> BytesMut {
    let mut body = BytesMut::new();
    alarm(CameraAlarmForm::Plain, after).encode(&mut body);
    body
}

#[cfg(feature = "telemetry")]
#[test]
fn the_event_the_place_and_the_files_are_reported() {
    use crate::message::testing::{report, signal};
    use milepost_telemetry::EventKind;

    let [plain, located, marked] = forms();
    let r = report(alarm(plain, b""));
    assert_eq!(
        (r.fix, r.more.events[0].kind),
        (None, EventKind::HarshBraking)
    );
    let r = report(alarm(located, b"a.mp4,b.mp4"));
    let fix = r.fix.as_ref().unwrap();
    assert_eq!(
        (fix.coordinates.longitude(), fix.speed, fix.satellites),
        (-19.0, None, None)
    );
    assert_eq!(signal(&r, "gt06.files").unwrap(), "a.mp4,b.mp4");
    let r = report(alarm(marked, b""));
    let fix = r.fix.as_ref().unwrap();
    assert_eq!(
        (fix.speed.unwrap().as_kmh(), fix.satellites),
        (300.0, Some(10))
    );
    assert_eq!(r.power.external.unwrap().as_volts(), 13.8);
    let recording = report(CameraAlarm {
        event: Some(0x69),
        ..alarm(plain, b"")
    });
    assert_eq!(recording.more.events[0].kind, EventKind::Recording);
    assert_eq!(recording.more.events[0].code, Some(0x69));
}
