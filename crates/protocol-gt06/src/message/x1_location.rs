//! 0x34, L 38 and above, position of X1, a terminal with camera and ports.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | alarms | bits, unknown |
//! | 4 | 18 | position | [`Gps`] |
//! | 22 | 2 | information | unknown |
//! | 24 | 4 | mileage | metres |
//! | 28 | 9, 10 | cell | [`Cell`] with a cell id of 4 |
//! | 37 | 4 | driver | number of the driver's card; 0 none |
//! | 41 | 2 | voltage | volts × 100 |
//! | 43 | 2 | voltage | volts × 100 |
//! | 45 | 4 | ports | bits 23–20: N, how many analogue inputs follow |
//! | 49 | 1 | inputs | bits |
//! | 50 | 1 | outputs | bits |
//! | 51 | N × 2 | analogue inputs | volts × 100 |
//!
//! Seen on devices. The one description there is calls the first voltage the battery's and the
//! second the supply's; both frames seen have 12.80 and 14.28 V first and 3.99 and 4.19 V second,
//! which are a vehicle's supply and a lithium cell. So the one that is above 5 V is taken for the
//! supply, and the description's order decides only if neither is.
//!
//! SL4X sends cells under 0x34. This one has a time after the alarms, and the length that its ports
//! promise.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Mileage, centivolts, is_time};
use crate::layout::layout;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position of X1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X1Location {
    /// All but the analogue inputs.
    pub head: X1Head,
    /// Volts × 100; no more than 15 can be written.
    pub analogue: Vec<u16>,
}

layout! {
    /// What an [`X1Location`] has before its analogue inputs.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct X1Head {
        /// Alarm bits.
        alarms: u32 as "alarms",
        /// Where and when.
        gps: Gps,
        /// Unknown.
        information: u16 as "information",
        /// Metres.
        mileage: Mileage,
        /// The serving cell.
        cell: Cell as CellForm::L9c,
        /// The number of the driver's card.
        driver: u32 as "driver",
        /// Volts × 100.
        voltage_1: u16 as "voltage 1",
        /// Volts × 100.
        voltage_2: u16 as "voltage 2",
        /// Bits 23–20: how many analogue inputs.
        ports: u32 as "ports",
        /// Bits.
        inputs: u8 as "inputs",
        /// Bits.
        outputs: u8 as "outputs",
    }
}

/// Where the position begins.
const GPS_AT: usize = 4;

impl Body for X1Location {
    const NAME: &'static str = "x1_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        let has_time = is_time(cx.body, GPS_AT);
        Fit::possible_if(cx.is_short() && has_time && crate::parse::is_whole(cx.body, Self::read))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Self::read(r)
    }

    fn encode(&self, out: &mut BytesMut) {
        self.head.write_fields(out);
        for voltage in &self.analogue {
            out.put_u16(*voltage);
        }
    }

    fn number(&self) -> u8 {
        0x34
    }

    /// Key: number, time, position, alarm bits, driver, inputs and outputs.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Kind, Signal, Switches};

        /// The names of the analogue inputs; N is no more than 15.
        const NAMES: [&str; 15] = [
            "gt06.adc_1",
            "gt06.adc_2",
            "gt06.adc_3",
            "gt06.adc_4",
            "gt06.adc_5",
            "gt06.adc_6",
            "gt06.adc_7",
            "gt06.adc_8",
            "gt06.adc_9",
            "gt06.adc_10",
            "gt06.adc_11",
            "gt06.adc_12",
            "gt06.adc_13",
            "gt06.adc_14",
            "gt06.adc_15",
        ];
        let X1Head {
            alarms,
            gps,
            information,
            driver,
            inputs,
            outputs,
            ..
        } = self.head;
        let key = crate::normalize::Key::new(0x34);
        let mut more = BytesMut::new();
        more.put_u32(alarms);
        more.put_u32(driver);
        more.put_slice(&[inputs, outputs]);
        let report = cx.positioned_with(out, Kind::Location, &gps, key, &more);
        self.head.note_fields(cx, report);
        let (supply, battery) = self.head.supply_and_battery();
        crate::field::note_supply(report, supply);
        crate::field::note_battery_voltage(report, battery);
        if driver != 0 {
            report.identity_mut().driver = Some(alloc::format!("{driver}").into());
        }
        report.io.inputs = Switches::from_bits(inputs.into(), 8);
        report.io.outputs = Switches::from_bits(outputs.into(), 8);
        for (raw, name) in self.analogue.iter().zip(NAMES) {
            let volts = f64::from(*raw) / 100.0;
            let input = Signal::named(name).number(volts, Some("V"));
            report.more.signals.push(input);
        }
        // No manual gives the bits' meaning; that some are set must be seen.
        for (name, bits) in [
            ("gt06.alarm_bits", alarms),
            ("gt06.information_raw", information.into()),
        ] {
            if bits != 0 {
                report
                    .more
                    .signals
                    .push(Signal::named(name).number(bits.into(), None));
            }
        }
    }
}

impl X1Location {
    fn read<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let head = X1Head::read_fields(r)?;
        let count = head.ports >> 20 & 0xf;
        let analogue = (0..count)
            .map(|_| centivolts(r, "analogue input"))
            .collect::<Result<_, _>>()?;
        Ok(Self { head, analogue })
    }
}

impl X1Head {
    /// Volts × 100 of the supply and of the battery.
    #[must_use]
    pub const fn supply_and_battery(&self) -> (u16, u16) {
        match (self.voltage_1, self.voltage_2) {
            (first @ 501.., second @ ..=500) => (first, second),
            // As described: battery, supply.
            (first, second) => (second, first),
        }
    }
}
