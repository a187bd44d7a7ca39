//! 0x22 with status (NT11 to NT46, XT40: L 3C) and 0x25, the same with a driver (XT40, X25: L 4E).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | source | unknown |
//! | 1 | 8 | terminal id | [`TerminalId`] |
//! | 9 | 6 | device time | [`DateTime`], UTC |
//! | 15 | 18 | position | [`Gps`] |
//! | 33 | 1 | size of the cell | only 0 means something: there may be no cell |
//! | 34 | 0, 8, 9 | cell | [`Cell`]; 0x25: 0, 9, 10 |
//! | | 0 or 1 | radio | kind of radio: 0x25 |
//! | 42 | 1 | terminal information | [`TerminalInfo`] |
//! | 43 | 2 | supply | volts × 100 |
//! | 45 | 1 | battery | volts × 10 |
//! | 46 | 1 | mobile signal | |
//! | 47 | 1 | alarm | [`Alarm`] |
//! | 48 | 1 | language | |
//! | 49 | 3 | mileage | unit unknown |
//! | 52 | 3 | working time | minutes |
//! | | 1 | size of the driver | N, 0x25; 0: nothing follows |
//! | | 1 | kind of id | 0x25 |
//! | | N − 1 | driver | 0x25 |
//!
//! Seen on devices. After a size of 0 there is no cell if the body has the length without one: L 34, and
//! in a 0x25 one with which the driver ends with the body.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{
    AlarmCode, BatteryDecivolts, Cell, CellForm, DateTime, Gps, MobileSignal, RawMileage,
    ReplyLanguage, Supply, TerminalId, TerminalInfo, WorkingMinutes,
};
use crate::layout::{Part, layout};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with the terminal's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLocation {
    /// 0x22 or 0x25.
    pub number: u8,
    /// Unknown.
    pub source: u8,
    /// Who.
    pub id: TerminalId,
    /// The device's clock.
    pub device_time: DateTime,
    /// Where, and when that was.
    pub gps: Gps,
    /// The size of the cell block, as sent.
    pub raw_cell_size: u8,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// The kind of radio: 0x25.
    pub radio: Option<u8>,
    /// The terminal's status and alarm.
    pub status: TerminalStatus,
    /// The driver, the kind of id in the first byte: 0x25.
    pub driver: Option<Bytes>,
}

layout! {
    /// A terminal's status after its position, with its alarm.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TerminalStatus {
        /// Switches.
        terminal: TerminalInfo,
        /// Volts × 100.
        supply: Supply,
        /// Volts × 10.
        battery: BatteryDecivolts,
        /// Mobile signal.
        signal: MobileSignal,
        /// Alarm.
        alarm: AlarmCode,
        /// Language.
        language: ReplyLanguage,
        /// Unit unknown; 24 bits.
        mileage: RawMileage,
        /// Minutes; 24 bits.
        working_time: WorkingMinutes,
    }
}

const STATUS_LEN: usize = 13;
const SIZE_AT: usize = 33;

/// What comes between the size of the cell and the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    cell: Option<CellForm>,
    has_radio: bool,
}

impl Form {
    /// By the known lengths; `None`: another length.
    fn find(number: u8, body: &[u8]) -> Option<Self> {
        let (size, rest) = body.get(SIZE_AT..)?.split_first()?;
        let form = |cell, has_radio| Self { cell, has_radio };
        let forms = match number {
            0x25 => [
                form(Some(CellForm::L9c), true),
                form(None, false),
                form(None, true),
            ],
            _ => [
                form(Some(CellForm::L8), false),
                form(None, false),
                form(None, false),
            ],
        };
        let forms = forms
            .into_iter()
            .filter(|form| form.cell.is_some() || *size == 0);
        forms.into_iter().find(|form| {
            let cell = form.cell.map_or(0, |form| form.len(Cell::peek_mcc(rest)));
            let status = cell + usize::from(form.has_radio);
            match rest.get(status + STATUS_LEN..) {
                Some([]) => number == 0x22,
                Some([size, driver @ ..]) => number == 0x25 && driver.len() == usize::from(*size),
                None => false,
            }
        })
    }
}

