//! 0x12, 0x22, 0x2D, 0x31 and 0xA0, location: position, one cell, and what follows by length.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`]; 9 with a wide MNC, or on Seeworld (0x22, L 2F); 0xA0: 15, 16 |
//! | 26 | | rest | by its length, as below |
//!
//! | rest | L | content |
//! |---|---|---|
//! | 0 | 1F | nothing |
//! | 2 | 21 | reserved or language; on Benway inputs, see [`LocationRest::Word`] |
//! | 3 | 22 | [`Trailer`] |
//! | 4 | 23 | mileage 4 |
//! | 5 | 24 | terminal information 1, volts/100 2, signal 1, extension 1 (VXT01, R31) |
//! | 7 | 26 | [`Trailer`], mileage 4 |
//! | 7 + N | ≥71 | mileage 4, N 1, card N, alarm 1, swiped 1 (GT06E with card reader, N = 75) |
//! | 9 + N | ≥29 | mileage 4, N 1, card N, alarm 1, card state 1, driving time 2 (Wetrust) |
//! | 12 | 2B | terminal information 1, volts/100 2, signal 1, alarm 1, fuel 2, °C 1 (bit 7 sign), mileage/10 m 4 (S5) |
//! | 15 | 2F | [`Trailer`], mileage 4, trip time 4, temperature 2, humidity 2 (Seeworld) |
//!
//! All L one more with a wide MNC, and 7 more in 0xA0. L 1F to 26: Concox and GT06N manuals; 0xA0:
//! Jimi 4G manuals; the others seen on devices. 0x22 and 0xA0 are specified in UTC, the others do
//! not say. Any other rest is kept as it is.
//!
//! What is left of 0xA0 where its cell is cut short (8 to 14 bytes) can be a 2G cell, with a trailer or
//! without, as long as that: it is one only where it cannot be the beginning of a 4G cell, whose area
//! of four bytes has a 0 first, and where country code, cell and trailer are such. Else it is kept as
//! it is.
//!
//! A rest of 12 bytes can be a card of three or five digits as well as S5's. It is S5's where the
//! supply is a vehicle's (5 to 40 V), and the terminal information says what the position's status
//! says about the fix.
//!
//! A rest that is cut short can have the length of another. So what a length says must be likely too,
//! or the rest is kept as it is:
//!
//! - In all numbers but 0x12 a trailer stands behind the cell. 2, 4 or 5 bytes that begin like one
//!   are what is left of it and of a mileage, and none of the rests of 0x12. (So a mileage
//!   alone is not read there where it begins like a trailer: below 512 m, and here and there above.)
//! - No mileage is above a million kilometres.
//! - No more than one thing speaks against the status of VXT01 and S5: that the terminal says of the fix
//!   what the position does not say, a supply that is no vehicle's, no mobile signal or one above 100,
//!   and in S5 an alarm that nobody knows and such a mileage.
//! - GT06E's card has 75 places, or digits behind it; else it is Wetrust's without the driving time.
//! - Seeworld's climate has Seeworld's cell before it. In another length than L 2F a 0x22 has that cell
//!   where what is like a trailer stands behind it, and not behind the other.
//!
//! Rests of 0, 3 and 7 bytes are not looked at so: they are the usual ones.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{
    Cell, CellForm, DateTime, Gps, TerminalInfo, Trailer, alarm_meaning, centivolts,
    is_known_alarm, is_mcc, may_be_mileage, mileage, terminal,
};
use crate::frame::Head;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{Checksum, DecodeError, Dialect, Start};

/// A position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// 0x12, 0x22, 0x2D, 0x31 or 0xA0.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// What follows.
    pub rest: LocationRest,
}

/// A location of the usual forms, before its position is copied: straight to where the message
/// stays.
pub(super) struct Usual<'a> {
    number: u8,
    gps: &'a [u8; Gps::LEN],
    cell: Cell,
    rest: LocationRest,
}

impl From<Usual<'_>> for Location {
    #[inline(always)]
    fn from(usual: Usual<'_>) -> Self {
        Self {
            number: usual.number,
            gps: Gps::from_bytes(usual.gps),
            cell: Some(usual.cell),
            rest: usual.rest,
        }
    }
}

/// What follows behind a location's cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationRest {
    /// Nothing.
    Nothing,
    /// Reserved or language (0 to 2); on Benway inputs: bit 15 ignition, bit 14 input 2, bit 12: a
    /// temperature follows (bit 9 sign, bits 8 to 0), else an analogue input (bits 9 to 0; bit 13:
    /// volts, else tenths). Read so on Benway, and on devices of which nothing is known where one
    /// of these four bits is 1 and those that Benway leaves free, 10 and 11, are 0.
    Word(u16),
    /// Why it was sent.
    Trailer(Trailer),
    /// Mileage.
    Mileage(u32),
    /// Why it was sent, and mileage.
    TrailerMileage(Trailer, u32),
    /// VXT01, R31.
    Status {
        /// Switches.
        terminal: TerminalInfo,
        /// Volts × 100.
        voltage: u16,
        /// Mobile signal.
        signal: u8,
        /// Unknown.
        extension: u8,
    },
    /// S5.
    Fuel {
        /// Switches.
        terminal: TerminalInfo,
        /// Volts × 100.
        voltage: u16,
        /// Mobile signal.
        signal: u8,
        /// Alarm.
        alarm: u8,
        /// Fuel sensor, unit unknown.
        fuel: u16,
        /// Degrees Celsius, bit 7 is the sign.
        temperature: u8,
        /// Tens of metres.
        mileage: u32,
    },
    /// GT06E with card reader, Wetrust.
    Card(Box<LocationCard>),
    /// Seeworld.
    Climate {
        /// Why it was sent.
        trailer: Trailer,
        /// Metres.
        mileage: u32,
        /// Seconds.
        trip: u32,
        /// Bit 15 is the sign; unit by model.
        temperature: u16,
        /// Unit by model.
        humidity: u16,
    },
    /// Bytes that no manual knows.
    Unknown(Box<[u8]>),
}

