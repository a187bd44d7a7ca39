//! What the messages of the relatives without serial and checksum share.

use bytes::{BufMut, Bytes, BytesMut};

use super::DateTime;
use crate::frame::encode_relative;
use crate::reply::{Answer, ReplyClass};

/// What such a frame is answered: mostly an echo, with its length byte as sent.
///
/// | number | answer | when |
/// |---|---|---|
/// | 01 | 01 (44 would refuse the device) | at once |
/// | 10, 11, 17, 1A, 1B, 69 | the time, as sent | when it is stored |
/// | 13 | the body | at once |
/// | 30 | the time | at once |
///
/// Devices drop the link where these are missing. All others are not answered: of 15, 41, 57, 92
/// and 93 an echo would be an order.
pub(crate) fn answer(number: u8, announced: u8, body: &[u8]) -> Answer {
    let echo = |class, body: &[u8]| {
        let mut out = BytesMut::new();
        encode_relative(announced, number, &mut out, body);
        Answer::Raw {
            class,
            bytes: out.freeze(),
        }
    };
    match (number, body) {
        (0x01, _) => echo(ReplyClass::Now, &[0x01]),
        (0x10 | 0x11 | 0x17 | 0x1a | 0x1b | 0x69, [_, _, _, _, _, _, ..]) => {
            echo(ReplyClass::WhenDelivered, body.get(..6).unwrap_or_default())
        }
        (0x13, _) => echo(ReplyClass::Now, body),
        (0x30, _) => Answer::Time,
        _ => Answer::Silent,
    }
}

/// The answer to such a device's question for the time. `None` outside 2000 to 2099.
pub(crate) fn time_answer(unix_now: i64) -> Option<Bytes> {
    let now = DateTime::from_unix(unix_now)?;
    let mut body = BytesMut::new();
    body.put_u16(2_000 + u16::from(now.year()));
    body.put_slice(&[
        now.month(),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
    ]);
    let mut out = BytesMut::new();
    encode_relative(7, 0x30, &mut out, &body);
    Some(out.freeze())
}

/// A time whose bytes are two decimal digits each; what is no digit makes it impossible.
pub(crate) fn bcd_time(raw: [u8; 6]) -> DateTime {
    let [year, month, day, hour, minute, second] = raw.map(|byte| {
        let (tens, ones) = (byte >> 4, byte & 0x0f);
        if tens > 9 || ones > 9 {
            u8::MAX
        } else {
            tens * 10 + ones
        }
    });
    DateTime::from_bytes([year, month, day, hour, minute, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_and_others_are_no_time() {
        let time = bcd_time([0x16, 0x04, 0x13, 0x03, 0x18, 0x49]);
        assert_eq!(std::format!("{time}"), "2016-04-13 03:18:49");
        assert_eq!(
            bcd_time([0x16, 0x0c, 0x13, 0x03, 0x18, 0x49]).to_unix(),
            None
        );
        assert_eq!(bcd_time([0; 6]).to_unix(), None);
    }

    #[test]
    fn the_time_has_a_year_of_four_digits() {
        let bytes = time_answer(1_451_347_221).unwrap();
        assert_eq!(
            hex::encode(bytes),
            "78780730 07df0c1d000015 0d0a".replace(' ', "")
        );
        assert_eq!(time_answer(0), None);
    }
}
