//! Files that arrive in blocks, by a whole session: requests, acknowledgements, reports.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use allocation_counter::measure;
use bytes::Bytes;
use milepost_protocol_gt06::command::CommandError;
use milepost_protocol_gt06::field::{DateTime, TerminalId};
use milepost_protocol_gt06::media::Limits;
use milepost_protocol_gt06::message::{
    ExternalData, FileBlock, FileCheck, Heartbeat, Login, PhotoBlock, PhotoInfo, PhotoPart,
};
use milepost_protocol_gt06::normalize::{self, ReportSource};
use milepost_protocol_gt06::{
    AckPolicy, CardJudge, Dialect, Frame, Framing, Handled, Message, Profile, ReplyClass, Session,
    Start,
};
use milepost_telemetry::{Kind, Origin, Report, Timestamp};

const NOW: i64 = 1_700_000_000;

fn frame(message: impl Into<Message>, serial: u16) -> Frame {
    Frame::parse(message.into().to_bytes(serial), Framing::Checked).unwrap()
}

/// Hands a message to the session and gives what came of it, with all reports.
fn hand(session: &mut Session, message: impl Into<Message>, now: i64) -> (Handled, Vec<Report>) {
    let frame = frame(message, 5);
    let handled = session.on_frame(&frame, now);
    let message = handled.message.clone().unwrap();
    let (profile, source) = (Profile::default(), ReportSource::new(None, None));
    let origin = Origin::default();
    let at = Timestamp::from_unix(now);
    let cx = normalize::Context::new(frame.head(), &profile, &source, at, origin);
    let mut reports = Vec::new();
    normalize::normalize(&message, &cx, &mut reports);
    if let Some(upload) = &handled.upload {
        normalize::normalize_upload(&message, upload, &cx, &mut reports);
    }
    (handled, reports)
}

fn info(photo: u32, size: usize) -> PhotoInfo {
    PhotoInfo {
        time: DateTime::from_unix(NOW).unwrap(),
        fix: 1,
        raw_latitude: 0,
        raw_longitude: 0,
        camera: 1,
        source: 0,
        format: 0,
        size: u32::try_from(size).unwrap(),
        photo,
        tail: Bytes::new(),
    }
}

fn block(photo: u32, offset: usize, data: &[u8]) -> PhotoBlock {
    PhotoBlock {
        start: Start::Long,
        photo,
        offset: u32::try_from(offset).unwrap(),
        data: Bytes::copy_from_slice(data),
    }
}

/// A part of a photo of six bytes.
fn part(part: u16, data: &'static [u8]) -> PhotoPart {
    PhotoPart {
        serial_number: [1; 8],
        unix: 1_700_000_000,
        raw_latitude: 0,
        raw_longitude: 0,
        unknown: [0; 6],
        cell: [0; 8],
        media: 9,
        total: 6,
        kind: 0,
        format: 0,
        event: 0,
        part,
        data: Bytes::from_static(data),
    }
}

fn login(digits: &str) -> Login {
    Login {
        id: TerminalId::from_digits(digits).unwrap(),
        ..Login::default()
    }
}

