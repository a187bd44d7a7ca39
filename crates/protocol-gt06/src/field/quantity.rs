//! Numbers with their unit, and what they add to a report: fields of plain layouts.

use alloc::format;

use bytes::{BufMut, BytesMut};

use super::{
    Cell, CellForm, DateTime, Gps, Items, Neighbour, NeighbourForm, Plmn, RadioCell, Status,
    TerminalId, TerminalInfo, Trailer, reading, status, trailer,
};
use crate::DecodeError;
use crate::layout::Part;
use crate::parse::{Reader, Trace};

/// A number: its type on the wire, its name, its meaning for people and what it adds to a report.
macro_rules! quantities {
    ($(
        $(#[$meta:meta])*
        $name:ident($raw:tt $read:ident) $field:literal
        |$value:ident| $meaning:expr,
        |$cx:ident, $report:ident| $note:expr;
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
            pub struct $name(pub $raw);

            impl Part for $name {
                type With = ();

                fn read<T: Trace>(r: &mut Reader<'_, T>, (): ()) -> Result<Self, DecodeError> {
                    let $value = r.$read($field)?;
                    r.note(|| $meaning);
                    Ok(Self($value))
                }

                fn write(&self, out: &mut BytesMut) {
                    put!(out, $read, self.0);
                }

                #[cfg(feature = "telemetry")]
                fn note(
                    &self,
                    $cx: &crate::normalize::Context<'_>,
                    $report: &mut milepost_telemetry::Report,
                ) {
                    let $value = self.0;
                    $note;
                }
            }
        )*
    };
}

macro_rules! put {
    ($out:ident, u24, $raw:expr) => {
        $out.put_uint($raw.into(), 3)
    };
    ($out:ident, array, $raw:expr) => {
        $out.put_slice(&$raw)
    };
    ($out:ident, $read:ident, $raw:expr) => {
        $out.put_slice(&$raw.to_be_bytes())
    };
}

#[cfg(feature = "telemetry")]
fn signal(
    report: &mut milepost_telemetry::Report,
    name: &'static str,
    value: u32,
    unit: Option<&'static str>,
) {
    let signal = milepost_telemetry::Signal::named(name).number(value.into(), unit);
    report.more.signals.push(signal);
}

quantities! {
    /// The odometer, in metres.
    Mileage(u32 u32) "mileage"
        |metres| format!("{metres} m"),
        |_cx, report| reading::note_mileage(report, metres);
    /// The odometer, in tens of metres.
    MileageTens(u32 u32) "mileage"
        |tens| format!("{} m", u64::from(tens) * 10),
        |_cx, report| match tens {
            u32::MAX => reading::note_mileage(report, tens),
            _ => report.odometer =
                milepost_telemetry::Odometer::from_metres(f64::from(tens) * 10.0).ok(),
        };
    /// Degrees Celsius; bit 7 is the sign. The message notes it.
    Celsius(u8 u8) "temperature"
        |raw| format!("{} °C", Celsius(raw).degrees()),
        |_cx, _report| _ = raw;
    /// A mileage of 24 bits in an unknown unit.
    RawMileage(u32 u24) "mileage, unit unknown"
        |raw| format!("{raw}, unit unknown"),
        |_cx, report| signal(report, "gt06.mileage_raw", raw, None);
    /// The external supply, in volts × 100.
    Supply(u16 u16) "supply"
        |raw| reading::volts_100(raw),
        |_cx, report| reading::note_supply(report, raw);
    /// The device's own battery, in volts × 100.
    BatteryVoltage(u16 u16) "battery voltage"
        |raw| reading::volts_100(raw),
        |_cx, report| reading::note_battery_voltage(report, raw);
    /// The device's own battery, in volts × 10.
    BatteryDecivolts(u8 u8) "battery"
        |raw| format!("{:.1} V", f32::from(raw) / 10.0),
        |_cx, report| reading::note_battery_decivolts(report, raw);
    /// The device's own battery (VOL1): a level of 6, or percent.
    Battery(u8 u8) "battery"
        |raw| status::describe_battery(raw),
        |cx, report| status::note_battery(cx, report, raw);
    /// Mobile signal (GSM1): a level of 4, or the model's own unit.
    MobileSignal(u8 u8) "mobile signal"
        |raw| status::describe_signal(raw),
        |_cx, report| status::note_signal(report, raw);
    /// Mobile signal, in percent.
    MobileSignalPercent(u8 u8) "mobile signal"
        |raw| format!("{raw} %"),
        |_cx, report| report.network.signal = milepost_telemetry::Percent::new(raw.into()).ok();
    /// How long the engine has run in all, in minutes (24 bits).
    WorkingMinutes(u32 u24) "working time"
        |minutes| format!("{minutes} min"),
        |_cx, report| report.vehicle_mut().engine_hours_s = Some(f64::from(minutes) * 60.0);
    /// How long the engine has run in all, in seconds.
    WorkingSeconds(u32 u32) "working time"
        |seconds| format!("{seconds} s"),
        |_cx, report| report.vehicle_mut().engine_hours_s = Some(seconds.into());
    /// How long the ignition has been on in all, in seconds.
    IgnitionSeconds(u32 u32) "ignition time"
        |seconds| format!("{seconds} s"),
        |_cx, report| signal(report, "gt06.ignition_time", seconds, Some("s"));
    /// The ignition: 0 off, 1 on; other values are unknown.
    Ignition(u8 u8) "ignition"
        |raw| match raw { 0 => "off".into(), 1 => "on".into(), _ => format!("unknown ({raw})") },
        |_cx, report| if raw <= 1 {
            report.io.note_ignition(raw == 1, milepost_telemetry::IgnitionSource::Field);
        };
    /// The external supply, in whole volts.
    SupplyVolts(u8 u8) "supply"
        |volts| format!("{volts} V"),
        |_cx, report| report.power.external =
            milepost_telemetry::Voltage::from_volts(volts.into()).ok();
    /// Altitude, in metres, signed.
    Altitude(i16 i16) "altitude"
        |metres| format!("{metres} m"),
        |_cx, report| if let Some(fix) = &mut report.fix {
            fix.altitude = milepost_telemetry::Altitude::from_metres(metres.into()).ok();
        };
    /// An alarm's code. Its meaning depends on the model; the message reports it.
    AlarmCode(u8 u8) "alarm"
        |code| super::alarm_meaning(code.into()).into(),
        |_cx, _report| _ = code;
    /// The language (LNG1) of a message that is answered in it; 0: no reply wanted.
    ReplyLanguage(u8 u8) "language"
        |raw| crate::text::reply_language(raw),
        |_cx, _report| _ = raw;
    /// Why a position was sent ([`upload_mode_name`](super::upload_mode_name)).
    UploadMode(u8 u8) "upload mode"
        |raw| trailer::describe_upload_mode(raw),
        |_cx, _report| _ = raw;
    /// Whether a fix is from the device's buffer: 0 live, 1 stored; other values are unknown.
    Reupload(u8 u8) "re-upload"
        |raw| trailer::describe_reupload(raw),
        |_cx, _report| _ = raw;
    /// The language (LNG2) of a message that is not answered in it: 1 Chinese, 2 English.
    Language(u16 u16) "language"
        |raw| crate::text::language(raw),
        |_cx, _report| _ = raw;
    /// The number of a driver's card; all zero: none.
    Card([u8; 8] array) "card"
        |number| crate::text::card(&number),
        |_cx, report| note_driver(report, &number);
    /// The number of a driver's key; all zero: none.
    DriverKey([u8; 6] array) "key"
        |number| crate::text::card(&number),
        |_cx, report| note_driver(report, &number);
}

impl Celsius {
    /// Degrees, with their sign.
    #[must_use]
    pub fn degrees(self) -> f64 {
        let degrees = f64::from(self.0 & 0x7f);
        if self.0 & 0x80 == 0 {
            degrees
        } else {
            -degrees
        }
    }
}

/// Names the driver by the number of a card or key, in hexadecimal; all zero is none.
#[cfg(feature = "telemetry")]
fn note_driver(report: &mut milepost_telemetry::Report, number: &[u8]) {
    if number.iter().any(|byte| *byte != 0) {
        report.identity_mut().driver = Some(crate::normalize::hex(number).into());
    }
}

/// The parts of messages that have types of their own.
macro_rules! parts {
    ($($part:ident $(|$self:ident, $cx:ident, $report:ident| $note:expr)?;)*) => {
        $(impl Part for $part {
            type With = ();

            #[inline]
            fn read<T: Trace>(r: &mut Reader<'_, T>, (): ()) -> Result<Self, DecodeError> {
                Self::decode(r)
            }

            #[inline]
            fn write(&self, out: &mut BytesMut) {
                self.encode(out);
            }

            $(#[cfg(feature = "telemetry")]
            #[inline]
            fn note(
                &$self,
                $cx: &crate::normalize::Context<'_>,
                $report: &mut milepost_telemetry::Report,
            ) {
                $note;
            })?
        })*
    };
}

parts! {
    // The report is made with the position, or with the time.
    Gps;
    DateTime;
    // The cells of a network are noted with them.
    Plmn;
    Trailer |self, _cx, report| self.normalize(report);
    RadioCell |self, _cx, report| self.normalize(report);
    Items |self, _cx, report| self.normalize(report);
    Status |self, cx, report| self.normalize(cx, report, cx.dialect());
}

/// A [`Status`] whose alarm is extended by the high half of its language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ExtendedStatus(pub Status);

impl Part for ExtendedStatus {
    type With = ();

    fn read<T: Trace>(r: &mut Reader<'_, T>, (): ()) -> Result<Self, DecodeError> {
        Status::decode_extended(r).map(Self)
    }

    fn write(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }

    #[cfg(feature = "telemetry")]
    fn note(&self, cx: &crate::normalize::Context<'_>, report: &mut milepost_telemetry::Report) {
        self.0.normalize_extended(cx, report, cx.dialect());
    }
}

impl Part for TerminalInfo {
    type With = ();

    #[inline]
    fn read<T: Trace>(r: &mut Reader<'_, T>, (): ()) -> Result<Self, DecodeError> {
        reading::terminal(r)
    }

    #[inline]
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.0);
    }

    #[cfg(feature = "telemetry")]
    #[inline]
    fn note(&self, _: &crate::normalize::Context<'_>, report: &mut milepost_telemetry::Report) {
        self.normalize(report);
    }
}

