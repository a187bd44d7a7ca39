//! Writing the forms without separators: C-DAC's fixed widths and TranSync's binary.

use bytes::Bytes;

use super::EncodeError;
use crate::Field;
use crate::checksum::Algorithm;
use crate::dialect::Kind;
use crate::record::Record;
use crate::text::{Bits, Text};

/// A C-DAC packet after `vltdata=`: logins, health, the newer form of positions, and the full
/// packet of alert 25.
pub(super) fn cdac(record: &Record, kind: Kind) -> Result<Option<Bytes>, EncodeError> {
    let imei = format!("{:015}", record.imei.unwrap_or(0));
    let header = match (kind, record.alert) {
        (Kind::Login, _) => "LGN",
        (Kind::Health, _) => "HLM",
        (Kind::Emergency, _) | (Kind::Tracking, Some(10 | 11)) => "EPB",
        (Kind::Tracking, Some(25)) => "FUL",
        (Kind::Tracking, Some(3 | 16 | 17 | 20..=23)) => "CRT",
        (Kind::Tracking, Some(4..=6 | 9 | 13..=15 | 18 | 19)) => "ALT",
        (Kind::Tracking, _) => "NRM",
        _ => return Ok(None),
    };
    let text = match kind {
        Kind::Login => {
            let key = record.more.as_ref().map(|more| &more.activation);
            let key = padded(key, 16, Field::Activation)?;
            format!(
                "{header}{imei}{key}{}{}{:06.2}",
                place(record),
                time(record),
                value(record.speed)
            )
        }
        Kind::Health => {
            let more = record.more.clone().unwrap_or_default();
            format!(
                "{header}{}{}{imei}{:03.0}{:03.0}{:03.0}{:02.0}{:03.0}{}00{}",
                padded(Some(&record.vendor), 6, Field::Vendor)?,
                padded(Some(&record.firmware), 6, Field::Firmware)?,
                value(more.interval_on).min(999.0),
                value(more.interval_off).min(999.0),
                value(more.battery_pct).min(100.0),
                value(more.low_pct).min(99.0),
                value(more.memory_pct).min(100.0),
                switches(record),
                time(record),
            )
        }
        _ => {
            let mut text = format!("{header}{imei}{}", body(record));
            after_body(record, &mut text)?;
            text
        }
    };
    Ok(Some(
        [crate::frame::VLTDATA, text.as_bytes()].concat().into(),
    ))
}

/// 78 characters that every position has.
fn body(record: &Record) -> String {
    let cells = &record.cells;
    let mode = record.more.as_ref().and_then(|more| more.mode);
    format!(
        "{:02}{}{}{}{}{:03}{:x>3}{:04x}{:09x}{:06.2}{:06.2}{:02}{:02.0}{:02}{}{}{}",
        record.alert.unwrap_or(1).min(99),
        if record.live == Some(false) { 'H' } else { 'L' },
        flag(record.fix),
        time(record),
        place(record),
        cells.mcc.unwrap_or(0).min(999),
        cells.mnc.unwrap_or(0).min(999),
        cells.lac.unwrap_or(0) & 0xffff,
        cells.cell.unwrap_or(0) & 0xf_ffff_ffff,
        value(record.speed).min(999.0),
        value(record.heading).min(360.0),
        record.satellites.unwrap_or(0).min(99),
        value(record.hdop).min(99.0),
        record.gsm.unwrap_or(0).min(99),
        flag(record.ignition),
        flag(record.main_power),
        char::from(mode.unwrap_or(b'M')),
    )
}

fn after_body(record: &Record, text: &mut String) -> Result<(), EncodeError> {
    let altitude = format!("{:07.1}", value(record.altitude).clamp(-999.0, 99_999.0));
    let operator = padded(Some(&record.operator), 6, Field::Operator)?;
    let more = record.more.as_ref();
    if record.alert != Some(25) {
        if matches!(record.alert, Some(18..=21)) {
            text.push_str(&padded(
                more.map(|more| &more.geofence),
                5,
                Field::Geofence,
            )?);
        }
        text.push_str(&altitude);
        text.push_str(&operator);
        return Ok(());
    }
    text.push_str(&padded(Some(&record.vendor), 6, Field::Vendor)?);
    text.push_str(&padded(Some(&record.firmware), 6, Field::Firmware)?);
    text.push_str(&padded(
        Some(&record.registration),
        16,
        Field::Registration,
    )?);
    text.push_str(&altitude);
    text.push_str(&format!("{:02.0}", value(record.pdop).min(99.0)));
    text.push_str(&operator);
    let mut neighbours = record.neighbours.as_slice().iter();
    for _ in 0..4 {
        let n = neighbours.next().copied().unwrap_or_default();
        let signal = n.signal.unwrap_or(0).clamp(0, 99);
        let (lac, cell) = (n.lac.unwrap_or(0) & 0xffff, n.cell & 0xf_ffff_ffff);
        text.push_str(&format!("{signal:02}{lac:04x}{cell:09x}"));
    }
    text.push_str(&format!(
        "{:05.2}{:05.2}{}{}{:06}",
        value(record.main_volts).min(99.0),
        value(record.battery_volts).min(99.0),
        char::from(record.tamper.unwrap_or(b'C')),
        switches(record),
        record.frame.unwrap_or(0) % 1_000_000,
    ));
    let sum = Algorithm::Crc16Xmodem.over(text.as_bytes());
    text.push_str(&format!("{sum:08X}"));
    Ok(())
}

