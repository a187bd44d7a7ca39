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

use bytes::Bytes;

use super::{Body, Context, Fit};
use crate::field::DateTime;
use crate::frame::Start;
use crate::layout::{layout, meant, plain};
use crate::reply::Answer;
use crate::text;

layout! {
    /// A Bluetooth beacon was met.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct BluetoothClock of |cx| {
        /// How the frame starts.
        start: Start = cx.head.start(),
    } {
        /// When.
        time: DateTime,
        /// How strongly it is heard, dBm.
        dbm: i8 as meant("signal", describe_dbm),
        /// Its address.
        mac: [u8; 6] as meant("mac", text::mac_bytes),
        /// Its group.
        uuid: [u8; 16] as meant("uuid", text::hex),
        /// Its number in the group.
        major: u16 as "major",
        /// Its number under that.
        minor: u16 as "minor",
        /// Volts × 100 of its battery.
        voltage: u16 as meant("voltage", text::centivolts),
        /// Bits 2 to 5: what the clock did.
        raw_clock: u8 as "clock",
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

fn describe_dbm(bytes: &[u8]) -> alloc::string::String {
    format!("{} dBm", bytes.try_into().map_or(0, i8::from_be_bytes))
}

impl Body for BluetoothClock {
    const NAME: &'static str = "bluetooth_clock";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() || cx.is_short() && !cx.body.is_empty())
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
            Signal::named("gt06.beacon_uuid").text(text::hex(&self.uuid)),
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
