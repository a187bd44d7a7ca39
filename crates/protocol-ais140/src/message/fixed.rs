//! C-DAC's form: fixed widths without separators, posted as `vltdata=`.
//!
//! | part | characters |
//! |---|---|
//! | header, IMEI | 3, 15 |
//! | body: alert id 2, `L`/`H` 1, fix 1, DDMMYYhhmmss 12, latitude 10 and letter, longitude 10 and letter, MCC 3, MNC 3 (padded with `x` or 0), LAC 4, cell 9, speed 6, heading 6, satellites 2, HDOP 2, GSM 2, ignition, main power, mode | 78 |
//! | alerts 18 to 21, after the body: geofence | 5 |
//! | newer form, after the body: altitude 7, operator 6 | 13 |
//! | alert 25, after the body: the full packet's other fields | 132 |
//!
//! A batch is `BTH`, IMEI, a count of three digits and bodies, each of the length of its alert id.
//! Whether its bodies are of the newer form is told by the total length. Source: C-DAC's documents
//! and a consumer of its packets.

use bytes::Bytes;

use super::{Certainty, Message, error};
use crate::dialect::{Dialects, Kind};
use crate::frame::{Frame, VLTDATA};
use crate::layout::Trace;
use crate::record::Record;
use crate::time::DateTime;
use crate::{DecodeError, DecodeErrorKind, Field, Text};

const BODY: usize = 78;

/// Takes fields of fixed widths.
struct Fixed<'a, T> {
    raw: &'a Bytes,
    at: usize,
    kind: Kind,
    record: Record,
    trace: T,
}

