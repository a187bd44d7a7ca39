//! What follows the serving cell of a tracking packet: neighbours, switches, frame number, checksum.

use super::{Reader, Trace};
use crate::Field;
use crate::dialect::Layout;
use crate::frame::stated_item;
use crate::neighbour::{self, Order};
use crate::read::{decimal, digits, hex, trim, whole};
use crate::text::{Bits, Text};

impl<T: Trace> Reader<'_, T> {
    /// Everything up to the digital inputs, and then the tail.
    pub(super) fn neighbours(&mut self) {
        let from = self.at;
        let inputs = self.find_inputs(from);
        let to = inputs.unwrap_or(from);
        if T::ON {
            for at in from..to {
                self.mark(Field::Neighbours, at);
            }
        }
        let first = self.items.text(from);
        let count = to - from;
        let dialect = self.dialect;
        let usual = dialect.order;
        match count {
            0 => {}
            1 if first.is_empty() => {}
            1 if first.starts_with(b"(") => {
                let inner = first
                    .get(1..first.len().saturating_sub(1))
                    .unwrap_or_default();
                self.triples(inner.split(|b| *b == b','), usual);
            }
            1 if first.len() >= 9
                && first.len().is_multiple_of(9)
                && first.iter().all(u8::is_ascii_hexdigit) =>
            {
                self.reading.record.neighbours = neighbour::packed(first);
                self.unpack_serving(from);
            }
            1 => self.keep(from),
            _ if usual == Order::CellSignal && count.is_multiple_of(2) => {
                let items = self.items;
                self.reading.record.neighbours =
                    neighbour::pairs((from..to).filter_map(|at| items.get(at)));
            }
            _ => {
                let items = self.items;
                let order = match usual {
                    Order::CellSignal | Order::Packed => Order::SignalLacCell,
                    order => order,
                };
                self.triples((from..to).filter_map(|at| items.get(at)), order);
            }
        }
        self.at = to;
        match inputs {
            Some(_) => self.tail(),
            // A tail without inputs is read item by item.
            None => self.generic_tail(),
        }
    }

    fn triples<'i>(&mut self, items: impl Iterator<Item = &'i [u8]> + Clone, usual: Order) {
        let record = &mut self.reading.record;
        let (found, evidence) = neighbour::triples(items, &record.cells, self.order, usual);
        record.neighbours = found;
        self.reading.evidence = evidence;
        if evidence.is_swapped {
            let cells = &mut record.cells;
            let lac = cells.cell.and_then(|cell| u32::try_from(cell).ok());
            (cells.cell, cells.lac) = (cells.lac.map(u64::from), lac);
        }
    }

    /// Neighbours in a form that has no areas and cells: kept as text.
    fn keep(&mut self, at: usize) {
        let text = Text::part(self.raw, self.items.text(at));
        self.reading.record.more_mut().extra = text;
    }

    /// Where neighbours are run together, so is the serving pair, and cut at the wrong place:
    /// `4e2b,49e` is area 4e2, cell b49e.
    fn unpack_serving(&mut self, from: usize) {
        let (Some(lac_at), Some(cell_at)) = (from.checked_sub(2), from.checked_sub(1)) else {
            return;
        };
        let joined = [self.items.text(lac_at), self.items.text(cell_at)].concat();
        if joined.len() != 7 {
            return;
        }
        let Some((lac, cell)) = joined.split_at_checked(3) else {
            return;
        };
        let cells = &mut self.reading.record.cells;
        cells.lac = whole(hex, lac).and_then(|v| u32::try_from(v).ok());
        cells.cell = whole(hex, cell);
        cells.is_wide = false;
    }

    /// The place of the digital inputs: four or six `0` and `1`, then outputs, then a number.
    /// Twelve items after the serving cell is the usual place.
    fn find_inputs(&self, from: usize) -> Option<usize> {
        let bits = |at: usize, min: usize, max: usize| {
            let item = self.items.text(at);
            (min..=max).contains(&item.len()) && Bits::read(item).is_some()
        };
        let number = |at: usize| {
            self.items
                .get(at)
                .is_some_and(|i| whole(decimal, i).is_some())
        };
        let is_here = |at: usize| {
            let is_wide = self.items.text(at).len() == 6;
            let is_inputs = bits(at, 4, 4) || bits(at, 6, 6);
            is_inputs && (bits(at + 1, 1, 4) && number(at + 2) || is_wide && number(at + 1))
        };
        if is_here(from + 12) {
            return Some(from + 12);
        }
        let last = self.items.len().min(from + 20);
        // The later ones win: neighbours may look like switches, tails rarely do.
        let rank = |at: &usize| match at.wrapping_sub(from) {
            // Inputs and outputs in one item look like a frame number.
            _ if !bits(*at + 1, 1, 4) => 0,
            n if n % 3 == 0 => 2,
            1 | 8 => 2,
            _ => 1,
        };
        (from..last).filter(|at| is_here(*at)).max_by_key(rank)
    }

    /// What follows the inputs, by the first of the dialect's tails that fits, else by shapes.
    fn tail(&mut self) {
        let dialect = self.dialect;
        // One that ends without a checksum is taken last: the checksum may look like its last field.
        let find = |sum: bool| {
            dialect
                .tails
                .iter()
                .find(|tail| self.tail_fits(tail) == Some(sum))
        };
        let layout = find(true).or_else(|| find(false));
        let Some(layout) = layout else {
            self.reading.is_exact = false;
            self.reading.score -= 4;
            self.generic_tail();
            return;
        };
        self.reading.score += 4;
        let end = self.items.len();
        for slot in &layout.0 {
            if self.at >= end {
                break;
            }
            match slot.field {
                Field::Checksum => self.checksum(),
                _ if slot.is_optional && !shape(slot.field, self.items.text(self.at)) => {}
                Field::Text => {
                    self.mark(Field::Text, self.at);
                    self.at += 1;
                }
                field => {
                    if !self.put(field) {
                        self.mark(field, self.at);
                        self.at += 1;
                    }
                }
            }
        }
    }

    /// Whether all items from here on have the forms of a tail, with none left over; and then
    /// whether the packet's checksum, if the tail has one, is there.
    fn tail_fits(&self, tail: &Layout) -> Option<bool> {
        let mut at = self.at;
        let mut has_sum = true;
        for slot in &tail.0 {
            if slot.field == Field::Checksum {
                if self.stated.is_some() {
                    continue;
                }
                // The packet may have no checksum at all.
                if let Some(span) = self.items.span(at) {
                    stated_item(self.raw, span.range())?;
                    at += 1;
                } else {
                    has_sum = false;
                }
                continue;
            }
            let Some(item) = self.items.get(at) else {
                if slot.is_optional {
                    continue;
                }
                return None;
            };
            if shape(slot.field, trim(item)) {
                at += 1;
            } else if !slot.is_optional {
                return None;
            }
        }
        (at == self.items.len()).then_some(has_sum)
    }

    /// A tail that no dialect has: switches, the frame number, bracketed text; the rest is kept.
    fn generic_tail(&mut self) {
        let end = self.items.len();
        if Bits::read(self.items.text(self.at)).is_some() {
            self.put(Field::Inputs);
            if self.items.text(self.at).len() <= 4 && Bits::read(self.items.text(self.at)).is_some()
            {
                self.put(Field::Outputs);
            }
        }
        let is_frame = |at: usize| {
            let item = self.items.text(at);
            item.len() >= 5 && item.iter().all(u8::is_ascii_digit)
        };
        let whole_number = |at: usize| {
            let item = self.items.text(at);
            !item.is_empty() && item.iter().all(u8::is_ascii_digit)
        };
        let frame = (self.at..end)
            .find(|at| is_frame(*at))
            .or_else(|| (self.at..end).find(|at| whole_number(*at)));
        while self.at < end {
            let is_last = self.at + 1 == end;
            if Some(self.at) == frame {
                if !self.put(Field::Frame) {
                    self.extra(self.at);
                    self.at += 1;
                }
            } else if is_last && self.stated.is_none() && frame.is_some() {
                self.checksum();
                if self.at < end {
                    self.extra(self.at);
                    self.at += 1;
                }
            } else if !self.put(Field::Ota) {
                self.extra(self.at);
                self.at += 1;
            }
        }
        if frame.is_none() {
            self.missing(Field::Frame, 3);
        }
    }

    /// A checksum that is an item; the one after `*` is read already.
    pub(super) fn checksum(&mut self) {
        if self.reading.stated.is_some() {
            return;
        }
        let Some(span) = self.items.span(self.at) else {
            return;
        };
        let stated = stated_item(self.raw, span.range());
        if stated.is_some() {
            self.reading.stated = stated;
            self.mark(Field::Checksum, self.at);
            self.at += 1;
        }
    }
}

/// The form of a field in a tail, without taking it.
pub(crate) fn shape(field: Field, item: &[u8]) -> bool {
    let is_number = || whole(decimal, item).is_some();
    match field {
        Field::Frame => item.len() <= 9 && whole(digits::<1, 9>, item).is_some(),
        Field::Inputs => (1..=8).contains(&item.len()) && Bits::read(item).is_some(),
        Field::Outputs | Field::Block => item.len() <= 4 && Bits::read(item).is_some(),
        Field::InputsOutputs => item.len() == 6 && Bits::read(item).is_some(),
        Field::Ota => matches!(item, [b'(' | b'<' | b'{', ..]),
        // A frame number is no voltage.
        Field::Analog | Field::Acceleration => is_number() && item.len() <= 8 && !is_padded(item),
        Field::Text => true,
        _ => is_number(),
    }
}

/// Zeros in front of a whole number of six digits: a frame number.
fn is_padded(item: &[u8]) -> bool {
    item.len() == 6 && item.starts_with(b"0") && item.iter().all(u8::is_ascii_digit)
}
