//! 0x01, login: the first message of a connection, and at any time again.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 0 or 2 | type | model; by maker |
//! | 10 | 0 or 2 | zone and language | bits 15–4 hours × 100 + minutes, bit 3 west, bits 1–0 language |
//!
//! L 0D, 0F, 11. Concox GT06 manual; without zone: seen on devices. Bytes after are kept.

use alloc::format;
use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::TerminalId;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A device names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub id: TerminalId,
    /// Which model, by maker.
    pub model: Option<u16>,
    /// The zone and language that the device is set to.
    pub zone: Option<ZoneWord>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

/// The zone and language that a device is set to. Its timestamps need not be in that zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ZoneWord(pub u16);

impl ZoneWord {
    /// From minutes east of Greenwich, in English.
    ///
    /// ```
    /// use milepost_protocol_gt06::message::ZoneWord;
    /// assert_eq!(ZoneWord::from_minutes(480).0, 0x3202);
    /// assert_eq!(ZoneWord(0x4dd8).minutes(), Some(-(12 * 60 + 45)));
    /// ```
    #[must_use]
    pub const fn from_minutes(minutes: i16) -> Self {
        let east = minutes.unsigned_abs();
        let number = east / 60 * 100 + east % 60;
        let west = if minutes < 0 { 1 << 3 } else { 0 };
        Self(number << 4 | west | 0b10)
    }

    /// Minutes east of Greenwich. `None` where no such zone exists: zones are multiples of a
    /// quarter of an hour, from −12:00 to +14:00, and the western manual example of −12:45.
    #[must_use]
    pub fn minutes(self) -> Option<i16> {
        let number = i16::try_from(self.0 >> 4).ok()?;
        let (hours, minutes) = (number / 100, number % 100);
        let east = hours * 60 + minutes;
        let signed = if self.0 & 1 << 3 == 0 { east } else { -east };
        (minutes < 60 && minutes % 15 == 0 && (-765..=840).contains(&signed)).then_some(signed)
    }
}

impl Body for Login {
    const NAME: &'static str = "login";
    const ANSWER: Answer = Answer::Now;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        let model = if r.remaining() >= 2 {
            let model = r.u16("type")?;
            r.note(|| format!("{model:04x}"));
            Some(model)
        } else {
            None
        };
        let zone = if r.remaining() >= 2 {
            let zone = ZoneWord(r.u16("zone and language")?);
            r.note(|| match zone.minutes() {
                Some(minutes) => {
                    let sign = if minutes < 0 { '-' } else { '+' };
                    let minutes = minutes.unsigned_abs();
                    format!(
                        "UTC{sign}{:02}:{:02}, language {}",
                        minutes / 60,
                        minutes % 60,
                        crate::text::language(zone.0 & 0b11)
                    )
                }
                None => format!(
                    "no such zone, language {}",
                    crate::text::language(zone.0 & 0b11)
                ),
            });
            Some(zone)
        } else {
            None
        };
        Ok(Self {
            id,
            model,
            zone,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.id.0);
        if let Some(model) = self.model {
            out.put_u16(model);
        }
        if let Some(zone) = self.zone {
            out.put_u16(zone.0);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x01
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Login, 0);
        if let Some(model) = self.model {
            report.identity_mut().model = Some(format!("{model:04x}").into());
        }
        if report.device.is_none() {
            report.device = self.id.device_id();
        }
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_the_reference() {
        for (word, minutes) in [
            (0x3200, Some(480)),
            (0x4dd8, Some(-765)),
            (0x190a, Some(-240)),
            (0x0000, Some(0)),
            (0x0148, None),
            (0xffff, None),
        ] {
            assert_eq!(ZoneWord(word).minutes(), minutes, "{word:04x}");
        }
        for minutes in [-240, 0, 330, 345, 840] {
            assert_eq!(ZoneWord::from_minutes(minutes).minutes(), Some(minutes));
        }
    }
}
