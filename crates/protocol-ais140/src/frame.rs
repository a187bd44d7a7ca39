//! One delimited packet: its bytes, its form, and where its parts are.

use bytes::Bytes;
use memchr::{memchr, memrchr};

use crate::checksum::Stated;
use crate::read::{self, trim};

/// The form of a packet, known by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// Text from `$`, items separated by commas (or by `$` in some logins).
    Sentence,
    /// Many records in one line (`$,BTH`).
    Batch,
    /// Fixed widths without separators (C-DAC), perhaps after `vltdata=`.
    Fixed,
    /// Text without `$`: `ACTVR,`, `HCHKR,`.
    Bare,
    /// TranSync's binary form.
    TranSync,
    /// What a server says to a device: a command.
    Command,
    /// Another protocol that is found on the same ports.
    Foreign,
}

/// A delimited packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    raw: Bytes,
    form: Form,
    /// The end of the items; `*` and what follows come after it.
    body: u32,
    /// The checksum after `*`.
    stated: Option<Stated>,
}

impl Frame {
    /// A packet of given bytes, without line end.
    ///
    /// ```
    /// use milepost_protocol_ais140::Frame;
    ///
    /// let frame = Frame::new("$HEL,VLT1,1.0,123456789012347,13,40,2,60,120,0001,01*".into());
    /// assert_eq!(frame.header(), b"$HEL");
    /// ```
    #[must_use]
    pub fn new(raw: Bytes) -> Self {
        let form = form_of(&raw);
        let (body, stated) = match form {
            Form::Sentence | Form::Batch => ending(&raw),
            _ => (raw.len(), None),
        };
        Self {
            raw,
            form,
            body: u32::try_from(body).unwrap_or(u32::MAX),
            stated,
        }
    }

    /// All its bytes.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Its form.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// The bytes before `*`.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let end = usize::try_from(self.body).unwrap_or(usize::MAX);
        self.raw.get(..end).unwrap_or(&self.raw)
    }

    /// The checksum after `*`, if there is one there.
    #[must_use]
    pub const fn stated(&self) -> Option<Stated> {
        self.stated
    }

    /// The header: `$` and the first item, for example `$NRM`; the item after an empty one belongs
    /// to it (`$,NRM`). Empty if the packet does not begin with `$`.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        if self.raw.first() != Some(&b'$') {
            return &[];
        }
        let body = self.body();
        let from = if body.get(1) == Some(&b',') { 2 } else { 1 };
        let rest = body.get(from..).unwrap_or_default();
        // `$LP$reg$…` ends its header by `$`; `$$Header` begins with two.
        let end = rest
            .iter()
            .enumerate()
            .position(|(at, b)| *b == b',' || *b == b'$' && at > 0)
            .map_or(body.len(), |at| from.saturating_add(at));
        body.get(..end).unwrap_or_default()
    }

    /// Whether it must not wait in a queue: an emergency packet, or a live alert 10 or 11. By the
    /// first items alone.
    #[must_use]
    pub fn urgent(&self) -> bool {
        match self.form {
            Form::Fixed => {
                let text = self.raw.strip_prefix(VLTDATA).unwrap_or(&self.raw);
                text.starts_with(b"EPB")
            }
            Form::Sentence => {
                let mut items = self.body().split(|b| *b == b',').take(9).peekable();
                while let Some(item) = items.next() {
                    match (trim(item), items.peek().map(|next| trim(next))) {
                        (b"EMR" | b"SEM", _) | (b"10" | b"11", Some(b"L")) => return true,
                        _ => {}
                    }
                }
                false
            }
            _ => false,
        }
    }
}

/// What precedes a C-DAC packet in the body of a post.
pub(crate) const VLTDATA: &[u8] = b"vltdata=";

/// Headers of C-DAC packets.
const FIXED: [&[u8; 3]; 9] = [
    b"NRM", b"EPB", b"CRT", b"ALT", b"LGN", b"HLM", b"FUL", b"BTH", b"ACK",
];

/// Whether a C-DAC packet begins here; `None` if more bytes are needed.
pub(crate) fn is_fixed(src: &[u8]) -> Option<bool> {
    let header = src.get(..src.len().min(3)).unwrap_or_default();
    if !FIXED.iter().any(|known| known.starts_with(header)) {
        return Some(false);
    }
    // HLM goes on with a vendor, all others with an IMEI.
    let is_health = header == b"HLM";
    let rest = src.get(3..src.len().min(18)).unwrap_or_default();
    let fits = |b: &u8| b.is_ascii_digit() || is_health && b.is_ascii_alphanumeric();
    if !rest.iter().all(fits) {
        return Some(false);
    }
    (src.len() >= 18).then_some(true)
}

/// The form that the first bytes tell.
fn form_of(raw: &[u8]) -> Form {
    match raw {
        [b'$', b',', b'B', b'T', b'H', b',', ..] => Form::Batch,
        [b'$', b'1', b'0' | b'1', b',', ..] if raw.ends_with(b"#") => Form::Foreign,
        [b'$', rest @ ..] if is_command(rest) => Form::Command,
        [b'$', ..] => Form::Sentence,
        [0x3a, 0x3a, ..] => Form::TranSync,
        [b'^' | b'@', ..] => Form::Command,
        [b'[', ..] => Form::Foreign,
        [b'A' | b'H', ..] if raw.starts_with(b"ACTVR,") || raw.starts_with(b"HCHKR,") => Form::Bare,
        _ => Form::Fixed,
    }
}

