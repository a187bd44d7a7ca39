//! 0xB2, a Bluetooth beacon was met, as by a time clock for staff.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 1 | signal | dBm, signed |
//! | 7 | 6 | MAC | |
//! | 13 | 16 | UUID | |
//! | 29 | 2, 2 | major, minor | |
//! | 33 | 2 | battery | volts × 100 |
//! | 35 | 1 | clock | bits 2 to 5 |
//!
//! Seen on devices.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::DateTime;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A Bluetooth beacon was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BluetoothClock {
    /// How the frame starts.
    pub start: Start,
    /// When.
    pub time: DateTime,
    /// How strongly it is heard, dBm.
    pub dbm: i8,
    /// Its address.
    pub mac: [u8; 6],
    /// Its group.
    pub uuid: [u8; 16],
    /// Its number in the group.
    pub major: u16,
    /// Its number under that.
    pub minor: u16,
    /// Volts × 100 of its battery.
    pub voltage: u16,
    /// Bits 2 to 5 say what the clock did.
    pub raw_clock: u8,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for BluetoothClock {
    const NAME: &'static str = "bluetooth_clock";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() || cx.is_short() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let dbm = r.u8("signal")?.cast_signed();
        r.note(|| format!("{dbm} dBm"));
        let mac = crate::field::mac(r, "mac")?;
        let uuid: [u8; 16] = r.array("uuid")?;
        r.note(|| crate::text::hex(&uuid));
        let major = r.u16("major")?;
        let minor = r.u16("minor")?;
        let voltage = r.u16("voltage")?;
        r.note(|| format!("{:.2} V", f32::from(voltage) / 100.0));
        Ok(Self {
            start: cx.head.start(),
            time,
            dbm,
            mac,
            uuid,
            major,
            minor,
            voltage,
            raw_clock: r.u8("clock")?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        out.put_i8(self.dbm);
        out.put_slice(&self.mac);
        out.put_slice(&self.uuid);
        for word in [self.major, self.minor, self.voltage] {
            out.put_u16(word);
        }
        out.put_u8(self.raw_clock);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xb2
    }

    fn start(&self) -> Start {
        self.start
    }

    fn answer(&self) -> Answer {
        Answer::undocumented(self.start)
    }

    /// Key: number and body.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{MacAddress, Signal};

        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Status, self.time, &key, 0);
        let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
        report.more.signals.extend([
            Signal::named("gt06.beacon_address").text(format!("{}", MacAddress(self.mac))),
            number("gt06.beacon_signal", self.dbm.into(), Some("dBm")),
            Signal::named("gt06.beacon_uuid").text(crate::text::hex(&self.uuid)),
            number("gt06.beacon_major", self.major.into(), None),
            number("gt06.beacon_minor", self.minor.into(), None),
            number(
                "gt06.beacon_battery",
                f64::from(self.voltage) / 100.0,
                Some("V"),
            ),
            number(
                "gt06.beacon_clock",
                f64::from(self.raw_clock >> 2 & 0x0f),
                None,
            ),
        ]);
        cx.note_tail(report, &self.tail);
    }
}
