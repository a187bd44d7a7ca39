//! 0x13 and 0x23, heartbeat with status.
//!
//! | number, L | body |
//! |---|---|
//! | 13, 0A | terminal information 1, battery 1, signal 1, language or ports 2 |
//! | 13, 08 | terminal information 1, battery 1, signal 1 (GT03, clones) |
//! | 13, 13 | terminal information 1, signal and satellites 2, alarm 1, language 1, battery % 1, mode 1, volts/100 2, reserved 1, time 2, extra 2 (OBD6) |
//! | 13, 15 | terminal information 1, satellites 2, alarm 1, language 1, battery % 1, mode 1, volts/100 2, reserved 1, times 2, work 2, temperature 2 (Space10X) |
//! | 23, 0B | terminal information 1, volts/100 2, signal 1, language 2 |
//!
//! Concox GT06 manual for L 0A; the others seen on devices. In L 0A some makers put other things
//! at the same places: R11 the external voltage, Lynkworld the external voltage in the last two
//! bytes, Seeworld percent and volts. The dialect decides and, where none is known, the content:
//! see [`Heartbeat::apparent_dialect`]. The last two bytes are never an alarm.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::field::TerminalInfo;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A sign of life with a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// 0x13 or 0x23.
    pub number: u8,
    /// Switches.
    pub terminal: TerminalInfo,
    /// The rest, by length.
    pub form: HeartbeatForm,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

/// What follows the terminal information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeartbeatForm {
    /// 0x13 in its usual lengths, and shorter ones of clones.
    Usual {
        /// Battery: a level, or percent.
        battery: Option<u8>,
        /// Mobile signal: a level, or the model's own unit.
        signal: Option<u8>,
        /// Language and state of ports.
        extension: Option<u16>,
    },
    /// 0x23.
    Volts {
        /// Volts × 100: of the internal battery on AT and GK310, of the supply on EG02 and EG03.
        voltage: u16,
        /// Mobile signal.
        signal: u8,
        /// Language.
        language: Option<u16>,
    },
    /// OBD6 (L 13) and Space10X (L 15).
    Extended {
        /// OBD6: signal (CSQ) in bits 4–0, satellites in bits 9–5 and 14–10. Space10X:
        /// satellites.
        signal: u16,
        /// Alarm.
        alarm: u8,
        /// Language.
        language: u8,
        /// Percent.
        battery: u8,
        /// Working mode.
        mode: u8,
        /// Volts × 100.
        voltage: u16,
        /// Reserved.
        reserved: u8,
        /// Times.
        times: u16,
        /// OBD6: by mode, a temperature. Space10X: working time.
        extra: u16,
        /// Space10X: temperature × 10, bit 15 set when positive.
        temperature: Option<u16>,
    },
}

impl Heartbeat {
    /// The usual heartbeat.
    #[must_use]
    pub const fn new(terminal: TerminalInfo, battery: u8, signal: u8) -> Self {
        Self {
            number: 0x13,
            terminal,
            form: HeartbeatForm::Usual {
                battery: Some(battery),
                signal: Some(signal),
                extension: Some(0x0002),
            },
            tail: Bytes::new(),
        }
    }
}

impl Heartbeat {
    /// The dialect that the content of a usual heartbeat can only be of, for devices of which
    /// none is known.
    ///
    /// - R11: what would be the signal is above 120 and below 255, which no model sends (levels,
    ///   percent, -dBm; 255 for none), and the two bytes there are 5 to 90 V; a signal is where it
    ///   then must be. This is learned: R11's other voltages look like levels or percent.
    /// - Seeworld: the signal is a percentage above what others send (31), and a language is
    ///   after what is 5 to 60 V. Ports that are extended to such a number are only known beside
    ///   a signal of a few levels. It is a reading of this frame, and not learned.
    ///
    /// Lynkworld's cannot be recognised: any state of ports would be a voltage.
    #[must_use]
    pub fn apparent_dialect(&self) -> Option<Dialect> {
        let HeartbeatForm::Usual {
            battery: Some(battery),
            signal: Some(signal),
            extension: Some(extension),
        } = self.form
        else {
            return None;
        };
        told_by(battery, signal, extension)
    }
}

/// See [`Heartbeat::apparent_dialect`].
fn told_by(battery: u8, signal: u8, extension: u16) -> Option<Dialect> {
    let [first, last] = extension.to_be_bytes();
    match signal {
        121..=254 if (1..=31).contains(&first) => (500..=9_000)
            .contains(&u16::from_be_bytes([battery, signal]))
            .then_some(Dialect::R11),
        32..=100 => (matches!(last, 1 | 2) && (5..=60).contains(&first) && battery <= 100)
            .then_some(Dialect::Seeworld),
        _ => None,
    }
}

