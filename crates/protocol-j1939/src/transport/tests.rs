use super::*;
use crate::can::{CanFrame, CanId};
use crate::encode;
use proptest::prelude::*;
use std::vec::Vec;

const CI: Pgn = Pgn::CI;

fn push(r: &mut Reassembler, frame: &CanFrame, stamp: Stamp) {
    let id = J1939Id::new(frame.id()).unwrap();
    assert!(r.push(id, frame.data(), stamp));
}

fn drain(r: &mut Reassembler) -> Vec<Event> {
    core::iter::from_fn(|| r.poll()).collect()
}

fn messages(events: &[Event]) -> Vec<&Message> {
    let all = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message),
        Event::Failure(_) => None,
    });
    all.collect()
}

fn reasons(events: &[Event]) -> Vec<Reason> {
    let all = events.iter().filter_map(|event| match event {
        Event::Failure(failure) => Some(failure.reason),
        Event::Message(_) => None,
    });
    all.collect()
}

fn ms(millis: u64) -> Stamp {
    Stamp::exact(CanTime(1_000_000_000 + millis * 1_000))
}

/// Feeds frames in order, 50 ms apart.
fn run(frames: &[CanFrame]) -> Vec<Event> {
    let mut r = Reassembler::default();
    for (frame, n) in frames.iter().zip(0..) {
        push(&mut r, frame, ms(n * 50));
    }
    r.advance(ms(1_000_000));
    drain(&mut r)
}

fn frame(raw: u32, data: &str) -> CanFrame {
    CanFrame::new(CanId::Extended(raw), &hex::decode(data).unwrap()).unwrap()
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|n| seed.wrapping_add(u8::try_from(n * 11 % 251).unwrap()))
        .collect()
}

