//! Packets as one stream: cut anywhere, damaged anywhere, with garbage between.
#![cfg(all(feature = "simulate", feature = "telemetry"))]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_ais140::simulate::{Packet, State, Vehicle};
use milepost_protocol_ais140::{
    Checksum, Dialects, Frame, FrameError, Imei, Known, LONGEST_BATCH, Message, Session,
};
use proptest::prelude::*;

const STATE: State = State {
    unix: 1_709_619_330,
    latitude: 12.976545,
    longitude: 77.549759,
    speed: 32.5,
    course: 118.0,
    ignition: true,
    emergency: false,
};

/// A packet of each kind in each dialect, without line end.
fn packets() -> Vec<Vec<u8>> {
    let dialects = Dialects::builtin();
    let mut all = Vec::new();
    // The forms without `$` have no end mark that could stand beside another packet.
    let of_text = |name: &str| !matches!(name, "cdac" | "transync");
    for dialect in dialects.iter().filter(|dialect| of_text(dialect.name())) {
        let imei = Imei::new(123_456_789_012_347);
        let mut vehicle = Vehicle::new(&dialects, dialect.name(), imei).unwrap();
        for packet in [
            Packet::Login,
            Packet::Position,
            Packet::History,
            Packet::Alert(10),
            Packet::Emergency,
            Packet::Health,
        ] {
            if let Ok(bytes) = vehicle.packet(packet, &STATE) {
                all.push(bytes.trim_ascii_end().to_vec());
            }
        }
    }
    all.push(
        b"$,CP,ATL,1,EA,10,H,123456789012347,,1,31032019,140054,28.5,N,77.2,E,0.0,1,**".into(),
    );
    all.push(b"$KA01AB1234$123456789012347$2.3.1$1.1$13.082680$N$80.270718$E$".into());
    all.push(
        b"$,BTH,123456789012347,002,$,01,L,1,070826,093000,13.0,N,80.2,E,404,045,1A2B,12345678,\
          048.50,135.25,12,01,27,1,1,M,0018.70,AIRTEL,$,02,H,1,070826,092900,13.0,N,80.2,E,404,045,\
          1A2A,12345679,032.75,120.50,10,02,24,1,1,M,0017.90,AIRTEL*"
            .into(),
    );
    all
}

fn frames(stream: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let mut session = Session::default();
    let mut src = BytesMut::new();
    let mut found = Vec::new();
    let mut skipped = 0;
    let mut take = |session: &mut Session, src: &mut BytesMut| {
        loop {
            match session.next_frame(src) {
                Ok(Some(frame)) => found.push(frame.raw().to_vec()),
                Ok(None) => break,
                Err(FrameError::Skipped { bytes, .. }) => skipped += bytes,
                Err(_) => unreachable!("no other errors"),
            }
        }
    };
    for part in stream.chunks(chunk) {
        src.extend_from_slice(part);
        take(&mut session, &mut src);
        assert!(src.len() <= LONGEST_BATCH + chunk);
    }
    session.finish();
    take(&mut session, &mut src);
    assert!(src.is_empty());
    assert!(found.iter().map(Vec::len).sum::<usize>() + skipped <= stream.len());
    found
}

#[test]
fn every_chunk_size_gives_the_same_packets() {
    let packets = packets();
    for separator in [&b"\r\n"[..], b"\n", b""] {
        let stream = packets.join(separator);
        let expected = frames(&stream, stream.len());
        assert_eq!(expected, packets);
        for chunk in 1..=64 {
            assert_eq!(frames(&stream, chunk), packets, "{separator:?} {chunk}");
        }
    }
}

