//! The few GT06 frames that a simulated tracker needs.
//!
//! Bodies are written here by hand, not by the decoder crate's own encoder: a mistake that
//! encoder and decoder share would otherwise pass every simulation.

use bytes::{BufMut, Bytes, BytesMut};
use milepost_protocol_gt06::frame::encode;
use milepost_protocol_gt06::{Checksum, Frame, Framing, Start};
use milepost_telemetry::{DeviceId, Timestamp};

use super::vehicle::Observation;

pub(crate) const LOGIN: u8 = 0x01;
pub(crate) const HEARTBEAT: u8 = 0x13;
/// The classic location, from devices that wait for its acknowledgement.
pub(crate) const LOCATION_CLASSIC: u8 = 0x12;
/// The newer location, which the manuals do not acknowledge.
pub(crate) const LOCATION: u8 = 0x22;
pub(crate) const ALARM_CLASSIC: u8 = 0x16;
pub(crate) const ALARM: u8 = 0x26;
pub(crate) const COMMAND: u8 = 0x80;
pub(crate) const COMMAND_ANSWER: u8 = 0x15;
/// Address replies, which a server may send after an alarm's acknowledgement.
pub(crate) const ADDRESS_CHINESE: u8 = 0x17;
pub(crate) const ADDRESS: u8 = 0x97;

const STOP: [u8; 2] = [0x0D, 0x0A];

/// A position report as the device keeps it until it may forget it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) time: Timestamp,
    pub(crate) seen: Observation,
}

/// What a device says about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Condition {
    pub(crate) ignition: bool,
    pub(crate) fuel_cut: bool,
    /// 0 to 6.
    pub(crate) battery: u8,
    /// 0 to 4.
    pub(crate) signal: u8,
}

/// The codes of alarms that are raised here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlarmCode {
    Sos = 0x01,
    PowerCut = 0x02,
    Vibration = 0x03,
    LowBattery = 0x19,
}

fn short(number: u8, serial: u16, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::with_capacity(48);
    encode(Start::Short, number, serial, &mut out, body);
    out.freeze()
}

/// ID8 TYPE2 ZONE2.
pub(crate) fn login(id: &DeviceId, serial: u16) -> Bytes {
    short(LOGIN, serial, |out| {
        let mut digits = std::iter::once(b'0').chain(id.as_str().bytes());
        while let Some(high) = digits.next() {
            let low = digits.next().unwrap_or(b'0');
            out.put_u8((high.wrapping_sub(b'0') << 4) | (low.wrapping_sub(b'0') & 0x0F));
        }
        out.put_u16(0x7000);
        // UTC, English.
        out.put_u16(0x0002);
    })
}

/// TI1 VOL1 GSM1 and a language word.
pub(crate) fn heartbeat(serial: u16, condition: &Condition) -> Bytes {
    short(HEARTBEAT, serial, |out| {
        put_condition(out, condition, true, 0);
        out.put_u16(0x0002);
    })
}

/// G18 L8 TRAIL3, under either number.
pub(crate) fn location(number: u8, serial: u16, position: &Position, again: bool) -> Bytes {
    short(number, serial, |out| {
        put_position(out, position);
        put_cell(out, position);
        out.put_u8(u8::from(position.seen.ignition));
        out.put_u8(0);
        out.put_u8(u8::from(again));
    })
}

/// G18 LBSLEN1 L8 ST5, under either number.
pub(crate) fn alarm(
    number: u8,
    serial: u16,
    position: &Position,
    condition: &Condition,
    code: AlarmCode,
) -> Bytes {
    short(number, serial, |out| {
        put_position(out, position);
        out.put_u8(9);
        put_cell(out, position);
        let bits = match code {
            AlarmCode::Sos => 0b100,
            AlarmCode::PowerCut => 0b010,
            AlarmCode::Vibration => 0b001,
            AlarmCode::LowBattery => 0b011,
        };
        put_condition(out, condition, code != AlarmCode::PowerCut, bits);
        out.put_u8(code as u8);
        // English; 0 would ask for no reply.
        out.put_u8(2);
    })
}

