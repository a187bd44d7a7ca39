//! How a session learns the family of a device that sends nothing of its own kind.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_gt06::{
    AckPolicy, Dialect, Frame, Framing, Models, Profile, Session, Start, frame,
};

fn sent(start: Start, number: u8, body: &[u8]) -> Frame {
    let mut out = BytesMut::new();
    frame::encode(start, number, 7, &mut out, |out| {
        out.extend_from_slice(body);
    });
    Frame::parse(out.freeze(), Framing::Checked).unwrap()
}

fn login(model: u16) -> Frame {
    let [high, low] = model.to_be_bytes();
    let id = [0x07, 0x52, 0x53, 0x36, 0x78, 0x90, 0x02, 0x42];
    sent(
        Start::Short,
        0x01,
        &[&id[..], &[high, low, 0x32, 0x00]].concat(),
    )
}

fn hear(session: &mut Session, frame: &Frame) {
    session.on_frame(frame, 0).message.unwrap();
}

fn learned(frame: &Frame) -> Option<Dialect> {
    let mut session = Session::new(AckPolicy::default());
    hear(&mut session, frame);
    session.profile().dialect
}

#[test]
fn the_firmware_that_a_device_names_shows_its_family() {
    for (name, dialect) in [("VL103M_V1.0", Some(Dialect::Jimi)), ("GT06N_V1.0", None)] {
        let text = format!("[VERSION]{name}[BUILD]2020-01-01");
        let size = u8::try_from(4 + text.len()).unwrap();
        let answer = [&[size, 0, 0, 0, 9][..], text.as_bytes(), &[0, 2]].concat();
        let answer_long = [&[0, 0, 0, 9, 1][..], text.as_bytes()].concat();
        let notice = [&[0; 27][..], b":", text.as_bytes()].concat();
        let information = [b"\x10", text.as_bytes()].concat();
        let raw = [b"\x03", text.as_bytes()].concat();
        for frame in [
            sent(Start::Short, 0x15, &answer),
            sent(Start::Long, 0x21, &answer_long),
            sent(Start::Long, 0xfd, &notice),
            sent(Start::Long, 0x94, &information),
            sent(Start::Long, 0x94, &raw),
        ] {
            assert_eq!(learned(&frame), dialect, "{:02x} {name}", frame.number());
        }
    }
}

#[test]
fn an_r11_is_known_from_a_voltage_that_is_nothing_else_on() {
    let mut session = Session::new(AckPolicy::default());
    // 12.80 V, or a high battery and no signal.
    let beat = |body: &[u8]| sent(Start::Short, 0x13, body);
    hear(&mut session, &beat(&[0x06, 0x05, 0x00, 4, 0]));
    assert_eq!(session.profile().dialect, None);
    // 12.58 V: no model's signal is 234.
    hear(&mut session, &beat(&[0x06, 0x04, 0xea, 4, 0]));
    assert_eq!(session.profile().dialect, Some(Dialect::R11));
    hear(&mut session, &beat(&[0x06, 0x05, 0x00, 4, 0]));
    assert_eq!(session.profile().dialect, Some(Dialect::R11));
    // Seeworld's is the reading of one frame.
    assert_eq!(learned(&beat(&[0x45, 6, 86, 11, 1])), None);
}

#[test]
fn a_type_word_shows_the_family_where_it_is_configured() {
    let models: Models = [(0x8033, Dialect::Jimi)].into_iter().collect();
    let mut session = Session::new(AckPolicy::default()).with_models(models);
    hear(&mut session, &login(0x8033));
    assert!(session.on_identified(None), "it is to be kept");
    assert_eq!(session.profile().dialect, Some(Dialect::Jimi));
    // Another device on the connection, of another type.
    hear(&mut session, &login(0x7000));
    session.on_identified(None);
    assert_eq!(session.profile().dialect, None);
    // What is set by hand counts more.
    let mut known = Profile::default();
    known.dialect = Some(Dialect::Seeworld);
    hear(&mut session, &login(0x8033));
    session.on_identified(Some(known));
    assert_eq!(session.profile().dialect, Some(Dialect::Seeworld));
    // Without a table no word means anything.
    assert_eq!(learned(&login(0x8033)), None);
}
