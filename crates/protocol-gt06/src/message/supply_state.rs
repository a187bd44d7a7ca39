//! 0x24, L 2E, position with ignition and voltages (SR411 mini).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`] |
//! | 26 | 1 | ignition | 0 off, 1 on |
//! | 27 | 2 | supply | volts × 100 |
//! | 29 | 2 | battery | volts × 100 |
//! | 31 | | unknown | 10 bytes |
//!
//! Seen on devices. 0x24 holds cells elsewhere: this one is told by its length and a country code
//! behind the position. In another length, cut short or longer, it is told by a time and a place
//! where they belong, and by no country code where cells have theirs; the length of counted cells
//! stays theirs. Its fields are then read as far as they are whole, and only where there is a
//! country code (or zeros) and ignition and voltages are such; else all behind the position is kept
//! as it is, for one does not know which byte is missing or too many.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{
    Cell, CellForm, Gps, centivolts, is_gps_before_cell, is_mcc, may_be_cell, may_be_voltage,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with ignition and voltages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyState {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None`, as what follows, where the body ends before.
    pub cell: Option<Cell>,
    /// 0 off, 1 on.
    pub raw_ignition: Option<u8>,
    /// Volts × 100.
    pub supply: Option<u16>,
    /// Volts × 100.
    pub battery: Option<u16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// Whether the length is the known one, and a country code or zeros stand behind the position.
fn is_usual(body: &[u8]) -> bool {
    let has_length = match body.get(Gps::LEN) {
        Some(mcc) => body.len() == if mcc & 0x80 == 0 { 41 } else { 42 },
        None => false,
    };
    let no_cell = matches!(body.get(Gps::LEN..), Some([0, 0, ..]));
    // No list of cells has that length.
    has_length && (is_mcc(body, Gps::LEN) || no_cell)
}

/// Whether what stands behind the position is what should.
fn is_sane(rest: &[u8]) -> bool {
    let at = CellForm::L8.len(Cell::peek_mcc(rest));
    may_be_cell(rest)
        && rest.get(at).is_none_or(|ignition| *ignition <= 1)
        && may_be_voltage(rest, at + 1)
        && may_be_voltage(rest, at + 3)
}

impl Body for SupplyState {
    const NAME: &'static str = "supply_state";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && is_gps_before_cell(cx.body))
            .or_certain_if(cx.is_short() && is_usual(cx.body))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        whole.only_if(is_usual(cx.body) || is_sane(whole.peek()));
        Ok(Self {
            gps,
            cell: Cell::decode_whole(&mut whole, CellForm::L8)?,
            raw_ignition: whole.read(1, |r| {
                let ignition = r.u8("ignition")?;
                r.note(|| if ignition == 0 { "off" } else { "on" }.into());
                Ok(ignition)
            })?,
            supply: whole.read(2, |r| centivolts(r, "supply"))?,
            battery: whole.read(2, |r| centivolts(r, "battery"))?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        out.extend(self.raw_ignition);
        out.extend(self.supply.into_iter().flat_map(u16::to_be_bytes));
        out.extend(self.battery.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x24
    }

    /// Key: number, time, position, ignition.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x24);
        let ignition = self.raw_ignition.as_slice();
        let report = cx.positioned_with(
            out,
            milepost_telemetry::Kind::Location,
            &self.gps,
            key,
            ignition,
        );
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(ignition @ 0..=1) = self.raw_ignition {
            report
                .io
                .note_ignition(ignition == 1, milepost_telemetry::IgnitionSource::Field);
        }
        if let Some(centivolts) = self.supply {
            crate::field::note_supply(report, centivolts);
        }
        if let Some(centivolts) = self.battery {
            crate::field::note_battery_voltage(report, centivolts);
        }
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{CELL, GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const UNKNOWN: &str = "00112233445566778899";

    #[test]
    fn a_country_behind_the_position_tells_it_from_cells() {
        for (cell, parts) in [(CELL, UNKNOWN), ("81cc 0007 287d 001f71", UNKNOWN)] {
            let read = read_parts(Start::Short, 0x24, &[GPS, cell, "01 04ce 019a", parts]);
            let Message::SupplyState(read) = read else {
                panic!("{read:?}")
            };
            assert_eq!(
                (read.cell.unwrap().lac, read.supply, read.battery),
                (10_365, Some(1_230), Some(410))
            );
        }
        let cells = "287d 001f71 50".repeat(7);
        let list = read_parts(Start::Short, 0x24, &["0f0c1d023305", "01cc 00", &cells]);
        assert!(matches!(list, Message::CellList(_)), "{list:?}");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn ignition_and_voltages_reach_the_report() {
        use crate::message::testing::{report, signal};
        let read = read_parts(Start::Short, 0x24, &[GPS, CELL, "01 04ce 019a", UNKNOWN]);
        let report = report(read);
        assert_eq!(report.kind, milepost_telemetry::Kind::Location);
        assert_eq!(report.io.ignition, Some(true));
        let volts =
            |v: Option<milepost_telemetry::Voltage>| v.map(|v| (v.as_volts() * 100.0).round());
        assert_eq!(volts(report.power.external), Some(1_230.0));
        assert_eq!(volts(report.power.battery), Some(410.0));
        assert_eq!(signal(&report, "gt06.tail").unwrap(), UNKNOWN);
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        // The second one has no length before its satellites.
        const BARE: &str = "0f0c1d023305 09 027ac818 0c465860 00 1400";
        for (gps, cell, cell_ends) in [
            (GPS, CELL, 26),
            (GPS, "81cc 0007 287d 001f71", 27),
            (GPS, "0000 00 0000 000000", 26),
        ] {
            let parts = [gps, cell, "01 04ce 019a", UNKNOWN];
            for (len, message, report) in cut_short(Start::Short, 0x24, 18, &parts) {
                let Message::SupplyState(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(report.kind, milepost_telemetry::Kind::Location);
                assert_eq!(read.cell.is_some(), len >= cell_ends, "{len}");
                let on = (len > cell_ends).then_some(true);
                assert_eq!(report.io.ignition, on, "{len}");
                let [supply, battery] = [3, 5].map(|size| len >= cell_ends + size);
                assert_eq!(report.power.external.is_some(), supply, "{len}");
                assert_eq!(report.power.battery.is_some(), battery, "{len}");
                let is_whole = [18, cell_ends, cell_ends + 1, cell_ends + 3, cell_ends + 5];
                let no_tail = signal(&report, "gt06.tail").is_none();
                assert_eq!(no_tail, is_whole.contains(&len), "{len}");
            }
        }
        for len in 20..44 {
            let sent = body(&[BARE, CELL, "01 04ce 019a", UNKNOWN, "aabb"]);
            let read = read_body(Start::Short, 0x24, &sent[..len]);
            assert!(
                matches!(read, Ok(Message::SupplyState(_))),
                "{len}: {read:?}"
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_too_many_costs_nothing_behind_and_all_before() {
        use crate::message::testing::{report, signal};

        let behind = [GPS, CELL, "01 04ce 019a", UNKNOWN, "aa"];
        let behind = report(read_parts(Start::Short, 0x24, &behind));
        assert_eq!(behind.io.ignition, Some(true));
        // In the cell: what stands where the ignition should is none, and nothing is what it was.
        let within = [GPS, "01cc 00 287d 00001f71", "01 04ce 019a", UNKNOWN];
        let within = report(read_parts(Start::Short, 0x24, &within));
        assert!(within.fix.is_some());
        assert_eq!((within.network.cell, within.io.ignition), (None, None));
        assert_eq!(signal(&within, "gt06.tail").unwrap().len(), 24 * 2);
    }

    #[test]
    fn cells_stay_cells_in_every_length() {
        let cells = "287d 001f71 50".repeat(7);
        let whole = body(&["0f0c1d023305", "01cc 00", &cells, "ff 0002"]);
        for len in 1..=whole.len() {
            let read = read_body(Start::Short, 0x24, &whole[..len]);
            assert!(
                !matches!(read, Ok(Message::SupplyState(_))),
                "{len}: {read:?}"
            );
        }
    }
}