/// `DDMMYYhhmmss`.
fn time(record: &Record) -> String {
    let t = record.time.unwrap_or_default();
    let year = t.year % 100;
    let (day, month) = (t.day, t.month);
    format!(
        "{day:02}{month:02}{year:02}{:02}{:02}{:02}",
        t.hour, t.minute, t.second
    )
}

/// Latitude and longitude of ten characters, each with its letter.
fn place(record: &Record) -> String {
    let (latitude, longitude) = (value(record.latitude), value(record.longitude));
    let (north, east) = (
        if latitude < 0.0 { 'S' } else { 'N' },
        if longitude < 0.0 { 'W' } else { 'E' },
    );
    let (latitude, longitude) = (latitude.abs(), longitude.abs());
    format!("{latitude:010.6}{north}{longitude:010.6}{east}")
}

/// Two inputs and two outputs.
fn switches(record: &Record) -> String {
    let two = |bits: Bits| format!("{:0<2}", bits.split(2).0.to_string());
    two(record.inputs) + &two(record.outputs)
}

fn flag(flag: Option<bool>) -> u8 {
    u8::from(flag == Some(true))
}

/// Zero where there is none: widths are fixed.
fn value(value: Option<f64>) -> f64 {
    value.filter(|v| v.is_finite()).unwrap_or(0.0)
}

/// A text of a fixed width, cut or filled with blanks.
fn padded(text: Option<&Text>, width: usize, field: Field) -> Result<String, EncodeError> {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let is_plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'*' | b'&');
    if !text.bytes().all(is_plain) {
        return Err(EncodeError::NotText {
            field: field.name(),
        });
    }
    Ok(format!("{text:<width$.width$}"))
}