/// A card behind a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationCard {
    /// Metres.
    pub mileage: u32,
    /// ASCII, padded with blanks.
    pub card: Bytes,
    /// Wetrust: an alarm's code. GT06E: a digit, whether there is an alarm; no code of the manuals'
    /// table.
    pub alarm: u8,
    /// Whether, or which way, the card was swiped. A digit on GT06E.
    pub state: u8,
    /// Wetrust.
    pub driving_time: Option<u16>,
}

impl Location {
    /// Reads a frame of the usual forms (0x12, 0x22 or 0xA0; a right checksum; a cell with a narrow
    /// MNC; nothing, trailer, or trailer and mileage behind it) in one go: the same as field by
    /// field, a few times faster. Lengths by which other messages are told are not among them.
    #[inline(always)]
    pub(super) fn read_usual<'a>(head: &Head, raw: &'a [u8]) -> Option<Usual<'a>> {
        if !(matches!(head.start(), Start::Short) & matches!(head.checksum(), Checksum::Valid)) {
            return None;
        }
        let number = head.number();
        let body = raw.get(4..head.len().wrapping_sub(6))?;
        let (gps, rest) = body.split_first_chunk()?;
        let (cell, rest) = match number {
            0x12 | 0x22 => {
                let (cell, rest) = rest.split_first_chunk::<8>()?;
                let [a, b, mnc, c, d, e, f, g] = *cell;
                let cell = Cell {
                    form: CellForm::L8,
                    raw_mcc: u16::from_be_bytes([a, b]),
                    mnc: mnc.into(),
                    lac: u16::from_be_bytes([c, d]).into(),
                    cell_id: u32::from_be_bytes([0, e, f, g]).into(),
                };
                (cell, rest)
            }
            0xa0 => {
                let (cell, rest) = rest.split_first_chunk::<15>()?;
                let [a, b, mnc, c, d, e, f, id @ ..] = *cell;
                let cell = Cell {
                    form: CellForm::L15,
                    raw_mcc: u16::from_be_bytes([a, b]),
                    mnc: mnc.into(),
                    lac: u32::from_be_bytes([c, d, e, f]),
                    cell_id: u64::from_be_bytes(id),
                };
                (cell, rest)
            }
            _ => return None,
        };
        if Cell::has_wide_mnc(cell.raw_mcc) {
            return None;
        }
        let rest = match *rest {
            [] => LocationRest::Nothing,
            [raw_ignition, upload_mode, raw_reupload] => LocationRest::Trailer(Trailer {
                raw_ignition,
                upload_mode,
                raw_reupload,
            }),
            [raw_ignition, upload_mode, raw_reupload, a, b, c, d] => LocationRest::TrailerMileage(
                Trailer {
                    raw_ignition,
                    upload_mode,
                    raw_reupload,
                },
                u32::from_be_bytes([a, b, c, d]),
            ),
            _ => return None,
        };
        Some(Usual {
            number,
            gps,
            cell,
            rest,
        })
    }

    /// A location with the usual trailer: 0x22.
    #[must_use]
    pub fn new(gps: Gps, cell: Cell, trailer: Trailer) -> Self {
        Self {
            number: 0x22,
            gps,
            cell: Some(cell),
            rest: LocationRest::Trailer(trailer),
        }
    }
}

impl Body for Location {
    const NAME: &'static str = "location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let cell = decode_cell(r, cx)?;
        let rest = match r.remaining() {
            0 => LocationRest::Nothing,
            // What would be the cell is cut short.
            _ if cell.is_none() => LocationRest::Unknown(r.take_rest("unknown").as_ref().into()),
            3 => LocationRest::Trailer(Trailer::decode(r)?),
            7 => LocationRest::TrailerMileage(Trailer::decode(r)?, mileage(r)?),
            _ => decode_rare_rest(r, cx, &gps, cell.map(|cell| cell.form))?,
        };
        Ok(Self {
            number: cx.number(),
            gps,
            cell,
            rest,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        self.rest.encode(out);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn dialect(&self) -> Option<Dialect> {
        matches!(self.rest, LocationRest::Climate { .. }).then_some(Dialect::Seeworld)
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        let live = self.rest.trailer().and_then(Trailer::is_live);
        (self.number == 0x12).then_some((self.gps.time(), live))
    }

    /// Key: number, time, position, upload mode; alarm, card and inputs where they are sent.
    #[cfg(feature = "telemetry")]
    #[inline]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        match &self.rest {
            LocationRest::Trailer(trailer) => {
                let key = self.key(Some(trailer.upload_mode));
                trailer.normalize(self.positioned(cx, out, key));
            }
            rest => {
                let key = self.key(rest.trailer().map(|trailer| trailer.upload_mode));
                let report = self.positioned(cx, out, key);
                rest.normalize(report, cx, &self.gps, key);
            }
        }
    }
}

#[cfg(feature = "telemetry")]
impl Location {
    #[inline(always)]
    const fn key(&self, upload_mode: Option<u8>) -> crate::normalize::Key {
        crate::normalize::Key::new(self.number).upload_mode(upload_mode)
    }

    #[inline(always)]
    fn positioned<'r>(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &'r mut crate::normalize::Reports,
        key: crate::normalize::Key,
    ) -> &'r mut milepost_telemetry::Report {
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        report
    }
}

#[inline]
fn decode_cell<T: Trace>(
    r: &mut Reader<'_, T>,
    cx: &Context<'_>,
) -> Result<Option<Cell>, DecodeError> {
    if cx.number() == 0x31 && super::wide_location::form_31(cx.body) != Some(CellForm::L8) {
        return Ok(None);
    }
    let form = match r.peek() {
        // A bare position, as some send that have no network registration.
        [] => return Ok(None),
        rest if cx.number() == 0x22 && is_seeworld(rest) => CellForm::L9c,
        rest if cx.number() == 0xa0 && (rest.len() >= L15_MIN || !is_2g(rest)) => CellForm::L15,
        _ => CellForm::L8,
    };
    if r.remaining() < form.len(Cell::peek_mcc(r.peek())) {
        return Ok(None);
    }
    Cell::decode(r, form).map(Some)
}

