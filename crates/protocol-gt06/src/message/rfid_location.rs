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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{CELL, GPS, body, read_as, read_body, read_parts};
    use crate::{Message, Start};

    const STATUS: &str = "46 06 50 0e 02 000064";

    fn read(parts: &[&str]) -> RfidLocation {
        match read_parts(Start::Short, 0x17, parts) {
            Message::RfidLocation(read) => read,
            other => panic!("{other:?}"),
        }
    }

    /// With the course that says "valid fix", which the terminal's bit 6 must agree with.
    fn rest(rest: &str) -> RfidRest {
        read(&[GPS, CELL, rest]).rest
    }

    #[test]
    fn eight_bytes_are_a_card_unless_they_look_like_a_status() {
        let RfidRest::Status(RfidStatus { status, mileage }) = rest(STATUS) else {
            panic!("no status")
        };
        assert_eq!(
            (status.raw_alarm, status.raw_battery, mileage.0),
            (0x0e, 6, 100)
        );
        for card in [
            "c3000001 00001201",
            // One thing or other that no status says: no position, battery, signal, language.
            "06 06 50 0e 02 000064",
            "46 65 50 0e 02 000064",
            "46 06 65 0e 02 000064",
            "00000000 00123456",
            "00000000 00000000",
            "46 06 50 0e 03 000064",
            // No language, and no battery, no signal, or an alarm that is unknown.
            "46 00 50 0e 00 000064",
            "46 06 00 0e 00 000064",
            "46 06 50 ea 00 000064",
        ] {
            let read = rest(card);
            assert!(
                matches!(read, RfidRest::Card(card) if card.raw_valid.is_none()),
                "{read:?}"
            );
        }
        let valid = rest("46 06 50 0e 02 000064 01");
        assert!(
            matches!(valid, RfidRest::Card(card) if card.raw_valid == Some(1)),
            "L 28 is a card"
        );
    }

    #[test]
    fn a_card_is_read_at_its_own_lengths_only() {
        for rest in ["c3000001 00001201 01 02", "c3000001 00001201 0102030405"] {
            let message = read_parts(Start::Short, 0x17, &[GPS, CELL, rest]);
            assert!(matches!(message, Message::PositionOnly(_)), "{message:?}");
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn switches_and_meters_are_no_card() {
        let rest = "46 06 40 018c 052f 00315de8 000343a0";
        let report = crate::message::testing::report(read(&[GPS, CELL, rest]));
        assert!(report.more.identity.is_none());
        assert_eq!(report.io.ignition, Some(true));
        assert_eq!(report.power.battery.unwrap().as_volts(), 3.96);
        assert_eq!(report.power.external.unwrap().as_volts(), 13.27);
        assert_eq!(report.network.signal.unwrap().value(), 64.0);
        let vehicle = report.more.vehicle.as_ref().unwrap();
        assert_eq!(vehicle.engine_hours_s, Some(213_920.into()));
    }

    #[test]
    fn a_trx16i_sends_cards_whatever_they_look_like() {
        let bytes = body(&[GPS, CELL, STATUS]);
        let Ok(Message::RfidLocation(read)) = read_as(Dialect::Trx16i, Start::Short, 0x17, &bytes)
        else {
            panic!("not read")
        };
        assert!(matches!(read.rest, RfidRest::Card(_)));
    }

    #[test]
    fn what_is_no_position_with_a_cell_stays_unknown() {
        for parts in [&[CELL, STATUS][..], &["00".repeat(34).as_str()]] {
            let message = read_body(Start::Short, 0x17, &body(parts)).unwrap();
            assert!(matches!(message, Message::Unknown(_)), "{message:?}");
        }
    }

    #[test]
    fn only_an_alarm_is_acknowledged_whatever_the_policy_says() {
        assert_eq!(read(&[GPS, CELL, STATUS]).answer(), Answer::WhenDelivered);
        // SOS by the alarm bits alone; the same that wants no reply.
        let bits = read(&[GPS, CELL, "66 06 50 00 02 000064"]);
        assert_eq!(bits.answer(), Answer::WhenDelivered);
        let silent = read(&[GPS, CELL, "66 06 50 00 00 000064"]);
        assert_eq!(silent.answer(), Answer::Silent);
        let quiet = read(&[GPS, CELL, "46 06 50 00 02 000064"]);
        assert_eq!(quiet.answer(), Answer::ByPolicy);
        assert_eq!(
            read(&[GPS, CELL, "c3000001 00001201"]).answer(),
            Answer::ByPolicy
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn card_or_alarm_reach_the_report() {
        use crate::message::testing::{report, signal};
        let card = report(read(&[GPS, CELL, "c3000001 00001201 01"]));
        assert_eq!(card.kind, milepost_telemetry::Kind::Location);
        assert_eq!(
            card.more.identity.as_ref().unwrap().driver.as_deref(),
            Some("c300000100001201")
        );
        assert_eq!(signal(&card, "gt06.card_valid_raw").unwrap(), "1");
        let alarm = report(read(&[GPS, CELL, STATUS]));
        assert_eq!(alarm.kind, milepost_telemetry::Kind::Alarm);
        assert_eq!(
            alarm.more.events.first().unwrap().kind,
            milepost_telemetry::EventKind::LowExternalPower
        );
        assert_eq!(signal(&alarm, "gt06.mileage_raw").unwrap(), "100");
        assert_eq!(alarm.odometer, None, "its unit is not known");
    }
}
