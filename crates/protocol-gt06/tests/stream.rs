//! Streams: every chunk size, garbage, wrong lengths, damaged bytes.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]

use bytes::{Bytes, BytesMut};
use milepost_protocol_gt06::field::{
    Cell, CellForm, DateTime, Gps, Position, Status, TerminalId, TerminalInfo, Trailer,
};
use milepost_protocol_gt06::message::{
    AlarmReport, Heartbeat, Location, Login, TimeRequest, Unknown, ZoneWord,
};
use milepost_protocol_gt06::{Checksum, Deframer, Frame, FrameError, Message, Start};
use proptest::prelude::*;

const CELL: Cell = Cell {
    form: CellForm::L8,
    raw_mcc: 460,
    mnc: 0,
    lac: 10365,
    cell_id: 8049,
};

fn gps(n: i32) -> Gps {
    Gps::new(
        DateTime::from_unix(1_700_000_000 + i64::from(n)).unwrap(),
        &Position::from_degrees(23.1 + f64::from(n) * 1e-3, 114.4, 40, 90, 9).unwrap(),
    )
}

/// One of each message, as one connection sends them.
fn conversation() -> Vec<Bytes> {
    let messages: Vec<Message> = vec![
        Login {
            id: TerminalId::from_digits("752533678900242").unwrap(),
            model: Some(0x7000),
            zone: Some(ZoneWord::from_minutes(480)),
            tail: Bytes::new(),
        }
        .into(),
        Heartbeat::new(TerminalInfo(0x46), 6, 4).into(),
        Location::new(gps(1), CELL, Trailer::default()).into(),
        AlarmReport::new(
            gps(2),
            CELL,
            Status {
                raw_alarm: 1,
                raw_language: 2,
                ..Status::default()
            },
        )
        .into(),
        TimeRequest::default().into(),
        Message::Unknown(Unknown {
            number: 0x94,
            start: Start::Long,
            // Stop bytes and start markers in a body.
            body: Bytes::from_static(b"\x0d\x0a\x78\x78text\x0d\x0a\x79\x79\r\n"),
        }),
        Location::new(
            gps(3),
            CELL,
            Trailer {
                raw_ignition: 1,
                upload_mode: 3,
                raw_reupload: 1,
            },
        )
        .into(),
        Heartbeat::new(TerminalInfo(0x46), 5, 3).into(),
    ];
    (1..)
        .zip(messages)
        .map(|(serial, message)| message.to_bytes(serial))
        .collect()
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    frames: Vec<Bytes>,
    wrong: usize,
    skipped: usize,
    named: Vec<&'static str>,
}

/// Reads a stream in chunks, then pauses.
fn read(stream: &[u8], chunk: usize) -> Seen {
    let mut deframer = Deframer::new();
    let mut src = BytesMut::new();
    let mut seen = Seen::default();
    let mut drain = |deframer: &mut Deframer, src: &mut BytesMut| loop {
        let before = src.len();
        match deframer.next_frame(src) {
            Ok(Some(frame)) => {
                if frame.checksum() != Checksum::Valid {
                    seen.wrong += 1;
                }
                assert!(src.len() < before, "progress");
                seen.frames.push(frame.raw().clone());
            }
            Ok(None) => {
                assert!(src.len() <= 65_541, "bounded");
                break;
            }
            Err(FrameError::Skipped { bytes, looks_like }) => {
                assert!(bytes > 0 && src.len() + bytes == before, "progress");
                seen.skipped += bytes;
                seen.named.extend(looks_like);
            }
            Err(other) => panic!("{other}"),
        }
    };
    for chunk in stream.chunks(chunk.max(1)) {
        src.extend_from_slice(chunk);
        drain(&mut deframer, &mut src);
    }
    deframer.on_pause();
    drain(&mut deframer, &mut src);
    let framed: usize = seen.frames.iter().map(Bytes::len).sum();
    assert_eq!(
        framed + seen.skipped + src.len(),
        stream.len(),
        "no byte vanishes"
    );
    seen
}

#[test]
fn every_chunk_size_gives_the_same_frames() {
    let frames = conversation();
    let stream = frames.concat();
    for chunk in 1..=stream.len() {
        let seen = read(&stream, chunk);
        assert_eq!(seen.frames, frames, "chunks of {chunk}");
        assert_eq!((seen.skipped, seen.wrong), (0, 0));
    }
}

