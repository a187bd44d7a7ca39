//! The same frames in each form, however the stream is cut.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod carrier_support;

use bytes::{Bytes, BytesMut};
use carrier_support::{carried, greeted, read, truck, written};
use milepost_protocol_j1939::carrier::{
    ByteOrder, Carrier, DETECTION_LIMIT, Deframe, Detected, Encoder, Form, RecordKind, Scan,
    Setting, detect,
};
use milepost_protocol_j1939::{CanFrame, CanId};

#[test]
fn the_same_frames_in_each_form_are_the_same_in_every_chunk_size() {
    let frames = truck(200);
    for form in Form::ALL {
        let expected = carried(form, &frames);
        assert!(expected.len() > 150);
        let stream = greeted(form, &written(form, &expected));
        for size in 1..=64 {
            let found = read(form, &stream, &[size]);
            assert_eq!(found.frames, expected, "{form} in pieces of {size}");
            assert_eq!((found.skipped, found.left), (0, 0), "{form}");
            assert!(found.pending <= form.max_pending(), "{form}");
        }
        assert_eq!(read(form, &stream, &[usize::MAX]).frames, expected);
    }
}

#[test]
fn the_records_are_the_same_without_their_bytes() {
    for form in Form::ALL {
        let frames = carried(form, &truck(20));
        let mut stream = greeted(form, &written(form, &frames));
        stream.extend_from_slice(b"\xff\xff no record \xff\r\n>");
        let mut kept = (Carrier::new(form), BytesMut::from(&stream[..]));
        let mut bare = (Carrier::new(form), BytesMut::from(&stream[..]));
        loop {
            let record = kept.0.next_frame(&mut kept.1);
            let kind = bare.0.next_kind(&mut bare.1);
            assert_eq!(
                record.as_ref().map(|r| r.as_ref().map(|r| &r.kind)),
                kind.as_ref().map(Option::as_ref),
                "{form}"
            );
            assert_eq!(kept.1, bare.1);
            if record == Ok(None) {
                break;
            }
        }
        assert_eq!(kept.0.counts(), bare.0.counts());
    }
}

/// The frame that the public descriptions of the forms show.
#[test]
fn each_form_is_written_as_it_is_described() {
    let data = [0xF3, 0x00, 0x3C, 0xCF, 0xFF, 0xFF, 0xE0, 0xFF];
    let frame = CanFrame::new(CanId::Extended(0x18FE_F100), &data).unwrap();
    let hex = |form| hex::encode_upper(written(form, &[frame]));
    let text = |form| String::from_utf8(written(form, &[frame])).unwrap();
    assert_eq!(hex(Form::ThirteenByte), "8818FEF100F3003CCFFFFFE0FF");
    assert_eq!(
        hex(Form::SocketCan(ByteOrder::Little)),
        "00F1FE9808000000F3003CCFFFFFE0FF"
    );
    assert_eq!(
        hex(Form::SocketCan(ByteOrder::Big)),
        "98FEF10008000000F3003CCFFFFFE0FF"
    );
    assert_eq!(hex(Form::Cannelloni), "98FEF10008F3003CCFFFFFE0FF");
    assert_eq!(
        hex(Form::CannelloniUdp),
        "020000000198FEF10008F3003CCFFFFFE0FF"
    );
    assert_eq!(text(Form::Candump), "can0 18FEF100#F3003CCFFFFFE0FF\n");
    assert_eq!(text(Form::Slcan), "T18FEF1008F3003CCFFFFFE0FF\r");
    assert_eq!(
        text(Form::Socketcand),
        "< frame 18FEF100 0.000000 F3003CCFFFFFE0FF >"
    );
    assert_eq!(text(Form::Elm327), "18 FE F1 00 F3 00 3C CF FF FF E0 FF\r");
}

#[test]
fn the_form_is_detected_in_every_chunk_size() {
    let frames = truck(60);
    for form in Form::ALL {
        let expected = carried(form, &frames);
        let stream = greeted(form, &written(form, &expected));
        for size in 1..=64 {
            let found = read(Setting::Detect, &stream, &[size]);
            assert_eq!(found.frames, expected, "{form} in pieces of {size}");
            assert!(found.pending <= DETECTION_LIMIT);
        }
        assert_eq!(detect(&stream), Detected::Form(form));
    }
}

