//! 0x40, the state of a battery pack (WD-209).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | serial number | |
//! | 8 | 4 | time | Unix, UTC |
//! | 12 | 1 | relative charge | % |
//! | 13 | 2 | remaining capacity | unit not stated |
//! | 15 | 1 | absolute charge | % |
//! | 16 | 2 | full capacity | unit not stated |
//! | 18 | 1 | health | % |
//! | 19 | 2 | temperature | K × 10 |
//! | 21 | 2 | current | unit and sign not stated |
//! | 23 | 2 | voltage | mV |
//! | 25 | 2 | cycles | |
//! | 27 | 28 | cells | 14 × mV |
//! | 55 | 2 | charging time | unit not stated |
//! | 57 | 2 | longest time between charges | unit not stated |
//! | 59 | 16 | barcode | ASCII |
//! | 75 | 2 | version | |
//! | 77 | 16 | maker | ASCII |
//! | 93 | 4 | state bits | |
//! | 97 | 4 | control bits | |
//! | 101 | 4 | fault bits | |
//!
//! Seen on devices. It wants a reply.

use alloc::format;

use bytes::Bytes;

use super::{Body, Context, Fit};
use crate::frame::Start;
use crate::layout::{layout, meant, plain};
use crate::reply::Answer;
use crate::text;

layout! {
    /// The state of a battery pack.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct BatteryPack of |cx| {
        /// How the frame starts.
        start: Start = cx.head.start(),
    } {
        /// Serial number.
        serial_number: [u8; 8] as meant("serial number", text::hex),
        /// Seconds since 1970.
        unix: u32 as meant("time", text::unix_bytes),
        /// Percent.
        relative_charge: u8 as meant("relative charge", text::percent),
        /// Remaining capacity.
        remaining: u16 as "remaining capacity",
        /// Percent.
        absolute_charge: u8 as meant("absolute charge", text::percent),
        /// Full capacity.
        full: u16 as "full capacity",
        /// Percent.
        health: u8 as meant("health", text::percent),
        /// Kelvin × 10.
        temperature: u16 as meant("temperature", describe_celsius),
        /// Current.
        current: u16 as "current",
        /// Millivolts.
        millivolts: u16 as meant("voltage", text::millivolts),
        /// Charging cycles.
        cycles: u16 as "cycles",
        /// Millivolts of each cell.
        cells: [u16; 14] as meant("cell voltage", text::millivolts),
        /// Time between charges.
        charging_time: u16 as "charging time",
        /// Longest time between charges.
        longest_charging_time: u16 as "longest charging time",
        /// Barcode.
        barcode: [u8; 16] as meant("barcode", crate::answer::ascii),
        /// Version.
        version: u16 as "version",
        /// Maker.
        maker: [u8; 16] as meant("maker", crate::answer::ascii),
        /// State bits.
        state: u32 as "state bits",
        /// Control bits.
        control: u32 as "control bits",
        /// Fault bits.
        fault: u32 as "fault bits",
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

impl Body for BatteryPack {
    const NAME: &'static str = "battery_pack";
    const ANSWER: Answer = Answer::WhenDelivered;

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() || cx.is_short() && !cx.body.is_empty())
    }

    fn number(&self) -> u8 {
        0x40
    }

    fn start(&self) -> Start {
        self.start
    }

    /// Key: number and body.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Event, EventKind, Signal};

        let report = cx.timed_unix(
            out,
            milepost_telemetry::Kind::Status,
            self.unix,
            self.unix != 0,
            &super::whole_key(self),
            0,
        );
        let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
        // All ones fill a place that has no value.
        let byte = |name, raw: u8| match raw {
            u8::MAX => absent(name),
            _ => number(name, raw.into(), Some("%")),
        };
        let word = |name, raw: u16, value: f64, unit| match raw {
            u16::MAX => absent(name),
            _ => number(name, value, unit),
        };
        report.more.signals.extend([
            Signal::named("gt06.pack_serial_number").text(text::hex(&self.serial_number)),
            byte("gt06.pack_relative_charge", self.relative_charge),
            word(
                "gt06.pack_remaining_capacity",
                self.remaining,
                self.remaining.into(),
                None,
            ),
            byte("gt06.pack_absolute_charge", self.absolute_charge),
            word("gt06.pack_full_capacity", self.full, self.full.into(), None),
            byte("gt06.pack_health", self.health),
            word(
                "gt06.pack_temperature",
                self.temperature,
                celsius(self.temperature),
                Some("°C"),
            ),
            number("gt06.pack_current_raw", self.current.into(), None),
            word(
                "gt06.pack_voltage",
                self.millivolts,
                f64::from(self.millivolts) / 1_000.0,
                Some("V"),
            ),
            word("gt06.pack_cycles", self.cycles, self.cycles.into(), None),
            word(
                "gt06.pack_charging_time",
                self.charging_time,
                self.charging_time.into(),
                None,
            ),
            word(
                "gt06.pack_longest_charging_time",
                self.longest_charging_time,
                self.longest_charging_time.into(),
                None,
            ),
            number("gt06.pack_version", self.version.into(), None),
            number("gt06.pack_state_bits", self.state.into(), None),
            number("gt06.pack_control_bits", self.control.into(), None),
            number("gt06.pack_fault_bits", self.fault.into(), None),
        ]);
        for (source, millivolts) in (1..).zip(self.cells) {
            let volts = f64::from(millivolts) / 1_000.0;
            let mut cell = word("gt06.pack_cell_voltage", millivolts, volts, Some("V"));
            cell.source = Some(source);
            report.more.signals.push(cell);
        }
        for (name, raw) in [
            ("gt06.pack_barcode", &self.barcode),
            ("gt06.pack_maker", &self.maker),
        ] {
            let text = crate::answer::ascii(raw);
            if !text.is_empty() {
                report.more.signals.push(Signal::named(name).text(text));
            }
        }
        if self.fault != 0 {
            report
                .more
                .events
                .push(Event::by_device(EventKind::Fault, Some(self.fault)));
        }
        cx.note_tail(report, &self.tail);
    }
}

/// A value that is not there.
#[cfg(feature = "telemetry")]
fn absent(name: &'static str) -> milepost_telemetry::Signal {
    let mut signal = milepost_telemetry::Signal::named(name);
    signal.state = Some(milepost_telemetry::SignalState::NotAvailable);
    signal
}

fn describe_celsius(bytes: &[u8]) -> alloc::string::String {
    let tenths = bytes.try_into().map_or(0, u16::from_be_bytes);
    format!("{:.1} °C", celsius(tenths))
}

/// Tenths of a kelvin in degrees Celsius, by the manual's 273.1, with one decimal.
fn celsius(tenths_of_kelvin: u16) -> f64 {
    f64::from(i32::from(tenths_of_kelvin) - 2_731) / 10.0
}
