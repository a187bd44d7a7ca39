//! 0xA9, alarm with cells and WiFi stations (Jimi 4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 3, 4 | network | [`Plmn`] |
//! | 9 | 1 | radio | kind of radio; above 0: wide cells |
//! | 10 | 1 | count | N |
//! | 11 | N × 6 | cells | [`Neighbour`], the first is the serving one; wide: N × 13 |
//! | | 1 | timing advance | |
//! | | 1 | count | M |
//! | | M × 7 | stations | [`Station`] |
//! | | 1 | alarm | code |
//! | | 1 | language | 0: no reply wanted; the high half extends the alarm's code |
//!
//! Jimi 4G manuals.

use alloc::format;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{
    DateTime, Neighbour, NeighbourForm, Plmn, Station, describe_alarm, encode_counted,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with cells and WiFi stations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WifiAlarm {
    /// When.
    pub time: DateTime,
    /// The network of all cells.
    pub network: Plmn,
    /// The kind of radio; above 0 the cells are wide.
    pub raw_radio: u8,
    /// The cells; no more than 255 can be written.
    pub cells: Vec<Neighbour>,
    /// Timing advance.
    pub timing_advance: u8,
    /// The stations; no more than 255 can be written.
    pub stations: Vec<Station>,
    /// The alarm's code.
    pub raw_alarm: u8,
    /// Language; 0: no reply wanted. The high half extends the alarm's code.
    pub raw_language: u8,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl WifiAlarm {
    /// The alarm's code, all twelve bits.
    #[must_use]
    pub const fn code(&self) -> u16 {
        u16::from_be_bytes([self.raw_language >> 4, self.raw_alarm])
    }
}

impl Body for WifiAlarm {
    const NAME: &'static str = "wifi_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let network = Plmn::decode(r)?;
        let raw_radio = r.u8("radio")?;
        let form = if raw_radio == 0 {
            NeighbourForm::C6
        } else {
            NeighbourForm::C13
        };
        r.note(|| format!("{raw_radio}, cells of {} bytes", form.size()));
        let count = r.u8("cell count")?;
        let cells = (0..count)
            .map(|_| Neighbour::decode(r, form))
            .collect::<Result<_, _>>()?;
        let timing_advance = r.u8("timing advance")?;
        let count = r.u8("wifi count")?;
        let stations = (0..count)
            .map(|_| Station::decode(r))
            .collect::<Result<_, _>>()?;
        let mut alarm = Self {
            time,
            network,
            raw_radio,
            cells,
            timing_advance,
            stations,
            raw_alarm: r.u8("alarm")?,
            raw_language: 0,
            tail: Bytes::new(),
        };
        let high = r.peek().first().map_or(0, |language| language >> 4);
        r.note(|| describe_alarm(high, alarm.raw_alarm));
        alarm.raw_language = r.u8("language")?;
        r.note(|| crate::text::reply_language(alarm.raw_language & 0x0f));
        alarm.tail = r.take_rest("unknown");
        Ok(alarm)
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        self.network.encode(out);
        out.put_u8(self.raw_radio);
        encode_counted(&self.cells, out, Neighbour::encode);
        out.put_u8(self.timing_advance);
        encode_counted(&self.stations, out, Station::encode);
        out.put_u8(self.raw_alarm);
        out.put_u8(self.raw_language);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xa9
    }

    fn answer(&self) -> Answer {
        match self.raw_language & 0x0f {
            0 => Answer::Silent,
            _ => Answer::WhenDelivered,
        }
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Alarm, self.time, &key, 0);
        self.network.normalize(&self.cells, report);
        for station in &self.stations {
            station.normalize(report);
        }
        if let Some(alarm) = crate::field::Alarm::from_code(self.code(), cx.dialect()) {
            alarm.normalize(report);
        }
        cx.note_tail(report, &self.tail);
    }
}
