//! Whose zone a device's times are in, through a whole session.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::{BufMut, BytesMut};
use milepost_protocol_gt06::normalize::{self, Context, ReportSource};
use milepost_protocol_gt06::{AckPolicy, Profile, Session, Start, frame};
use milepost_telemetry::{Origin, Report, Timestamp, Zone};

const NOW: i64 = 1_763_622_000;
/// The login of a device that names the zone +8:00.
const LOGIN: &[u8] =
    b"\x78\x78\x11\x01\x07\x52\x53\x36\x78\x90\x02\x42\x70\x00\x32\x01\x00\x05\x12\x79\x0d\x0a";

/// A 0x12 location whose clock shows `unix`, with or without the flag of stored ones.
fn location(unix: i64, stored: Option<bool>) -> BytesMut {
    let (year, month, day, hour, minute, second) = Timestamp::from_unix(unix).to_civil();
    let mut out = BytesMut::new();
    frame::encode(Start::Short, 0x12, 1, &mut out, |out| {
        out.put_u8(u8::try_from(year - 2000).unwrap());
        out.put_slice(&[month, day, hour, minute, second]);
        out.put_slice(&[
            0xc9, 0x02, 0x7a, 0xc8, 0x18, 0x0c, 0x46, 0x58, 0x60, 0, 0x14, 0,
        ]);
        out.put_slice(&[0x01, 0xcc, 0, 0x28, 0x7d, 0, 0x1f, 0x71]);
        if let Some(stored) = stored {
            out.put_slice(&[0, 0, u8::from(stored)]);
        }
    });
    out
}

/// A session as an adapter drives it: a frame is read by what was known before it.
struct Device {
    session: Session,
}

impl Device {
    fn log_in() -> Self {
        let mut device = Self {
            session: Session::new(AckPolicy::default()),
        };
        device.send(BytesMut::from(LOGIN), NOW);
        device
    }

    fn send(&mut self, mut bytes: BytesMut, now: i64) -> Report {
        let frame = self.session.next_frame(&mut bytes).unwrap().unwrap();
        let known: Profile = self.session.profile().clone();
        let handled = self.session.on_frame(&frame, now);
        if handled.identify.is_some() {
            self.session.on_identified(None);
        }
        let source = ReportSource::new(None, None);
        let now = Timestamp::from_unix(now);
        let cx = Context::new(frame.head(), &known, &source, now, Origin::default());
        let mut reports = Vec::new();
        normalize::normalize(&handled.message.unwrap(), &cx, &mut reports);
        reports.remove(0)
    }
}

#[test]
fn the_login_s_zone_holds_until_live_frames_show_another() {
    let mut device = Device::log_in();
    // Its clock shows UTC, whatever it reported at login.
    for i in 0..10 {
        let sent = NOW + i * 30;
        let report = device.send(location(sent, None), sent + 3);
        let expected = if i < 5 {
            (Zone::Login, sent - 8 * 3_600)
        } else {
            (Zone::Detected, sent)
        };
        assert_eq!(
            (report.zone, report.time.as_unix()),
            (Some(expected.0), expected.1),
            "{i}"
        );
    }
    assert_eq!(device.session.profile().zones.detected, Some(0));
}

#[test]
fn an_offset_that_the_login_named_rightly_is_found_too() {
    let mut device = Device::log_in();
    for i in 0..10 {
        device.send(
            location(NOW + i * 30 + 8 * 3_600, Some(false)),
            NOW + i * 30,
        );
    }
    assert_eq!(device.session.profile().zones.detected, Some(480));
}

#[test]
fn stored_frames_never_teach_a_zone() {
    let mut device = Device::log_in();
    for i in 0..50 {
        device.send(location(NOW + i * 30, Some(true)), NOW + i * 30);
    }
    assert_eq!(device.session.profile().zones.detected, None);
}

#[test]
fn a_zone_set_by_hand_is_stronger_than_one_that_was_found() {
    let mut device = Device::log_in();
    let mut profile = device.session.profile().clone();
    profile.zones.configured = Some(60);
    device.session.on_identified(Some(profile));
    let mut last = None;
    for i in 0..10 {
        last = Some(device.send(location(NOW + i * 30, Some(false)), NOW + i * 30));
    }
    let last = last.unwrap();
    assert_eq!(last.zone, Some(Zone::Configured));
    assert_eq!(last.time.as_unix(), NOW + 9 * 30 - 3_600);
}

#[test]
fn times_in_the_words_of_an_answer_follow_the_rule_of_unspecified_zones() {
    let text = "Lat:N23.1,Lon:E114.4,DateTime:2026-01-02 11:04:05";
    let answer = || {
        let reply = milepost_protocol_gt06::message::CommandReply::new(1, text);
        BytesMut::from(&milepost_protocol_gt06::Message::from(reply).to_bytes(1)[..])
    };
    let utc = Timestamp::from_unix(1_767_323_045);
    let arrival = utc.as_unix() + 5;
    let mut device = Device::log_in();
    let report = device.send(answer(), arrival);
    assert_eq!(report.zone, Some(Zone::Login));
    assert_eq!(report.time, utc);
    assert_eq!(report.fix.unwrap().time, Some(utc));

    let mut profile = Profile::default();
    profile.zones.login = Some(480);
    profile.zones.configured = Some(60);
    device.session.on_identified(Some(profile));
    let report = device.send(answer(), arrival);
    assert_eq!(report.zone, Some(Zone::Configured));
    assert_eq!(report.time, Timestamp::from_unix(1_767_348_245));
}
