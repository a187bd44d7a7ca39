//! 0x17 (L 27, 28 and 2E), position with a card, a status, or meters.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`] |
//! | 26 | 8 | card | number of a card; all zero: none |
//! | 34 | 0 or 1 | valid | unknown |
//!
//! L 2E (seen on devices): instead of the card terminal information 1, battery level 1, mobile signal
//! in percent 1, and [`Meters`].
//!
//! Or, instead of the card (L 27, seen on devices, confirmed by no manual): [`Status`], and a
//! mileage of three bytes in an unknown unit. It is a status if it looks like one ([`is_status`])
//! and the device is no TRX16i. What is cut short behind the position (so it is in L 27 where the
//! country code makes the cell nine bytes) is told by time, length of the GPS block and place, and
//! kept as it is from the first field on that is not whole.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{
    Cell, CellForm, Gps, Meters, Status, TerminalInfo, is_gps, is_known_alarm, is_mcc, is_time,
    may_be_cell,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position with a card or a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RfidLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// What is behind it.
    pub rest: RfidRest,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// What is behind the cell of an [`RfidLocation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RfidRest {
    /// Nothing that is whole.
    Nothing,
    /// A card.
    Card {
        /// Its number.
        number: [u8; 8],
        /// Whether it is valid, perhaps.
        raw_valid: Option<u8>,
    },
    /// A status.
    Status {
        /// The status, perhaps with an alarm.
        status: Status,
        /// Mileage in an unknown unit, three bytes.
        raw_mileage: u32,
    },
    /// Switches, levels and meters.
    Meters {
        /// Switches.
        terminal: TerminalInfo,
        /// Battery: a level, or percent.
        raw_battery: u8,
        /// Mobile signal, percent.
        signal: u8,
        /// Voltages, mileage and working time.
        meters: Meters,
    },
}

/// Bytes after the cell: a card, with and without its validity, and switches with meters.
const CARD: usize = 8;
const CARD_VALID: usize = 9;
const METERS: usize = 3 + Meters::LEN;