/// Whether what stands behind the position of a 0x22 begins with Seeworld's cell.
fn is_seeworld(rest: &[u8]) -> bool {
    let mcc = Cell::peek_mcc(rest);
    let has_trailer = |form: CellForm| {
        let trailer = rest.get(form.len(mcc)..)?;
        (trailer.len() >= Trailer::LEN).then(|| Trailer::may_be(Some(trailer)))
    };
    match rest.len().checked_sub(CellForm::L8.len(mcc)) {
        Some(16) => true,
        // The usual lengths of the other cell.
        None | Some(0 | 3 | 7) => false,
        _ => has_trailer(CellForm::L8) == Some(false) && has_trailer(CellForm::L9c) == Some(true),
    }
}

/// The shortest 4G cell, which only 0xA0 has.
const L15_MIN: usize = 15;

/// Whether what is shorter than a 4G cell is a 2G cell, with a trailer or without.
#[cold]
#[inline(never)]
fn is_2g(rest: &[u8]) -> bool {
    let (cell, behind) = match Cell::has_wide_mnc(Cell::peek_mcc(rest)) {
        true => (rest.get(4..9), rest.get(9..)),
        false => (rest.get(3..8), rest.get(8..)),
    };
    // Four bytes of a 4G cell's area begin with 0: no network has areas of more than three.
    let is_cell = matches!(cell, Some([1..=0xff, _, id @ ..]) if id != [0; 3]);
    let is_behind = match behind {
        Some([]) => true,
        Some(trailer @ [_, _, _]) => Trailer::may_be(Some(trailer)),
        _ => false,
    };
    is_mcc(rest, 0) && is_cell && is_behind
}

#[inline(never)]
fn decode_rare_rest<T: Trace>(
    r: &mut Reader<'_, T>,
    cx: &Context<'_>,
    gps: &Gps,
    form: Option<CellForm>,
) -> Result<LocationRest, DecodeError> {
    let left = r.remaining();
    if !is_likely(r.peek(), cx.number(), gps, form) {
        let rest = r.take_rest("unknown");
        return Ok(LocationRest::Unknown(rest.as_ref().into()));
    }
    // What a card's reader would have there is a mileage, which starts with zeros.
    let is_fuel = match r.peek() {
        [terminal, high, low, ..] if left == 12 => {
            let terminal = TerminalInfo(*terminal);
            VEHICLE.contains(&u16::from_be_bytes([*high, *low]))
                && terminal.is_tracking() == gps.position().course_status.is_positioned()
        }
        _ => false,
    };
    // A card's length and its bytes agree with the length of the frame, or it is no card.
    let card = match r.peek() {
        [_, _, _, _, n, card @ ..] => card
            .get(..usize::from(*n))
            .filter(|card| card.iter().all(|b| (0x20..0x7f).contains(b)))
            .map(<[u8]>::len),
        _ => None,
    };
    Ok(match (left, card) {
        (2, _) => {
            let word = r.u16("reserved")?;
            // The default says that nothing is known.
            let known = (cx.dialect != Dialect::default()).then_some(cx.dialect);
            r.note(|| describe_word(word, known));
            LocationRest::Word(word)
        }
        (4, _) => LocationRest::Mileage(mileage(r)?),
        (5, _) => LocationRest::Status {
            terminal: terminal(r)?,
            voltage: centivolts(r, "voltage")?,
            signal: crate::field::signal(r)?,
            extension: r.u8("extension")?,
        },
        (_, Some(n)) if n > 0 && !is_fuel && is_card(r.peek(), n) => {
            let mileage = mileage(r)?;
            r.u8("card length")?;
            let card = r.bytes("card", n)?;
            r.note(|| String::from_utf8_lossy(&card).into_owned());
            LocationRest::Card(Box::new(LocationCard {
                mileage,
                card,
                alarm: {
                    let alarm = r.u8("alarm")?;
                    // GT06E: a flag.
                    if left == n + 9 {
                        r.note(|| alarm_meaning(alarm.into()).into());
                    }
                    alarm
                },
                state: r.u8("card state")?,
                driving_time: if left == n + 9 {
                    Some(r.u16("driving time")?)
                } else {
                    None
                },
            }))
        }
        (12, _) if is_likely_fuel(r.peek(), gps) => LocationRest::Fuel {
            terminal: terminal(r)?,
            voltage: centivolts(r, "voltage")?,
            signal: crate::field::signal(r)?,
            alarm: {
                let alarm = r.u8("alarm")?;
                r.note(|| alarm_meaning(alarm.into()).into());
                alarm
            },
            fuel: r.u16("fuel")?,
            temperature: {
                let raw = r.u8("temperature")?;
                r.note(|| format!("{} °C", celsius(raw)));
                raw
            },
            mileage: {
                let raw = r.u32("mileage")?;
                r.note(|| format!("{} m", u64::from(raw) * 10));
                raw
            },
        },
        (15, _) => LocationRest::Climate {
            trailer: Trailer::decode(r)?,
            mileage: mileage(r)?,
            trip: r.u32("trip time")?,
            temperature: r.u16("temperature")?,
            humidity: r.u16("humidity")?,
        },
        _ => LocationRest::Unknown(r.take_rest("unknown").as_ref().into()),
    })
}

/// Whether a rest is likely to be what its length says, and nothing that is cut short.
fn is_likely(rest: &[u8], number: u8, gps: &Gps, form: Option<CellForm>) -> bool {
    let is_cut_trailer = number != 0x12
        && match rest {
            [0 | 1, 0..=0x0f] => true,
            [_, _, _, _] | [_, _, _, _, _] => Trailer::may_be(Some(rest)),
            _ => false,
        };
    let is_likely = match *rest {
        [a, b, c, d] => may_be_mileage(u32::from_be_bytes([a, b, c, d]), 1),
        [terminal, a, b, signal, _] => doubts(terminal, [a, b], signal, gps) < 2,
        _ => true,
    };
    let is_climate = form == Some(CellForm::L9c);
    is_likely && !is_cut_trailer && is_climate == (rest.len() == 15)
}

