//! A user's DBC file: signals that the table lacks, or that replace those of the table.
//!
//! - Messages with 29-bit identifiers are matched by group: priority, source and destination in
//!   the file are no filter. Messages with 11-bit identifiers are matched as they are.
//! - A signal replaces every signal of the table that it overlaps, or whose SPN it states in the
//!   attribute `SPN`. Where its scale, offset or length differs, a [`Warning`] says so.
//! - A signal that is marked signed although its range needs the unsigned codes is read as
//!   unsigned, with a warning: a frequent error in files made of offset-coded J1939 signals.
//! - A multiplexed signal is there under the codes of its multiplexer, which may be multiplexed itself
//!   (`SG_MUL_VAL_`).
//!
//! Names are kept for the life of the process: load files at start.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use can_dbc::{
    AttributeValue, ByteOrder, Dbc as File, Message, MessageId, MultiplexIndicator, NumericValue,
    Signal, ValueType,
};

use crate::decoder::Definitions;
use crate::id::{J1939Id, Pgn};
use crate::signal::{self, Coding, Multiplexed, Spn};

/// The signals of a DBC file.
#[derive(Debug, Clone, Default)]
pub struct Dbc {
    groups: BTreeMap<u32, &'static [Spn]>,
    standard: BTreeMap<u16, &'static [Spn]>,
    warnings: Vec<Warning>,
}

/// Something in a file that its user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The message.
    pub message: String,
    /// The signal.
    pub signal: String,
    /// What is the matter.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: {}", self.message, self.signal, self.text)
    }
}

/// Why a file cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DbcError {
    /// The text is not a DBC.
    #[error("not a DBC file: {0}")]
    Syntax(String),
    /// More names than a process keeps.
    #[error("signal `{0}`: its name is longer than 128 bytes, or there are too many names")]
    Name(String),
}

/// Groups of data page 1 from this one on are NMEA 2000: they reserve single codes, not blocks.
const NMEA_2000: u32 = 126_208;

impl Dbc {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// If it is not a DBC, or has names that cannot be kept.
    pub fn parse(text: &str) -> Result<Self, DbcError> {
        let file = File::try_from(text).map_err(|error| DbcError::Syntax(error.to_string()))?;
        let mut all = Self::default();
        let mut groups: BTreeMap<u32, Vec<Spn>> = BTreeMap::new();
        for message in &file.messages {
            match message.id {
                MessageId::Extended(raw) => {
                    let pgn = J1939Id::from_raw(raw).pgn;
                    let signals = all.signals(&file, message, Some(pgn))?;
                    groups.entry(pgn.raw()).or_default().extend(signals);
                }
                MessageId::Standard(id) => {
                    let signals = all.signals(&file, message, None)?;
                    all.standard.insert(id, Vec::leak(signals));
                }
            }
        }
        for (pgn, mut signals) in groups {
            let kept: Vec<Spn> = signal::group(pgn)
                .map_or(&[][..], |group| group.signals)
                .iter()
                .filter(|row| {
                    let replaced = |own: &Spn| own.number == row.number || overlaps(own, row);
                    !signals.iter().any(replaced)
                })
                .copied()
                .collect();
            signals.extend(kept);
            signals.sort_by_key(|spn| spn.start);
            all.groups.insert(pgn, Vec::leak(signals));
        }
        Ok(all)
    }

