//! Conversations with the relatives without serial and checksum (Topin, ZX303, 365GPS).
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_gt06::field::TerminalId;
use milepost_protocol_gt06::message::Login;
use milepost_protocol_gt06::{
    AckPolicy, Checksum, Deframer, Dialect, Framing, Handled, Message, ReplyClass, Session,
};

/// LEN is 13 whatever the size is, as devices send it.
const LOGIN: &str = "78780d01 0123456789012345 42 0d0a";

/// As from a socket: the pause is what ends the first frame, since its length announces more.
fn talk(session: &mut Session, stream: &mut BytesMut) -> Handled {
    let frame = match session.next_frame(stream).unwrap() {
        Some(frame) => frame,
        None => {
            session.on_pause();
            session.next_frame(stream).unwrap().unwrap()
        }
    };
    session.on_frame(&frame, 1_451_347_221)
}

#[test]
fn a_whole_conversation_is_answered_byte_by_byte() {
    let mut session = Session::new(AckPolicy::default());
    let mut stream = BytesMut::new();
    for (sent, answered, class) in [
        (LOGIN, "78780d01 01 0d0a", Some(ReplyClass::Now)),
        ("78780108 0d0a", "", None),
        (
            "78780613 55230803 0d0a",
            "78780613 55230803 0d0a",
            Some(ReplyClass::Now),
        ),
        (
            "78780130 0d0a",
            "78780730 07df0c1d000015 0d0a",
            Some(ReplyClass::Now),
        ),
        (
            "78781210 11091c0b1b29 99 058508040097a89e003452 0d0a",
            "78781210 11091c0b1b29 0d0a",
            Some(ReplyClass::WhenDelivered),
        ),
        (
            "78780169 160413031849 02005e10000132 0101cc00 28660f2132 0d0a",
            "78780169 160413031849 0d0a",
            Some(ReplyClass::WhenDelivered),
        ),
        // Its terminal gets no answer: an echo would reset it.
        ("78780115 0d0a", "", None),
    ] {
        stream.extend_from_slice(&hex::decode(sent.replace(' ', "")).unwrap());
        let handled = talk(&mut session, &mut stream);
        assert!(stream.is_empty(), "{sent}");
        let reply = handled.reply;
        assert_eq!(reply.as_ref().map(|reply| reply.class), class, "{sent}");
        let bytes = reply
            .map(|reply| hex::encode(reply.bytes))
            .unwrap_or_default();
        assert_eq!(bytes, answered.replace(' ', ""), "{sent}");
        if sent == LOGIN {
            assert!(handled.identify.is_some());
            assert!(session.on_identified(None), "something was learned");
        }
    }
    let profile = session.profile();
    assert_eq!(
        (profile.dialect(), profile.bare_frames),
        (Dialect::Topin, true)
    );
    assert_eq!(
        session.id().map(|id| id.to_string()).as_deref(),
        Some("123456789012345")
    );
}

#[test]
fn a_login_with_a_checksum_ends_what_was_known_about_frames_without() {
    let mut session = Session::new(AckPolicy::default());
    let mut stream = BytesMut::from(&hex::decode(LOGIN.replace(' ', "")).unwrap()[..]);
    talk(&mut session, &mut stream);
    session.on_identified(None);
    let known = session.profile().clone();

    let checked = Message::from(Login {
        id: TerminalId::from_digits("123456789012345").unwrap(),
        ..Default::default()
    });
    stream.extend_from_slice(&checked.to_bytes(1));
    talk(&mut session, &mut stream);
    session.on_identified(Some(known));
    assert!(!session.profile().bare_frames);
    assert_eq!(session.profile().dialect, None);
}

#[test]
fn a_wrong_checksum_makes_no_relative_of_a_device_that_has_one() {
    let mut session = Session::new(AckPolicy::default());
    let login = Message::from(Login {
        id: TerminalId::from_digits("123456789012345").unwrap(),
        ..Default::default()
    });
    let mut stream = BytesMut::from(&login.to_bytes(1)[..]);
    talk(&mut session, &mut stream);
    session.on_identified(None);
    for (sent, name, checksum, reply) in [
        // A heartbeat of L 08, a cell of L 13: as long as a status and a position of theirs.
        (
            "78780813 460604 0051 be49 0d0a",
            "heartbeat",
            Checksum::Mismatch,
            "7878051300 51bb74 0d0a",
        ),
        (
            "78781311 1a0b1c0a141e 01cc00287d001f71 0001 81f1 0d0a",
            "cell",
            Checksum::Mismatch,
            "",
        ),
        // One that has their form alone is read so, and changes nothing for the next.
        (
            "78780613 55230803 0d0a",
            "topin_status",
            Checksum::Absent,
            "78780613 55230803 0d0a",
        ),
        (
            "78780a13 4606040001 0052 0000 0d0a",
            "heartbeat",
            Checksum::Mismatch,
            "78780513 0052 89ef 0d0a",
        ),
    ] {
        stream.extend_from_slice(&hex::decode(sent.replace(' ', "")).unwrap());
        session.on_pause();
        let frame = session.next_frame(&mut stream).unwrap().expect("whole");
        assert_eq!(frame.checksum(), checksum, "{sent}");
        let handled = session.on_frame(&frame, 0);
        assert_eq!(handled.message.unwrap().name(), name, "{sent}");
        let bytes = handled.reply.map(|reply| hex::encode(reply.bytes));
        assert_eq!(bytes.unwrap_or_default(), reply.replace(' ', ""), "{sent}");
        assert_eq!(session.profile().dialect, None, "{sent}");
    }
}

#[test]
fn frames_that_follow_each_other_are_found_in_any_cut() {
    let whole: Vec<u8> = [
        LOGIN,
        "78780613 55230803 0d0a",
        "78780169 160413031849 02005e10000132 0101cc00 28660f2132 0d0a",
        "78781210 11091c0b1b29 99 058508040097a89e003452 0d0a",
        "78780194 0d0a",
        "78780114 0d0a",
    ]
    .iter()
    .flat_map(|frame| hex::decode(frame.replace(' ', "")).unwrap())
    .collect();
    for size in 1..=whole.len() {
        let (mut deframer, mut stream) = (Deframer::new(), BytesMut::new());
        let mut numbers = Vec::new();
        for chunk in whole.chunks(size) {
            stream.extend_from_slice(chunk);
            while let Some(frame) = deframer.next_frame(&mut stream).unwrap() {
                assert_eq!(frame.serial(), None);
                numbers.push(frame.number());
            }
        }
        assert_eq!(
            numbers,
            [0x01, 0x13, 0x69, 0x10, 0x94, 0x14],
            "chunks of {size}"
        );
    }
}

#[test]
fn it_is_found_without_a_pause_although_its_length_announces_more() {
    let mut deframer = Deframer::new();
    deframer.set_framing(Framing::Bare);
    for body in ["55230803", "55230803 40", "55230803 40 aa"] {
        let hex = format!("787808 13 {body} 0d0a").replace(' ', "");
        let mut stream = BytesMut::from(&hex::decode(hex).unwrap()[..]);
        let frame = deframer.next_frame(&mut stream).unwrap().unwrap();
        assert_eq!((frame.number(), stream.len()), (0x13, 0), "{body}");
    }
}