/// Whether 12 bytes are likely to be S5's.
fn is_likely_fuel(rest: &[u8], gps: &Gps) -> bool {
    let [terminal, a, b, signal, alarm, _, _, _, mileage @ ..] = rest else {
        return false;
    };
    let mileage = mileage.first_chunk().copied().map(u32::from_be_bytes);
    let more = [
        !is_known_alarm((*alarm).into()),
        !mileage.is_some_and(|tens| may_be_mileage(tens, 10)),
    ];
    let more: u32 = more.into_iter().map(u32::from).sum();
    doubts(*terminal, [*a, *b], *signal, gps) + more < 2
}

/// What speaks against terminal information, volts and mobile signal.
fn doubts(terminal: u8, volts: [u8; 2], signal: u8, gps: &Gps) -> u32 {
    let is_positioned = gps.position().course_status.is_positioned();
    let doubts = [
        TerminalInfo(terminal).is_tracking() != is_positioned,
        !VEHICLE.contains(&u16::from_be_bytes(volts)),
        !(1..=100).contains(&signal),
    ];
    doubts.into_iter().map(u32::from).sum()
}

/// Volts × 100 of a vehicle's supply.
const VEHICLE: RangeInclusive<u16> = 500..=4_000;

/// Whether mileage, card of `n` places and what follows end with the rest.
fn is_card(rest: &[u8], n: usize) -> bool {
    match (rest.len().checked_sub(n), rest) {
        (Some(9), _) => true,
        // GT06E's digits, or Wetrust's without the driving time.
        (Some(7), [.., alarm, state]) => {
            n == 75 || alarm.is_ascii_digit() && state.is_ascii_digit()
        }
        _ => false,
    }
}

/// S5's degrees: bit 7 is the sign.
fn celsius(raw: u8) -> f64 {
    let degrees = f64::from(raw & 0x7f);
    if raw & 0x80 == 0 { degrees } else { -degrees }
}

impl LocationRest {
    /// The trailer, where there is one.
    #[inline]
    #[must_use]
    pub const fn trailer(&self) -> Option<Trailer> {
        match self {
            Self::Trailer(trailer)
            | Self::TrailerMileage(trailer, _)
            | Self::Climate { trailer, .. } => Some(*trailer),
            _ => None,
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Nothing => {}
            Self::Word(word) => out.put_u16(*word),
            Self::Trailer(trailer) => trailer.encode(out),
            Self::Mileage(mileage) => out.put_u32(*mileage),
            Self::TrailerMileage(trailer, mileage) => {
                trailer.encode(out);
                out.put_u32(*mileage);
            }
            Self::Status {
                terminal,
                voltage,
                signal,
                extension,
            } => {
                out.put_u8(terminal.0);
                out.put_u16(*voltage);
                out.put_slice(&[*signal, *extension]);
            }
            Self::Fuel {
                terminal,
                voltage,
                signal,
                alarm,
                fuel,
                temperature,
                mileage,
            } => {
                out.put_u8(terminal.0);
                out.put_u16(*voltage);
                out.put_slice(&[*signal, *alarm]);
                out.put_u16(*fuel);
                out.put_u8(*temperature);
                out.put_u32(*mileage);
            }
            Self::Card(read) => {
                let LocationCard {
                    mileage,
                    card,
                    alarm,
                    state,
                    driving_time,
                } = &**read;
                out.put_u32(*mileage);
                out.put_u8(u8::try_from(card.len()).unwrap_or(u8::MAX));
                out.put_slice(card);
                out.put_slice(&[*alarm, *state]);
                out.extend((*driving_time).into_iter().flat_map(u16::to_be_bytes));
            }
            Self::Climate {
                trailer,
                mileage,
                trip,
                temperature,
                humidity,
            } => {
                trailer.encode(out);
                out.put_u32(*mileage);
                out.put_u32(*trip);
                out.put_u16(*temperature);
                out.put_u16(*humidity);
            }
            Self::Unknown(tail) => out.put_slice(tail),
        }
    }

    #[cfg(feature = "telemetry")]
    #[inline]
    fn normalize(
        &self,
        report: &mut milepost_telemetry::Report,
        cx: &crate::normalize::Context<'_>,
        gps: &Gps,
        key: crate::normalize::Key,
    ) {
        match self {
            Self::Trailer(trailer) => trailer.normalize(report),
            Self::Nothing => {}
            _ => {
                self.normalize_rare(report, cx.profile().known_dialect());
                self.tell_apart(report, cx, gps, key);
            }
        }
    }

    /// What else makes it another fact.
    #[cfg(feature = "telemetry")]
    fn tell_apart(
        &self,
        report: &mut milepost_telemetry::Report,
        cx: &crate::normalize::Context<'_>,
        gps: &Gps,
        key: crate::normalize::Key,
    ) {
        use crate::field::alarm_key;

        let mut tell = |more: &[u8]| cx.tell_apart(report, gps, gps.time(), key, more);
        match self {
            // Benway's ignition and input. Of a reserved word they are 0.
            Self::Word(word @ 0x4000..) => tell(&(word & 0xc000).to_be_bytes()),
            Self::Status { terminal, .. } if terminal.alarm_bits() != 0 => {
                tell(&alarm_key(0, *terminal).to_be_bytes());
            }
            Self::Fuel {
                alarm, terminal, ..
            } => match alarm_key((*alarm).into(), *terminal) {
                0 => {}
                alarm => tell(&alarm.to_be_bytes()),
            },
            Self::Card(read) => tell(&[&[read.alarm, read.state], &read.card[..]].concat()),
            _ => {}
        }
    }