    /// What the user should know about the file.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn signals(
        &mut self,
        file: &File,
        message: &Message,
        pgn: Option<Pgn>,
    ) -> Result<Vec<Spn>, DbcError> {
        let mut signals = Vec::new();
        for signal in &message.signals {
            let mut warn = |text: String| {
                self.warnings.push(Warning {
                    message: message.name.clone(),
                    signal: signal.name.clone(),
                    text,
                });
            };
            let Ok(multiplexed) = multiplexed(file, message, signal, MULTIPLEX_DEPTH) else {
                warn("multiplexed, but its multiplexer is not there: left out".into());
                continue;
            };
            let (Ok(start), Ok(bits @ 1..=64)) =
                (u16::try_from(signal.start_bit), u8::try_from(signal.size))
            else {
                warn(format!(
                    "{} bits from {}: left out",
                    signal.size, signal.start_bit
                ));
                continue;
            };
            if !signal.factor.is_finite() || signal.factor == 0.0 || !signal.offset.is_finite() {
                warn("factor 0 or not a number: left out".into());
                continue;
            }
            let number = file
                .signal_attribute(message.id, &signal.name, "SPN")
                .and_then(spn_number)
                .unwrap_or(0);
            let mut signed = signal.value_type == ValueType::Signed;
            let highest = (number_of(signal.max) - signal.offset) / signal.factor;
            let half = f64::from(bits - 1).exp2_of();
            if signed && signal.offset < 0.0 && highest >= half {
                signed = false;
                warn(format!(
                    "marked signed, but its range up to {} needs unsigned codes: read as unsigned",
                    number_of(signal.max)
                ));
            }
            let row = pgn
                .and_then(|pgn| signal::group(pgn.raw()))
                .and_then(|group| twin(group.signals, number, start));
            let spn = Spn {
                number,
                name: name(number, &signal.name)?,
                start,
                bits,
                coding: coding(signal, bits, pgn, signed, row),
                signed,
                big_endian: signal.byte_order == ByteOrder::BigEndian,
                scale: signal.factor,
                offset: signal.offset,
                unit: intern(&signal.unit)?,
                multiplexed,
                agree: 0,
                listed: 0,
            };
            if let Some(row) = row {
                for difference in differences(row, &spn) {
                    warn(difference);
                }
            }
            signals.push(spn);
        }
        Ok(signals)
    }
}

/// How deep multiplexers may be nested. Files that name each other in a circle end here.
const MULTIPLEX_DEPTH: u8 = 8;

/// What selects a signal; nothing if it is always there.
fn multiplexed(
    file: &File,
    message: &Message,
    signal: &Signal,
    depth: u8,
) -> Result<Option<&'static Multiplexed>, NoMultiplexer> {
    let code = match signal.multiplexer_indicator {
        MultiplexIndicator::Plain | MultiplexIndicator::Multiplexor => return Ok(None),
        MultiplexIndicator::MultiplexedSignal(code)
        | MultiplexIndicator::MultiplexorAndMultiplexedSignal(code) => code,
    };
    let extended = file
        .extended_multiplex
        .iter()
        .find(|one| one.message_id == message.id && one.signal_name == signal.name);
    let mut others = message.signals.iter();
    let (multiplexer, codes) = match extended {
        Some(extended) => {
            let ranges = extended.mappings.iter();
            (
                others.find(|other| other.name == extended.multiplexor_signal_name),
                ranges.map(|one| (one.min_value, one.max_value)).collect(),
            )
        }
        None => (
            others.find(|o| o.multiplexer_indicator == MultiplexIndicator::Multiplexor),
            Vec::from([(code, code)]),
        ),
    };
    let multiplexer = multiplexer.ok_or(NoMultiplexer)?;
    let depth = depth.checked_sub(1).ok_or(NoMultiplexer)?;
    let (Ok(start), Ok(bits @ 1..=64)) = (
        u16::try_from(multiplexer.start_bit),
        u8::try_from(multiplexer.size),
    ) else {
        return Err(NoMultiplexer);
    };
    Ok(Some(Box::leak(Box::new(Multiplexed {
        start,
        bits,
        big_endian: multiplexer.byte_order == ByteOrder::BigEndian,
        codes: Vec::leak(codes),
        within: multiplexed(file, message, multiplexer, depth)?,
    }))))
}

/// A file has no usable multiplexer for a signal.
struct NoMultiplexer;

/// Powers of two without the standard library's mathematics.
trait Exp2 {
    fn exp2_of(self) -> f64;
}

impl Exp2 for f64 {
    fn exp2_of(self) -> f64 {
        let mut power = 1.0;
        let mut left = self;
        while left >= 1.0 {
            power *= 2.0;
            left -= 1.0;
        }
        power
    }
}