/// N1 FLAG4 TEXT LNG2.
pub(crate) fn command_answer(serial: u16, flag: [u8; 4], text: &str) -> Bytes {
    short(COMMAND_ANSWER, serial, |out| {
        let text = text.get(..text.len().min(200)).unwrap_or_default();
        out.put_u8(u8::try_from(text.len() + 4).unwrap_or(u8::MAX));
        out.put_slice(&flag);
        out.put_slice(text.as_bytes());
        out.put_u16(0x0002);
    })
}

/// The flag and the text of a command, without the length and the language word around them.
pub(crate) fn command(frame: &Frame) -> Option<([u8; 4], &str)> {
    let (&len, rest) = frame.body().split_first()?;
    let content = rest.get(..usize::from(len))?;
    let (flag, text) = content.split_first_chunk::<4>()?;
    Some((*flag, std::str::from_utf8(text).ok()?))
}

/// TI1 VOL1 GSM1.
fn put_condition(out: &mut BytesMut, condition: &Condition, supply: bool, alarm: u8) {
    let bit = |on: bool, bit: u8| u8::from(on) << bit;
    out.put_u8(
        bit(condition.fuel_cut, 7)
            | bit(true, 6)
            | (alarm << 3)
            | bit(supply, 2)
            | bit(condition.ignition, 1),
    );
    out.put_u8(condition.battery);
    out.put_u8(condition.signal);
}

/// T6 SAT1 LAT4 LON4 SPD1 CS2.
fn put_position(out: &mut BytesMut, position: &Position) {
    let (year, month, day, hour, minute, second) = position.time.to_civil();
    let seen = &position.seen;
    out.put_u8(u8::try_from(year - 2_000).unwrap_or(0));
    out.put_slice(&[month, day, hour, minute, second]);
    out.put_u8(0xC0 | 11);
    out.put_u32(whole(seen.latitude.abs() * 1_800_000.0));
    out.put_u32(whole(seen.longitude.abs() * 1_800_000.0));
    out.put_u8(u8::try_from(whole(seen.speed_kmh)).unwrap_or(u8::MAX));
    // A valid real-time fix; north and west as they are; bit 14 says that bit 15 is the ignition.
    let course = u16::try_from(whole(seen.course) % 360).unwrap_or(0);
    let bit = |on: bool, bit: u16| u16::from(on) << bit;
    out.put_u16(
        course
            | bit(seen.latitude >= 0.0, 10)
            | bit(seen.longitude < 0.0, 11)
            | bit(true, 12)
            | bit(true, 14)
            | bit(seen.ignition, 15),
    );
}

/// MCC2 MNC1 LAC2 CID3: 999 is the country code for networks of one's own. One cell for about
/// two by two kilometres.
fn put_cell(out: &mut BytesMut, position: &Position) {
    out.put_u16(999);
    out.put_u8(99);
    out.put_u16(0x1001);
    let cell = |degrees: f64| whole(degrees.abs() * 50.0) & 0xFFF;
    let id = (cell(position.seen.latitude) << 12) | cell(position.seen.longitude);
    let [_, id @ ..] = id.to_be_bytes();
    out.put_slice(&id);
}

/// To the nearest whole number. Not negative and far below the limit, as all that is sent here.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates"
)]
fn whole(value: f64) -> u32 {
    value.round() as u32
}

/// A frame of the server, or why what stands at the front is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Well-formed, with the right check sum.
    Frame(Frame),
    /// Well-formed, with a wrong check sum.
    Checksum,
    /// No frame. The stream cannot be trusted any more.
    Garbage,
}