/// The request in a reply: photo, offset, length.
fn request(handled: &Handled) -> Option<(u32, u32, u16)> {
    let reply = handled.reply.as_ref()?;
    assert_eq!(
        reply.class,
        ReplyClass::WhenDelivered,
        "the next block, when this one is safe"
    );
    let frame = Frame::parse(reply.bytes.clone(), Framing::Checked)?;
    match Message::decode(&frame, Dialect::default()).unwrap() {
        Message::PhotoRequest(r) => Some((r.photo, r.offset, r.len)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_photo_is_asked_for_block_by_block_and_reported_whole() {
    let photo: Vec<u8> = (0..2_500_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut session = Session::new(AckPolicy::default());
    let (handled, reports) = hand(&mut session, info(7, photo.len()), NOW);
    assert_eq!(reports.len(), 1);
    let mut next = request(&handled);
    let mut whole = None;
    let mut blocks = 0;
    while let Some((id, offset, len)) = next {
        let (from, to) = (offset as usize, offset as usize + usize::from(len));
        let (handled, mut reports) = hand(&mut session, block(id, from, &photo[from..to]), NOW);
        let part = reports.remove(0).more.media.clone().unwrap();
        assert!(
            !part.complete && part.data == photo[from..to],
            "each block is a report"
        );
        whole = reports.pop();
        next = request(&handled);
        blocks += 1;
    }
    assert_eq!(blocks, 3);
    let whole = whole.unwrap();
    assert_eq!(whole.kind, Kind::Media);
    let media = whole.more.media.clone().unwrap();
    assert!(media.complete);
    assert_eq!((&*media.id, media.size), ("7", Some(2_500)));
    assert_eq!(media.data, photo);
}

#[test]
fn a_lost_block_is_asked_for_again() {
    let mut session = Session::new(AckPolicy::default());
    hand(&mut session, info(7, 3_000), NOW);
    let (handled, _) = hand(&mut session, block(7, 1_024, &[1; 1_024]), NOW);
    assert_eq!(request(&handled), Some((7, 0, 1_024)));
    let (handled, _) = hand(&mut session, block(7, 0, &[0; 1_024]), NOW);
    assert_eq!(request(&handled), Some((7, 2_048, 952)));
}

#[test]
fn a_device_that_answers_with_what_is_known_is_not_asked_for_ever() {
    let known = block(7, 0, &[0; 1_024]);
    let behind_the_end = block(7, 3_000, b"x");
    for answer in [known.clone(), behind_the_end] {
        let mut session = Session::new(AckPolicy::default());
        hand(&mut session, info(7, 3_000), NOW);
        let mut now = NOW;
        let mut asked = |message: &PhotoBlock| {
            now += 5;
            let (handled, _) = hand(&mut session, message.clone(), now);
            request(&handled)
        };
        assert_eq!(asked(&known), Some((7, 1_024, 1_024)));
        for n in 1..8 {
            assert_eq!(asked(&answer), Some((7, 1_024, 1_024)), "{n}");
        }
        assert_eq!(asked(&answer), None);
        // It has come to its senses.
        let next = block(7, 1_024, &[1; 1_024]);
        assert_eq!(asked(&next), Some((7, 2_048, 952)));
    }
}

#[test]
fn a_block_that_comes_twice_makes_not_all_that_follow_come_twice() {
    let mut session = Session::new(AckPolicy::default());
    hand(&mut session, info(7, 3_000), NOW);
    let mut asked = |offset: usize, now| {
        let (handled, _) = hand(&mut session, block(7, offset, &[0; 1_024]), now);
        request(&handled)
    };
    let (second, third) = (Some((7, 1_024, 1_024)), Some((7, 2_048, 952)));
    // The store stalls, and no request comes: the device repeats its block.
    assert_eq!(asked(0, NOW), second);
    assert_eq!(asked(0, NOW + 10), second, "or else it would wait for ever");
    // Both come when the stall is over, and both are answered.
    assert_eq!(asked(1_024, NOW + 20), third);
    assert_eq!(asked(1_024, NOW + 20), None);
}

#[test]
fn an_upload_that_never_ends_is_given_up_and_reported() {
    let mut session = Session::new(AckPolicy::default());
    hand(&mut session, info(7, 3_000), NOW);
    hand(&mut session, block(7, 0, &[0; 1_024]), NOW + 1);
    let beat = Heartbeat::new(milepost_protocol_gt06::field::TerminalInfo(0), 6, 4);
    let (handled, _) = hand(&mut session, beat.clone(), NOW + 600);
    assert_eq!(
        handled.upload, None,
        "ten minutes have not passed since the last block"
    );
    let (_, reports) = hand(&mut session, beat.clone(), NOW + 602);
    let media = reports[1].more.media.as_ref().unwrap();
    assert_eq!(
        (&*media.id, media.size, media.complete),
        ("7", Some(3_000), false)
    );
    assert_eq!(&*reports[1].more.signals[0].name, "upload_abandoned");
    let (handled, reports) = hand(&mut session, beat, NOW + 603);
    assert_eq!((handled.upload, reports.len()), (None, 1), "once");
}

#[test]
fn a_photo_too_large_to_hold_is_not_requested_and_reported() {
    let mut session = Session::new(AckPolicy::default());
    let (handled, reports) = hand(&mut session, info(7, 1 << 30), NOW);
    assert_eq!(handled.reply, None);
    assert_eq!(reports.len(), 2);
    assert_eq!(&*reports[1].more.signals[0].name, "upload_abandoned");
}

#[test]
fn a_block_of_a_photo_nobody_announced_is_stored_and_no_more_is_asked_for() {
    let mut session = Session::new(AckPolicy::default());
    let (handled, reports) = hand(&mut session, block(7, 0, b"abc"), NOW);
    assert_eq!((handled.reply, reports.len()), (None, 1));
}

#[test]
fn parts_with_circumstances_are_acknowledged_and_put_together() {
    let mut session = Session::new(AckPolicy::default());
    let (handled, reports) = hand(&mut session, part(0, b"abc"), NOW);
    assert_eq!(handled.reply.unwrap().class, ReplyClass::WhenDelivered);
    let (_, whole) = hand(&mut session, part(1, b"def"), NOW);
    assert_eq!((reports.len(), whole.len()), (1, 2));
    let ids = [&reports[0], &whole[0], &whole[1]].map(|report| report.id);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert_eq!(whole[1].more.media.as_ref().unwrap().data, b"abcdef"[..]);
}

#[test]
fn a_last_part_whose_acknowledgement_was_lost_is_no_upload_that_is_given_up() {
    let mut session = Session::new(AckPolicy::default());
    hand(&mut session, part(0, b"abc"), NOW);
    let (handled, reports) = hand(&mut session, part(1, b"def"), NOW);
    assert!(handled.upload.is_some());
    let (handled, repeated) = hand(&mut session, part(1, b"def"), NOW + 30);
    assert!(handled.reply.is_some(), "acknowledged again");
    let ids = [&reports, &repeated].map(|reports| reports[0].id);
    assert_eq!((ids[0], repeated.len()), (ids[1], 1), "the same fact");
    assert_eq!(session.on_close(), [], "the file is whole");
}

#[test]
fn a_recording_is_put_together_from_blocks_in_any_order() {
    let block = |offset, data: &'static [u8]| FileBlock {
        kind: 1,
        size: 6,
        check: FileCheck::Crc(1),
        offset,
        data: Bytes::from_static(data),
        mark: Bytes::from_static(&[0, 9]),
    };
    let mut session = Session::new(AckPolicy::default());
    hand(&mut session, block(3, b"def"), NOW);
    let (handled, reports) = hand(&mut session, block(0, b"abc"), NOW);
    assert_eq!(handled.reply, None);
    let media = reports[1].more.media.as_ref().unwrap();
    assert_eq!((&*media.id, &media.data[..]), ("sos-0009", &b"abcdef"[..]));
    let (_, reports) = hand(&mut session, block(0, b"abcdef"), NOW);
    assert_eq!(
        reports.len(),
        1,
        "a block that is the whole file is one report"
    );
    assert!(reports[0].more.media.as_ref().unwrap().complete);
}

#[test]
fn cards_are_accepted_unless_somebody_refuses_them() {
    let answer = |session: &mut Session| {
        let (handled, _) = hand(session, ExternalData::card("5900B48CEB"), NOW);
        hex::encode(handled.reply.unwrap().bytes)
    };
    let mut plain = Session::new(AckPolicy::default());
    assert!(answer(&mut plain).starts_with("797900079b0201"));
    let judge = CardJudge::new(|card| card != "5900B48CEB");
    let mut strict = Session::new(AckPolicy::default()).with_cards(judge);
    assert!(answer(&mut strict).starts_with("797900079b0200"));
}

#[test]
fn commands_count_their_own_serials_and_speak_the_devices_language() {
    let mut session = Session::new(AckPolicy::default());
    let first = session.command(1, "RELAY,1#").unwrap();
    assert_eq!(
        hex::encode(first),
        "787812800c0000000152454c41592c312300017edc0d0a"
    );
    let second = frame_of(session.command(2, "RELAY,1#").unwrap());
    assert_eq!(second.serial(), Some(2));
    assert!(session.command(3, "").is_err());
    assert_eq!(
        frame_of(session.command(3, "STATUS#").unwrap()).serial(),
        Some(3)
    );

    let mut profile = Profile::default();
    profile.command_language = Some(milepost_protocol_gt06::command::Language::English);
    session.on_identified(Some(profile));
    let Message::Command(command) = Message::decode(
        &frame_of(session.command(4, "STATUS#").unwrap()),
        Dialect::default(),
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!((command.flag, command.language), (4, Some(2)));
}

#[test]
fn relatives_without_serial_and_checksum_are_sent_no_commands() {
    let bare_login = hex::decode("78780d010123456789012345420d0a").unwrap();
    let bare_login = Frame::parse(bare_login.into(), Framing::Bare).unwrap();
    let mut session = Session::new(AckPolicy::default());
    assert!(session.command(1, "STATUS#").is_ok(), "nothing is known");
    assert!(session.on_frame(&bare_login, NOW).identify.is_some());
    session.on_identified(None);
    assert_eq!(session.command(2, "STATUS#"), Err(CommandError::NoCommands));
    let remembered = session.profile().clone();

    // By what is known of the device, until it logs in otherwise.
    let mut session = Session::new(AckPolicy::default());
    session.on_identified(Some(remembered.clone()));
    assert_eq!(session.command(3, "STATUS#"), Err(CommandError::NoCommands));
    hand(&mut session, login("123456789012345"), NOW);
    session.on_identified(Some(remembered));
    let frame = frame_of(session.command(4, "STATUS#").unwrap());
    assert_eq!(frame.serial(), Some(1), "refused ones are not counted");

    // Set by hand, whatever frames it sends.
    let mut profile = Profile::default();
    profile.configured_dialect = Some(Dialect::Topin);
    let mut session = Session::new(AckPolicy::default());
    session.on_identified(Some(profile));
    assert_eq!(session.command(5, "STATUS#"), Err(CommandError::NoCommands));
}

fn frame_of(raw: Bytes) -> Frame {
    Frame::parse(raw, Framing::Checked).unwrap()
}

#[test]
fn another_device_s_login_gives_up_what_the_one_before_has_begun() {
    let mut session = Session::new(AckPolicy::default());
    hand(&mut session, login("123456789012345"), NOW);
    hand(&mut session, info(7, 6), NOW);
    hand(&mut session, block(7, 0, b"abc"), NOW);
    // The same one again goes on.
    let (handled, _) = hand(&mut session, login("123456789012345"), NOW);
    assert_eq!(handled.upload, None);
    let (handled, reports) = hand(&mut session, login("543210987654321"), NOW);
    assert_eq!(handled.upload.unwrap().abandoned[0].held, 3);
    assert!(reports.iter().any(|report| report.kind == Kind::Media));
    let (handled, _) = hand(&mut session, block(7, 3, b"def"), NOW);
    assert_eq!(
        handled.upload, None,
        "nobody's file is made of two devices' blocks"
    );
}

#[test]
fn uploads_that_the_end_of_the_connection_cuts_off_are_named_once() {
    let mut session = Session::new(AckPolicy::default());
    assert_eq!(session.on_close(), []);
    hand(&mut session, login("123456789012345"), NOW);
    hand(&mut session, info(7, 6), NOW);
    hand(&mut session, block(7, 0, b"abc"), NOW);
    hand(&mut session, info(8, 9), NOW);
    hand(&mut session, info(9, 3), NOW);
    hand(&mut session, block(9, 0, b"abc"), NOW);
    let given_up: Vec<_> = session
        .on_close()
        .into_iter()
        .map(|upload| (upload.id.to_string(), upload.held, upload.total))
        .collect();
    let expected = [("image 7", 3, Some(6)), ("image 8", 0, Some(9))];
    assert_eq!(
        given_up,
        expected.map(|(id, held, total)| (id.to_owned(), held, total)),
        "that which was complete is not among them"
    );
    assert_eq!(session.on_close(), []);
}

#[test]
fn files_are_held_within_the_limits_that_are_given() {
    let mut limits = Limits::default();
    limits.bytes = 4;
    let mut session = Session::new(AckPolicy::default()).with_media_limits(limits);
    let (handled, _) = hand(&mut session, info(7, 4), NOW);
    assert_eq!(request(&handled), Some((7, 0, 4)));
    let (handled, reports) = hand(&mut session, info(8, 5), NOW);
    assert_eq!((handled.reply, reports.len()), (None, 2), "too large");
    hand(&mut session, block(7, 0, b"ab"), NOW);
    let (handled, _) = hand(&mut session, block(7, 2, b"cd"), NOW);
    assert_eq!(handled.upload.unwrap().completed.unwrap(), b"abcd"[..]);

    limits.bytes = 0;
    let mut session = Session::new(AckPolicy::default()).with_media_limits(limits);
    let (handled, reports) = hand(&mut session, info(7, 4), NOW);
    assert_eq!((handled.reply, reports.len()), (None, 2));
    let (handled, reports) = hand(&mut session, block(7, 0, b"ab"), NOW);
    assert_eq!((handled.upload, reports.len()), (None, 1));
    assert_eq!(session.on_close(), [], "nothing was held");
}

#[test]
fn what_blocks_of_a_byte_hold_beside_their_data_is_bounded() {
    let mut limits = Limits::default();
    (limits.files, limits.blocks) = (2, 1_000);
    let mut session = Session::new(AckPolicy::default()).with_media_limits(limits);
    let held = measure(|| {
        for n in 0..6_000 {
            let message = Message::from(block(n % 2, usize::try_from(n).unwrap(), b"x"));
            let handled = session.on_frame(&frame(message, 5), NOW);
            assert!(handled.message.is_ok());
        }
    });
    assert!(
        (2_000 * 50..=2_000 * 100).contains(&held.bytes_current),
        "{} bytes",
        held.bytes_current
    );
}