#[test]
fn one_damaged_byte_costs_no_neighbour() {
    let packets = packets();
    for separator in [&b"\r\n"[..], b""] {
        // Three in a row: the one in the middle is damaged.
        for three in packets.windows(3) {
            let [before, damaged, after] = three else {
                unreachable!()
            };
            for at in 0..damaged.len() {
                for new in [b'x', b'$', b'*', b',', b'\n', 0, 0xff] {
                    let mut bad = damaged.clone();
                    bad[at] = new;
                    let stream = [&before[..], &bad, after].join(separator);
                    let found = frames(&stream, stream.len());
                    let shown = String::from_utf8_lossy(&stream).into_owned();
                    let first = found.first().unwrap();
                    let last = found.last().unwrap();
                    // Without line ends a packet that begins with another byte is what the one
                    // before it ends with, if that has no end mark of its own; and `,**` ends with
                    // a checksum of one raw byte, after which words may follow.
                    let is_glued = separator.is_empty() && at < 2;
                    let may_go_on = new == b'*' || new == b',' && before.ends_with(b"**");
                    let is_open = !before.contains(&b'*') || may_go_on;
                    assert!(
                        is_glued && is_open || first == before,
                        "{at} {new}: {shown}"
                    );
                    // A `$` in its last item begins what looks like a login separated by `$`.
                    let rest = &damaged[at + 1..];
                    let is_last = !rest.strip_suffix(b",").unwrap_or(rest).contains(&b',');
                    let open_end = separator.is_empty() && new == b'$' && is_last;
                    assert!(open_end || last == after, "{at} {new}: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_damaged_packet_is_a_mismatch_once_its_rule_is_certain() {
    let dialects = Dialects::builtin();
    let imei = Imei::new(123_456_789_012_347);
    for name in ["roadpoint", "itriangle", "m2c", "rlp", "nic"] {
        let mut vehicle = Vehicle::new(&dialects, name, imei).unwrap();
        let mut session = Session::default();
        let mut verdict = |bytes: &[u8]| {
            let frame = Frame::new(bytes.trim_ascii_end().to_vec().into());
            let mut handled = session.on_frame(&frame, STATE.unix);
            if handled.identify.is_some() {
                session.on_identified(None);
                handled = session.on_frame(&frame, STATE.unix);
            }
            (handled.checksum, handled.message.is_ok())
        };
        for _ in 0..2 {
            let good = vehicle.packet(Packet::Position, &STATE).unwrap();
            assert_eq!(verdict(&good), (Checksum::Valid, true), "{name}");
        }
        let mut bad = vehicle.packet(Packet::Position, &STATE).unwrap().to_vec();
        let speed = bad.windows(4).position(|w| w == b"32.5").unwrap();
        bad[speed] = b'4';
        assert_eq!(verdict(&bad), (Checksum::Mismatch, true), "{name}");
    }
}

#[test]
fn every_byte_is_explained_once() {
    let dialects = Dialects::builtin();
    for packet in packets() {
        for end in [packet.len(), packet.len() / 2, packet.len() / 3] {
            let frame = Frame::new(packet[..end].to_vec().into());
            let (_, parts) = Message::explain(&frame, &dialects, &Known::default());
            let mut at = 0;
            for part in &parts {
                assert_eq!(part.range.start, at, "{part}");
                assert_eq!(part.raw[..], packet[part.range.clone()]);
                at = part.range.end;
            }
            assert_eq!(at, end, "{}", String::from_utf8_lossy(&packet));
        }
    }
}

proptest! {
    #[test]
    fn garbage_before_and_between_costs_no_packet(
        garbage in proptest::collection::vec(
            proptest::collection::vec(any::<u8>().prop_filter("may begin a packet", |b| {
                !b"$:^@[vANECLFBH".contains(b)
            }), 0..20),
            3,
        ),
        chunk in 1..100_usize,
    ) {
        let packets = packets();
        let three = [&packets[0], &packets[1], &packets[4]];
        let mut stream = Vec::new();
        for (noise, packet) in garbage.iter().zip(three) {
            stream.extend_from_slice(noise);
            stream.extend_from_slice(b"\n");
            stream.extend_from_slice(packet);
            stream.extend_from_slice(b"\n");
        }
        let found = frames(&stream, chunk);
        for packet in three {
            prop_assert!(found.contains(packet));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let frame = Frame::new(bytes.clone().into());
        let dialects = Dialects::builtin();
        let (_, parts) = Message::explain(&frame, &dialects, &Known::default());
        prop_assert_eq!(parts.iter().map(|p| p.raw.len()).sum::<usize>(), bytes.len());
        frames(&bytes, 7);
    }

    #[test]
    fn no_damaged_packet_panics(
        at in 0..400_usize, new in any::<u8>(), which in 0..60_usize, cut in 0..400_usize
    ) {
        let packets = packets();
        let mut bytes = packets[which % packets.len()].clone();
        let len = bytes.len();
        bytes[at % len] = new;
        bytes.truncate(len - cut % len);
        let mut session = Session::default();
        let frame = Frame::new(bytes.into());
        let handled = session.on_frame(&frame, 0);
        if handled.identify.is_some() {
            session.on_identified(None);
            let _ = session.on_frame(&frame, 0);
        }
    }
}