    #[cfg(feature = "telemetry")]
    #[inline(never)]
    fn normalize_rare(&self, report: &mut milepost_telemetry::Report, known: Option<Dialect>) {
        use crate::field::{Alarm, note_signal};
        use milepost_telemetry::{IgnitionSource, Odometer, Signal};

        let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
        let dialect = known.unwrap_or_default();
        match self {
            Self::Word(word) if is_benway(*word, known) => {
                report
                    .io
                    .note_ignition(word & 0x8000 != 0, IgnitionSource::Field);
                report.io.inputs = milepost_telemetry::Switches::from_bits(
                    u32::from(word >> 14 & 1) << 1 | u32::from(word >> 15),
                    2,
                );
                let (name, value, unit) = benway_value(*word);
                report.more.signals.push(number(name, value, Some(unit)));
            }
            // Reserved, or the language.
            Self::Word(0..=2) => {}
            Self::Word(word) => {
                report
                    .more
                    .signals
                    .push(number("gt06.reserved_word", (*word).into(), None))
            }
            Self::Status {
                terminal,
                voltage,
                signal,
                ..
            } => {
                terminal.normalize(report);
                crate::field::note_supply(report, *voltage);
                note_signal(report, *signal);
                if let Some(alarm) = Alarm::from_status(0, *terminal, dialect) {
                    alarm.normalize(report);
                }
            }
            Self::Fuel {
                terminal,
                voltage,
                signal,
                alarm,
                fuel,
                temperature,
                mileage,
            } => {
                terminal.normalize(report);
                crate::field::note_supply(report, *voltage);
                note_signal(report, *signal);
                if let Some(alarm) = Alarm::from_status((*alarm).into(), *terminal, dialect) {
                    alarm.normalize(report);
                }
                if *mileage == u32::MAX {
                    crate::field::note_mileage(report, *mileage);
                } else {
                    report.odometer = Odometer::from_metres(f64::from(*mileage) * 10.0).ok();
                }
                report.more.signals.extend([
                    number("gt06.fuel_raw", (*fuel).into(), None),
                    number("gt06.temperature", celsius(*temperature), Some("°C")),
                ]);
            }
            Self::Card(read) => {
                let LocationCard {
                    mileage,
                    card,
                    alarm,
                    state,
                    driving_time,
                } = &**read;
                crate::field::note_mileage(report, *mileage);
                let card = String::from_utf8_lossy(card);
                // Blanks or zeros: no card.
                if !card.trim().trim_matches('0').is_empty() {
                    report.identity_mut().driver = Some(card.trim().into());
                }
                if driving_time.is_some() {
                    // Wetrust: a code.
                    if let Some(alarm) = Alarm::from_code((*alarm).into(), dialect) {
                        alarm.normalize(report);
                    }
                } else if digit(*alarm) != 0 {
                    // GT06E, a flag: what kind of alarm is not said.
                    report
                        .more
                        .events
                        .push(milepost_telemetry::Event::by_device(
                            milepost_telemetry::EventKind::Unknown,
                            Some(digit(*alarm).into()),
                        ));
                }
                report
                    .more
                    .signals
                    .push(number("gt06.card_state", digit(*state).into(), None));
                if let Some(time) = driving_time {
                    report
                        .more
                        .signals
                        .push(number("gt06.driving_time", (*time).into(), None));
                }
            }
            Self::Climate {
                trailer,
                mileage,
                trip,
                temperature,
                humidity,
            } => {
                trailer.normalize(report);
                crate::field::note_mileage(report, *mileage);
                // The unit is 1 or 0.01, by model, and nothing says which.
                let magnitude = f64::from(temperature & 0x7fff);
                let signed = if temperature & 0x8000 == 0 {
                    magnitude
                } else {
                    -magnitude
                };
                report.more.signals.extend([
                    number("gt06.trip_time", (*trip).into(), Some("s")),
                    number("gt06.temperature_raw", signed, None),
                    number("gt06.humidity_raw", (*humidity).into(), None),
                ]);
            }
            Self::Mileage(mileage) => crate::field::note_mileage(report, *mileage),
            Self::TrailerMileage(trailer, mileage) => {
                trailer.normalize(report);
                crate::field::note_mileage(report, *mileage);
            }
            Self::Unknown(tail) => crate::normalize::note_bytes(report, "gt06.tail", tail),
            Self::Nothing | Self::Trailer(_) => {}
        }
    }
}

/// What the two bytes mean, as they are reported.
fn describe_word(word: u16, known: Option<Dialect>) -> String {
    if !is_benway(word, known) {
        return match word {
            0..=2 => format!("reserved, or language: {}", crate::text::language(word)),
            _ => "reserved".into(),
        };
    }
    let on = |bit: u16| if word >> bit & 1 == 0 { "off" } else { "on" };
    let (name, value, unit) = benway_value(word);
    let name = name.trim_start_matches("gt06.");
    format!(
        "inputs (benway): ignition {}, input 2 {}, {name} {value} {unit}",
        on(15),
        on(14)
    )
}

/// The temperature, or the voltage of the analogue input, of Benway's word, by its signal's name.
fn benway_value(word: u16) -> (&'static str, f64, &'static str) {
    if word & 0x1000 != 0 {
        let degrees = f64::from(word & 0x1ff);
        let signed = if word & 0x200 == 0 { degrees } else { -degrees };
        ("gt06.temperature", signed, "°C")
    } else if word & 0x2000 != 0 {
        ("gt06.adc", f64::from(word & 0x3ff), "V")
    } else {
        ("gt06.adc", f64::from(word & 0x3ff) / 10.0, "V")
    }
}

/// Whether two bytes are Benway's inputs: on Benway, and by their content where no dialect is known.
/// Reserved words and languages are small numbers, from which Benway's analogue input without
/// ignition, input or unit cannot be told.
fn is_benway(word: u16, known: Option<Dialect>) -> bool {
    match known {
        Some(dialect) => dialect == Dialect::Benway,
        None => word & 0xf000 != 0 && word & 0x0c00 == 0,
    }
}

