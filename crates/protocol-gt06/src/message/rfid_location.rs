//! 0x17 (L 27, 28 and 2E), position with a card, a status, or meters.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`] |
//! | 26 | 8 | card | number of a card; all zero: none |
//! | 34 | 0 or 1 | valid | unknown |
//!
//! | L | instead of the card | source |
//! |---|---|---|
//! | 27 | [`RfidStatus`], if it is plausible ([`RfidStatus::is_at`]) and the device is no TRX16i | seen on devices, confirmed by no manual |
//! | 2E | [`RfidMeters`] | seen on devices |

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::field::{
    Battery, Card, Cell, CellForm, Gps, Meters, MobileSignalPercent, RawMileage, Status,
    TerminalInfo, is_gps_and_cell, is_known_alarm,
};
use crate::layout::layout;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position with a card, a status or meters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RfidLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
    /// What follows it.
    pub rest: RfidRest,
}

/// What follows the cell of an [`RfidLocation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RfidRest {
    /// A card.
    Card(RfidCard),
    /// A status.
    Status(RfidStatus),
    /// Switches, levels and meters.
    Meters(RfidMeters),
}

layout! {
    /// A card.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct RfidCard {
        /// Its number.
        number: Card,
        /// Whether it is valid, perhaps.
        raw_valid: Option<u8> as "valid",
    }
}

layout! {
    /// A status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct RfidStatus {
        /// The status, perhaps with an alarm.
        status: Status,
        /// Unit unknown.
        mileage: RawMileage,
    }
}

layout! {
    /// Switches, levels and meters.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct RfidMeters {
        /// Switches.
        terminal: TerminalInfo,
        /// A level, or percent.
        battery: Battery,
        /// Percent.
        signal: MobileSignalPercent,
        /// Voltages, mileage and working time.
        meters: Meters,
    }
}

/// Bytes after the cell: a card without and with its validity, and switches with meters.
const CARD: usize = 8;
const CARD_VALID: usize = 9;
const METERS: usize = 3 + Meters::LEN;

impl Body for RfidLocation {
    const NAME: &'static str = "rfid_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        let rest = cx.body.get(Gps::LEN..).unwrap_or_default();
        let cell = CellForm::L8.len(Cell::peek_mcc(rest));
        let has_length = matches!(
            rest.len().checked_sub(cell),
            Some(CARD | CARD_VALID | METERS)
        );
        Fit::possible_if(cx.is_short() && has_length && is_gps_and_cell(cx.body))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        Ok(Self {
            gps,
            cell: Cell::decode(r, CellForm::L8)?,
            rest: match r.peek() {
                rest if cx.dialect != Dialect::Trx16i && RfidStatus::is_at(rest, &gps) => {
                    RfidRest::Status(RfidStatus::read_fields(r)?)
                }
                rest if rest.len() == METERS => RfidRest::Meters(RfidMeters::read_fields(r)?),
                _ => RfidRest::Card(RfidCard::read_fields(r)?),
            },
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        match &self.rest {
            RfidRest::Card(card) => card.write_fields(out),
            RfidRest::Status(status) => status.write_fields(out),
            RfidRest::Meters(meters) => meters.write_fields(out),
        }
    }

    fn number(&self) -> u8 {
        0x17
    }

    fn answer(&self) -> Answer {
        match self.rest {
            // By its code or by the terminal's alarm bits.
            RfidRest::Status(RfidStatus { status, .. })
                if status.alarm(Dialect::default()).is_some() =>
            {
                status.answer()
            }
            _ => Self::ANSWER,
        }
    }

    /// Key: number, time, position, alarm or card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::layout::Part;
        use milepost_telemetry::{Kind, Signal};

        let mut key = crate::normalize::Key::new(0x17);
        let mut kind = Kind::Location;
        let mut card = BytesMut::new();
        match &self.rest {
            RfidRest::Status(RfidStatus { status, .. }) => {
                key = key.alarm(Some(status.alarm_key()));
                if status.alarm(cx.dialect()).is_some() {
                    kind = Kind::Alarm;
                }
            }
            RfidRest::Card(read) => read.write_fields(&mut card),
            RfidRest::Meters(_) => {}
        }
        let report = cx.positioned_with(out, kind, &self.gps, key, &card);
        self.cell.note(cx, report);
        match &self.rest {
            RfidRest::Status(status) => status.note_fields(cx, report),
            RfidRest::Meters(meters) => meters.note_fields(cx, report),
            RfidRest::Card(card) => {
                card.note_fields(cx, report);
                if let Some(raw) = card.raw_valid {
                    let valid = Signal::named("gt06.card_valid_raw").number(raw.into(), None);
                    report.more.signals.push(valid);
                }
            }
        }
    }
}

impl RfidStatus {
    /// Whether eight bytes are a status and a mileage rather than a card: the terminal agrees with
    /// the position about the fix, battery and mobile signal are levels or percent, and the language
    /// is Chinese or English. About one in a thousand random cards looks like that.
    ///
    /// Without a language (no reply is wanted) battery and mobile signal must not be 0 and the
    /// alarm's code must be known: zeros before a card's number are no status.
    fn is_at(rest: &[u8], gps: &Gps) -> bool {
        let [terminal, battery, signal, alarm, language, _, _, _] = rest else {
            return false;
        };
        let agrees =
            TerminalInfo(*terminal).is_tracking() == gps.position().course_status.is_positioned();
        let has_language = match language {
            1 | 2 => true,
            0 => *battery > 0 && *signal > 0 && is_known_alarm((*alarm).into()),
            _ => false,
        };
        agrees && has_language && *battery <= 100 && *signal <= 100
    }
}
