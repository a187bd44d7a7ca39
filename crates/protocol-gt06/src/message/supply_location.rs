//! 0x32 under `78 78`, L 2F and 2C, position with supply and ignition time (J16 and other 4G
//! models). A location, although SL4X and AZ735 use the number for other things.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 9, 10 | cell | [`Cell`] with a cell id of 4; in L 2C of 3 |
//! | 27 | 3 | trailer | [`Trailer`] |
//! | 30 | 4 | mileage | metres |
//! | 34 | 2 | supply | volts × 100 |
//! | 36 | 4 | ignition time | seconds that the ignition has been on, in all |
//! | 40 | 0 or 2 | radio and firmware | first half byte: generation of the network; the rest unknown; not in L 2C |
//!
//! Seen on devices; the last word only as `42 2D`, on LTE.

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, IgnitionSeconds, Mileage, Supply, Trailer};
use crate::layout::{Part, layout};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with supply and ignition time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; its form gives the length.
    pub cell: Cell,
    /// What follows the cell.
    pub more: SupplyLocationMore,
    /// Generation of the network in the first half byte.
    pub radio_word: Option<u16>,
}

layout! {
    /// What a [`SupplyLocation`] has after its cell.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SupplyLocationMore {
        /// Why it was sent.
        trailer: Trailer,
        /// Metres.
        mileage: Mileage,
        /// Volts × 100.
        supply: Supply,
        /// Seconds.
        ignition_time: IgnitionSeconds,
    }
}

/// The form of the cell, by the known lengths.
fn form(body: &[u8]) -> Option<CellForm> {
    let rest = body.get(Gps::LEN..)?;
    let wide_mnc = usize::from(Cell::has_wide_mnc(Cell::peek_mcc(rest)));
    match rest.len() - wide_mnc {
        // Half of the longer one is as long, and has other values in place of the trailer.
        21 if Trailer::is_at(rest.get(8 + wide_mnc..)?) => Some(CellForm::L8),
        24 => Some(CellForm::L9c),
        _ => None,
    }
}

impl Body for SupplyLocation {
    const NAME: &'static str = "supply_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && form(cx.body).is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, form(cx.body).unwrap_or(CellForm::L9c))?,
            more: SupplyLocationMore::read_fields(r)?,
            radio_word: Part::read(r, "radio and firmware".into())?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.more.write_fields(out);
        self.radio_word.write(out);
    }

    fn number(&self) -> u8 {
        0x32
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Radio, Signal};

        let upload_mode = self.more.trailer.upload_mode;
        let key = crate::normalize::Key::new(0x32).upload_mode(Some(upload_mode));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        self.cell.note(cx, report);
        if let (Some(cell), Some(word)) = (&mut report.network.cell, self.radio_word) {
            cell.radio = match word >> 12 {
                2 => Radio::Gsm,
                3 => Radio::Wcdma,
                4 => Radio::Lte,
                5 => Radio::Nr,
                _ => cell.radio,
            };
        }
        self.more.note_fields(cx, report);
        if let Some(word) = self.radio_word {
            let firmware = alloc::format!("{:03x}", word & 0xfff);
            let firmware = Signal::named("gt06.firmware_raw").text(firmware);
            report.more.signals.push(firmware);
        }
    }
}