#[test]
fn the_form_is_detected_after_a_registration_text() {
    let frames = truck(60);
    let forms = [
        Form::ThirteenByte,
        Form::SocketCan(ByteOrder::Little),
        Form::SocketCan(ByteOrder::Big),
    ];
    for form in forms {
        let stream = [b"truck-4711".to_vec(), written(form, &frames)].concat();
        let found = read(Setting::Detect, &stream, &[5]);
        assert_eq!(found.frames, carried(form, &frames), "{form}");
        assert_eq!(found.skipped, 10);
    }
}

#[test]
fn one_record_is_not_enough_to_detect_a_form() {
    for form in [Form::ThirteenByte, Form::Candump, Form::Slcan] {
        let stream = written(form, &truck(1));
        assert_eq!(detect(&stream), Detected::More, "{form}");
        let found = read(Setting::Detect, &stream, &[64]);
        assert_eq!((found.frames.len(), found.left), (0, stream.len()));
    }
}

#[test]
fn two_lines_of_text_are_not_enough_to_detect_a_form() {
    for form in [Form::Candump, Form::Slcan, Form::Socketcand, Form::Elm327] {
        for (count, is_enough) in [(2, false), (3, true)] {
            let stream = written(form, &carried(form, &truck(count)));
            let (mut carrier, mut buffer) =
                (Carrier::new(Setting::Detect), BytesMut::from(&stream[..]));
            // Whether a step is complete or a pause asks for the judgement.
            let mut found = carrier.next_frame(&mut buffer);
            if found == Ok(None) {
                carrier.on_pause();
                found = carrier.next_frame(&mut buffer);
            }
            assert_eq!(found.unwrap().is_some(), is_enough, "{form}, {count}");
        }
    }
}

#[test]
fn a_pause_lets_few_records_detect_a_form() {
    let frames = truck(4);
    let stream = written(Form::ThirteenByte, &frames);
    let (mut carrier, mut buffer) = (Carrier::new(Setting::Detect), BytesMut::from(&stream[..]));
    assert_eq!(carrier.next_frame(&mut buffer), Ok(None), "52 bytes");
    assert_eq!(carrier.form(), None);
    carrier.on_pause();
    let record = carrier.next_frame(&mut buffer).unwrap().unwrap();
    assert_eq!(record.frame(), Some(frames[0].with_time(None)));
    assert_eq!(carrier.form(), Some(Form::ThirteenByte));
}

#[test]
fn a_stream_of_no_form_is_passed_over_until_it_has_one() {
    let http = b"GET / HTTP/1.1\r\nHost: example\r\nUser-Agent: a browser of some kind\r\n\r\n";
    let mut stream = http.repeat(20);
    stream.truncate(DETECTION_LIMIT);
    assert_eq!(detect(&stream), Detected::Unknown);
    let frames = truck(60);
    stream.extend_from_slice(&written(Form::Candump, &frames));
    let found = read(Setting::Detect, &stream, &[100]);
    assert_eq!(found.frames, frames);
    assert_eq!(found.skipped, DETECTION_LIMIT);
}

#[test]
fn handshakes_are_given_to_be_sent_and_only_where_they_exist() {
    for form in Form::ALL {
        let mut carrier = Carrier::with_bus(form, "can3");
        let mut outputs: Vec<Bytes> = carrier.take_output().into_iter().collect();
        let mut buffer = BytesMut::from(&greeted(form, b"")[..]);
        if form == Form::Socketcand {
            buffer.extend_from_slice(b"< ok >< ok >");
        }
        while let Ok(Some(record)) = carrier.next_frame(&mut buffer) {
            assert_eq!(record.kind, RecordKind::Notice);
            outputs.extend(carrier.take_output());
        }
        let expected: &[&[u8]] = match form {
            Form::Cannelloni => &[b"CANNELLONIv1"],
            Form::Socketcand => &[b"< open can3 >", b"< rawmode >"],
            _ => &[],
        };
        assert_eq!(outputs, expected, "{form}");
    }
}

#[test]
fn a_detected_form_shakes_hands_too() {
    for form in [Form::Cannelloni, Form::Socketcand] {
        let mut carrier = Carrier::new(Setting::Detect);
        assert_eq!(carrier.take_output(), None);
        let mut buffer = BytesMut::from(&greeted(form, b"")[..]);
        assert!(carrier.next_frame(&mut buffer).unwrap().is_some());
        assert!(carrier.take_output().is_some(), "{form}");
    }
}

