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
//! supply, and the description's order decides only where that does not tell.
//!
//! SL4X sends cells under 0x34. This one is told by a time behind the alarms, and by a length
//! that agrees with its ports; where one of them does not hold, by a country code before the cell
//! and none where the cells' is; where that is not there either, as it is cut short, by a time and a place
//! behind the alarms and none before. What is cut short behind the position is read as far as it is whole,
//! what the ports do not explain is kept raw. Where what should be the cell begins with no country code
//! (nor zeros, nor ones), all behind the position is kept as it is, and all behind the cell where neither
//! voltage there can be one.

use alloc::format;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{
    Cell, CellForm, Gps, centivolts, is_mcc, is_time, is_timed_place, may_be_cell, may_be_voltage,
    mileage,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position of X1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X1Location {
    /// Alarm bits.
    pub alarms: u32,
    /// Where and when.
    pub gps: Gps,
    /// Unknown; `None`, as what follows, where the body ends before.
    pub information: Option<u16>,
    /// Metres.
    pub mileage: Option<u32>,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// The number of the driver's card.
    pub driver: Option<u32>,
    /// Volts × 100.
    pub voltages: Option<[u16; 2]>,
    /// Bits 23–20: how many analogue inputs; no more than 15 can be written.
    pub ports: Option<u32>,
    /// Bits.
    pub inputs: Option<u8>,
    /// Bits.
    pub outputs: Option<u8>,
    /// Volts × 100.
    pub analogue: Vec<u16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// What stands before the position, before the cell, and behind that and before the analogue inputs.
const BEFORE_GPS: usize = 4;
const BEFORE_CELL: usize = 28;
const BEHIND_CELL: usize = 14;

const fn analogue_count(ports: u32) -> usize {
    (ports >> 20 & 0xf) as usize
}

/// The length that the ports promise, of a body that long or longer.
fn promised(body: &[u8]) -> Option<usize> {
    let mcc = match body.get(BEFORE_CELL..) {
        Some([high, low, ..]) => u16::from_be_bytes([*high, *low]),
        _ => return None,
    };
    let ports_at = BEFORE_CELL + CellForm::L9c.len(mcc) + 8;
    let count = usize::from(body.get(ports_at + 1)? >> 4);
    Some(BEFORE_CELL + CellForm::L9c.len(mcc) + BEHIND_CELL + count * 2)
}

/// Whether a body is as long as its ports promise, and has a time.
fn has_promised(body: &[u8]) -> bool {
    promised(body) == Some(body.len()) && is_time(body, BEFORE_GPS)
}

impl Body for X1Location {
    const NAME: &'static str = "x1_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        let body = cx.body;
        if !cx.is_short() || has_promised(body) {
            return Fit::possible_if(cx.is_short());
        }
        // A length that the ports do not promise, or no time, must not lose the position. Then it
        // is one where it cannot be cells, and its own country code stands where it belongs.
        let is_cells = is_time(body, 0) && is_mcc(body, 7);
        let no_time = body.get(BEFORE_GPS..10) == Some(&[0; 6]);
        let has_cell = is_mcc(body, BEFORE_CELL) && (no_time || is_time(body, BEFORE_GPS));
        // Without that there must be a place, and no time before it, which cells without a network have.
        let is_place = || !is_time(body, 0) && body.get(BEFORE_GPS..).is_some_and(is_timed_place);
        Fit::possible_if(!is_cells && (has_cell || is_place()))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let alarms = r.u32("alarms")?;
        r.note(|| format!("bits {alarms:08x}"));
        let gps = Gps::decode(r)?;
        let is_usual = has_promised(cx.body);
        let block = cx.body.get(BEFORE_CELL..).unwrap_or_default();
        let mut whole = r.whole_fields();
        whole.only_if(block.len() < 2 || may_be_cell(block));
        let information = whole.read(2, |r| r.u16("information"))?;
        let mileage = whole.read(4, mileage)?;
        let cell = Cell::decode_whole(&mut whole, CellForm::L9c)?;
        let behind = whole.peek();
        whole.only_if(is_usual || may_be_voltage(behind, 4) && may_be_voltage(behind, 6));
        let driver = whole.read(4, |r| r.u32("driver"))?;
        let voltages = whole.read(4, |r| {
            Ok([centivolts(r, "voltage 1")?, centivolts(r, "voltage 2")?])
        })?;
        let ports = whole.read(4, |r| {
            let ports = r.u32("ports")?;
            r.note(|| format!("{} analogue inputs", analogue_count(ports)));
            Ok(ports)
        })?;
        let inputs = whole.read(1, |r| r.u8("inputs"))?;
        let outputs = whole.read(1, |r| r.u8("outputs"))?;
        let mut analogue = Vec::new();
        for _ in 0..ports.map_or(0, analogue_count) {
            analogue.extend(whole.read(2, |r| centivolts(r, "analogue input"))?);
        }
        Ok(Self {
            alarms,
            gps,
            information,
            mileage,
            cell,
            driver,
            voltages,
            ports,
            inputs,
            outputs,
            analogue,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(self.alarms);
        self.gps.encode(out);
        out.extend(self.information.into_iter().flat_map(u16::to_be_bytes));
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        out.extend(self.driver.into_iter().flat_map(u32::to_be_bytes));
        for voltage in self.voltages.into_iter().flatten() {
            out.put_u16(voltage);
        }
        out.extend(self.ports.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.inputs.into_iter().chain(self.outputs));
        for voltage in &self.analogue {
            out.put_u16(*voltage);
        }
        out.put_slice(&self.tail);
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
        let key = crate::normalize::Key::new(0x34);
        let more: Vec<u8> = (self.alarms.to_be_bytes().into_iter())
            .chain(self.driver.into_iter().flat_map(u32::to_be_bytes))
            .chain(self.inputs)
            .chain(self.outputs)
            .collect();
        let report = cx.positioned_with(out, Kind::Location, &self.gps, key, &more);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        if let Some((supply, battery)) = self.supply_and_battery() {
            crate::field::note_supply(report, supply);
            crate::field::note_battery_voltage(report, battery);
        }
        if let Some(driver) = self.driver.filter(|driver| *driver != 0) {
            report.identity_mut().driver = Some(format!("{driver}").into());
        }
        if let Some(inputs) = self.inputs {
            report.io.inputs = Switches::from_bits(inputs.into(), 8);
        }
        if let Some(outputs) = self.outputs {
            report.io.outputs = Switches::from_bits(outputs.into(), 8);
        }
        for (raw, name) in self.analogue.iter().zip(NAMES) {
            let value = f64::from(*raw) / 100.0;
            report
                .more
                .signals
                .push(Signal::named(name).number(value, Some("V")));
        }
        // What the bits mean no manual says; that some are set must be seen.
        for (name, value) in [
            ("gt06.alarm_bits", self.alarms),
            ("gt06.information_raw", self.information.unwrap_or(0).into()),
        ] {
            if value != 0 {
                report
                    .more
                    .signals
                    .push(Signal::named(name).number(value.into(), None));
            }
        }
        cx.note_tail(report, &self.tail);
    }
}

impl X1Location {
    /// Volts × 100 of the supply and of the battery.
    #[must_use]
    pub fn supply_and_battery(&self) -> Option<(u16, u16)> {
        Some(match self.voltages? {
            [first, second] if first > 500 && second <= 500 => (first, second),
            // As described: battery, supply.
            [first, second] => (second, first),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const HEAD: &str = "00000000";
    const CELL: &str = "0000 00000194 01cc 03 287d 00001f71";

    fn read(parts: &[&str]) -> X1Location {
        match read_parts(Start::Short, 0x34, parts) {
            Message::X1Location(read) => *read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_ports_say_how_many_analogue_inputs_follow() {
        for (ports, inputs) in [
            ("42010000", ""),
            ("42210000", "0005 0003"),
            ("42110000", "0005"),
        ] {
            let read = read(&[
                HEAD,
                GPS,
                CELL,
                "004aa82b",
                "0500 018f",
                ports,
                "00 01",
                inputs,
            ]);
            assert_eq!(read.analogue.len() * 2, body(&[inputs]).len());
        }
    }

    #[test]
    fn a_length_that_the_ports_do_not_promise_and_no_time_keep_the_position() {
        const NO_TIME: &str = "000000000000 c9 027ac818 0c465860 00 1400";
        for (gps, ports, behind, inputs, tail) in [
            (GPS, "42210000", "0005", 1, 0),
            (GPS, "42110000", "0005 07", 1, 1),
            (GPS, "42110000", "07", 0, 1),
            (GPS, "42010000", "0005", 0, 2),
            (NO_TIME, "42110000", "0005", 1, 0),
            (NO_TIME, "42110000", "0005 07", 1, 1),
        ] {
            let parts = [
                HEAD,
                gps,
                CELL,
                "004aa82b",
                "0500 018f",
                ports,
                "00 01",
                behind,
            ];
            let read_body = read_body(Start::Short, 0x34, &body(&parts)).unwrap();
            let Message::X1Location(read) = read_body.clone() else {
                panic!("{read_body:?}")
            };
            assert_eq!((read.analogue.len(), read.tail.len()), (inputs, tail));
            assert_eq!(read.gps.position().raw_latitude, 0x027a_c818);
            crate::message::testing::round_trip(read_body);
        }
    }

    #[test]
    fn cells_under_the_same_number_stay_cells() {
        let cells = body(&["0f0c1d023305 ff 01cc 0000", &"287d 00001f71 50".repeat(6)]);
        let read = read_body(Start::Short, 0x34, &cells);
        assert!(matches!(read, Ok(Message::CountedCells(_))), "{read:?}");
    }

    #[test]
    fn what_is_above_five_volts_is_the_supply_in_either_order() {
        for (voltages, supply_and_battery) in [
            ("0500 018f", (1_280, 399)),
            ("018f 0500", (1_280, 399)),
            // Where neither tells: battery first, as described.
            ("0190 018f", (399, 400)),
        ] {
            let read = read(&[HEAD, GPS, CELL, "00000000", voltages, "42010000", "00 01"]);
            assert_eq!(
                read.supply_and_battery(),
                Some(supply_and_battery),
                "{voltages}"
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn driver_switches_and_unknown_bits_are_seen() {
        use crate::message::testing::{report, signal};
        let parts = [
            "39000000",
            GPS,
            CELL,
            "00000007",
            "0500 018f",
            "42110000",
            "05 01",
            "0041",
        ];
        let report = report(read(&parts));
        assert_eq!(
            report.more.identity.as_ref().unwrap().driver.as_deref(),
            Some("7")
        );
        assert_eq!(signal(&report, "gt06.alarm_bits").unwrap(), "956301312");
        assert_eq!(signal(&report, "gt06.adc_1").unwrap(), "0.65");
        assert_eq!(report.io.inputs.iter().filter(|on| *on).count(), 2);
    }
    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        for cell in [
            "01cc 03 287d 00001f71",
            "81cc 0003 287d 00001f71",
            "0000 00 0000 00000000",
        ] {
            let parts = [
                "39000000",
                GPS,
                "0000 00000194",
                cell,
                "00000007",
                "0500 018f",
                "42110000",
                "05 01",
                "0041",
            ];
            let cell_ends = 28 + body(&[cell]).len();
            for (len, message, report) in cut_short(Start::Short, 0x34, 22, &parts) {
                let Message::X1Location(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(read.cell.is_some(), len >= cell_ends, "{len}");
                assert_eq!(report.odometer.is_some(), len >= 28, "{len}");
                let driver = report
                    .more
                    .identity
                    .as_ref()
                    .map(|one| one.driver.is_some());
                assert_eq!(driver, (len >= cell_ends + 4).then_some(true), "{len}");
                assert_eq!(
                    report.power.external.is_some(),
                    len >= cell_ends + 8,
                    "{len}"
                );
                let has_inputs = report.io.inputs.iter().next().is_some();
                assert_eq!(has_inputs, len >= cell_ends + 13, "{len}");
                assert_eq!(signal(&report, "gt06.adc_1"), None, "{len}");
                let ends = [0, 4, 8, 12, 13, 14].map(|size| cell_ends + size);
                let is_whole = matches!(len, 22 | 24 | 28) || ends.contains(&len);
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_off_before_the_cell_costs_no_fix_and_is_no_mileage() {
        use crate::message::testing::{report, signal};

        for before in ["00 0000 00000194", "00 00000194"] {
            let rest = [
                before,
                "01cc 03 287d 00001f71",
                "00000007 0500 018f 42010000 05 01",
            ];
            let read = read(&[&[HEAD, GPS], &rest[..]].concat());
            let report = report(read);
            assert!(
                report.fix.is_some() && report.odometer.is_none(),
                "{report:?}"
            );
            assert_eq!(report.network.cell, None);
            let raw = hex::encode(body(&rest));
            assert_eq!(signal(&report, "gt06.tail").unwrap(), raw);
        }
    }

    #[test]
    fn cells_without_a_network_are_no_position() {
        let cells = body(&["0f0c1d020304 05 0000 0000", &"00".repeat(42)]);
        for len in 22..51 {
            let read = read_body(Start::Short, 0x34, &cells[..len]);
            assert!(matches!(read, Ok(Message::Unknown(_))), "{read:?}");
        }
    }
}
