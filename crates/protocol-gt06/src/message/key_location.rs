//! 0x61, position with a driver's key (DT16E with iButton).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 18 | position | [`Gps`] |
//! | 26 | 9, 10 | cell | [`Cell`] with a cell id of 4 |
//! | 35 | 6 | key | the key's number; all zero: none |
//!
//! L 2E. Seen on devices. What is cut short behind the position is kept as it is.

use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, TerminalId};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with a driver's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLocation {
    /// Who.
    pub id: TerminalId,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// The number of the key; `None`, as the cell, where the body ends before.
    pub key: Option<[u8; 6]>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for KeyLocation {
    const NAME: &'static str = "key_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        Ok(Self {
            id,
            gps,
            cell: Cell::decode_whole(&mut whole, CellForm::L9c)?,
            key: whole.read(6, |r| crate::field::card(r, "key"))?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.id.0);
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        out.extend(self.key.into_iter().flatten());
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x61
    }

    /// Key: number, time, position, driver's key.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x61);
        let driver = self.key.as_ref().map_or(&[][..], |key| key);
        let report = cx.positioned_with(
            out,
            milepost_telemetry::Kind::Location,
            &self.gps,
            key,
            driver,
        );
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        report.identity_mut().imei = Some(self.id.to_string().into());
        report.identity_mut().driver = super::card_number(driver);
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    const ID: &str = "0123456789012345";
    const CELL: &str = "01cc 00 287d 00001f71";

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_key_of_zeros_is_no_driver() {
        for (key, driver) in [
            ("0000 0a1b2c3d", Some("00000a1b2c3d")),
            ("0000 00000000", None),
        ] {
            let read = read_parts(Start::Short, 0x61, &[ID, GPS, CELL, key]);
            let report = crate::message::testing::report(read);
            let identity = report.more.identity.clone().unwrap();
            assert_eq!(identity.driver.as_deref(), driver);
            assert_eq!(identity.imei.as_deref(), Some("123456789012345"));
        }
    }

    #[test]
    fn the_cell_is_wide() {
        let read = read_parts(Start::Short, 0x61, &[ID, GPS, CELL, "0000 0a1b2c3d"]);
        let Message::KeyLocation(read) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            (read.cell.unwrap().cell_id, read.key.unwrap()),
            (8_049, [0, 0, 0x0a, 0x1b, 0x2c, 0x3d])
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        for (cell, cell_ends) in [(CELL, 35), ("81cc 0007 287d 00001f71", 36)] {
            let parts = [ID, GPS, cell, "0000 0a1b2c3d"];
            for (len, _, report) in cut_short(Start::Short, 0x61, 26, &parts) {
                assert_eq!(report.network.cell.is_some(), len >= cell_ends, "{len}");
                let identity = report.more.identity.as_ref().unwrap();
                assert!(identity.driver.is_none() && identity.imei.is_some());
                let is_whole = len == 26 || len == cell_ends;
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }
}