impl Part for Cell {
    type With = CellForm;

    #[inline]
    fn read<T: Trace>(r: &mut Reader<'_, T>, form: CellForm) -> Result<Self, DecodeError> {
        Self::decode(r, form)
    }

    #[inline]
    fn write(&self, out: &mut BytesMut) {
        self.encode(out);
    }

    #[cfg(feature = "telemetry")]
    #[inline]
    fn note(&self, _: &crate::normalize::Context<'_>, report: &mut milepost_telemetry::Report) {
        report.network.cell = self.normalize(true);
    }
}

impl Part for Neighbour {
    type With = NeighbourForm;

    fn read<T: Trace>(r: &mut Reader<'_, T>, form: NeighbourForm) -> Result<Self, DecodeError> {
        Self::decode(r, form)
    }

    fn write(&self, out: &mut BytesMut) {
        self.encode(out);
    }
}

impl<const N: usize> Part for [Neighbour; N] {
    type With = NeighbourForm;

    fn read<T: Trace>(r: &mut Reader<'_, T>, form: NeighbourForm) -> Result<Self, DecodeError> {
        let mut cells = [Neighbour::EMPTY; N];
        for cell in &mut cells {
            *cell = Neighbour::decode(r, form)?;
        }
        Ok(cells)
    }

    fn write(&self, out: &mut BytesMut) {
        for cell in self {
            cell.encode(out);
        }
    }
}

impl Part for TerminalId {
    type With = ();

    fn read<T: Trace>(r: &mut Reader<'_, T>, (): ()) -> Result<Self, DecodeError> {
        let id = Self(r.array("terminal id")?);
        r.note(|| format!("{id}"));
        Ok(id)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }

    /// All zero is none.
    #[cfg(feature = "telemetry")]
    fn note(&self, _: &crate::normalize::Context<'_>, report: &mut milepost_telemetry::Report) {
        if self.0 != [0; 8] {
            report.identity_mut().imei = Some(format!("{self}").into());
        }
    }
}