fn twin(rows: &'static [Spn], number: u32, start: u16) -> Option<&'static Spn> {
    rows.iter()
        .find(|row| number != 0 && row.number == number)
        .or_else(|| rows.iter().find(|row| number == 0 && row.start == start))
}

fn differences(row: &Spn, own: &Spn) -> Vec<String> {
    let mut all = Vec::new();
    let is_same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1e-3);
    if !is_same(row.scale, own.scale) {
        all.push(format!(
            "scale {} instead of {} of the table",
            own.scale, row.scale
        ));
    }
    if !is_same(row.offset, own.offset) {
        all.push(format!(
            "offset {} instead of {} of the table",
            own.offset, row.offset
        ));
    }
    if row.bits != own.bits {
        all.push(format!(
            "{} bits instead of {} of the table",
            own.bits, row.bits
        ));
    }
    all
}

fn coding(signal: &Signal, bits: u8, pgn: Option<Pgn>, signed: bool, row: Option<&Spn>) -> Coding {
    let Some(pgn) = pgn else {
        return Coding::Plain;
    };
    if let Some(row) = row.filter(|row| row.bits == bits) {
        return row.coding;
    }
    if pgn.raw() >= NMEA_2000 {
        return Coding::TopCodes;
    }
    let (min, max) = (number_of(signal.min), number_of(signal.max));
    let highest = (max - signal.offset) / signal.factor;
    match bits {
        _ if signed => Coding::Plain,
        1 => Coding::Plain,
        // A range that has all four codes states four real states.
        2 if max > min && highest >= 3.0 => Coding::Plain,
        2 => Coding::Switch,
        3..=7 => Coding::State,
        // The range contains special codes: the author means every code as a value.
        _ if max > min && highest >= 251.0 * f64::from(bits - 8).exp2_of() => Coding::Plain,
        _ => Coding::Number,
    }
}

fn spn_number(value: &AttributeValue) -> Option<u32> {
    match value {
        AttributeValue::Uint(number) => u32::try_from(*number).ok(),
        AttributeValue::Int(number) => u32::try_from(*number).ok(),
        AttributeValue::Double(_) => None,
        AttributeValue::String(text) => text.trim().parse().ok(),
    }
    .filter(|number| (1..=0x7_FFFF).contains(number))
}

#[expect(clippy::cast_precision_loss, reason = "limits are only compared")]
const fn number_of(value: NumericValue) -> f64 {
    match value {
        NumericValue::Uint(number) => number as f64,
        NumericValue::Int(number) => number as f64,
        NumericValue::Double(number) => number,
    }
}

const fn overlaps(a: &Spn, b: &Spn) -> bool {
    // Big-endian positions count differently: such a signal replaces by number only.
    !a.big_endian && a.start < b.start + b.bits as u16 && b.start < a.start + a.bits as u16
}

/// `EngSpeed` becomes `eng_speed`; with a prefix where the name is also the signal's id.
fn name(number: u32, name: &str) -> Result<&'static str, DbcError> {
    let mut snake = String::new();
    let mut before = '_';
    for c in name.chars() {
        let starts_word = c.is_ascii_uppercase() && !before.is_ascii_uppercase();
        if starts_word && before != '_' {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        before = c;
    }
    intern(&if number == 0 {
        format!("dbc.{snake}")
    } else {
        snake
    })
}

fn intern(text: &str) -> Result<&'static str, DbcError> {
    milepost_telemetry::Name::intern(text)
        .map(milepost_telemetry::Name::as_str)
        .map_err(|_| DbcError::Name(text.into()))
}

impl Definitions for Dbc {
    fn group(&self, pgn: Pgn) -> Option<&'static [Spn]> {
        self.groups.get(&pgn.raw()).copied()
    }

    fn standard(&self, id: u16) -> Option<&'static [Spn]> {
        self.standard.get(&id).copied()
    }
}