/// TranSync's binary form, without type-length-value blocks.
pub(super) fn transync(record: &Record) -> Bytes {
    let t = record.time.unwrap_or_default();
    let low = |v: u64| u8::try_from(v & 0xff).unwrap_or(0);
    let whole = |v: Option<f64>, most: f64| -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and `most`, which is below 2^32"
        )]
        let whole = value(v).abs().round().min(most) as u64;
        whole
    };
    let mut out = vec![0x3a, 0x3a, 43];
    let mut put = |value: u64, bytes: usize| {
        let all = value.to_be_bytes();
        out.extend_from_slice(all.get(8 - bytes..).unwrap_or_default());
    };
    put(u64::from(record.cells.lac.unwrap_or(0)), 2);
    let digits = format!("{:016}", record.imei.unwrap_or(0));
    put(u64::from_str_radix(&digits, 16).unwrap_or(0), 8);
    put(u64::from(record.frame.unwrap_or(0)), 2);
    put(1, 1);
    put(u64::from(t.year % 100), 1);
    for part in [t.month, t.day, t.hour, t.minute, t.second] {
        put(part.into(), 1);
    }
    let degrees = |v: Option<f64>| whole(v.map(|v| v * 1_800_000.0), 4_294_967_295.0);
    put(degrees(record.latitude), 4);
    put(degrees(record.longitude), 4);
    put(whole(record.speed, 255.0), 1);
    put(whole(record.heading, 360.0), 2);
    put(u64::from(record.cells.mnc.unwrap_or(0)), 1);
    put(record.cells.cell.unwrap_or(0), 2);
    let mut state = u64::from(record.inputs.printed() & 7) << 5;
    for (bit, on) in [
        (0, record.fix == Some(true)),
        (1, value(record.latitude) >= 0.0),
        (2, value(record.longitude) >= 0.0),
        (3, record.ignition == Some(true)),
        (4, record.main_power == Some(false)),
    ] {
        state |= u64::from(on) << bit;
    }
    put(state, 1);
    put(0, 1);
    put(u64::from(record.alert.unwrap_or(1)), 1);
    put(u64::from(record.live == Some(false)) << 7, 1);
    put(u64::from(low(record.gsm.unwrap_or(0).into())), 1);
    put(whole(record.battery_volts.map(|v| v * 10.0), 255.0), 1);
    put(u64::from(record.satellites.unwrap_or(0)), 1);
    put(whole(record.hdop, 255.0), 1);
    let analog = record.analog.as_slice().first().copied();
    put(whole(analog, 65_535.0), 2);
    out.extend_from_slice(b"##");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DateTime;
    use crate::{Dialects, Frame, Known, Message, encode};

    fn record() -> Record {
        let mut record = Record {
            imei: Some(123_456_789_012_347),
            alert: Some(1),
            live: Some(true),
            fix: Some(true),
            time: DateTime::from_unix(1_709_619_330),
            latitude: Some(-12.976_545),
            longitude: Some(77.549_759),
            speed: Some(32.0),
            heading: Some(118.0),
            satellites: Some(11),
            hdop: Some(1.0),
            gsm: Some(24),
            ignition: Some(true),
            main_power: Some(true),
            battery_volts: Some(4.1),
            ..Record::default()
        };
        (record.cells.mnc, record.cells.lac, record.cells.cell) =
            (Some(45), Some(0x61b4), Some(0x9ad9));
        record
    }

    fn back(record: &Record, kind: Kind, dialect: &str) -> Message {
        let dialects = Dialects::builtin();
        let packet = encode(record, kind, dialects.by_name(dialect).unwrap()).unwrap();
        Message::decode(&Frame::new(packet), &dialects, &Known::default()).unwrap()
    }

    #[test]
    fn fixed_widths_are_read_as_they_are_written() {
        let mut sent = record();
        sent.cells.mcc = Some(404);
        sent.altitude = Some(914.0);
        sent.operator = "Airtel".into();
        sent.more_mut().mode = Some(b'M');
        sent.battery_volts = None;
        assert_eq!(*back(&sent, Kind::Tracking, "cdac").record, sent);
        sent.alert = Some(18);
        sent.more_mut().geofence = "00017".into();
        assert_eq!(*back(&sent, Kind::Tracking, "cdac").record, sent);

        sent.alert = Some(25);
        sent.more_mut().geofence = Text::EMPTY;
        (sent.vendor, sent.firmware) = ("VENDOR".into(), "1.0.0".into());
        sent.registration = "KA01AB1234".into();
        (sent.pdop, sent.main_volts, sent.battery_volts) = (Some(2.0), Some(12.6), Some(4.1));
        (sent.tamper, sent.frame) = (Some(b'C'), Some(127));
        (sent.inputs, sent.outputs) = (Bits::read(b"01").unwrap(), Bits::read(b"10").unwrap());
        let read = back(&sent, Kind::Tracking, "cdac").record;
        assert_eq!(*read, sent);
    }

    #[test]
    fn logins_and_health_of_fixed_widths_are_read_as_they_are_written() {
        let mut sent = record();
        sent.more_mut().activation = "ABCDEF0123456789".into();
        let read = back(&sent, Kind::Login, "cdac");
        assert_eq!(read.kind, Kind::Login);
        assert_eq!((read.record.imei, read.record.time), (sent.imei, sent.time));
        assert_eq!(read.record.latitude, sent.latitude);
        assert_eq!(read.record.more.unwrap().activation, *"ABCDEF0123456789");
        sent.vendor = "VENDOR".into();
        sent.more_mut().battery_pct = Some(82.0);
        let read = back(&sent, Kind::Health, "cdac");
        assert_eq!(read.record.vendor, sent.vendor);
        assert_eq!(read.record.more.unwrap().battery_pct, Some(82.0));
    }

    #[test]
    fn transync_is_read_as_it_is_written() {
        let mut sent = record();
        sent.frame = Some(127);
        sent.inputs = Bits::read(b"101").unwrap();
        sent.analog.push(512.0);
        let read = back(&sent, Kind::Tracking, "transync").record;
        for (ours, theirs) in [
            (read.latitude, sent.latitude),
            (read.longitude, sent.longitude),
        ] {
            assert!((ours.unwrap() - theirs.unwrap()).abs() < 1e-6);
        }
        (sent.latitude, sent.longitude) = (read.latitude, read.longitude);
        assert_eq!(*read, sent);
    }
}