impl Body for RfidLocation {
    const NAME: &'static str = "rfid_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        // Too long for a cell and a phone number.
        let is_usual = cx.body.len() >= Gps::LEN + 8 + 8 && is_time(cx.body, 0) && {
            let no_cell = matches!(cx.body.get(Gps::LEN..), Some([0, 0, ..]));
            no_cell || is_mcc(cx.body, Gps::LEN)
        };
        Fit::possible_if(cx.is_short() && (is_usual || is_gps(cx.body)))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        whole.only_if(may_be_cell(whole.peek()));
        let cell = Cell::decode_whole(&mut whole, CellForm::L8)?;
        let rest = match r.remaining() {
            _ if cell.is_none() => RfidRest::Nothing,
            CARD if cx.dialect != Dialect::Trx16i && is_status(r.peek(), &gps) => {
                RfidRest::Status {
                    status: Status::decode(r)?,
                    raw_mileage: r.u24("mileage, unit unknown")?,
                }
            }
            CARD => RfidRest::Card {
                number: crate::field::card(r, "card")?,
                raw_valid: None,
            },
            CARD_VALID => RfidRest::Card {
                number: crate::field::card(r, "card")?,
                raw_valid: Some(r.u8("valid")?),
            },
            METERS => RfidRest::Meters {
                terminal: crate::field::terminal(r)?,
                raw_battery: crate::field::battery(r)?,
                signal: {
                    let signal = r.u8("mobile signal")?;
                    r.note(|| alloc::format!("{signal} %"));
                    signal
                },
                meters: Meters::decode(r)?,
            },
            _ => RfidRest::Nothing,
        };
        Ok(Self {
            gps,
            cell,
            rest,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        match self.rest {
            RfidRest::Nothing => {}
            RfidRest::Card { number, raw_valid } => {
                out.put_slice(&number);
                out.extend(raw_valid);
            }
            RfidRest::Status {
                status,
                raw_mileage,
            } => {
                status.encode(out);
                out.put_uint(raw_mileage.into(), 3);
            }
            RfidRest::Meters {
                terminal,
                raw_battery,
                signal,
                meters,
            } => {
                out.put_slice(&[terminal.0, raw_battery, signal]);
                meters.encode(out);
            }
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x17
    }

    fn answer(&self) -> Answer {
        match self.rest {
            // By its code or by the terminal's alarm bits.
            RfidRest::Status { status, .. } if status.alarm(Dialect::default()).is_some() => {
                status.answer()
            }
            _ => Self::ANSWER,
        }
    }

    /// Key: number, time, position, alarm or card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Kind, Signal};

        let key = crate::normalize::Key::new(0x17);
        let report = match self.rest {
            RfidRest::Nothing | RfidRest::Meters { .. } => {
                cx.positioned(out, Kind::Location, &self.gps, key)
            }
            RfidRest::Status { status, .. } => {
                let kind = if status.alarm(cx.dialect()).is_some() {
                    Kind::Alarm
                } else {
                    Kind::Location
                };
                cx.positioned(out, kind, &self.gps, key.alarm(Some(status.alarm_key())))
            }
            RfidRest::Card { number, raw_valid } => {
                let card: alloc::vec::Vec<u8> = number.into_iter().chain(raw_valid).collect();
                cx.positioned_with(out, Kind::Location, &self.gps, key, &card)
            }
        };
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        match self.rest {
            RfidRest::Nothing => {}
            RfidRest::Card { number, raw_valid } => {
                if let Some(card) = super::card_number(&number) {
                    report.identity_mut().driver = Some(card);
                }
                if let Some(raw) = raw_valid {
                    report
                        .more
                        .signals
                        .push(Signal::named("gt06.card_valid_raw").number(raw.into(), None));
                }
            }
            RfidRest::Status {
                status,
                raw_mileage,
            } => {
                status.normalize(cx, report, cx.dialect());
                report
                    .more
                    .signals
                    .push(Signal::named("gt06.mileage_raw").number(raw_mileage.into(), None));
            }
            RfidRest::Meters {
                terminal,
                raw_battery,
                signal,
                meters,
            } => {
                terminal.normalize(report);
                crate::field::note_battery(cx, report, raw_battery);
                report.network.signal = milepost_telemetry::Percent::new(signal.into()).ok();
                meters.normalize(report);
            }
        }
        cx.note_tail(report, &self.tail);
    }
}

/// Whether eight bytes are a status and a mileage rather than a card: the terminal says of its
/// position what the position says, battery and mobile signal are levels or percent, and the
/// language is Chinese or English. Of random cards about one in a thousand looks like that.
///
/// Without a language (no reply is wanted) there must be a mobile signal, which a terminal has that
/// sends, and a battery above off, and the alarm's code must be known: zeros in front of a card's
/// number are no status.
fn is_status(rest: &[u8], gps: &Gps) -> bool {
    match rest {
        [terminal, battery, signal, alarm, language, _, _, _] => {
            TerminalInfo(*terminal).is_tracking() == gps.position().course_status.is_positioned()
                && *battery <= 100
                && *signal <= 100
                && match language {
                    1 | 2 => true,
                    0 => *battery > 0 && *signal > 0 && is_known_alarm((*alarm).into()),
                    _ => false,
                }
        }
        _ => false,
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
        let RfidRest::Status {
            status,
            raw_mileage,
        } = rest(STATUS)
        else {
            panic!("no status")
        };
        assert_eq!(
            (status.raw_alarm, status.raw_battery, raw_mileage),
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
            // No language, and no battery, no signal, or an alarm that nobody knows.
            "46 00 50 0e 00 000064",
            "46 06 00 0e 00 000064",
            "46 06 50 ea 00 000064",
        ] {
            assert!(
                matches!(
                    rest(card),
                    RfidRest::Card {
                        raw_valid: None,
                        ..
                    }
                ),
                "{card}"
            );
        }
        let valid = rest("46 06 50 0e 02 000064 01");
        assert!(
            matches!(
                valid,
                RfidRest::Card {
                    raw_valid: Some(1),
                    ..
                }
            ),
            "L 28 is a card"
        );
    }

    #[test]
    fn a_card_is_read_at_its_own_lengths_only() {
        for rest in ["c3000001 00001201 01 02", "c3000001 00001201 0102030405"] {
            let message = read(&[GPS, CELL, rest]);
            assert_eq!(message.rest, RfidRest::Nothing, "{rest}");
            assert!(!message.tail.is_empty());
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
        assert!(matches!(read.rest, RfidRest::Card { .. }));
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

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix_and_gives_no_alarm() {
        use crate::message::testing::{cut_short, signal};

        for (cell, cell_ends) in [(CELL, 26), ("81cc 0007 287d 001f71", 27)] {
            for (len, message, report) in cut_short(Start::Short, 0x17, 18, &[GPS, cell, STATUS]) {
                assert_eq!(message.answer(), Answer::ByPolicy, "{len}");
                let Message::RfidLocation(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(read.cell.is_some(), len >= cell_ends, "{len}");
                assert_eq!(read.rest, RfidRest::Nothing, "{len}");
                assert!(report.more.events.is_empty() && report.more.identity.is_none());
                let is_whole = len == 18 || len == cell_ends;
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }
}
