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
//! behind the position.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, centivolts, is_mcc};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with ignition and voltages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyState {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
    /// 0 off, 1 on.
    pub raw_ignition: u8,
    /// Volts × 100.
    pub supply: u16,
    /// Volts × 100.
    pub battery: u16,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for SupplyState {
    const NAME: &'static str = "supply_state";
    const ANSWER: Answer = Answer::ByPolicy;

    fn accepts(cx: &Context<'_>) -> bool {
        let has_length = match cx.body.get(Gps::LEN) {
            Some(mcc) => cx.length() == if mcc & 0x80 == 0 { 0x2e } else { 0x2f },
            None => false,
        };
        let no_cell = matches!(cx.body.get(Gps::LEN..), Some([0, 0, ..]));
        // No list of cells has that length.
        cx.is_short() && has_length && (is_mcc(cx.body, Gps::LEN) || no_cell)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, CellForm::L8)?,
            raw_ignition: {
                let ignition = r.u8("ignition")?;
                r.note(|| if ignition == 0 { "off" } else { "on" }.into());
                ignition
            },
            supply: centivolts(r, "supply")?,
            battery: centivolts(r, "battery")?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        out.put_u8(self.raw_ignition);
        out.put_u16(self.supply);
        out.put_u16(self.battery);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x24
    }

    /// Key: number, time, position, ignition.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x24);
        let ignition = [self.raw_ignition];
        let report = cx.positioned_with(out, telemetry::Kind::Location, &self.gps, key, &ignition);
        report.network.cell = self.cell.normalize(true);
        if let 0 | 1 = self.raw_ignition {
            report
                .io
                .note_ignition(self.raw_ignition == 1, telemetry::IgnitionSource::Field);
        }
        crate::field::note_supply(report, self.supply);
        crate::field::note_battery_voltage(report, self.battery);
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{CELL, GPS, read_parts};
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
                (read.cell.lac, read.supply, read.battery),
                (10_365, 1_230, 410)
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
        assert_eq!(report.kind, telemetry::Kind::Location);
        assert_eq!(report.io.ignition, Some(true));
        let volts = |v: Option<telemetry::Voltage>| v.map(|v| (v.as_volts() * 100.0).round());
        assert_eq!(volts(report.power.external), Some(1_230.0));
        assert_eq!(volts(report.power.battery), Some(410.0));
        assert_eq!(signal(&report, "gt06.tail").unwrap(), UNKNOWN);
    }
}
