//! TranSync: a binary form sold with AIS 140 devices.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 2 | `3A 3A` |
//! | 2 | 1 | number of bytes from here to the blocks |
//! | 3 | 2 | LAC |
//! | 5 | 8 | IMEI, BCD |
//! | 13 | 2 | index |
//! | 15 | 1 | type |
//! | 16 | 6 | year, month, day, hour, minute, second |
//! | 22 | 8 | latitude, longitude: degrees times 1 800 000 |
//! | 30 | 1 | speed, km/h |
//! | 31 | 2 | course, degrees |
//! | 33 | 1 | MNC |
//! | 34 | 2 | cell |
//! | 36 | 1 | bit 0 valid, 1 north, 2 east, 3 ignition, 4 power off, 5 to 7 switches |
//! | 37 | 1 | reserved |
//! | 38 | 1 | event: AIS 140 alert id |
//! | 39 | 1 | bit 5 antenna cut, 7 from the buffer |
//! | 40 | 1 | GSM signal |
//! | 41 | 1 | battery, tenths of a volt |
//! | 42 | 1 | satellites |
//! | 43 | 1 | HDOP |
//! | 44 | 2 | analog |
//! | then | | blocks of type, length and value: 1 odometer, others kept |
//! | end | 2 | `23 23` |
//!
//! Source: seen on devices; the meaning of the blocks is not confirmed.

use super::{Certainty, Message, error};
use crate::dialect::{Dialects, Kind};
use crate::frame::Frame;
use crate::layout::Trace;
use crate::text::Bits;
use crate::time::DateTime;
use crate::{DecodeError, DecodeErrorKind, Field, Text};

/// Reads big-endian numbers in order.
struct Cursor<'a, T> {
    raw: &'a [u8],
    at: usize,
    trace: T,
}

impl<T: Trace> Cursor<'_, T> {
    fn number(&mut self, name: &'static str, len: usize) -> Result<u64, DecodeError> {
        let end = self.at.saturating_add(len);
        let Some(bytes) = self.raw.get(self.at..end) else {
            let needed = end.saturating_sub(self.raw.len());
            let needed = u32::try_from(needed).unwrap_or(u32::MAX);
            let kind = DecodeErrorKind::Truncated { needed };
            return Err(error(Kind::Tracking, name, self.at, kind));
        };
        self.trace.read(name, self.at..end);
        self.at = end;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn byte(&mut self, name: &'static str) -> Result<u8, DecodeError> {
        self.number(name, 1)
            .map(|v| u8::try_from(v).unwrap_or(u8::MAX))
    }
}

pub(super) fn read<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    trace: T,
) -> (Result<Message, DecodeError>, T) {
    let mut cursor = Cursor {
        raw: frame.raw(),
        at: 0,
        trace,
    };
    let result = message(frame, dialects, &mut cursor);
    (result, cursor.trace)
}