#[test]
fn no_valid_neighbour_of_a_damaged_frame_is_lost() {
    let frames = conversation();
    for (damaged, frame) in frames.iter().enumerate() {
        for at in 0..frame.len() {
            for flip in [
                0x01,
                0x80,
                0xff,
                0x20,
                frame[at] ^ 0x78,
                frame[at] ^ 0x79,
                frame[at] ^ 0x0d,
            ] {
                if flip == 0 {
                    continue;
                }
                let mut bad = frame.to_vec();
                bad[at] ^= flip;
                let mut parts: Vec<&[u8]> = frames.iter().map(|f| &f[..]).collect();
                parts[damaged] = &bad;
                let stream = parts.concat();
                for chunk in [1, 7, stream.len()] {
                    let seen = read(&stream, chunk);
                    let mut found = seen.frames.iter();
                    for (n, neighbour) in frames.iter().enumerate().filter(|(n, _)| *n != damaged) {
                        assert!(
                            found.any(|f| f == neighbour),
                            "byte {at} of frame {damaged} flipped by {flip:#x}, chunks of {chunk}: frame {n} lost\n{}",
                            hex::encode(&stream)
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_damaged_body_is_still_a_frame() {
    let frames = conversation();
    for frame in &frames {
        for at in 4..frame.len() - 2 {
            let mut bad = frame.to_vec();
            bad[at] ^= 0x04;
            let stream = [&bad[..], &frames[1]].concat();
            let seen = read(&stream, 1);
            assert_eq!(seen.frames.len(), 2, "byte {at} of {}", hex::encode(frame));
            assert_eq!(seen.wrong, 1);
        }
    }
}

#[test]
fn garbage_before_and_between_is_counted_and_costs_no_frame() {
    let frames = conversation();
    for garbage in [
        &b"\x00\x01\x02"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x78",
        b"\x78\x78",
        b"\x79\x79",
        b"\x78\x78\x78",
        b"\x79\x79\xff\xff",
        b"\x78\x78\xff\x01",
        b"\x78\x78\x05\x01",
        b"\x0d\x0a",
        b"\x78\x78\x0d\x0a",
        b"\x78\x78\x00\x0d\x0a",
        b"xxyyxxyy",
        &frames[2][..20],
        &frames[2][20..],
    ] {
        let mut stream = Vec::new();
        for frame in &frames {
            stream.extend_from_slice(garbage);
            stream.extend_from_slice(frame);
        }
        let whole = read(&stream, stream.len());
        let mut found = whole.frames.iter();
        for (n, frame) in frames.iter().enumerate() {
            assert!(
                found.any(|f| f == frame),
                "frame {n} lost after {}: {:?}",
                hex::encode(garbage),
                whole.frames.iter().map(hex::encode).collect::<Vec<_>>()
            );
        }
        for chunk in 1..=20 {
            assert_eq!(
                read(&stream, chunk).frames,
                whole.frames,
                "{}",
                hex::encode(garbage)
            );
        }
    }
}

#[test]
fn a_lying_length_is_seen_through_by_the_checksum() {
    // Length 8 with the body of a length of 10; the checksum is right for the bytes as sent.
    let mut wrong = conversation()[1].to_vec();
    wrong[2] = 8;
    let end = wrong.len() - 4;
    let sum = milepost_protocol_gt06::checksum(&wrong[2..end]).to_be_bytes();
    wrong[end..end + 2].copy_from_slice(&sum);
    let good = conversation()[2].clone();
    for chunk in 1..40 {
        let seen = read(&[&wrong[..], &good].concat(), chunk);
        assert_eq!(seen.frames, [Bytes::from(wrong.clone()), good.clone()]);
        assert_eq!((seen.wrong, seen.skipped), (0, 0));
    }
}

#[test]
fn a_frame_shorter_than_announced_is_released_by_a_pause() {
    let raw = hex::decode("78780d010359339075005244340d0a").unwrap();
    let mut deframer = Deframer::new();
    let mut src = BytesMut::from(&raw[..]);
    assert_eq!(
        deframer.next_frame(&mut src),
        Ok(None),
        "the promised length has not come"
    );
    deframer.on_pause();
    let frame = deframer.next_frame(&mut src).unwrap().unwrap();
    assert_eq!(frame.raw(), &raw);
    assert_eq!((frame.serial(), frame.checksum()), (None, Checksum::Absent));
    // Now it is known that this device's frames have no checksum: no pause is needed.
    let mut src = BytesMut::from(&raw[..]);
    assert_eq!(deframer.next_frame(&mut src).unwrap().unwrap().raw(), &raw);
}

#[test]
fn a_pause_in_the_middle_of_a_frame_releases_nothing() {
    for frame in conversation() {
        for cut in 1..frame.len() {
            let mut deframer = Deframer::new();
            let mut src = BytesMut::from(&frame[..cut]);
            assert_eq!(deframer.next_frame(&mut src), Ok(None));
            deframer.on_pause();
            let released = deframer.next_frame(&mut src);
            // Stop bytes in a body, right where the pause is or a marker follows: not decidable.
            let stops = |end: &[u8]| frame[..cut].windows(end.len()).skip(5).any(|w| w == end);
            if frame[..cut].ends_with(b"\r\n") || stops(b"\r\nxx") || stops(b"\r\nyy") {
                continue;
            }
            assert_eq!(
                released,
                Ok(None),
                "cut at {cut} of {}",
                hex::encode(&frame)
            );
            src.extend_from_slice(&frame[cut..]);
            assert_eq!(
                deframer.next_frame(&mut src).unwrap().unwrap().raw(),
                &frame
            );
        }
    }
}

#[test]
fn the_address_reply_of_an_old_manual_is_one_frame() {
    let text = b"\x00\x2b\x00\x00\x00\x01ALARMSMS&&\x00O\x00K&&000000000000000000000##";
    let raw = {
        let mut out = BytesMut::new();
        milepost_protocol_gt06::frame::encode(Start::Wide, 0x97, 1, &mut out, |out| {
            out.extend_from_slice(text)
        });
        out.freeze()
    };
    assert_eq!(raw[..4], [0x78, 0x78, 0x00, 0x32]);
    for chunk in 1..raw.len() {
        assert_eq!(read(&raw, chunk).frames, std::slice::from_ref(&raw));
    }
    let frame = Frame::parse(raw.clone(), milepost_protocol_gt06::Framing::Checked).unwrap();
    let message = Message::decode(&frame, milepost_protocol_gt06::Dialect::default()).unwrap();
    assert_eq!(
        message.direction(),
        milepost_protocol_gt06::Direction::Server
    );
    assert_eq!(message.to_bytes(1), raw);
}

#[test]
fn foreign_protocols_are_named() {
    for (bytes, name) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "http"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
        (
            b"\x68\x68\x25\x00\x00\x01\x23\x45\x67\x89\x01\x23\x45\x00\x01\x10",
            "gt02",
        ),
        (
            b"(013612345678BR00080612A2232.9806N11404.9355E000.1022828000.0080000000L000230AA)",
            "tk103",
        ),
        (b"*HQ,865205030330012,V1,145452,A,2240.55181,N,#", "h02"),
        (b"##,imei:359586015829802,A;", "gps103"),
        (b"$Header,iTriangle,KA01", "ais140"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "proxy"),
    ] {
        for chunk in [1, 3, bytes.len()] {
            let seen = read(bytes, chunk);
            assert_eq!(seen.named.first(), Some(&name), "chunks of {chunk}");
        }
    }
}

/// Bytes that look like frames more often than chance would have it.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(vec![0x78, 0x78]),
        2 => Just(vec![0x79, 0x79]),
        3 => Just(vec![0x0d, 0x0a]),
        1 => Just(vec![0x79, 0x79, 0x00]),
        3 => proptest::collection::vec(any::<u8>(), 0..12),
        3 => (0_u8..40).prop_map(|b| vec![b]),
        2 => (0..conversation().len()).prop_map(|n| conversation()[n].to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_stream_panics_and_none_depends_on_its_chunks(stream in hostile(), chunk in 1_usize..50) {
        let whole = read(&stream, stream.len());
        prop_assert_eq!(read(&stream, 1).frames, whole.frames.clone());
        prop_assert_eq!(read(&stream, chunk).frames, whole.frames);
    }

    #[test]
    fn frames_around_any_garbage_are_found(garbage in hostile()) {
        // A run of frames after garbage: one may fall to a false start in it, the rest may not.
        let frames = conversation();
        let mut stream = garbage;
        for _ in 0..3 {
            stream.extend(frames.concat());
        }
        let seen = read(&stream, stream.len());
        let tail: Vec<&Bytes> = seen.frames.iter().rev().take(frames.len()).collect();
        let expected: Vec<&Bytes> = frames.iter().rev().collect();
        prop_assert_eq!(tail, expected);
    }
}
