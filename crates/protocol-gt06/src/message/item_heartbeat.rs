//! 0x36, heartbeat with items (Jimi 4G, H08).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | terminal information | [`TerminalInfo`] |
//! | 1 | 1 | battery | a level, or percent |
//! | 2 | 1 | signal | a level, or the model's own unit |
//! | 3 | 1 | extension | |
//! | 4 | 1 | language | |
//! | 5 | | items | [`Items`] |
//! | | | tail | from the first item that goes beyond the body |
//!
//! Seen on devices; always answered. The number has three other meanings: a location of L 35
//! (TRX16i), and a block of a photo and its request (X1). It is a heartbeat where its items end
//! with the body and the first of them, if any, is one that heartbeats are known to have; where
//! they are others, only if it is not a block or a request by its own length. So it is where a known
//! item is whole and a later one is not: the status and the whole items are kept, the rest is raw.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Items, TerminalInfo};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A sign of life with a status and items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemHeartbeat {
    /// Switches.
    pub terminal: TerminalInfo,
    /// Battery.
    pub battery: u8,
    /// Mobile signal.
    pub signal: u8,
    /// Extension.
    pub extension: u8,
    /// Language.
    pub language: u8,
    /// What else there is.
    pub items: Items,
    /// The bytes from an item on that goes beyond the body.
    pub tail: Bytes,
}

const HEAD: usize = 5;

/// Whether a body of 0x36 is a heartbeat beyond doubt.
fn is_shape(body: &[u8]) -> bool {
    let Some(items) = body.get(HEAD..) else {
        return false;
    };
    (items.is_empty() || starts_known(items)) && Items::fits(items)
}

fn starts_known(items: &[u8]) -> bool {
    matches!(items, [0x00, 0x18 | 0x27 | 0x2e | 0x32 | 0x3b | 0x6a, ..])
}

impl Body for ItemHeartbeat {
    const NAME: &'static str = "heartbeat";
    const ANSWER: Answer = Answer::Now;

    fn fit(cx: &Context<'_>) -> Fit {
        let fits = cx
            .body
            .get(HEAD..)
            .is_some_and(|items| Items::fits(items) || starts_known(items) && Items::starts(items));
        Fit::possible_if(cx.is_short() && fits).or_certain_if(cx.is_short() && is_shape(cx.body))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let terminal = TerminalInfo(r.u8("terminal information")?);
        r.note(|| terminal.describe());
        Ok(Self {
            terminal,
            battery: crate::field::battery(r)?,
            signal: crate::field::signal(r)?,
            extension: r.u8("extension")?,
            language: {
                let language = r.u8("language")?;
                r.note(|| crate::text::language(language.into()));
                language
            },
            items: Items::decode_whole(r)?,
            tail: r.take_rest("damaged items"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[
            self.terminal.0,
            self.battery,
            self.signal,
            self.extension,
            self.language,
        ]);
        self.items.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x36
    }

    /// Key: where the frame arrived.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Heartbeat, 0);
        self.terminal.normalize(report);
        crate::field::note_battery(cx, report, self.battery);
        crate::field::note_signal(report, self.signal);
        self.items.normalize(report);
        cx.note_tail(report, &self.tail);
    }
}