fn message<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    cursor: &mut Cursor<'_, T>,
) -> Result<Message, DecodeError> {
    let dialect = dialects
        .by_name("transync")
        .cloned()
        .unwrap_or_else(|| dialects.generic());
    let mut message = Message::new(Kind::Tracking, dialect, Certainty::Vendor, Box::default());
    let record = &mut message.record;
    cursor.number("start", 2)?;
    let len = cursor.byte("length")?;
    let blocks = usize::from(len).saturating_add(3);
    record.cells.lac = u32::try_from(cursor.number(Field::Lac.name(), 2)?).ok();
    let imei_at = cursor.at;
    let imei = cursor.number(Field::Imei.name(), 8)?;
    record.imei = Some(bcd(imei).ok_or_else(|| {
        error(
            Kind::Tracking,
            Field::Imei.name(),
            imei_at,
            DecodeErrorKind::Malformed,
        )
    })?);
    record.frame = u32::try_from(cursor.number(Field::Frame.name(), 2)?).ok();
    cursor.byte(Field::Type.name())?;
    let year = cursor.byte(Field::Date.name())?;
    let date = cursor.number(Field::Date.name(), 2)?.to_be_bytes();
    let clock = cursor.number(Field::Time.name(), 3)?.to_be_bytes();
    let ([.., month, day], [.., hour, minute, second]) = (date, clock);
    record.time = Some(DateTime {
        year: 2000 + u16::from(year),
        month,
        day,
        hour,
        minute,
        second,
    });
    let degrees = |v: u64| f64::from(u32::try_from(v).unwrap_or(u32::MAX)) / 1_800_000.0;
    let latitude = degrees(cursor.number(Field::Latitude.name(), 4)?);
    let longitude = degrees(cursor.number(Field::Longitude.name(), 4)?);
    record.speed = Some(cursor.byte(Field::Speed.name())?.into());
    let heading = cursor.number(Field::Heading.name(), 2)?;
    record.heading = u16::try_from(heading).ok().map(f64::from);
    record.cells.mnc = Some(cursor.byte(Field::Mnc.name())?.into());
    record.cells.cell = Some(cursor.number(Field::Cell.name(), 2)?);
    let status = cursor.byte("state")?;
    let bit = |n: u8| status >> n & 1 == 1;
    record.fix = Some(bit(0));
    record.latitude = Some(if bit(1) { latitude } else { -latitude });
    record.longitude = Some(if bit(2) { longitude } else { -longitude });
    record.ignition = Some(bit(3));
    record.main_power = Some(!bit(4));
    record.inputs = Bits::read(&[5, 6, 7].map(|n| b'0' + u8::from(bit(n)))).unwrap_or_default();
    cursor.byte(Field::Value.name())?;
    record.alert = Some(cursor.byte(Field::Alert.name())?.into());
    record.live = Some(cursor.byte(Field::Status.name())? >> 7 == 0);
    record.gsm = Some(cursor.byte(Field::Gsm.name())?);
    record.battery_volts = Some(f64::from(cursor.byte(Field::BatteryVolts.name())?) / 10.0);
    record.satellites = Some(cursor.byte(Field::Satellites.name())?);
    record.hdop = Some(cursor.byte(Field::Hdop.name())?.into());
    let analog = cursor.number(Field::Analog.name(), 2)?;
    record
        .analog
        .push(f64::from(u16::try_from(analog).unwrap_or(u16::MAX)));
    if blocks > cursor.at {
        // A longer head than is known.
        cursor.number(
            Field::Text.name(),
            (blocks - cursor.at).min(cursor.raw.len() - cursor.at),
        )?;
    }
    let from = cursor.at;
    while cursor.raw.len().saturating_sub(cursor.at) > 2 {
        let block = cursor.byte("block type")?;
        let len = cursor.byte("block length")?;
        let left = cursor.raw.len().saturating_sub(cursor.at);
        let at = cursor.at;
        cursor.number(
            if block == 1 {
                Field::OdometerMetres.name()
            } else {
                "block"
            },
            usize::from(len).min(left),
        )?;
        // The unit of the odometer is not stated; it is kept with the other blocks.
        debug_assert!(cursor.at >= at);
    }
    if let Some(blocks) = frame.raw().get(from..cursor.at).filter(|b| !b.is_empty()) {
        let hex: String = blocks.iter().map(|b| format!("{b:02x}")).collect();
        message.record.more_mut().extra = Text::from(&*hex);
    }
    if cursor.at < cursor.raw.len() {
        let left = cursor.raw.len() - cursor.at;
        cursor.number("end", left)?;
    }
    Ok(message)
}

/// Sixteen BCD digits of which the first is 0.
fn bcd(raw: u64) -> Option<u64> {
    let mut value = 0_u64;
    for digit in raw
        .to_be_bytes()
        .into_iter()
        .flat_map(|b| [b >> 4, b & 0x0f])
    {
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (value < 1_000_000_000_000_000).then_some(value)
}
