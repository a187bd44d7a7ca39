//! Garbage before and between frames, and streams of nothing else.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod carrier_support;

use bytes::BytesMut;
use carrier_support::{carried, greeted, read, truck, written};
use milepost_protocol_j1939::CanFrame;
use milepost_protocol_j1939::carrier::{
    ByteOrder, Carrier, DETECTION_LIMIT, Form, Reason, Setting, TEXT_LIMIT,
};
use proptest::prelude::*;

const WITHOUT_DELIMITERS: [Form; 3] = [
    Form::ThirteenByte,
    Form::SocketCan(ByteOrder::Little),
    Form::SocketCan(ByteOrder::Big),
];
const TEXT: [Form; 4] = [Form::Candump, Form::Slcan, Form::Socketcand, Form::Elm327];

/// Garbage that no form takes for a record or a part of one.
const NOISE: &[u8] = b"\xffwww.example\xff";

fn around(form: Form, garbage: &[u8], frames: &[CanFrame]) -> Vec<u8> {
    let written = written(form, frames);
    greeted(form, &[&written[..], garbage, &written].concat())
}

#[test]
fn nothing_after_garbage_is_lost_in_forms_without_delimiters() {
    for form in WITHOUT_DELIMITERS {
        let frames = carried(form, &truck(8));
        let expected = frames.repeat(2);
        for size in 1..=64 {
            let found = read(form, &around(form, NOISE, &frames), &[size]);
            assert_eq!(found.frames, expected, "{form} in pieces of {size}");
            assert_eq!(found.skipped, NOISE.len());
            assert!(found.pending <= form.max_pending());
        }
    }
}

#[test]
fn fewer_than_four_records_after_garbage_are_not_believed_without_a_pause() {
    for form in WITHOUT_DELIMITERS {
        let frames = carried(form, &truck(3));
        let stream = [NOISE, &written(form, &frames)].concat();
        assert_eq!(read(form, &stream, &[9]).frames, [], "{form}");

        let (mut carrier, mut buffer) = (Carrier::new(form), BytesMut::from(&stream[..]));
        assert!(carrier.next_frame(&mut buffer).is_err());
        assert_eq!(carrier.next_frame(&mut buffer), Ok(None));
        carrier.on_pause();
        for frame in &frames {
            let record = carrier.next_frame(&mut buffer).unwrap().unwrap();
            assert_eq!(record.frame(), Some(*frame), "{form}");
        }
    }
}

#[test]
fn garbage_costs_one_line_at_most_in_text() {
    for form in TEXT {
        let frames = carried(form, &truck(8));
        let without_end = read(form, &around(form, NOISE, &frames), &[3]);
        // The noise has no end: it spoils the line that follows, except where records have a start.
        let lost = usize::from(form != Form::Socketcand);
        assert_eq!(without_end.frames.len(), frames.len() * 2 - lost, "{form}");
        assert!(without_end.frames.ends_with(&frames[lost..]));
    }
}

#[test]
fn a_line_without_end_is_passed_over_up_to_its_end_and_bounded() {
    for (form, end) in TEXT.into_iter().zip([&b"\n"[..], b"\r", b">", b"\r"]) {
        let frames = carried(form, &truck(8));
        let garbage = [&b"x".repeat(3 * TEXT_LIMIT), end].concat();
        for size in [1, 100, 5_000] {
            let found = read(form, &around(form, &garbage, &frames), &[size]);
            assert_eq!(found.frames, frames.repeat(2), "{form} in pieces of {size}");
            assert_eq!(found.skipped, garbage.len());
            assert!(size > 1 || found.pending <= TEXT_LIMIT, "{form}");
        }
    }
}

#[test]
fn a_lost_cannelloni_stream_finds_nothing_until_the_peer_starts_anew() {
    let frames = carried(Form::Cannelloni, &truck(8));
    let garbage = [0xFF; 40];
    let mut stream = around(Form::Cannelloni, &garbage, &frames);
    for size in 1..=64 {
        let found = read(Form::Cannelloni, &stream, &[size]);
        assert_eq!(found.frames, frames, "nothing is found after the garbage");
    }
    let mut carrier = Carrier::new(Form::Cannelloni);
    let mut buffer = BytesMut::from(&stream[..]);
    let skipped = loop {
        if let Err(skipped) = carrier.next_frame(&mut buffer) {
            break skipped;
        }
    };
    assert_eq!(skipped.reason, Reason::Lost);
    assert!(carrier.is_lost());

    stream.extend_from_slice(&greeted(
        Form::Cannelloni,
        &written(Form::Cannelloni, &frames),
    ));
    for size in 1..=64 {
        let found = read(Form::Cannelloni, &stream, &[size]);
        assert_eq!(found.frames, frames.repeat(2), "pieces of {size}");
    }
}

#[test]
fn zero_bytes_are_no_frames_after_garbage() {
    for form in WITHOUT_DELIMITERS {
        let frames = carried(form, &truck(8));
        let found = read(
            form,
            &around(form, &[NOISE, &[0; 500]].concat(), &frames),
            &[50],
        );
        assert_eq!(found.frames, frames.repeat(2), "{form}");
    }
}

#[test]
fn length_codes_above_8_are_read_only_while_the_alignment_is_sure() {
    let record = *b"\x8f\x18\xfe\xf1\x00\x01\x02\x03\x04\x05\x06\x07\x08";
    let stream = record.repeat(5);
    assert_eq!(read(Form::ThirteenByte, &stream, &[13]).frames.len(), 5);
    let after_garbage = [&b"\xff"[..], &stream].concat();
    assert_eq!(
        read(Form::ThirteenByte, &after_garbage, &[13]).frames.len(),
        0
    );
}

fn settings() -> impl Strategy<Value = Setting> {
    let all: Vec<_> = Form::ALL
        .into_iter()
        .map(Setting::Form)
        .chain([Setting::Detect])
        .collect();
    proptest::sample::select(all)
}

fn likely() -> impl Strategy<Value = Vec<u8>> {
    let text = proptest::sample::select(&b"tTrR0123456789ABCDEF#()[]<> \r\n.:can0 frame"[..]);
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..600),
        proptest::collection::vec(text, 0..600),
        proptest::collection::vec(prop_oneof![Just(0u8), Just(8), Just(0x88), Just(2)], 0..300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_frames_within_the_bound(
        setting in settings(),
        stream in likely(),
        sizes in proptest::collection::vec(1usize..70, 1..5),
    ) {
        let whole = read(setting, &stream, &[usize::MAX]);
        let cut = read(setting, &stream, &sizes);
        prop_assert_eq!(&whole.frames, &cut.frames);
        prop_assert_eq!(&whole.payloads, &cut.payloads);
        prop_assert_eq!(whole.left, cut.left);
        let bound = match setting {
            Setting::Detect => DETECTION_LIMIT,
            Setting::Form(form) => form.max_pending(),
        };
        prop_assert!(cut.pending < bound + 70);
        prop_assert!(whole.left <= bound);
    }

    #[test]
    fn frames_after_random_garbage_are_found(
        form in proptest::sample::select(&WITHOUT_DELIMITERS[..]),
        garbage in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let frames = carried(form, &truck(30));
        // A byte that no record begins with, so that the alignment is lost.
        let stream = around(form, &[&[0x3F; 16], &garbage[..]].concat(), &frames);
        let found = read(form, &stream, &[31]);
        // Random bytes just before the records may look like more of them.
        prop_assert!(found.frames.ends_with(&frames[1..]), "{:?}", found);
    }
}
