//! 0x9B and 0x9C, data of a device connected to the serial port.
//!
//! Under `79 79`: module 1, data.
//!
//! | number, module | data |
//! |---|---|
//! | 9B, 03 | a card: 02, its number in ASCII, 03, perhaps a line end |
//! | 9B, 03 | a thermometer's text: number, `℃` in GBK, line end |
//! | 9B, 03 | a thermometer: `3C 03 01`, °C/10 2, `2C 0D` (unconfirmed) |
//! | 9B, others; 9C | passed through: kept raw |
//!
//! A card expects a 0x9B with module 02 and 01 (accepted) or 00 (refused): see
//! [`Session::with_cards`](crate::Session::with_cards). Concox manual for the cards; the rest seen
//! on devices.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// Data of a device connected to the serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalData {
    /// 0x9B or 0x9C.
    pub number: u8,
    /// Which port or kind of device.
    pub module: u8,
    /// What it sent.
    pub data: Bytes,
}

impl ExternalData {
    /// The module of what is connected to the serial port.
    pub const SERIAL: u8 = 0x03;

    /// A card that was read, by its number.
    #[must_use]
    pub fn card(number: &str) -> Self {
        let mut data = BytesMut::with_capacity(number.len() + 2);
        data.put_u8(0x02);
        data.put_slice(number.as_bytes());
        data.put_u8(0x03);
        Self {
            number: 0x9b,
            module: Self::SERIAL,
            data: data.freeze(),
        }
    }

    /// The number of the card that was read, if it is one.
    #[must_use]
    pub fn card_number(&self) -> Option<&str> {
        let framed = self.serial()?;
        let number = framed.strip_prefix(&[0x02])?.strip_suffix(&[0x03])?;
        let number = core::str::from_utf8(number).ok()?.trim();
        (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_graphic())).then_some(number)
    }

    /// Degrees Celsius, if a thermometer sent them.
    #[must_use]
    pub fn celsius(&self) -> Option<f64> {
        if let (0x9b, Self::SERIAL, [0x3c, 0x03, 0x01, high, low, 0x2c, 0x0d]) =
            (self.number, self.module, &self.data[..])
        {
            return Some(f64::from(i16::from_be_bytes([*high, *low])) / 10.0);
        }
        // The sign ℃ as GBK writes it.
        let text = self.serial()?.strip_suffix(&[0xa1, 0xe6])?;
        core::str::from_utf8(text)
            .ok()?
            .trim()
            .parse()
            .ok()
            .filter(|c: &f64| c.is_finite())
    }

    /// What the serial port sent, without a line end.
    fn serial(&self) -> Option<&[u8]> {
        let data = &self.data[..];
        (self.number == 0x9b && self.module == Self::SERIAL)
            .then(|| data.strip_suffix(b"\r\n").unwrap_or(data))
    }
}

impl Body for ExternalData {
    const NAME: &'static str = "external_data";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let module = r.u8("module")?;
        let message = Self {
            number: cx.number(),
            module,
            data: r.take_rest("data"),
        };
        if !message.data.is_empty() {
            r.note(|| match (message.card_number(), message.celsius()) {
                (Some(card), _) => format!("card {card}"),
                (None, Some(celsius)) => format!("{celsius} °C"),
                (None, None) => crate::answer::ascii(&message.data),
            });
        }
        Ok(message)
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.module);
        out.put_slice(&self.data);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        Start::Long
    }

    /// A card is accepted unless a [`Session`](crate::Session) has a judge for cards.
    fn answer(&self) -> Answer {
        match self.card_number() {
            Some(_) => super::CardAnswer::new(true).to_answer(),
            None => Answer::Silent,
        }
    }

    /// Key: where the frame arrived.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Event, EventKind, Signal};

        let report = cx.untimed(out, milepost_telemetry::Kind::Status, 0);
        let module = Signal::named("gt06.external_module").number(self.module.into(), None);
        report.more.signals.push(module);
        if let Some(card) = self.card_number() {
            report.identity_mut().driver = Some(card.into());
            report
                .more
                .events
                .push(Event::by_device(EventKind::CardSwiped, None));
        } else if let Some(celsius) = self.celsius() {
            let celsius = Signal::named("gt06.probe_temperature").number(celsius, Some("°C"));
            report.more.signals.push(celsius);
        } else {
            crate::normalize::note_bytes(report, "gt06.external_data", &self.data);
            if !self.data.is_empty()
                && self
                    .data
                    .iter()
                    .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
            {
                report.more.text = Some(crate::answer::ascii(&self.data).into());
            }
        }
    }
}
