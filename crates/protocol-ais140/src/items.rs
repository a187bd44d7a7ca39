//! A packet's body, cut into items.

use crate::read::trim;

/// Where an item stands in the packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        let at = |v: usize| u16::try_from(v).unwrap_or(u16::MAX);
        Self {
            start: at(start),
            end: at(end),
        }
    }

    pub(crate) fn range(self) -> core::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// More than any packet has; what follows stays in the last item.
const MOST: usize = 160;

/// The items of a body.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    raw: &'a [u8],
    spans: [Span; MOST],
    len: usize,
}

impl<'a> Items<'a> {
    /// Cuts `raw[from..to]` at commas, and at `$` where `by_dollar`. Text in `()`, `<>`, `{}` and
    /// `""` is one item. An empty item at the end is none.
    pub(crate) fn cut(raw: &'a [u8], from: usize, to: usize, by_dollar: bool) -> Self {
        let mut items = Self {
            raw,
            spans: [Span::default(); MOST],
            len: 0,
        };
        let body = raw.get(..to).unwrap_or(raw);
        if !by_dollar {
            items.cut_at_commas(body, from);
            return items;
        }
        let mut start = from;
        let mut at = from;
        while let Some(byte) = body.get(at) {
            match byte {
                b',' => {
                    items.push(start, at);
                    start = at + 1;
                }
                b'$' => {
                    // `,$` is one separator.
                    if at > start {
                        items.push(start, at);
                    }
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        if start < body.len() {
            items.push(start, body.len());
        }
        items
    }

    /// The usual case: items between commas, brackets apart.
    fn cut_at_commas(&mut self, body: &[u8], from: usize) {
        let mut start = from;
        // A bracket counts at the beginning of an item, if it is closed: commas before this place
        // are inside one.
        let mut closed = self.close(body, start);
        for_each_comma(body.get(from..).unwrap_or_default(), |at| {
            let at = from + at;
            if at < closed {
                return;
            }
            self.push(start, at);
            start = at + 1;
            closed = self.close(body, start);
        });
        if start < body.len() {
            self.push(start, body.len());
        }
    }

    /// The place after the bracket that closes the one at `start`; `start` if there is none.
    #[inline]
    fn close(&self, body: &[u8], start: usize) -> usize {
        let close = match body.get(start) {
            Some(b'(') => b')',
            Some(b'<') => b'>',
            Some(b'{') => b'}',
            Some(b'"') => b'"',
            _ => return start,
        };
        let rest = body.get(start + 1..).unwrap_or_default();
        memchr::memchr(close, rest).map_or(start, |len| start + len + 2)
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        match self.spans.get_mut(self.len) {
            Some(place) => {
                *place = Span::new(start, end);
                self.len += 1;
            }
            None => {
                if let Some(last) = self.spans.last_mut() {
                    *last = Span::new(last.range().start, end);
                }
            }
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The bytes of an item.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&'a [u8]> {
        self.raw.get(self.span(at)?.range())
    }

    #[inline]
    pub(crate) fn span(&self, at: usize) -> Option<Span> {
        if at < self.len {
            self.spans.get(at).copied()
        } else {
            None
        }
    }

    /// The bytes of an item without blanks; empty if there is none.
    #[inline]
    pub(crate) fn text(&self, at: usize) -> &'a [u8] {
        self.get(at).map(trim).unwrap_or_default()
    }

    /// The bytes from one item to the end.
    pub(crate) fn rest(&self, at: usize) -> Option<Span> {
        let (first, last) = (self.span(at)?, self.span(self.len.checked_sub(1)?)?);
        Some(Span {
            start: first.start,
            end: last.end,
        })
    }

    /// The first item of 15 digits that can be an IMEI: one whose check digit is right and that
    /// does not begin like an Indian IMSI wins.
    pub(crate) fn find_imei(&self) -> Option<usize> {
        let is_imei = |at: &usize| {
            let item = self.text(*at);
            item.len() == 15 && item.iter().all(u8::is_ascii_digit)
        };
        let good = |at: &usize| {
            let item = self.text(*at);
            !item.starts_with(b"404") && !item.starts_with(b"405") && has_check_digit(item)
        };
        let mut all = (0..self.len.min(24)).filter(is_imei);
        let first = all.next()?;
        if good(&first) {
            return Some(first);
        }
        Some(all.find(good).unwrap_or(first))
    }

    /// Whether an item is latitude and longitude with their letters (`12.97N77.54E`).
    pub(crate) fn has_joined_place(&self) -> bool {
        (0..self.len).any(|at| match self.text(at) {
            [b'0'..=b'9', inner @ .., b'E' | b'W'] => {
                inner.iter().any(|b| matches!(b, b'N' | b'S'))
            }
            _ => false,
        })
    }

    /// The item before `N` or `S` two before `E` or `W`: the latitude.
    pub(crate) fn find_place(&self) -> Option<usize> {
        (1..self.len)
            .find(|at| {
                matches!(self.text(*at), b"N" | b"S")
                    && matches!(self.text(at.saturating_add(2)), b"E" | b"W" | b"N")
            })
            .and_then(|at| at.checked_sub(1))
    }
}

/// Eight bytes at a time: items are so short that a search for each of them would cost more than
/// reading it.
#[inline]
fn for_each_comma(text: &[u8], mut found: impl FnMut(usize)) {
    const COMMAS: u64 = u64::from_ne_bytes([b','; 8]);
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    let mut from = 0;
    let mut word = |word: [u8; 8]| {
        // A byte that is zero leaves its highest bit set, and no other does.
        let zeros = u64::from_le_bytes(word) ^ COMMAS;
        let mut marks = !((zeros & LOW).wrapping_add(LOW) | zeros | LOW);
        while marks != 0 {
            found(from + marks.trailing_zeros() as usize / 8);
            marks &= marks - 1;
        }
        from += 8;
    };
    let (words, rest) = text.as_chunks::<8>();
    for eight in words {
        word(*eight);
    }
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    word(last);
}

/// Whether the last digit is the right Luhn check digit.
pub(crate) fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, byte)| {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            match (at % 2, digit * 2) {
                (0, _) => digit,
                (_, twice @ 0..=9) => twice,
                (_, twice) => twice - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, by_dollar: bool) -> Vec<String> {
        let items = Items::cut(text.as_bytes(), 0, text.len(), by_dollar);
        (0..items.len())
            .map(|at| String::from_utf8_lossy(items.get(at).unwrap()).into_owned())
            .collect()
    }

    #[test]
    fn brackets_hold_their_commas_and_an_open_one_holds_nothing() {
        assert_eq!(cut("a,(b,c),d", false), ["a", "(b,c)", "d"]);
        assert_eq!(cut("a,(b,c", false), ["a", "(b", "c"]);
        assert_eq!(cut("a,,b,", false), ["a", "", "b"]);
        assert_eq!(cut("reg,$imei,$fw", true), ["reg", "imei", "fw"]);
        assert_eq!(cut("reg$imei$E$", true), ["reg", "imei", "E"]);
    }

    #[test]
    fn more_items_than_any_packet_has_stay_in_the_last_one() {
        let many = "1,".repeat(500);
        let items = cut(&many, false);
        assert_eq!(items.len(), MOST);
        assert!(items[MOST - 1].len() > 300);
    }
}