/// A number that is sent as itself or as an ASCII digit.
#[cfg(feature = "telemetry")]
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::message::testing::{CELL, GPS, read_parts};

    fn read(number: u8, parts: &[&str]) -> Location {
        match read_parts(Start::Short, number, parts) {
            Message::Location(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_worked_example() {
        let read = read(0x22, &[GPS, CELL, "00 00 01"]);
        assert_eq!(read.gps.time().to_unix(), Some(1_451_357_465));
        assert_eq!(read.rest.trailer().unwrap().is_live(), Some(false));
    }

    #[test]
    fn what_follows_is_known_by_its_length() {
        use LocationRest as R;
        let wide = "81cc 0007 287d 001f71";
        for cell in [CELL, wide] {
            for (rest, known) in [
                ("", (|r| matches!(r, R::Nothing)) as fn(&R) -> bool),
                ("0200", |r| matches!(r, R::Word(0x200))),
                ("01 00 00", |r| matches!(r, R::Trailer(_))),
                ("00110064", |r| matches!(r, R::Mileage(0x11_0064))),
                ("46 04e4 04 00", |r| {
                    matches!(r, R::Status { voltage: 1_252, .. })
                }),
                ("01 00 00 00000064", |r| {
                    matches!(r, R::TrailerMileage(_, 100))
                }),
                (
                    "0102030405060708",
                    |r| matches!(r, R::Unknown(tail) if tail.len() == 8),
                ),
            ] {
                for number in [0x12, 0x22, 0x2d] {
                    let read = read(number, &[GPS, cell, rest]);
                    assert!(known(&read.rest), "{number:02x} {rest}: {read:?}");
                }
            }
        }
    }

    #[test]
    fn a_4g_location_has_a_4g_cell() {
        for (cell, mnc) in [
            ("01cc 00 0000287d 0000000000001f71", 0),
            ("81cc 0007 0000287d 0000000000001f71", 7),
        ] {
            for (rest, mileage) in [("01 00 00", false), ("01 00 00 00000064", true)] {
                let read = read(0xa0, &[GPS, cell, rest]);
                let cell = read.cell.unwrap();
                assert_eq!((cell.mnc, cell.lac, cell.cell_id), (mnc, 10_365, 8_049));
                assert_eq!(
                    matches!(read.rest, LocationRest::TrailerMileage(..)),
                    mileage
                );
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_cell_of_all_ones_is_none_and_costs_nothing_behind_it() {
        for number in [0x12, 0x22] {
            let none = read(number, &[GPS, "ffffffffffffffff", "01 00 00"]);
            assert!(matches!(none.rest, LocationRest::Trailer(_)), "{none:?}");
            let report = crate::message::testing::report(none);
            assert_eq!(report.io.ignition, Some(true));
            assert_eq!(report.fix.unwrap().live, Some(true));
            assert_eq!(report.network.cell, None);
            let bare = read(number, &[GPS, "ffffffffffffffff"]);
            assert!(matches!(bare.rest, LocationRest::Nothing), "{bare:?}");
        }
    }

    /// Twelve bytes: S5's status, or a mileage, a card of three digits and a driving time.
    #[test]
    fn a_vehicles_voltage_and_the_fix_tell_s5_from_a_card() {
        // An alarm 03 stands where a card's length would be, and text behind it.
        let fuel = read(0x12, &[GPS, CELL, "46 04b6 04 03 2041 20 00000cd9"]);
        assert!(
            matches!(fuel.rest, LocationRest::Fuel { alarm: 3, .. }),
            "{fuel:?}"
        );
        let card = read(0x12, &[GPS, CELL, "0000869c 03 313233 01 00 0005"]);
        let LocationRest::Card(card) = &card.rest else {
            panic!("{card:?}")
        };
        assert_eq!((&card.card[..], card.driving_time), (&b"123"[..], Some(5)));
        // A voltage, but a terminal that denies the fix: a mileage of 4.2 km more.
        let card = read(0x12, &[GPS, CELL, "0004b604 03 313233 01 00 0005"]);
        assert!(matches!(card.rest, LocationRest::Card(_)), "{card:?}");
    }

    #[test]
    fn a_card_of_another_length_than_promised_is_a_tail() {
        for rest in [
            "0000869c 04 313233 01 00 0005",
            "0000869c 03 0a0b0c 01 00 00050000",
        ] {
            let read = read(0x12, &[GPS, CELL, rest]);
            assert!(!matches!(read.rest, LocationRest::Card(_)), "{read:?}");
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_cards_alarm_is_a_flag_on_gt06e_and_a_code_on_wetrust() {
        use crate::message::testing::{report, signal};
        let blank = "20".repeat(75);
        // GT06E with an empty card: digits, both 0. 0x30 would be a harsh braking.
        let quiet = report(read(0x12, &[GPS, CELL, "00000064 4b", &blank, "30 30"]));
        assert!(quiet.more.events.is_empty() && quiet.more.identity.is_none());
        let event = |report: &milepost_telemetry::Report| {
            let event = report.more.events.first().unwrap();
            (event.kind, event.code)
        };
        let flag = report(read(0x12, &[GPS, CELL, "00000064 4b", &blank, "31 30"]));
        assert_eq!(
            event(&flag),
            (milepost_telemetry::EventKind::Unknown, Some(1))
        );
        let fast = report(read(0x12, &[GPS, CELL, "00000064 03 313233 06 01 0005"]));
        assert_eq!(
            event(&fast),
            (milepost_telemetry::EventKind::Overspeed, Some(6))
        );
        let wetrust = report(read(0x12, &[GPS, CELL, "00000064 03 313233 01 01 0005"]));
        assert_eq!(
            event(&wetrust),
            (milepost_telemetry::EventKind::Sos, Some(1))
        );
        assert_eq!(
            wetrust.more.identity.as_ref().unwrap().driver.as_deref(),
            Some("123")
        );
        assert_eq!(signal(&wetrust, "gt06.card_state").unwrap(), "1");
        assert_eq!(signal(&wetrust, "gt06.driving_time").unwrap(), "5");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn two_bytes_are_a_language_or_benways_inputs() {
        use crate::message::testing::{report, reports_as, signal};
        let language = report(read(0x12, &[GPS, CELL, "0001"]));
        assert!(language.more.signals.is_empty() && language.io.inputs.is_empty());
        let inputs = report(read(0x12, &[GPS, CELL, "c000"]));
        assert_eq!(inputs.io.ignition, Some(true));
        assert_eq!(inputs.io.inputs.iter().filter(|on| *on).count(), 2);
        for (word, shown) in [
            ("0c00", "3072"),
            ("0201", "513"),
            ("00ff", "255"),
            ("8c00", "35840"),
        ] {
            let reserved = report(read(0x12, &[GPS, CELL, word]));
            let signals: alloc::vec::Vec<_> = reserved
                .more
                .signals
                .iter()
                .map(|s| alloc::format!("{}", s.id))
                .collect();
            assert_eq!(signals, ["gt06.reserved_word"], "{word}");
            assert_eq!(signal(&reserved, "gt06.reserved_word").unwrap(), shown);
            assert_eq!(reserved.io.inputs.iter().count(), 0, "{word}");
        }
        // Known to be something else.
        let of = |dialect| crate::Profile {
            dialect: Some(dialect),
            ..crate::Profile::default()
        };
        let jimi = reports_as(&of(Dialect::Jimi), read(0x12, &[GPS, CELL, "c000"])).remove(0);
        assert_eq!(signal(&jimi, "gt06.reserved_word").unwrap(), "49152");
        // By the profile even a 1 is an input.
        let profile = of(Dialect::Benway);
        let benway = reports_as(&profile, read(0x12, &[GPS, CELL, "0001"])).remove(0);
        assert_eq!(signal(&benway, "gt06.adc").unwrap(), "0.1");
        let cold = reports_as(&profile, read(0x12, &[GPS, CELL, "1205"])).remove(0);
        assert_eq!(signal(&cold, "gt06.temperature").unwrap(), "-5");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn s5_and_seeworld_keep_their_units() {
        use crate::message::testing::{report, signal};
        let s5 = report(read(0x12, &[GPS, CELL, "46 04b6 04 00 0123 85 00000cd9"]));
        assert_eq!(s5.power.external.unwrap().as_volts(), 12.06);
        assert_eq!(signal(&s5, "gt06.temperature").unwrap(), "-5");
        assert_eq!(s5.odometer, Some(32_890.into()));
        let climate = "00 00 00 00000064 0000003c 8020 002d";
        let message = read(0x22, &[GPS, "01cc 00 287d 00001f71", climate]);
        assert_eq!(
            Message::from(message.clone()).dialect(),
            Some(Dialect::Seeworld)
        );
        let seeworld = report(message);
        assert_eq!(signal(&seeworld, "gt06.temperature_raw").unwrap(), "-32");
        assert_eq!(signal(&seeworld, "gt06.trip_time").unwrap(), "60");
        assert_eq!(seeworld.network.cell.unwrap().cell_id, 8_049);
    }

    #[test]
    fn a_cell_that_is_cut_short_costs_no_position() {
        for (number, cell) in [
            (0x12, "01cc 00 287d 001f"),
            (0x22, "81cc 0000 287d 001f"),
            (0xa0, "01"),
            (0x31, "01cc 00 2"),
        ] {
            let cell = cell.replace(' ', "");
            for len in (2..=cell.len()).step_by(2) {
                let read = read(number, &[GPS, &cell[..len]]);
                assert_eq!(read.cell, None, "{cell}");
                let tail = hex::decode(&cell[..len]).unwrap();
                assert_eq!(read.rest, LocationRest::Unknown(tail.into()));
                assert_eq!(read.gps.position().satellites(), 9);
            }
        }
    }

    /// What is left of a trailer and a mileage has the length of another rest, and the other way round.
    #[test]
    fn what_begins_like_a_trailer_is_no_rest_of_0x12_in_other_numbers() {
        use LocationRest as R;
        const LTE: &str = "01cc 00 0000287d 0000000000001f71";
        for (rest, known) in [
            // The beginning of a trailer, and that of a mileage behind one.
            ("01 00", (|r| matches!(r, R::Word(_))) as fn(&R) -> bool),
            ("00 00 01 00", |r| matches!(r, R::Mileage(256))),
            ("01 05 00 41", |r| matches!(r, R::Mileage(_))),
            // Not on a device without a fix, nor where no signal is.
            ("01 05 00 00 41", |r| matches!(r, R::Unknown(_))),
        ] {
            assert!(known(&read(0x12, &[GPS, CELL, rest]).rest), "12 {rest}");
            for (number, cell) in [(0x22, CELL), (0x2d, CELL), (0xa0, LTE)] {
                let read = read(number, &[GPS, cell, rest]);
                assert_eq!(read.cell.unwrap().cell_id, 8_049);
                let tail = crate::message::testing::body(&[rest]);
                assert_eq!(read.rest, R::Unknown(tail.into()), "{number:02x} {rest}");
            }
        }
        // What does not begin so is what its length says.
        for (number, cell) in [(0x12, CELL), (0x22, CELL), (0x2d, CELL), (0xa0, LTE)] {
            for (rest, known) in [
                ("c000", (|r| matches!(r, R::Word(0xc000))) as fn(&R) -> bool),
                ("0041ee10", |r| matches!(r, R::Mileage(4_320_784))),
                ("00000209", |r| matches!(r, R::Mileage(521))),
                ("ffffffff", |r| matches!(r, R::Mileage(u32::MAX))),
                ("40 0571 04 00", |r| matches!(r, R::Status { .. })),
                // A supply that was cut off.
                ("50 0000 04 00", |r| matches!(r, R::Status { .. })),
            ] {
                let read = read(number, &[GPS, cell, rest]);
                assert!(known(&read.rest), "{number:02x} {rest}: {read:?}");
            }
        }
    }

    #[test]
    fn what_is_left_of_a_card_or_a_status_is_not_another() {
        let blank = "20".repeat(75);
        let left_of = |whole: &[&str], len: usize| {
            let rest = hex::encode(&crate::message::testing::body(whole)[..len]);
            read(0x12, &[GPS, CELL, &rest]).rest
        };
        // GT06E's: as long as VXT01's and S5's status, and as Seeworld's climate.
        let gt06e = ["00008664 4b", &blank, "30 30"];
        for len in [5, 6, 8, 12, 13, 15, 81] {
            let rest = left_of(&gt06e, len);
            assert!(matches!(rest, LocationRest::Unknown(_)), "{len}: {rest:?}");
        }
        // Wetrust's without the driving time: its alarm would be a flag.
        let wetrust = ["00000064 03 313233 06 01 0005"];
        for len in [8, 9, 10, 11] {
            let rest = left_of(&wetrust, len);
            assert!(matches!(rest, LocationRest::Unknown(_)), "{len}: {rest:?}");
        }
        // S5's: a mileage of 1.1 million kilometres.
        let s5 = ["46 04b6 04 02 0123 85 00000cd9"];
        for len in [4, 6, 8, 9, 10, 11] {
            let rest = left_of(&s5, len);
            assert!(matches!(rest, LocationRest::Unknown(_)), "{len}: {rest:?}");
        }
        // Five bytes of it are VXT01's, and say the same.
        assert!(matches!(left_of(&s5, 5), LocationRest::Status { .. }));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_seeworlds_cell_is_told_by_its_trailer_where_it_is_cut_short() {
        use crate::message::testing::cut_short;

        const CLIMATE: &str = "01 00 01 00000064 0000003c 8020 002d";
        for cell in ["01cc 00 287d 066d9b03", "81cc 0004 287d 066d9b03"] {
            let ends = 18 + crate::message::testing::body(&[cell]).len();
            for (len, _, report) in cut_short(Start::Short, 0x22, 18, &[GPS, cell, CLIMATE]) {
                let id = report.network.cell.map(|cell| cell.cell_id);
                // As long as the other cell alone, with a trailer, or with a trailer and a mileage, and
                // before the trailer is whole.
                let is_other = matches!((len + 1).checked_sub(ends), Some(0..=3 | 7));
                let whole = (len >= ends + 3 && !is_other).then_some(0x066d_9b03);
                assert_eq!(id.filter(|_| !is_other), whole, "{len}");
                let has_mileage = len == ends + 7;
                let mileage = has_mileage.then_some(100.into());
                assert!(is_other || report.odometer == mileage, "{len}");
                assert!(report.io.ignition != Some(false), "{len}");
            }
        }
    }

    #[test]
    fn a_seeworld_s_cell_may_have_a_wide_mnc() {
        const REST: &str = "01 00 00 00000064 00000000 0020 002d";
        for cell in ["01cc 00 287d 00001f71", "81cc 0004 287d 00001f71"] {
            let read = read(0x22, &[GPS, cell, REST]);
            assert_eq!(read.cell.unwrap().cell_id, 8_049, "{read:?}");
            assert!(matches!(read.rest, LocationRest::Climate { .. }));
        }
    }

    /// Where the country code's bit 15 is set the cell is nine bytes long: eight are none.
    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        const LTE: &str = "01cc 00 0000287d 0000000000001f71";
        const LTE_WIDE: &str = "81cc 0007 0000287d 0000000000001f71";
        const WIDE: &str = "81cc 0007 287d 001f71";
        for (number, cell, cell_ends) in [
            (0x12, CELL, 26),
            (0x22, WIDE, 27),
            (0x2d, WIDE, 27),
            (0x31, WIDE, 27),
            (0xa0, LTE, 33),
            (0xa0, LTE_WIDE, 34),
        ] {
            for (len, message, report) in
                cut_short(Start::Short, number, 18, &[GPS, cell, "01 00 01"])
            {
                let Message::Location(read) = message else {
                    panic!("{number:02x} {len}: {message:?}")
                };
                let has_cell = len >= cell_ends;
                assert_eq!(read.cell.is_some(), has_cell, "{number:02x} {len}");
                if !has_cell {
                    assert_eq!(report.io.ignition, None, "{number:02x} {len}");
                    let tail = signal(&report, "gt06.tail").unwrap_or_default();
                    assert_eq!(tail.len(), (len - 18) * 2, "{number:02x} {len}");
                }
            }
        }
    }

    #[test]
    fn a_2g_cell_in_place_of_a_4g_one_is_none_where_it_could_be_half_of_that() {
        let wide = "81cc 0007 287d 001f71";
        for (rest, lac) in [
            // Areas of four bytes would begin with 28.
            (&[CELL][..], Some(10_365)),
            (&[CELL, "01 00 01"], Some(10_365)),
            (&[wide], Some(10_365)),
            (&[wide, "01 00 01"], Some(10_365)),
            // A 2G cell with the area 0 is none; a country code of 40 is none; a cell 0 is none.
            (&["01cc 00 0000 287d00"], None),
            (&["0028 00 287d 001f71"], None),
            (&["01cc 00 287d 000000"], None),
            // What is behind is no trailer.
            (&[CELL, "02 00 01"], None),
            (&[CELL, "01"], None),
            (&[CELL, "00000064"], None),
        ] {
            let parts = [&[GPS], rest].concat();
            let read = read(0xa0, &parts);
            assert_eq!(read.cell.map(|cell| cell.lac), lac, "{rest:?}");
            if lac.is_none() {
                let tail = crate::message::testing::body(rest);
                assert_eq!(read.rest, LocationRest::Unknown(tail.into()));
            }
        }
    }
}