#[test]
fn can_fd_and_error_frames_are_counted_and_passed_over() {
    let frames = truck(8);
    let mut socketcan = vec![0u8; 72];
    socketcan[..6].copy_from_slice(&[0x00, 0xF1, 0xFE, 0x98, 64, 0x04]);
    let mut short = vec![0u8; 72];
    short[..6].copy_from_slice(&[0x00, 0xF1, 0xFE, 0x98, 8, 0x05]);
    let mut error = vec![0u8; 16];
    error[..5].copy_from_slice(&[0x04, 0, 0, 0x20, 8]);
    let mut cannelloni = vec![0x98, 0xFE, 0xF1, 0x00, 0x80 | 12, 0x01];
    cannelloni.resize(6 + 12, 0xAA);
    let cases: [(Form, &[&[u8]], u64, u64); 5] = [
        (
            Form::SocketCan(ByteOrder::Little),
            &[&socketcan, &short, &error],
            2,
            1,
        ),
        (Form::Cannelloni, &[&cannelloni], 1, 0),
        (
            Form::Candump,
            &[b"can0 123##1112233\n", b"can0 20000004#00\n"],
            1,
            1,
        ),
        (Form::Slcan, &[b"d12391122334455667788AABBCCDD\r"], 1, 0),
        (Form::Socketcand, &[b"< fdframe 123 1 1.5 1122 >"], 1, 0),
    ];
    for (form, long, fd, errors) in cases {
        let expected = carried(form, &frames);
        let written = written(form, &expected);
        let stream = greeted(form, &[&written[..], &long.concat(), &written].concat());
        for size in [1, 7, 200] {
            let found = read(form, &stream, &[size]);
            assert_eq!(found.skipped, 0, "{form}");
            assert_eq!(found.frames.len(), expected.len() * 2, "{form}");
        }
        let (mut carrier, mut buffer) = (Carrier::new(form), BytesMut::from(&stream[..]));
        while carrier.next_frame(&mut buffer).unwrap().is_some() {}
        let counts = carrier.counts();
        assert_eq!((counts.fd, counts.error_frames), (fd, errors), "{form}");
    }
}

#[test]
fn a_datagram_may_hold_many_frames_or_none() {
    let frames = carried(Form::CannelloniUdp, &truck(300));
    let (mut encoder, mut out) = (Encoder::new(Form::CannelloniUdp), BytesMut::new());
    encoder.datagram(&frames[..299], &mut out);
    encoder.datagram(&[], &mut out);
    encoder.datagram(&frames[299..], &mut out);
    assert_eq!(read(Form::CannelloniUdp, &out, &[33]).frames, frames);
}

#[test]
fn a_datagram_that_ends_early_or_is_damaged_costs_only_itself() {
    let frames = carried(Form::CannelloniUdp, &truck(3));
    let mut whole = BytesMut::new();
    Encoder::new(Form::CannelloniUdp).datagram(&frames, &mut whole);
    let mut damaged = whole.clone();
    damaged[5 + 4] = 0x0F;
    for bad in [&whole[..20], &damaged[..], b"\x03\x00", b"\x02"] {
        let mut carrier = Carrier::new(Form::CannelloniUdp);
        let mut found = Vec::new();
        for datagram in [bad, &whole] {
            let mut buffer = BytesMut::from(datagram);
            found.clear();
            carrier.on_pause();
            loop {
                match carrier.next_frame(&mut buffer) {
                    Ok(Some(record)) => found.extend(record.frame()),
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
            assert!(buffer.is_empty(), "nothing of a datagram is left");
        }
        assert_eq!(found, frames, "{bad:02x?}");
    }
}

/// A form of a third party: one byte of length, then two of identifier and the data.
#[derive(Debug)]
struct Homemade;

impl Deframe for Homemade {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        let Some((&len, rest)) = bytes.split_first() else {
            return Scan::More;
        };
        let Some([high, low, data @ ..]) = rest.get(..usize::from(len)) else {
            return Scan::More;
        };
        let id = CanId::Standard(u16::from_be_bytes([*high, *low]));
        Scan::Record {
            len: usize::from(len) + 1,
            kind: RecordKind::Frame(CanFrame::new(id, data).unwrap()),
        }
    }
}

#[test]
fn a_form_of_a_third_party_is_driven_alike() {
    let mut carrier = Carrier::custom(Box::new(Homemade));
    let mut buffer = BytesMut::from(&b"\x04\x07\xe8\x01\x02\x03"[..]);
    let record = carrier.next_frame(&mut buffer).unwrap().unwrap();
    assert_eq!(record.frame().unwrap().to_string(), "7E8#0102");
    assert_eq!(carrier.next_frame(&mut buffer), Ok(None));
    assert_eq!(carrier.form(), None);
}