impl Body for StatusLocation {
    const NAME: &'static str = "status_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::No.or_certain_if(cx.is_short() && Form::find(cx.number(), cx.body).is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let form = Form::find(cx.number(), cx.body).unwrap_or(Form {
            cell: Some(CellForm::L8),
            has_radio: false,
        });
        Ok(Self {
            number: cx.number(),
            source: r.u8("source")?,
            id: TerminalId::read(r, ())?,
            device_time: DateTime::decode(r)?,
            gps: Gps::decode(r)?,
            raw_cell_size: r.u8("cell size")?,
            cell: form.cell.map(|form| Cell::decode(r, form)).transpose()?,
            radio: form.has_radio.then(|| r.u8("radio")).transpose()?,
            status: TerminalStatus::read_fields(r)?,
            driver: match r.remaining() {
                0 => None,
                _ => {
                    let size = r.u8("driver size")?;
                    Some(r.bytes("driver", size.into())?)
                }
            },
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.source);
        out.put_slice(&self.id.0);
        self.device_time.encode(out);
        self.gps.encode(out);
        out.put_u8(self.raw_cell_size);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        out.extend(self.radio);
        self.status.write_fields(out);
        if let Some(driver) = &self.driver {
            out.put_u8(u8::try_from(driver.len()).unwrap_or(u8::MAX));
            out.put_slice(driver);
        }
    }

    fn number(&self) -> u8 {
        self.number
    }

    /// Key: number, both times, position, alarm, driver.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::field::{Alarm, alarm_key};
        use alloc::string::ToString;
        use milepost_telemetry::Signal;

        // The same position is sent again with a new device time: that is a new fact, so both
        // times are in the key.
        let (code, terminal) = (self.status.alarm.0.into(), self.status.terminal);
        let key = crate::normalize::Key::new(self.number).alarm(Some(alarm_key(code, terminal)));
        let kind = milepost_telemetry::Kind::Location;
        let report = cx.positioned_at(out, kind, &self.gps, self.device_time, key);
        if let Some(driver) = &self.driver {
            cx.distinguish(report, &self.gps, self.device_time, key, driver);
        }
        self.cell.note(cx, report);
        self.status.note_fields(cx, report);
        if let Some(alarm) = Alarm::from_status(code, terminal, cx.dialect()) {
            alarm.normalize(report);
        }
        if let Some(radio) = self.radio {
            let radio = Signal::named("gt06.radio_raw").number(radio.into(), None);
            report.more.signals.push(radio);
        }
        if let Some([kind, id @ ..]) = self.driver.as_deref()
            && id.iter().any(|byte| *byte != 0)
        {
            report.identity_mut().driver = Some(super::readable(id));
            let kind = Signal::named("gt06.driver_id_kind").number((*kind).into(), None);
            report.more.signals.push(kind);
        }
        report.identity_mut().imei = Some(self.id.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{CELL, GPS, read_parts};
    use crate::{Message, Start};

    const HEAD: &str = "01 0123456789012345 0f0c1d023309";
    const STATUS: &str = "46 0984 28 4c 00 02 000005 000171";

    fn read(number: u8, parts: &[&str]) -> StatusLocation {
        match read_parts(Start::Short, number, parts) {
            Message::StatusLocation(read) => *read,
            other => panic!("{other:?}"),
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_position_of_another_time_than_its_report_is_another_fact() {
        let id = |time: &str| {
            let read = read(0x22, &[HEAD, time, &GPS[12..], "09", CELL, STATUS]);
            crate::message::testing::report(read).id
        };
        let sent = id(&GPS[..12]);
        assert_eq!(id(&GPS[..12]), sent);
        // A minute and a second later than the report; then at its time.
        let places = ["0f0c1d023409", "0f0c1d02330a", "0f0c1d023309"];
        let ids = places.map(id);
        assert!(!ids.contains(&sent), "{ids:?}");
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