#[test]
fn every_form_and_length_arrives_whole() {
    for len in [9, 14, 15, 1785] {
        let data = bytes(len, 1);
        let events = run(&encode::broadcast(3, CI, &data).unwrap());
        assert_eq!(messages(&events)[0].data, data);
        assert_eq!(messages(&events)[0].destination, GLOBAL);
        let events = run(&encode::addressed(3, 0xF9, CI, &data).unwrap());
        assert_eq!(messages(&events)[0].data, data);
        assert_eq!(events.len(), 1);
    }
    for len in [1786, 2000, 4000] {
        let data = bytes(len, 1);
        let events = run(&encode::extended(3, 0xF9, CI, &data).unwrap());
        assert_eq!(messages(&events)[0].data, data);
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn wrong_announcements_open_nothing() {
    for (id, data) in [
        (0x1CEC_FF00, "20140002FFCAFE00"), // 20 bytes take 3 packets
        (0x1CEC_FF00, "20140004FFCAFE00"),
        (0x1CEC_FF00, "20080002FFCAFE00"), // too short
        (0x1CEC_FF00, "20FA06FFFFCAFE00"), // 1786
        (0x1CEC_2100, "20140003FFCAFE00"), // a broadcast to one
        (0x1CEC_FF00, "10140003FFCAFE00"), // a request to all
        (0x1CC8_2100, "14F9060000CAFE00"), // 1785 by the extended protocol
        (0x1CC8_2100, "14FFFFFFFFCAFE00"),
    ] {
        let mut r = Reassembler::default();
        push(&mut r, &frame(id, data), ms(0));
        assert_eq!(r.sessions(), 0, "{data}");
        let events = drain(&mut r);
        assert!(matches!(reasons(&events)[..], [Reason::Refused { .. }]));
    }
}

#[test]
fn both_sides_can_abort() {
    for (id, by_sender) in [(0x1CEC_F900, true), (0x1CEC_00F9, false)] {
        let mut r = Reassembler::default();
        push(&mut r, &frame(0x1CEC_F900, "102C0007FFEBFE00"), ms(0));
        // An abort of another group ends nothing.
        push(&mut r, &frame(id, "FF03FFFFFFECFE00"), ms(5));
        assert_eq!(r.sessions(), 1);
        push(&mut r, &frame(id, "FF03FFFFFFEBFE00"), ms(10));
        let code = 3;
        let events = drain(&mut r);
        assert_eq!(reasons(&events), [Reason::Aborted { code, by_sender }]);
        assert_eq!(r.bytes(), 0);
    }
}

#[test]
fn an_addressed_message_is_repaired_by_a_retransmission() {
    let data = bytes(28, 1);
    let all = encode::addressed(3, 0xF9, CI, &data).unwrap();
    let [rts, cts, p1, p2, p3, p4, end] = all[..] else {
        panic!("seven frames")
    };
    let again = frame(0x1CEC_03F9, "110102FFFFEBFE00");
    let events = run(&[rts, cts, p1, p3, p4, again, p2, end]);
    assert_eq!(messages(&events)[0].data, data);
    // Without the request, a number that goes back is of another message.
    let events = run(&[rts, cts, p1, p3, p4, p2, end]);
    assert_eq!(reasons(&events), [Reason::Contradiction]);
}

#[test]
fn a_broadcast_never_takes_a_repeat_with_other_bytes() {
    let a = encode::broadcast(0, CI, &bytes(40, 1)).unwrap();
    let b = encode::broadcast(0, CI, &bytes(40, 90)).unwrap();
    let events = run(&[a[0], a[1], a[2], b[2], b[3], b[4], b[5], b[6]]);
    assert_eq!(reasons(&events), [Reason::Contradiction]);
    // The same packet twice is a duplicate.
    let events = run(&[a[0], a[1], a[2], a[2], a[3], a[4], a[5], a[6]]);
    assert_eq!(messages(&events).len(), 1);
}

#[test]
fn packets_are_sorted_by_their_stamps_across_an_announcement() {
    let a = encode::broadcast(0, CI, &bytes(14, 1)).unwrap();
    let b = encode::broadcast(0, Pgn::DM1, &bytes(14, 90)).unwrap();
    let at = |micros: u64| Stamp::exact(CanTime(5_000_000 + micros));
    let mut r = Reassembler::default();
    push(&mut r, &a[0], at(0));
    push(&mut r, &a[1], at(50_000));
    push(&mut r, &b[0], at(100_300));
    push(&mut r, &a[2], at(100_000));
    push(&mut r, &b[1], at(150_300));
    push(&mut r, &b[2], at(200_300));
    let events = drain(&mut r);
    let pgns: Vec<_> = messages(&events).iter().map(|m| m.pgn).collect();
    assert_eq!(pgns, [CI, Pgn::DM1]);
    assert_eq!((events.len(), r.bytes()), (2, 0));
}

#[test]
fn neighbours_in_the_wrong_order_are_sorted_by_their_stamps() {
    let data = bytes(21, 1);
    let all = encode::broadcast(0, CI, &data).unwrap();
    for (stamps, whole) in [([0, 50, 107, 100], true), ([0, 50, 100, 107], false)] {
        let mut r = Reassembler::default();
        for (n, stamp) in [0, 1, 3, 2].into_iter().zip(stamps) {
            push(&mut r, &all[n], ms(stamp));
        }
        assert_eq!(messages(&drain(&mut r)).len() == 1, whole);
    }
}

#[test]
fn a_silent_session_times_out_on_the_clock_of_its_frames() {
    let all = encode::broadcast(0, CI, &bytes(21, 1)).unwrap();
    let mut r = Reassembler::default();
    push(&mut r, &all[0], ms(0));
    push(&mut r, &all[1], ms(50));
    r.advance(ms(790));
    assert_eq!(drain(&mut r), []);
    r.advance(ms(950));
    assert_eq!(reasons(&drain(&mut r)), [Reason::TimedOut]);
    // Without stamps a gateway may hold frames back much longer.
    let estimated = |millis| Stamp::estimated(ms(millis).at);
    for (frame, millis) in all.iter().zip([0, 0, 2_000, 4_000]) {
        push(&mut r, frame, estimated(millis));
    }
    assert_eq!(messages(&drain(&mut r)).len(), 1);
}

#[test]
fn memory_is_bounded_when_sessions_are_opened_and_never_finished() {
    let limits = Limits::default();
    let mut r = Reassembler::new(limits);
    let mut evicted = 0;
    for round in 0..4u64 {
        for source in 0..250u8 {
            for destination in [0xFFu8, 0, 0x21] {
                let extended = destination == 0x21;
                let id = if extended { 0x1CC8_0000 } else { 0x1CEC_0000 };
                let id = id | u32::from(destination) << 8 | u32::from(source);
                let data = match destination {
                    0xFF => "20F906FFFFCAFE00",
                    0 => "10F906FFFFCAFE00",
                    _ => "1400F00100CAFE00",
                };
                push(&mut r, &frame(id, data), ms(round));
                assert!(r.sessions() <= limits.sessions);
                assert!(r.bytes() <= limits.bytes);
                evicted += drain(&mut r).len();
            }
        }
    }
    assert!(evicted > 2_000);
    r.advance(ms(100_000));
    assert_eq!((r.sessions(), r.bytes()), (0, 0));
}

/// Two or three messages of the same sender, one after the other.
fn conversation(
    lens: &[usize],
    addressed: bool,
    same_start: bool,
) -> (Vec<Vec<u8>>, Vec<CanFrame>) {
    let mut sent = Vec::new();
    let mut frames = Vec::new();
    for (len, n) in lens.iter().zip(1u8..) {
        let mut data = bytes(*len, n * 60);
        if same_start {
            data[..7].fill(9);
        }
        frames.extend(if addressed {
            encode::addressed(0, 0xF9, CI, &data).unwrap()
        } else {
            encode::broadcast(0, CI, &data).unwrap()
        });
        sent.push(data);
    }
    (sent, frames)
}

#[test]
fn no_loss_whatsoever_mixes_two_broadcasts_or_two_addressed_messages() {
    for addressed in [false, true] {
        for same_start in [false, true] {
            for lens in [[14usize, 14], [21, 21], [21, 20], [14, 21]] {
                let (sent, frames) = conversation(&lens, addressed, same_start);
                for kept in 0u32..1 << frames.len() {
                    let mut r = Reassembler::default();
                    for (frame, n) in frames.iter().zip(0u32..) {
                        if kept >> n & 1 == 1 {
                            push(&mut r, frame, ms(u64::from(n) * 50));
                        }
                    }
                    for message in messages(&drain(&mut r)) {
                        assert!(sent.contains(&message.data), "{kept:b} {:?}", message.data);
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_delivered_was_sent(
        lens in proptest::collection::vec(9usize..40, 1..4),
        addressed: bool,
        same_start: bool,
        kept in proptest::collection::vec(proptest::bool::weighted(0.8), 40),
        // How far a frame is handed over behind its place.
        late in proptest::collection::vec(0usize..3, 40),
    ) {
        let (sent, frames) = conversation(&lens, addressed, same_start);
        let mut order: Vec<(usize, usize)> =
            (0..frames.len()).map(|n| (n + late[n % late.len()], n)).collect();
        order.sort_unstable();
        let mut r = Reassembler::default();
        for (_, n) in order {
            if kept[n % kept.len()] {
                push(&mut r, &frames[n], ms(n as u64 * 50));
            }
        }
        for message in messages(&drain(&mut r)) {
            prop_assert!(sent.contains(&message.data));
        }
    }

    #[test]
    fn no_frame_whatsoever_breaks_it(
        frames in proptest::collection::vec(
            (0usize..4, 0u8..3, 0u8..3, proptest::collection::vec(any::<u8>(), 0..=8), 0u64..2_000_000, any::<bool>()),
            0..200,
        ),
    ) {
        let limits = Limits { sessions: 4, bytes: 8_000, extended_len: 5_000 };
        let mut r = Reassembler::new(limits);
        for (pgn, source, destination, mut data, at, estimated) in frames {
            let pgn = [Pgn::TP_CM, Pgn::TP_DT, Pgn::ETP_CM, Pgn::ETP_DT][pgn];
            if let Some(first) = data.first_mut() {
                *first %= 34;
            }
            let id = J1939Id { priority: 7, pgn, source, destination };
            r.push(id, &data, Stamp { at: CanTime(at), estimated });
            prop_assert!(r.sessions() <= 4 && r.bytes() <= 8_000);
        }
        let events = drain(&mut r);
        for message in messages(&events) {
            prop_assert!(message.data.len() >= 9);
        }
    }
}