impl<T: Trace> Fixed<'_, T> {
    fn left(&self) -> usize {
        self.raw.len().saturating_sub(self.at)
    }

    /// The next `len` bytes.
    fn bytes(&mut self, name: &'static str, len: usize) -> Result<Bytes, DecodeError> {
        let Some(end) = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.raw.len())
        else {
            let needed = u32::try_from(len.saturating_sub(self.left())).unwrap_or(u32::MAX);
            return Err(error(
                self.kind,
                name,
                self.at,
                DecodeErrorKind::Truncated { needed },
            ));
        };
        self.trace.read(name, self.at..end);
        let bytes = self.raw.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    /// A field that may hold nothing sensible.
    fn take(&mut self, field: Field, len: usize) -> Result<bool, DecodeError> {
        let bytes = self.bytes(field.name(), len)?;
        Ok(self.record.set(field, self.raw, bytes.trim_ascii()))
    }

    /// A field that must.
    fn need(&mut self, field: Field, len: usize) -> Result<(), DecodeError> {
        let at = self.at;
        if self.take(field, len)? {
            Ok(())
        } else {
            Err(error(
                self.kind,
                field.name(),
                at,
                DecodeErrorKind::Malformed,
            ))
        }
    }

    fn time(&mut self) -> Result<(), DecodeError> {
        let at = self.at;
        let bytes = self.bytes(Field::Date.name(), 12)?;
        let time = DateTime::joined(&bytes);
        self.record.time = time;
        match time {
            Some(_) => Ok(()),
            None => Err(error(
                self.kind,
                Field::Date.name(),
                at,
                DecodeErrorKind::Malformed,
            )),
        }
    }

    /// Ten characters and a letter, twice.
    fn place(&mut self) -> Result<(), DecodeError> {
        let at = self.at;
        let latitude = self.bytes(Field::Latitude.name(), 10)?;
        let north = self.bytes(Field::NorthSouth.name(), 1)?;
        let longitude = self.bytes(Field::Longitude.name(), 10)?;
        let east = self.bytes(Field::EastWest.name(), 1)?;
        let number = |b: &[u8]| crate::read::whole(crate::read::decimal, b);
        let sign = |b: &[u8], plus: &[u8], minus: &[u8]| match b {
            b if b == plus => Some(1.0),
            b if b == minus => Some(-1.0),
            _ => None,
        };
        let parts = (
            number(&latitude).zip(sign(&north, b"N", b"S")),
            number(&longitude).zip(sign(&east, b"E", b"W")),
        );
        let (Some((latitude, north)), Some((longitude, east))) = parts else {
            return Err(error(
                self.kind,
                Field::Latitude.name(),
                at,
                DecodeErrorKind::Malformed,
            ));
        };
        let (latitude, longitude) = crate::degrees(latitude, longitude);
        self.record.latitude = Some(latitude * north);
        self.record.longitude = Some(longitude * east);
        Ok(())
    }

    fn body(&mut self) -> Result<(), DecodeError> {
        self.need(Field::Alert, 2)?;
        self.need(Field::Status, 1)?;
        self.take(Field::Fix, 1)?;
        self.time()?;
        self.place()?;
        self.take(Field::Mcc, 3)?;
        // `x95`, `xx1`
        let mnc = self.bytes(Field::Mnc.name(), 3)?;
        let digits = mnc.iter().position(|b| *b != b'x').map_or(3, |at| at);
        let digits = mnc.slice(digits..);
        self.record.set(Field::Mnc, self.raw, &digits);
        self.take(Field::Lac, 4)?;
        self.take(Field::Cell, 9)?;
        // Nine characters whatever the radio: wide is what needs more than 16 bits.
        self.record.cells.is_wide = self.record.cells.cell.is_some_and(|cell| cell > 0xffff);
        self.take(Field::Speed, 6)?;
        self.take(Field::Heading, 6)?;
        self.take(Field::Satellites, 2)?;
        self.take(Field::Hdop, 2)?;
        self.take(Field::Gsm, 2)?;
        self.take(Field::Ignition, 1)?;
        self.take(Field::MainPower, 1)?;
        self.take(Field::Mode, 1)?;
        Ok(())
    }

    /// What follows a body of a packet of its own, or of a batch where each has `more` characters.
    fn after_body(&mut self, is_newer: bool) -> Result<(), DecodeError> {
        match self.record.alert {
            Some(18..=21) => {
                let geofence = self.bytes(Field::Geofence.name(), 5)?;
                self.record.more_mut().geofence = Text::part(self.raw, &geofence);
            }
            Some(25) => return self.full(),
            _ => {}
        }
        if is_newer {
            self.take(Field::Altitude, 7)?;
            self.take(Field::Operator, 6)?;
        }
        Ok(())
    }

    fn full(&mut self) -> Result<(), DecodeError> {
        self.take(Field::Vendor, 6)?;
        self.take(Field::Firmware, 6)?;
        self.take(Field::Registration, 16)?;
        self.take(Field::Altitude, 7)?;
        self.take(Field::Pdop, 2)?;
        self.take(Field::Operator, 6)?;
        for _ in 0..4 {
            let signal = self.bytes(Field::Neighbours.name(), 2)?;
            let lac = self.bytes(Field::Neighbours.name(), 4)?;
            let cell = self.bytes(Field::Neighbours.name(), 9)?;
            let hex = |b: &[u8]| crate::read::whole(crate::read::hex, b);
            if let Some(cell) = hex(&cell).filter(|cell| *cell > 0) {
                let signal = crate::read::small::<u8>(&signal).map(i16::from);
                self.record.neighbours.push(crate::neighbour::Neighbour {
                    lac: hex(&lac).and_then(|v| u32::try_from(v).ok()),
                    cell,
                    signal,
                    is_wide: cell > 0xffff,
                });
            }
        }
        self.take(Field::MainVolts, 5)?;
        self.take(Field::BatteryVolts, 5)?;
        self.take(Field::Tamper, 1)?;
        // Two inputs and two outputs.
        let bits = self.bytes(Field::InputsOutputs.name(), 4)?;
        if let Some(bits) = crate::text::Bits::read(&bits) {
            (self.record.inputs, self.record.outputs) = bits.split(2);
        }
        self.take(Field::Frame, 6)?;
        if self.left() >= 8 {
            self.bytes(Field::Checksum.name(), 8)?;
        }
        Ok(())
    }

    fn login(&mut self) -> Result<(), DecodeError> {
        self.need(Field::Imei, 15)?;
        // 16 characters; shorter ones occur, so it ends where a position begins.
        let rest = self.raw.get(self.at..).unwrap_or_default();
        let is_place = |at: &usize| {
            matches!(rest.get(at + 10), Some(b'N' | b'S'))
                && matches!(rest.get(at + 21), Some(b'E' | b'W'))
        };
        let key = (0..=16).find(is_place).unwrap_or(16);
        self.take(Field::Activation, key)?;
        self.place()?;
        self.time()?;
        if self.left() >= 6 {
            self.take(Field::Speed, 6)?;
        }
        Ok(())
    }

    fn health(&mut self) -> Result<(), DecodeError> {
        self.take(Field::Vendor, 6)?;
        self.take(Field::Firmware, 6)?;
        self.need(Field::Imei, 15)?;
        self.take(Field::IntervalOn, 3)?;
        self.take(Field::IntervalOff, 3)?;
        self.take(Field::BatteryPercent, 3)?;
        self.take(Field::LowPercent, 2)?;
        self.take(Field::MemoryPercent, 3)?;
        let bits = self.bytes(Field::InputsOutputs.name(), 4)?;
        if let Some(bits) = crate::text::Bits::read(&bits) {
            (self.record.inputs, self.record.outputs) = bits.split(2);
        }
        // Reserved.
        self.bytes(Field::Text.name(), 2)?;
        self.time()
    }

    fn rest(&mut self, field: Field) -> Result<(), DecodeError> {
        let left = self.left();
        if left > 0 {
            self.take(field, left)?;
        }
        Ok(())
    }
}