/// `$IMEI,PASSWORD,SET…`: what a server says in Amendment 3's form.
fn is_command(rest: &[u8]) -> bool {
    let mut items = rest.splitn(4, |b| *b == b',');
    let is_imei = |item: &[u8]| item.len() == 15 && item.iter().all(u8::is_ascii_digit);
    items.next().is_some_and(is_imei)
        && items.next().is_some()
        && matches!(items.next(), Some(b"SET" | b"GET" | b"CLR"))
}

/// The end of the items, and the checksum after `*`.
fn ending(raw: &[u8]) -> (usize, Option<Stated>) {
    let Some(star) = last_star(raw) else {
        return (raw.len(), None);
    };
    let rest = raw.get(star..).unwrap_or_default();
    let after = rest.get(1..).unwrap_or_default();
    let text = trim(after.strip_prefix(b",").unwrap_or(after)).trim_ascii_end();
    let len = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let is_sum = !text.is_empty() && (len == text.len() && is_sum_width(len) || text == b"XX");
    if !is_sum {
        // Not a checksum: a raw byte may stand before `*`, and words after it.
        return (star, None);
    }
    let start =
        raw.len() - after.len() + memchr(*text.first().unwrap_or(&0), after).unwrap_or_default();
    let end = start + text.len();
    let at = |v: usize| u32::try_from(v).ok();
    let stated = match (at(start), at(end), at(star)) {
        (Some(start), Some(end), star @ Some(_)) => Some(Stated { start, end, star }),
        _ => None,
    };
    (star, stated)
}

/// The `*` that ends the items: the last one, unless it is a raw checksum byte (`,**`).
fn last_star(raw: &[u8]) -> Option<usize> {
    memrchr(b'*', raw)
}

/// How many hexadecimal digits a checksum after `*` has: two, four or eight; three are decimal;
/// 66 are an XOR and a SHA-256.
pub(crate) const fn is_sum_width(len: usize) -> bool {
    matches!(len, 2 | 3 | 4 | 7 | 8 | 66)
}

/// A checksum that is the last item of the body.
pub(crate) fn stated_item(raw: &[u8], item: core::ops::Range<usize>) -> Option<Stated> {
    let text = raw.get(item.clone())?;
    let trimmed = trim(text);
    let is_sum = matches!(trimmed.len(), 1..=8) && read::whole(read::hex, trimmed).is_some();
    let placeholder = trimmed == b"XX";
    // One maker's sum is a raw byte.
    let is_raw_byte = text.len() == 1 && !text.iter().all(u8::is_ascii_alphanumeric);
    if !is_sum && !placeholder && !is_raw_byte {
        return None;
    }
    let lead = if is_raw_byte {
        0
    } else {
        text.len() - text.trim_ascii_start().len()
    };
    let len = if is_raw_byte { 1 } else { trimmed.len() };
    Some(Stated {
        start: u32::try_from(item.start.checked_add(lead)?).ok()?,
        end: u32::try_from(item.start.checked_add(lead)?.checked_add(len)?).ok()?,
        star: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::new(text.into())
    }

    #[test]
    fn headers_are_whole_tokens() {
        for (text, header) in [
            ("$NRM,A,1", "$NRM"),
            ("$,NRM,A,1", "$,NRM"),
            ("$$Header,A", "$$Header"),
            ("$LP$HP01$8", "$LP"),
            ("$,,123,A", "$,"),
            ("$1,AEPL", "$1"),
            ("ACTVR,1", ""),
        ] {
            assert_eq!(frame(text).header(), header.as_bytes(), "{text}");
        }
    }

    #[test]
    fn only_emergencies_are_urgent() {
        for (text, urgent) in [
            ("$EPB,EMR,123456789012347,NM,05032024061530,A", true),
            ("$EPB,vendor,SEM,123456789012347,SP", true),
            ("$NRM,V,1,EA,10,L,123456789012347", true),
            ("$NRM,V,1,EA,10,H,123456789012347", false),
            ("$EPB,TNT,0050AI14,NR,L,123456789012347", false),
            ("$NRM,V,1,NR,01,L,123456789012347", false),
            ("vltdata=EPB12345678901234510L1", true),
        ] {
            assert_eq!(frame(text).urgent(), urgent, "{text}");
        }
    }

    #[test]
    fn a_checksum_after_the_star_is_found_with_or_without_comma() {
        for (text, stated) in [
            ("$A,1*7B", Some("7B")),
            ("$A,1,*,0085", Some("0085")),
            ("$A,1*,2D", Some("2D")),
            ("$A,1*120", Some("120")),
            ("$A,1*", None),
            ("$A,1,*", None),
            ("$A,:*,O,S,+91", None),
        ] {
            let frame = frame(text);
            let found = frame.stated().map(|s| s.text(frame.raw()));
            assert_eq!(found, stated.map(str::as_bytes), "{text}");
        }
    }
}
