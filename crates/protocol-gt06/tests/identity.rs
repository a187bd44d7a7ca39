//! A report's id: another fact of the same second has another one, or the store would take it for
//! a duplicate; the same fact keeps its id however often and by whichever way it is sent again.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::{BufMut, BytesMut};
use milepost_protocol_gt06::Start::{Long, Short};
use milepost_protocol_gt06::normalize::{self, Context, ReportSource};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile, Start, frame};
use milepost_telemetry::{Origin, ReportId, Timestamp};

const GPS: &str = "0f0c1d023305 c9 027ac818 0c465860 00 1400";
const ELSEWHERE: &str = "0f0c1d023305 c9 027ac819 0c465860 00 1400";
const L8: &str = "01cc 00 287d 001f71";

/// A message in parts; for parts by their place, what makes it another fact, and what does not.
#[derive(serde::Deserialize)]
struct Case {
    what: String,
    start: String,
    number: String,
    parts: Vec<String>,
    others: Vec<(usize, String)>,
    same: Vec<(usize, String)>,
}

fn cases() -> impl Iterator<Item = Case> {
    let lines = include_str!("cases/identity.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap())
}

fn bytes<S: AsRef<str>>(parts: &[S]) -> Vec<u8> {
    let parts: String = parts.iter().map(AsRef::as_ref).collect();
    hex::decode(parts.replace(' ', "")).unwrap()
}

/// The ids of a frame's reports: the `sent`-th time that it is sent.
fn ids_of(frame: &Frame, profile: &Profile, sent: u16) -> Vec<ReportId> {
    let message = Message::decode(frame, profile.dialect.unwrap_or_default()).unwrap();
    assert!(!matches!(message, Message::Unknown(_)), "{message:?}");
    let source = ReportSource::new(None, None);
    let received_at = Timestamp::from_unix(1_763_622_000 + i64::from(sent));
    let origin = Origin {
        frame: sent.into(),
        ..Origin::default()
    };
    let cx = Context::new(frame.head(), profile, &source, received_at, origin);
    let mut reports = Vec::new();
    normalize::normalize(&message, &cx, &mut reports);
    reports.iter().map(|report| report.id).collect()
}

fn ids(start: Start, number: u8, body: &[u8], sent: u16) -> Vec<ReportId> {
    let mut raw = BytesMut::new();
    frame::encode(start, number, sent, &mut raw, |out| out.put_slice(body));
    let frame = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
    ids_of(&frame, &Profile::default(), sent)
}

#[test]
fn another_fact_has_another_id_and_the_same_one_keeps_it() {
    for case in cases() {
        let start = if case.start == "long" { Long } else { Short };
        let number = u8::from_str_radix(&case.number, 16).unwrap();
        let of = |parts: &[String], sent| {
            let ids = ids(start, number, &bytes(parts), sent);
            assert_eq!(ids.len(), 1, "{}", case.what);
            ids[0]
        };
        let with = |(at, part): &(usize, String)| {
            let mut parts = case.parts.clone();
            parts[*at].clone_from(part);
            parts
        };
        let first = of(&case.parts, 1);
        assert_eq!(of(&case.parts, 2), first, "{}, sent again", case.what);
        for same in &case.same {
            assert_eq!(of(&with(same), 2), first, "{}, {same:?}", case.what);
        }
        // Each differs from the first and from all others. Where they arrive does not help them.
        let mut known = vec![first];
        for other in &case.others {
            let id = of(&with(other), 1);
            assert!(!known.contains(&id), "{}, {other:?}", case.what);
            known.push(id);
        }
    }
}

#[test]
fn a_wrong_checksum_makes_no_other_fact() {
    let body = bytes(&[GPS, L8, "00 00 00"]);
    let mut raw = BytesMut::new();
    frame::encode(Short, 0x22, 1, &mut raw, |out| out.put_slice(&body));
    let check = raw.len() - 4;
    raw[check] ^= 1;
    let frame = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
    assert_eq!(
        ids_of(&frame, &Profile::default(), 3),
        ids(Short, 0x22, &body, 1)
    );
}

#[test]
fn a_position_is_the_same_fact_alone_and_in_any_place_of_a_batch() {
    const A: &str = "0033 0012 6553f100 0b 0024 027ac818 0c465860 1b 144c";
    const B: &str = "0033 0012 6553f13c 0b 0024 027ac828 0c465860 1b 144c";
    let alone = ids(Long, 0x70, &bytes(&[A, "0018 0002 017c"]), 1);
    let first = ids(Long, 0x70, &bytes(&["002c 0004 6553f200", A, B]), 2);
    let second = ids(Long, 0x70, &bytes(&["002c 0004 6553f300", B, A]), 3);
    assert_eq!((alone[0], first[0]), (first[0], second[1]));
    assert_eq!(first[1], second[0]);
    assert_ne!(first[0], first[1]);
}

#[test]
fn a_position_that_repeats_in_a_batch_is_distinguished_by_a_number() {
    for unix in ["00000000", "6553f100"] {
        let position = ["0033 0012", unix, "0b 0024 027ac818 0c465860 1b 144c"].concat();
        for time in ["002c 0004 6553f200", ""] {
            let ids = ids(
                Long,
                0x70,
                &bytes(&[time, &position, &position, &position]),
                1,
            );
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        }
    }
}

#[test]
fn live_and_from_the_buffer_it_is_the_same_fact_of_the_relatives() {
    let mut profile = Profile::default();
    profile.dialect = Some(Dialect::Topin);
    profile.bare_frames = true;
    let id = |hex: &str, sent| {
        let raw = bytes(&["7878", hex, "0d0a"]);
        let ids = ids_of(
            &Frame::parse(raw.into(), Framing::Bare).unwrap(),
            &profile,
            sent,
        );
        assert_eq!(ids.len(), 1);
        ids[0]
    };
    const SCAN: &str = "151229025105 010203040506 50 01 01cc 00 287d 1f71 50";
    let scan = id(&["01 69", SCAN].concat(), 1);
    assert_eq!(id(&["01 17", SCAN].concat(), 2), scan);
    assert_ne!(
        id(&["01 69", &SCAN.replace("1f71", "1f72")].concat(), 1),
        scan
    );
    let position = id(&["12 10", GPS].concat(), 1);
    assert_eq!(id(&["12 11", GPS].concat(), 2), position);
    assert_ne!(id(&["12 10", ELSEWHERE].concat(), 1), position);
}