impl Body for Heartbeat {
    const NAME: &'static str = "heartbeat";
    const ANSWER: Answer = Answer::Now;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let terminal = TerminalInfo(r.u8("terminal information")?);
        r.note(|| terminal.describe());
        let form = match (cx.number(), cx.body.len()) {
            (0x23, 4..) => {
                let voltage = r.u16("voltage")?;
                r.note(|| format!("{:.2} V", f32::from(voltage) / 100.0));
                HeartbeatForm::Volts {
                    voltage,
                    signal: crate::field::signal(r)?,
                    language: optional_u16(r, "language")?,
                }
            }
            (0x13, len @ (14 | 16)) => extended(r, len == 16)?,
            _ => usual(r, cx.dialect)?,
        };
        Ok(Self {
            number: cx.number(),
            terminal,
            form,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.terminal.0);
        match self.form {
            HeartbeatForm::Usual {
                battery,
                signal,
                extension,
            } => {
                out.extend(battery);
                out.extend(signal);
                out.extend(extension.into_iter().flat_map(u16::to_be_bytes));
            }
            HeartbeatForm::Volts {
                voltage,
                signal,
                language,
            } => {
                out.put_u16(voltage);
                out.put_u8(signal);
                out.extend(language.into_iter().flat_map(u16::to_be_bytes));
            }
            HeartbeatForm::Extended {
                signal,
                alarm,
                language,
                battery,
                mode,
                voltage,
                reserved,
                times,
                extra,
                temperature,
            } => {
                out.put_u16(signal);
                out.put_slice(&[alarm, language, battery, mode]);
                out.put_u16(voltage);
                out.put_u8(reserved);
                out.put_u16(times);
                out.put_u16(extra);
                out.extend(temperature.into_iter().flat_map(u16::to_be_bytes));
            }
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn dialect(&self) -> Option<Dialect> {
        self.apparent_dialect()
            .filter(|dialect| *dialect == Dialect::R11)
    }

    /// No Seeworld model has a supply of no volts and a signal of a few percent while it sends.
    fn contradicts(&self, dialect: Dialect) -> bool {
        let is_level = matches!(
            self.form,
            HeartbeatForm::Usual {
                signal: Some(1..=4),
                extension: Some(0..=0xff),
                ..
            }
        );
        dialect == Dialect::Seeworld && is_level
    }

    fn raw_battery(&self) -> Option<u8> {
        match self.form {
            HeartbeatForm::Usual { battery, .. }
                if self.apparent_dialect() != Some(Dialect::R11) =>
            {
                battery
            }
            _ => None,
        }
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Heartbeat, 0);
        self.terminal.normalize(report);
        self.form
            .normalize(cx, report, cx.dialect_or(self.apparent_dialect()));
        // Vibration, SOS and the like stay set for many heartbeats: each is the same incident,
        // which the alarm message announced. They are a state here, not an event.
        if self.terminal.alarm_bits() != 0 {
            report.more.signals.push(
                milepost_telemetry::Signal::named("gt06.alarm_state")
                    .number(self.terminal.alarm_bits().into(), None),
            );
        }
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(feature = "telemetry")]
impl HeartbeatForm {
    fn normalize(
        self,
        cx: &crate::normalize::Context<'_>,
        report: &mut milepost_telemetry::Report,
        dialect: Dialect,
    ) {
        use crate::field::{note_battery, note_battery_voltage, note_signal, note_supply};
        use milepost_telemetry::{Percent, Signal, Voltage};

        match self {
            Self::Usual {
                battery,
                signal,
                extension,
            } => match (dialect, battery, signal, extension) {
                (Dialect::R11, Some(high), Some(low), Some(extension)) => {
                    note_supply(report, u16::from_be_bytes([high, low]));
                    note_signal(report, extension.to_be_bytes()[0]);
                }
                (Dialect::Lynkworld, Some(battery), Some(signal), Some(extension)) => {
                    note_battery(cx, report, battery);
                    note_signal(report, signal);
                    report.power.external =
                        Voltage::from_volts(f32::from(extension & 0x0fff) / 10.0).ok();
                }
                (Dialect::Seeworld, Some(battery), Some(signal), Some(extension)) => {
                    note_battery(cx, report, battery);
                    report.network.signal = Percent::new(signal.into()).ok();
                    report.power.external =
                        Voltage::from_volts(extension.to_be_bytes()[0].into()).ok();
                }
                _ => {
                    if let Some(battery) = battery {
                        note_battery(cx, report, battery);
                    }
                    if let Some(signal) = signal {
                        note_signal(report, signal);
                    }
                }
            },
            Self::Volts {
                voltage, signal, ..
            } => {
                // Above what a lithium cell can have it is the supply's.
                if voltage > 500 {
                    note_supply(report, voltage);
                } else {
                    note_battery_voltage(report, voltage);
                }
                note_signal(report, signal);
            }
            Self::Extended {
                signal,
                alarm,
                battery,
                mode,
                voltage,
                extra,
                temperature,
                ..
            } => {
                if let Some(alarm) = crate::field::Alarm::from_code(alarm.into(), dialect) {
                    alarm.normalize(report);
                }
                report.power.battery_charge = Percent::new(battery.into()).ok();
                if voltage > 500 {
                    note_supply(report, voltage);
                } else {
                    note_battery_voltage(report, voltage);
                }
                let celsius = match temperature {
                    Some(raw) => {
                        let tenths = f64::from(raw & 0x7fff) / 10.0;
                        Some(if raw & 0x8000 == 0 { -tenths } else { tenths })
                    }
                    None if mode == 4 => Some(f64::from(extra.cast_signed()) / 10.0),
                    None => None,
                };
                if let Some(celsius) = celsius {
                    report
                        .more
                        .signals
                        .push(Signal::named("gt06.temperature").number(celsius, Some("°C")));
                }
                if temperature.is_none() {
                    // CSQ: 0 is -113 dBm or less, each step 2 dB.
                    let csq = i16::try_from(signal & 0x1f).ok().filter(|csq| *csq <= 31);
                    report.network.signal_dbm = csq.filter(|csq| *csq > 0).map(|csq| csq * 2 - 113);
                }
            }
        }
    }
}

fn usual<T: Trace>(r: &mut Reader<'_, T>, dialect: Dialect) -> Result<HeartbeatForm, DecodeError> {
    let bytes = r.peek();
    let battery = if r.remaining() > 0 {
        Some(crate::field::battery(r)?)
    } else {
        None
    };
    // The dialect of the report; the content decides if nothing is known.
    let read_by = match *bytes {
        [battery, signal, high, low, ..] if T::ON => {
            let word = u16::from_be_bytes([high, low]);
            match dialect {
                Dialect::Concox => told_by(battery, signal, word),
                known => Some(known),
            }
            .map(|dialect| (dialect, u16::from_be_bytes([battery, signal]), word))
        }
        _ => None,
    };
    if let Some((Dialect::R11, volts, _)) = read_by {
        r.note(|| format!("upper half of the supply (r11): {:.2} V", centi(volts)));
    }
    let signal = if r.remaining() > 0 {
        Some(crate::field::signal(r)?)
    } else {
        None
    };
    match read_by {
        Some((Dialect::R11, ..)) => r.note(|| "lower half of the supply (r11)".into()),
        Some((Dialect::Seeworld, ..)) => {
            r.note(|| format!("{} % (seeworld)", signal.unwrap_or_default()));
        }
        _ => {}
    }
    let extension = optional_u16(r, "language and ports")?;
    if let Some((dialect, _, word)) = read_by {
        let [high, low] = word.to_be_bytes();
        match dialect {
            Dialect::R11 => r.note(|| format!("mobile signal {high}, and {low} (r11)")),
            Dialect::Lynkworld => r.note(|| {
                let volts = f32::from(word & 0x0fff) / 10.0;
                format!("external {volts:.1} V (lynkworld)")
            }),
            Dialect::Seeworld => r.note(|| {
                let language = crate::text::language(low.into());
                format!("external {high} V, language {language} (seeworld)")
            }),
            _ => {}
        }
    }
    Ok(HeartbeatForm::Usual {
        battery,
        signal,
        extension,
    })
}

fn centi(volts: u16) -> f32 {
    f32::from(volts) / 100.0
}

fn optional_u16<T: Trace>(
    r: &mut Reader<'_, T>,
    field: &'static str,
) -> Result<Option<u16>, DecodeError> {
    if r.remaining() < 2 {
        return Ok(None);
    }
    r.u16(field).map(Some)
}

fn extended<T: Trace>(r: &mut Reader<'_, T>, space: bool) -> Result<HeartbeatForm, DecodeError> {
    let signal = r.u16(if space {
        "satellites"
    } else {
        "signal and satellites"
    })?;
    let alarm = r.u8("alarm")?;
    r.note(|| crate::field::alarm_meaning(alarm.into()).into());
    let language = r.u8("language")?;
    r.note(|| crate::text::language(language.into()));
    let battery = r.u8("battery")?;
    r.note(|| format!("{battery} %"));
    let mode = r.u8("mode")?;
    let voltage = r.u16("voltage")?;
    r.note(|| format!("{:.2} V", f32::from(voltage) / 100.0));
    Ok(HeartbeatForm::Extended {
        signal,
        alarm,
        language,
        battery,
        mode,
        voltage,
        reserved: r.u8("reserved")?,
        times: r.u16("times")?,
        extra: r.u16(if space { "working time" } else { "extra" })?,
        temperature: if space {
            Some(r.u16("temperature")?)
        } else {
            None
        },
    })
}
