//! 0x22 with status (NT11 to NT46, XT40: L 3C).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | source | unknown |
//! | 1 | 8 | terminal id | [`TerminalId`] |
//! | 9 | 6 | device time | [`DateTime`], UTC |
//! | 15 | 18 | position | [`Gps`] |
//! | 33 | 1 | size of the cell | nothing reliable |
//! | 34 | 8, 9 | cell | [`Cell`] |
//! | 42 | 1 | terminal information | [`TerminalInfo`] |
//! | 43 | 2 | supply | volts × 100 |
//! | 45 | 1 | battery | volts × 10 |
//! | 46 | 1 | mobile signal | |
//! | 47 | 1 | alarm | [`Alarm`] |
//! | 48 | 1 | language | |
//! | 49 | 3 | mileage | unit unknown |
//! | 52 | 3 | working time | minutes |
//!
//! Seen on devices.

use alloc::format;
use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, DateTime, Gps, TerminalId, TerminalInfo};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with the terminal's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLocation {
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
    pub cell: Cell,
    /// Switches.
    pub terminal: TerminalInfo,
    /// Volts × 100.
    pub supply: u16,
    /// Volts × 10.
    pub battery: u8,
    /// Mobile signal.
    pub signal: u8,
    /// Alarm.
    pub alarm: u8,
    /// Language.
    pub language: u8,
    /// Unit unknown; 24 bits.
    pub mileage: u32,
    /// Minutes; 24 bits.
    pub working_time: u32,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// Whether the frame is one of these.
#[inline]
pub(super) fn is_shape(cx: &Context<'_>) -> bool {
    // Known by their length alone: L 3C, one more with a wide MNC.
    cx.number() == 0x22
        && match cx.length() {
            0x3c => true,
            0x3d => cx.body.get(34).is_some_and(|mcc| mcc & 0x80 != 0),
            _ => false,
        }
}

impl Body for StatusLocation {
    const NAME: &'static str = "status_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_short() && is_shape(cx)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let source = r.u8("source")?;
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        let device_time = DateTime::decode(r)?;
        let gps = Gps::decode(r)?;
        let raw_cell_size = r.u8("cell size")?;
        let cell = Cell::decode(r, CellForm::L8)?;
        let terminal = TerminalInfo(r.u8("terminal information")?);
        r.note(|| terminal.describe());
        let supply = r.u16("supply")?;
        r.note(|| format!("{:.2} V", f32::from(supply) / 100.0));
        let battery = r.u8("battery")?;
        r.note(|| format!("{:.1} V", f32::from(battery) / 10.0));
        let signal = crate::field::signal(r)?;
        let alarm = r.u8("alarm")?;
        r.note(|| crate::field::alarm_meaning(alarm.into()).into());
        let language = r.u8("language")?;
        let mileage = r.u24("mileage")?;
        let working_time = r.u24("working time")?;
        r.note(|| format!("{working_time} min"));
        Ok(Self {
            source,
            id,
            device_time,
            gps,
            raw_cell_size,
            cell,
            terminal,
            supply,
            battery,
            signal,
            alarm,
            language,
            mileage,
            working_time,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.source);
        out.put_slice(&self.id.0);
        self.device_time.encode(out);
        self.gps.encode(out);
        out.put_u8(self.raw_cell_size);
        self.cell.encode(out);
        out.put_u8(self.terminal.0);
        out.put_u16(self.supply);
        out.put_slice(&[self.battery, self.signal, self.alarm, self.language]);
        out.put_uint(self.mileage.into(), 3);
        out.put_uint(self.working_time.into(), 3);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x22
    }

    #[cfg(feature = "telemetry")]
    fn normalize(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &mut dyn FnMut(telemetry::Report),
    ) {
        use crate::field::{Alarm, note_signal};
        use telemetry::{Signal, Voltage};

        // The same position is sent again with a new device time: that is a new fact, so both
        // times are in the key.
        let key = crate::normalize::Key::new(0x22)
            .gps(&self.gps)
            .time(self.device_time)
            .alarm(Some(self.alarm.into()));
        let mut report = cx.positioned_at(telemetry::Kind::Location, &self.gps, self.device_time, &key);
        report.network.cell = self.cell.normalize(true);
        self.terminal.normalize(&mut report);
        report.power.external = Voltage::from_volts(f32::from(self.supply) / 100.0).ok();
        report.power.battery = Voltage::from_volts(f32::from(self.battery) / 10.0).ok();
        note_signal(&mut report, self.signal);
        if let Some(alarm) = Alarm::from_code(self.alarm.into(), cx.dialect()) {
            alarm.normalize(&mut report);
        }
        report.vehicle_mut().engine_hours_s = Some(f64::from(self.working_time) * 60.0);
        report
            .signals
            .push(Signal::named("gt06.mileage_raw").number(self.mileage.into(), None));
        report.identity_mut().imei = Some(self.id.to_string().into());
        cx.note_tail(&mut report, &self.tail);
        out(report);
    }
}
