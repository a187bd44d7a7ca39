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

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// The state of a battery pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatteryPack {
    /// How the frame starts.
    pub start: Start,
    /// Serial number.
    pub serial_number: [u8; 8],
    /// Seconds since 1970.
    pub unix: u32,
    /// Percent.
    pub relative_charge: u8,
    /// Remaining capacity.
    pub remaining: u16,
    /// Percent.
    pub absolute_charge: u8,
    /// Full capacity.
    pub full: u16,
    /// Percent.
    pub health: u8,
    /// Kelvin × 10.
    pub temperature: u16,
    /// Current.
    pub current: u16,
    /// Millivolts.
    pub millivolts: u16,
    /// Charging cycles.
    pub cycles: u16,
    /// Millivolts of each cell.
    pub cells: [u16; 14],
    /// Time between charges.
    pub charging_time: u16,
    /// Longest time between charges.
    pub longest_charging_time: u16,
    /// Barcode.
    pub barcode: [u8; 16],
    /// Version.
    pub version: u16,
    /// Maker.
    pub maker: [u8; 16],
    /// State bits.
    pub state: u32,
    /// Control bits.
    pub control: u32,
    /// Fault bits.
    pub fault: u32,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for BatteryPack {
    const NAME: &'static str = "battery_pack";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() || cx.is_short() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let serial_number = r.array("serial number")?;
        r.note(|| crate::text::hex(&serial_number));
        let unix = r.u32("time")?;
        r.note(|| crate::text::unix(unix));
        let percent = |r: &mut Reader<'_, T>, field| {
            let raw = r.u8(field)?;
            r.note(|| format!("{raw} %"));
            Ok(raw)
        };
        let relative_charge = percent(r, "relative charge")?;
        let remaining = r.u16("remaining capacity")?;
        let absolute_charge = percent(r, "absolute charge")?;
        let full = r.u16("full capacity")?;
        let health = percent(r, "health")?;
        let temperature = r.u16("temperature")?;
        r.note(|| format!("{:.1} °C", celsius(temperature)));
        let current = r.u16("current")?;
        let millivolts = r.u16("voltage")?;
        r.note(|| format!("{millivolts} mV"));
        let cycles = r.u16("cycles")?;
        let mut cells = [0; 14];
        for cell in &mut cells {
            *cell = r.u16("cell voltage")?;
            r.note(|| format!("{cell} mV"));
        }
        Ok(Self {
            start: cx.head.start(),
            serial_number,
            unix,
            relative_charge,
            remaining,
            absolute_charge,
            full,
            health,
            temperature,
            current,
            millivolts,
            cycles,
            cells,
            charging_time: r.u16("charging time")?,
            longest_charging_time: r.u16("longest charging time")?,
            barcode: text(r, "barcode")?,
            version: r.u16("version")?,
            maker: text(r, "maker")?,
            state: r.u32("state bits")?,
            control: r.u32("control bits")?,
            fault: r.u32("fault bits")?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.serial_number);
        out.put_u32(self.unix);
        out.put_u8(self.relative_charge);
        out.put_u16(self.remaining);
        out.put_u8(self.absolute_charge);
        out.put_u16(self.full);
        out.put_u8(self.health);
        for word in [self.temperature, self.current, self.millivolts, self.cycles] {
            out.put_u16(word);
        }
        for cell in self.cells {
            out.put_u16(cell);
        }
        out.put_u16(self.charging_time);
        out.put_u16(self.longest_charging_time);
        out.put_slice(&self.barcode);
        out.put_u16(self.version);
        out.put_slice(&self.maker);
        for bits in [self.state, self.control, self.fault] {
            out.put_u32(bits);
        }
        out.put_slice(&self.tail);
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
            Signal::named("gt06.pack_serial_number").text(crate::text::hex(&self.serial_number)),
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

fn text<T: Trace>(r: &mut Reader<'_, T>, field: &'static str) -> Result<[u8; 16], DecodeError> {
    let text = r.array(field)?;
    r.note(|| crate::answer::ascii(&text));
    Ok(text)
}

/// A value that is not there.
#[cfg(feature = "telemetry")]
fn absent(name: &'static str) -> milepost_telemetry::Signal {
    let mut signal = milepost_telemetry::Signal::named(name);
    signal.state = Some(milepost_telemetry::SignalState::NotAvailable);
    signal
}

/// Tenths of a kelvin in degrees Celsius, by the manual's 273.1, with one decimal.
fn celsius(tenths_of_kelvin: u16) -> f64 {
    f64::from(i32::from(tenths_of_kelvin) - 2_731) / 10.0
}
