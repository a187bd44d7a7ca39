//! 0x94, sub-type 09: what the receiver hears.

use bytes::{BufMut, Bytes, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// 09: what the receiver hears.
///
/// | field | length |
/// |---|---|
/// | state: 0 none, 1 searching, 2 two dimensions, 3 three, 4 asleep | 1 |
/// | GPS used, strength of each | 1, n |
/// | GPS visible, strength of each | 1, n |
/// | BDS: the same, with a state of its own on some | |
/// | extension | 1, n |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SatelliteReport {
    /// GPS.
    pub gps: Constellation,
    /// BDS, where it is sent.
    pub bds: Option<Constellation>,
    /// What makers add.
    pub extension: Option<Bytes>,
}

/// One system's satellites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constellation {
    /// 0 none, 1 searching, 2 two dimensions, 3 three, 4 asleep.
    pub state: Option<u8>,
    /// Signal-to-noise ratio of each satellite used.
    pub used: Bytes,
    /// Signal-to-noise ratio of each one visible.
    pub visible: Bytes,
}

impl Constellation {
    /// Whether these bytes begin with a constellation, and what is after it.
    pub(super) fn skip(bytes: &[u8], with_state: bool) -> Option<&[u8]> {
        let counted = |bytes: &mut &[u8]| -> Option<()> {
            let (count, rest) = bytes.split_first()?;
            *bytes = rest.get(usize::from(*count)..)?;
            Some(())
        };
        let mut rest = if with_state { bytes.get(1..)? } else { bytes };
        counted(&mut rest)?;
        counted(&mut rest)?;
        Some(rest)
    }

    pub(super) fn decode<T: Trace>(
        r: &mut Reader<'_, T>,
        with_state: bool,
    ) -> Result<Self, DecodeError> {
        let state = if with_state {
            Some(r.u8("receiver state")?)
        } else {
            None
        };
        if let Some(state) = state {
            r.note(|| state_name(state).into());
        }
        Ok(Self {
            state,
            used: counted(r, "satellites used", "strengths of used")?,
            visible: counted(r, "satellites visible", "strengths of visible")?,
        })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.extend(self.state);
        put_counted(out, &self.used);
        put_counted(out, &self.visible);
    }
}

pub(super) const fn state_name(state: u8) -> &'static str {
    match state {
        0 => "none",
        1 => "searching",
        2 => "2d",
        3 => "3d",
        4 => "asleep",
        _ => "unknown",
    }
}

fn counted<T: Trace>(
    r: &mut Reader<'_, T>,
    count: &'static str,
    field: &'static str,
) -> Result<Bytes, DecodeError> {
    let len = r.u8(count)?;
    let numbers = r.bytes(field, usize::from(len))?;
    if !numbers.is_empty() {
        r.note(|| crate::text::list(&numbers));
    }
    Ok(numbers)
}

fn put_counted(out: &mut BytesMut, bytes: &[u8]) {
    let bytes = bytes.get(..usize::from(u8::MAX)).unwrap_or(bytes);
    out.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.put_slice(bytes);
}

impl SatelliteReport {
    /// Whether what is after the GPS part is a BDS part (with or without a state) and an
    /// extension, to the last byte; the manuals do not state which, and older ones have neither.
    fn bds(rest: &[u8]) -> Option<bool> {
        let ends = |rest: &[u8]| match rest {
            [] => true,
            [len, extension @ ..] => usize::from(*len) == extension.len(),
        };
        [true, false]
            .into_iter()
            .find(|with_state| Constellation::skip(rest, *with_state).is_some_and(ends))
    }

    pub(super) fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let gps = Constellation::decode(r, true)?;
        let bds = match Self::bds(r.peek()) {
            Some(with_state) => Some(Constellation::decode(r, with_state)?),
            None => None,
        };
        let extension = match r.peek() {
            [len, rest @ ..] if usize::from(*len) == rest.len() => {
                Some(counted(r, "extension size", "extension")?)
            }
            _ => None,
        };
        Ok(Self {
            gps,
            bds,
            extension,
        })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(bds) = &self.bds {
            bds.encode(out);
        }
        if let Some(extension) = &self.extension {
            put_counted(out, extension);
        }
    }
}