pub(super) fn read<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    mut trace: T,
) -> (Result<Message, DecodeError>, T) {
    let raw = frame.raw();
    let start = if raw.starts_with(VLTDATA) {
        VLTDATA.len()
    } else {
        0
    };
    let header = raw.get(start..start.saturating_add(3)).unwrap_or_default();
    trace.read("header", 0..start.saturating_add(header.len()));
    let kind = match header {
        b"LGN" => Kind::Login,
        b"HLM" => Kind::Health,
        b"EPB" => Kind::Emergency,
        _ => Kind::Tracking,
    };
    let dialect = dialects
        .by_name("cdac")
        .cloned()
        .unwrap_or_else(|| dialects.generic());
    let mut message = Message::new(kind, dialect, Certainty::Vendor, Box::default());
    let mut fixed = Fixed {
        raw,
        at: start + header.len(),
        kind,
        record: Record::default(),
        trace,
    };
    let result = match header {
        b"LGN" => fixed.login(),
        b"HLM" => fixed.health(),
        b"BTH" => batch(&mut fixed, &mut message),
        _ => one(&mut fixed, header),
    };
    if result.is_ok() && fixed.left() > 0 {
        // What a newer form appends.
        let kept = fixed.rest(Field::Text);
        debug_assert!(kept.is_ok(), "so many bytes are left");
    }
    if kind == Kind::Emergency {
        let is_end = fixed.record.alert == Some(11);
        fixed.record.more_mut().alarm = Some(if is_end {
            crate::Alarm::End
        } else {
            crate::Alarm::Emergency
        });
    }
    message.record = Box::new(fixed.record);
    (result.map(|()| message), fixed.trace)
}

fn one<T: Trace>(fixed: &mut Fixed<'_, T>, header: &[u8]) -> Result<(), DecodeError> {
    fixed.need(Field::Imei, 15)?;
    fixed.body()?;
    if header == b"ACK" {
        // `key:value` pairs up to `*`.
        return fixed.rest(Field::Parameters);
    }
    let fence = if matches!(fixed.record.alert, Some(18..=21)) {
        5
    } else {
        0
    };
    let is_newer = fixed.left() >= 13 + fence;
    // Padding is no field.
    if fixed.left() < 5 {
        Ok(())
    } else {
        fixed.after_body(is_newer)
    }
}

fn batch<T: Trace>(fixed: &mut Fixed<'_, T>, message: &mut Message) -> Result<(), DecodeError> {
    fixed.need(Field::Imei, 15)?;
    let imei = fixed.record.imei;
    let count_at = fixed.at;
    let count = fixed.bytes("count", 3)?;
    let count = crate::read::small::<usize>(&count).ok_or_else(|| {
        error(
            Kind::Tracking,
            "count",
            count_at,
            DecodeErrorKind::Malformed,
        )
    })?;
    // The newer form has 13 more characters in each body.
    let is_newer = {
        let mut at = fixed.at;
        let mut bodies = 0_usize;
        while bodies < count && at < fixed.raw.len() {
            at += body_len(fixed.raw.get(at..at + 2).unwrap_or_default());
            bodies += 1;
        }
        at != fixed.raw.len() && fixed.left() >= count.saturating_mul(BODY + 13)
    };
    let head = core::mem::take(&mut fixed.record);
    for _ in 0..count {
        // A batch that is cut off gives the bodies that are whole.
        if fixed.left() < BODY && !message.items.is_empty() {
            break;
        }
        let result = fixed.body().and_then(|()| fixed.after_body(is_newer));
        let mut record = core::mem::take(&mut fixed.record);
        if let Err(e) = result {
            if message.items.is_empty() {
                return Err(e);
            }
            break;
        }
        record.imei = imei;
        message.items.push(record);
    }
    fixed.record = head;
    Ok(())
}

/// The length of a body by its alert id.
fn body_len(alert: &[u8]) -> usize {
    match alert {
        b"18" | b"19" | b"20" | b"21" => BODY + 5,
        b"25" => BODY + 132,
        _ => BODY,
    }
}