/// Takes the next frame off the front. Stricter than a server may be with a device: a server has
/// no excuse for a wrong length or for bytes between frames.
pub(crate) fn next_reply(src: &mut BytesMut) -> Option<Reply> {
    let len = match src.as_ref() {
        [0x78, 0x78, length, ..] => usize::from(*length) + 5,
        [0x79, 0x79, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) + 6,
        [] | [0x78] | [0x78, 0x78] | [0x79] | [0x79, 0x79] | [0x79, 0x79, _] => return None,
        _ => return Some(Reply::Garbage),
    };
    if src.len() < len {
        return None;
    }
    let raw = src.split_to(len).freeze();
    if !raw.ends_with(&STOP) {
        return Some(Reply::Garbage);
    }
    Some(match Frame::parse(raw, Framing::Checked) {
        Some(frame) if frame.checksum() == Checksum::Valid => Reply::Frame(frame),
        Some(_) => Reply::Checksum,
        None => Reply::Garbage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position {
            time: Timestamp::from_civil(2015, 12, 29, 2, 51, 5).unwrap(),
            seen: Observation {
                latitude: -25.396064,
                longitude: -17.202644,
                speed_kmh: 54.4,
                course: 359.7,
                ignition: true,
                odometer_m: 0.0,
            },
        }
    }

    #[test]
    fn a_login_is_the_worked_example() {
        let frame = login(&DeviceId::new("752533678900242").unwrap(), 1);
        // The reference's example, with our zone word.
        let start = hex::decode("7878110107525336789002427000").unwrap();
        assert!(frame.starts_with(&start));
        assert_eq!(frame.len(), 0x11 + 5);
    }

    #[test]
    fn every_frame_has_the_length_of_its_variant_and_a_right_check_sum() {
        let condition = Condition {
            ignition: true,
            fuel_cut: false,
            battery: 6,
            signal: 4,
        };
        for (frame, length) in [
            (heartbeat(1, &condition), 0x0A),
            (location(LOCATION, 1, &position(), false), 0x22),
            (location(LOCATION_CLASSIC, 1, &position(), true), 0x22),
            (
                alarm(ALARM, 1, &position(), &condition, AlarmCode::Sos),
                0x25,
            ),
        ] {
            assert_eq!(frame[2], length);
            let frame = Frame::parse(frame, Framing::Checked).unwrap();
            assert_eq!(frame.checksum(), Checksum::Valid);
            assert_eq!(frame.serial(), Some(1));
        }
    }

    #[test]
    fn a_position_has_its_signs_in_the_course_word() {
        let frame = location(LOCATION, 1, &position(), false);
        assert_eq!(frame[4..10], [15, 12, 29, 2, 51, 5]);
        assert_eq!(frame[10], 0xCB);
        assert_eq!(frame[11..15], 45_712_915_u32.to_be_bytes());
        assert_eq!(frame[15..19], 30_964_759_u32.to_be_bytes());
        assert_eq!(frame[19], 54);
        let word = u16::from_be_bytes([frame[20], frame[21]]);
        assert_eq!(word & 0x3FF, 0, "360 degrees are 0");
        assert_eq!(
            word >> 10,
            0b11_0110,
            "ignition on and meant, valid, west, south"
        );
    }

    #[test]
    fn only_the_flag_tells_a_repetition() {
        let (first, again) = (
            location(LOCATION, 1, &position(), false),
            location(LOCATION, 1, &position(), true),
        );
        let different: Vec<usize> = (0..first.len()).filter(|&i| first[i] != again[i]).collect();
        assert_eq!(different, [32, 35, 36], "re-upload flag and check sum");
    }

    #[test]
    fn replies_are_taken_one_by_one_and_in_pieces() {
        let whole = hex::decode("787805010001D9DC0D0A78780513005398660D0A").unwrap();
        let mut src = BytesMut::new();
        let mut numbers = Vec::new();
        for byte in whole {
            src.put_u8(byte);
            while let Some(Reply::Frame(frame)) = next_reply(&mut src) {
                numbers.push((frame.number(), frame.serial()));
            }
        }
        assert_eq!(numbers, [(1, Some(1)), (0x13, Some(0x53))]);
    }

    #[test]
    fn a_wrong_reply_is_named() {
        let reply = |text: &str| next_reply(&mut BytesMut::from(&hex::decode(text).unwrap()[..]));
        assert_eq!(reply("787805010001D9DD0D0A"), Some(Reply::Checksum));
        assert_eq!(reply("787805010001D9DC0D0B"), Some(Reply::Garbage));
        assert_eq!(reply("485454502F312E31"), Some(Reply::Garbage));
        assert_eq!(reply("7878"), None);
    }

    #[test]
    fn a_command_is_read_and_answered() {
        let raw = hex::decode("787815800F0001A9584459442C3030303030302300A0DCF10D0A").unwrap();
        let frame = Frame::parse(raw.into(), Framing::Checked).unwrap();
        let (flag, text) = command(&frame).unwrap();
        assert_eq!((flag, text), ([0, 1, 0xA9, 0x58], "DYD,000000#"));
        let answer = command_answer(0x18, flag, "DYD=Success!");
        assert_eq!(
            hex::encode(answer),
            "78781815100001a9584459443d53756363657373210002001891770d0a"
        );
    }
}