impl From<Dbc> for alloc::sync::Arc<dyn Definitions> {
    fn from(dbc: Dbc) -> Self {
        Self::from(Box::new(dbc) as Box<dyn Definitions>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::can::{CanFrame, CanId, CanTime};
    use crate::decoder::{Decoder, Options, Output};
    use crate::signal::Reading;

    fn text(body: &str) -> String {
        format!("VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_: EV EVCC\n\n{body}\n")
    }

    fn decode(dbc: Dbc, id: CanId, data: &str) -> Vec<(String, Reading)> {
        let options = Options {
            definitions: Some(dbc.into()),
            ..Options::default()
        };
        let mut decoder = Decoder::new(options);
        let frame = CanFrame::new(id, &hex::decode(data).unwrap()).unwrap();
        decoder.push(&frame, CanTime(0));
        let Some(Output::Message(message)) = decoder.poll() else {
            panic!()
        };
        let named = message
            .signals()
            .map(|s| (s.spn.name.to_string(), s.reading));
        named.collect()
    }

    #[test]
    fn a_signed_mark_on_an_offset_coded_signal_is_corrected_with_a_warning() {
        let dbc = Dbc::parse(&text(
            "BO_ 2566568000 PGN_64184_EVSE_1_DC_Status_1: 8 EV\n \
             SG_ EVSE1_Present_DC_Charging_Voltage : 8|16@1+ (0.05,0) [0|3212.75] \"V\" EVCC\n \
             SG_ EVSE1_Present_DC_Charging_Current : 24|16@1- (0.05,-1600) [-1600|1612.75] \"A\" EVCC\n",
        ))
        .unwrap();
        assert_eq!(dbc.warnings().len(), 1);
        assert!(dbc.warnings()[0].to_string().contains("read as unsigned"));
        // Another source address than the file has.
        let all = decode(dbc, CanId::Extended(0x18FA_B856), "12B036D08400F1FF");
        assert_eq!(all[0].1, Reading::Value(700.0));
        assert_eq!(all[1].1, Reading::Value(100.0));
        assert_eq!(all[0].0, "dbc.evse1_present_dc_charging_voltage");
    }

    const ENGINE: &str = "BO_ 2364540158 EEC1: 8 EV\n \
         SG_ EngSpeed : 24|16@1+ (0.25,0) [0|16063.75] \"rpm\" EVCC\n \
         SG_ Extra : 48|4@1+ (1,0) [0|15] \"\" EVCC\n\n\
         BA_DEF_ SG_ \"SPN\" INT 0 524287;\nBA_DEF_DEF_ \"SPN\" 0;\n\
         BA_ \"SPN\" SG_ 2364540158 EngSpeed 190;\n";

    #[test]
    fn a_signal_replaces_that_of_the_table_and_a_difference_is_said() {
        let dbc = Dbc::parse(&text(ENGINE)).unwrap();
        let warnings: Vec<_> = dbc.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            ["EEC1.EngSpeed: scale 0.25 instead of 0.125 of the table"]
        );
        let all = decode(dbc, CanId::Extended(0x0CF0_0400), "F07D859B0FFFFF85");
        let find = |name: &str| all.iter().find(|(own, _)| own == name).unwrap().1;
        assert_eq!(find("eng_speed"), Reading::Value(998.75));
        assert_eq!(find("actual_engine_percent_torque"), Reading::Value(8.0));
        assert_eq!(find("dbc.extra"), Reading::NotAvailable);
        // It overlapped the starter mode.
        assert!(!all.iter().any(|(name, _)| name == "engine_starter_mode"));
    }

    #[test]
    fn destinations_are_no_filter_and_pages_are_kept() {
        // TSC1 to 00 from 00 in the file, to 41 from 11 on the bus.
        let tsc1 =
            text("BO_ 2348810240 X: 8 EV\n SG_ Torque : 24|8@1+ (1,-125) [-125|125] \"%\" EVCC\n");
        let dbc = Dbc::parse(&tsc1).unwrap();
        assert!(dbc.group(Pgn::new(0).unwrap()).is_some());
        let all = decode(dbc, CanId::Extended(0x0C00_290B), "FCFFFA7DFFFFFFFF");
        assert!(
            all.iter()
                .any(|(_, reading)| *reading == Reading::Value(0.0))
        );
        // 09F11923: data page 1; FEF1 of page 0 is another group.
        let marine = text("BO_ 2314279203 Y: 8 EV\n SG_ Rate : 0|16@1+ (1,0) [0|0] \"\" EVCC\n");
        let dbc = Dbc::parse(&marine).unwrap();
        assert!(dbc.group(Pgn::new(127_257).unwrap()).is_some());
        // Only the top codes are special there.
        let all = decode(dbc, CanId::Extended(0x0DF1_1923), "00FCFFFFFFFFFFFF");
        assert_eq!(all[0].1, Reading::Value(64512.0));
    }

    #[test]
    fn eleven_bit_messages_and_big_endian_signals_are_read() {
        let dbc = Dbc::parse(&text(
            "BO_ 291 Body: 8 EV\n \
             SG_ Big : 7|16@0+ (1,0) [0|65535] \"\" EVCC\n \
             SG_ Neg : 16|8@1- (1,0) [-128|127] \"\" EVCC\n",
        ))
        .unwrap();
        let all = decode(dbc, CanId::Standard(291), "1234FF0000000000");
        assert_eq!(all[0].1, Reading::Value(f64::from(0x1234)));
        assert_eq!(all[1].1, Reading::Value(-1.0));
        assert_eq!(all.len(), 2);
    }

    fn names(dbc: &Dbc, data: &str) -> Vec<String> {
        let all = decode(dbc.clone(), CanId::Standard(291), data);
        let there = all.into_iter().filter(|(_, r)| *r != Reading::Absent);
        there.map(|(name, _)| name).collect()
    }

    #[test]
    fn a_multiplexed_signal_is_there_under_the_codes_of_its_multiplexer_only() {
        let dbc = Dbc::parse(&text(
            "BO_ 291 Body: 8 EV\n \
             SG_ Mode M : 0|8@1+ (1,0) [0|255] \"\" EVCC\n \
             SG_ Warm m1 : 8|8@1+ (1,-40) [0|0] \"degC\" EVCC\n \
             SG_ Fast m2 : 8|16@1+ (1,0) [0|0] \"rpm\" EVCC\n",
        ))
        .unwrap();
        assert_eq!(dbc.warnings(), []);
        assert_eq!(names(&dbc, "0110000000000000"), ["dbc.mode", "dbc.warm"]);
        assert_eq!(names(&dbc, "0210000000000000"), ["dbc.mode", "dbc.fast"]);
        assert_eq!(names(&dbc, "0310000000000000"), ["dbc.mode"]);
    }

    #[test]
    fn multiplexers_are_nested_and_have_ranges() {
        let dbc = Dbc::parse(&text(
            "BO_ 291 Body: 8 EV\n \
             SG_ Outer M : 0|8@1+ (1,0) [0|255] \"\" EVCC\n \
             SG_ Inner m1M : 8|8@1+ (1,0) [0|255] \"\" EVCC\n \
             SG_ Deep m0 : 16|8@1+ (1,0) [0|255] \"\" EVCC\n\n\
             SG_MUL_VAL_ 291 Inner Outer 1-1;\n\
             SG_MUL_VAL_ 291 Deep Inner 3-5, 9-9;\n",
        ))
        .unwrap();
        assert_eq!(dbc.warnings(), []);
        let all = ["dbc.outer", "dbc.inner", "dbc.deep"];
        assert_eq!(names(&dbc, "0105000000000000"), all);
        assert_eq!(names(&dbc, "0109000000000000"), all);
        assert_eq!(names(&dbc, "0106000000000000"), all[..2]);
        // The bytes of the inner multiplexer are another field's now.
        assert_eq!(names(&dbc, "0205000000000000"), all[..1]);
    }

    #[test]
    fn a_multiplexed_signal_without_multiplexer_is_left_out_with_a_warning() {
        let dbc = Dbc::parse(&text(
            "BO_ 291 Body: 8 EV\n SG_ Lost m1 : 0|8@1+ (1,0) [0|255] \"\" EVCC\n",
        ))
        .unwrap();
        assert!(dbc.warnings()[0].text.contains("its multiplexer"));
    }

    #[test]
    fn a_text_that_is_no_dbc_is_refused() {
        assert!(matches!(
            Dbc::parse("BO_ nonsense"),
            Err(DbcError::Syntax(_))
        ));
    }
}
