//! Reads items by a layout, anchored: where an item does not have the form of the field that the
//! layout expects, the shapes around it decide whether a field is missing or an item is extra.

use bytes::Bytes;

use crate::Field;
use crate::checksum::Stated;
use crate::dialect::{Dialect, Layout, Slot};
use crate::frame::stated_item;
use crate::items::Items;
use crate::neighbour::{self, Evidence, Order};
use crate::read::{decimal, digits, hex, trim, whole};
use crate::record::Record;
use crate::text::{Bits, Text};
use crate::time::DateTime;

/// Listens to reads, for explanations.
pub(crate) trait Trace {
    /// Whether anybody listens.
    const ON: bool;

    /// A field was read.
    fn read(&mut self, field: &'static str, range: core::ops::Range<usize>);
}

/// Nobody listens.
pub(crate) struct Silent;

impl Trace for Silent {
    const ON: bool = false;

    fn read(&mut self, _: &'static str, _: core::ops::Range<usize>) {}
}

/// What reading by a layout found.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) record: Box<Record>,
    /// The checksum, if it is an item.
    pub(crate) stated: Option<Stated>,
    pub(crate) evidence: Evidence,
    /// How well the layout fits: fields found, less what was missing or left over.
    pub(crate) score: i32,
    /// Whether nothing was missing, malformed or left over.
    pub(crate) is_exact: bool,
}

/// Reads one packet.
pub(crate) struct Reader<'a, T> {
    raw: &'a Bytes,
    items: &'a Items<'a>,
    dialect: &'a Dialect,
    /// The order of neighbours, if the device's profile knows it.
    order: Option<Order>,
    /// The checksum after `*`.
    stated: Option<Stated>,
    at: usize,
    reading: Reading,
    has_time: bool,
    trace: T,
}

impl<'a, T: Trace> Reader<'a, T> {
    pub(crate) fn new(
        raw: &'a Bytes,
        items: &'a Items<'a>,
        dialect: &'a Dialect,
        order: Option<Order>,
        stated: Option<Stated>,
        trace: T,
    ) -> Self {
        let reading = Reading {
            stated,
            is_exact: true,
            ..Reading::default()
        };
        Self {
            raw,
            items,
            dialect,
            order,
            stated,
            at: 0,
            reading,
            has_time: false,
            trace,
        }
    }

    /// Reads all items by a layout.
    pub(crate) fn run(mut self, layout: &Layout) -> (Reading, T) {
        for (place, slot) in layout.0.iter().enumerate() {
            let next = layout.0.get(place.saturating_add(1));
            match slot.field {
                Field::Imei => self.imei(*slot),
                Field::Registration => self.registration(next),
                Field::Fix => self.fix(*slot),
                Field::Date | Field::DateItems => self.date(*slot),
                Field::Time | Field::TimeItems => self.clock(*slot),
                Field::DateTime => {
                    self.date(*slot);
                    self.clock(Slot {
                        field: Field::Time,
                        is_optional: true,
                    });
                }
                Field::Latitude => self.place(*slot, next),
                Field::NorthSouth | Field::Longitude | Field::EastWest => {}
                Field::Place => self.joined_place(*slot),
                Field::Operator => self.operator(),
                Field::Neighbours => self.neighbours(),
                Field::ServingCell => self.serving_cell(),
                Field::Checksum => self.checksum(),
                Field::Parameters => self.parameters(),
                _ => self.take(*slot, next),
            }
        }
        self.left_over();
        (self.reading, self.trace)
    }

    fn mark(&mut self, field: Field, at: usize) {
        if T::ON
            && let Some(span) = self.items.span(at)
        {
            self.trace.read(field.name(), span.range());
        }
    }

    fn missing(&mut self, field: Field, price: i32) {
        self.reading.score -= price;
        self.reading.is_exact = false;
        let missing = &mut self.reading.record.more_mut().missing;
        if missing.len() < 16 && !missing.contains(&field) {
            missing.push(field);
        }
    }

    /// An item that the layout has no place for.
    fn extra(&mut self, at: usize) {
        self.reading.is_exact = false;
        self.reading.score -= 2;
        let Some(item) = self.items.get(at) else {
            return;
        };
        if T::ON
            && let Some(span) = self.items.span(at)
        {
            self.trace.read("extra", span.range());
        }
        let more = self.reading.record.more_mut();
        let more_of_them = [more.extra.as_bytes(), trim(item)].join(&b","[..]);
        let more_of_them = more_of_them.strip_prefix(b",").unwrap_or(&more_of_them);
        if more_of_them.len() <= 256 {
            more.extra = Text::from(&*String::from_utf8_lossy(more_of_them));
        }
    }

    /// Takes the item at hand as a field. `false` if it does not have the field's form.
    #[inline]
    fn put(&mut self, field: Field) -> bool {
        let Some(item) = self.items.get(self.at) else {
            return false;
        };
        if !self.reading.record.set(field, self.raw, item) {
            return false;
        }
        self.reading.score += 1;
        self.mark(field, self.at);
        self.at += 1;
        true
    }

    /// Whether an item has the form of a field.
    fn fits(&self, field: Field, at: usize) -> bool {
        let Some(item) = self.items.get(at) else {
            return false;
        };
        match field {
            Field::Date | Field::DateTime => is_date(trim(item)),
            Field::Latitude => self.items.find_place() == Some(at),
            Field::Neighbours | Field::ServingCell | Field::Time => false,
            _ => Record::default().set(field, self.raw, item),
        }
    }

    /// A field of one item.
    #[inline]
    fn take(&mut self, slot: Slot, next: Option<&Slot>) {
        // Any text would be taken as a vendor: one that may be missing is, if the next field is here.
        if slot.is_optional
            && slot.field == Field::Vendor
            && next.is_some_and(|next| !next.is_optional && self.fits(next.field, self.at))
        {
            return;
        }
        if !self.put(slot.field) {
            self.search(slot, next);
        }
    }

    /// The item at hand does not fit: is it extra, is the field missing, or is it malformed?
    #[cold]
    fn search(&mut self, slot: Slot, next: Option<&Slot>) {
        let Some(item) = self.items.get(self.at).map(trim) else {
            if !slot.is_optional {
                self.missing(slot.field, 3);
            }
            return;
        };
        // OTA text may stand anywhere.
        if matches!(item, [b'(' | b'<' | b'{', ..]) && slot.field != Field::Ota {
            let was = self.put(Field::Ota);
            if was && !self.put(slot.field) {
                self.search(slot, next);
            }
            return;
        }
        if slot.is_optional {
            return;
        }
        if item.is_empty() {
            // A value that the device does not have; but the layout may be another.
            self.mark(slot.field, self.at);
            self.at += 1;
            self.reading.score -= 1;
            return;
        }
        let fits_next = next.is_some_and(|next| self.fits(next.field, self.at));
        if !fits_next && self.fits(slot.field, self.at + 1) {
            self.extra(self.at);
            self.at += 1;
            self.put(slot.field);
            return;
        }
        self.missing(slot.field, 4);
        if !fits_next {
            self.mark(slot.field, self.at);
            self.at += 1;
        }
    }

    /// The IMEI is an anchor: items before it that nobody expected are extra.
    fn imei(&mut self, slot: Slot) {
        if self.put(Field::Imei) {
            return;
        }
        let ahead =
            (self.at..self.items.len().min(self.at + 4)).find(|at| self.fits(Field::Imei, *at));
        match ahead {
            Some(imei) => {
                while self.at < imei {
                    if !self.put(Field::Ota) {
                        self.extra(self.at);
                        self.at += 1;
                    }
                }
                self.put(Field::Imei);
            }
            None if slot.is_optional => {}
            None => self.search(slot, None),
        }
    }

    /// The registration, which may be missing, or follow an empty item.
    fn registration(&mut self, next: Option<&Slot>) {
        let is_fix_next = next.is_some_and(|next| next.field == Field::Fix);
        let is_empty = self.items.text(self.at).is_empty();
        if is_fix_next && is_empty && self.items.span(self.at).is_some() {
            let fix = |at: usize| matches!(self.items.text(at), b"0" | b"1");
            // `imei,,registration,1,date`
            if !fix(self.at + 1) && fix(self.at + 2) && is_date(self.items.text(self.at + 3)) {
                self.mark(Field::Text, self.at);
                self.at += 1;
            }
        }
        if is_date(self.items.text(self.at))
            && is_clock(self.items.text(self.at + 1))
            && next.is_some_and(|n| matches!(n.field, Field::Date | Field::DateTime | Field::Fix))
        {
            self.missing(Field::Registration, 3);
            return;
        }
        // Number plates are shorter: an IMEI that nothing has taken yet is one.
        let is_imei = self.reading.record.imei.is_none() && is_imei(self.items.text(self.at));
        if is_imei || !self.put(Field::Registration) {
            self.missing(Field::Registration, 3);
            return;
        }
        // `registration,,1,date`
        if is_fix_next
            && self
                .items
                .get(self.at)
                .is_some_and(|item| trim(item).is_empty())
            && matches!(self.items.text(self.at + 1), b"0" | b"1" | b"A" | b"V")
        {
            self.mark(Field::Text, self.at);
            self.at += 1;
        }
    }

    /// The fix stands before the date or after the time.
    fn fix(&mut self, slot: Slot) {
        if self.reading.record.fix.is_some() || self.put(Field::Fix) {
            return;
        }
        if is_date(self.items.text(self.at)) {
            // It may come after the time: `place` looks.
            return;
        }
        self.search(slot, None);
    }

    fn date(&mut self, slot: Slot) {
        let item = self.items.text(self.at);
        let mut time = self.reading.record.time.unwrap_or_default();
        if let Some(joined) = DateTime::joined(item) {
            self.reading.record.time = Some(joined);
            self.has_time = true;
            self.reading.score += 2;
            self.mark(Field::Date, self.at);
            self.at += 1;
        } else if time.set_date(item) {
            self.reading.record.time = Some(time);
            self.reading.score += 1;
            self.mark(Field::Date, self.at);
            self.at += 1;
        } else if let Some((day, month, year)) = self.three()
            && let Ok(year) = u16::try_from(if year < 100 && year > 0 {
                2000 + year
            } else {
                year
            })
            && let (Ok(day), Ok(month)) = (u8::try_from(day), u8::try_from(month))
        {
            time = DateTime {
                year,
                month,
                day,
                ..time
            };
            self.reading.record.time = Some(time);
            self.three_read(Field::Date);
        } else {
            self.search(
                slot,
                Some(&Slot {
                    field: Field::Time,
                    is_optional: false,
                }),
            );
        }
    }

    fn clock(&mut self, slot: Slot) {
        if self.has_time {
            return;
        }
        let item = self.items.text(self.at);
        let mut time = self.reading.record.time.unwrap_or_default();
        if time.set_clock(item) {
            self.reading.record.time = Some(time);
            self.reading.score += 1;
            self.mark(Field::Time, self.at);
            self.at += 1;
        } else if let Some((hour, minute, second)) = self.three()
            && let (Ok(hour), Ok(minute), Ok(second)) = (
                u8::try_from(hour),
                u8::try_from(minute),
                u8::try_from(second),
            )
        {
            time = DateTime {
                hour,
                minute,
                second,
                ..time
            };
            self.reading.record.time = Some(time);
            self.three_read(Field::Time);
        } else if item.len() == 8 && item.get(2) == Some(&b':') {
            // `hh:mm:ss` without a date: no time to go by.
            self.reading.score += 1;
            self.mark(Field::Time, self.at);
            self.at += 1;
        } else {
            self.search(slot, None);
        }
    }

    /// Three numbers of two digits, the third of two or four.
    fn three(&self) -> Option<(u64, u64, u64)> {
        let two = |at: usize| whole(digits::<1, 2>, self.items.get(at)?);
        let last = self.items.get(self.at + 2)?;
        let last = whole(digits::<1, 4>, last).filter(|_| trim(last).len() != 3)?;
        Some((two(self.at)?, two(self.at + 1)?, last))
    }

    fn three_read(&mut self, field: Field) {
        self.reading.score += 1;
        for at in self.at..self.at + 3 {
            self.mark(field, at);
        }
        self.at += 3;
    }

    /// Latitude, `N`, longitude, `E`; the letters are an anchor.
    fn place(&mut self, slot: Slot, next: Option<&Slot>) {
        let has_letters = next.is_some_and(|next| next.field == Field::NorthSouth);
        if !has_letters {
            self.bare_place();
            return;
        }
        let letters = |at: usize| {
            matches!(self.items.text(at + 1), b"N" | b"S")
                && matches!(self.items.text(at + 3), b"E" | b"W" | b"N")
        };
        if !letters(self.at) {
            // A fix after the time, or items that nobody expected.
            let anchor = self.items.find_place();
            match anchor {
                Some(anchor) if anchor > self.at && anchor <= self.at + 4 => {
                    while self.at < anchor {
                        if self.reading.record.fix.is_some() || !self.put(Field::Fix) {
                            self.extra(self.at);
                            self.at += 1;
                        }
                    }
                }
                Some(anchor) if anchor < self.at && anchor + 4 >= self.at => {
                    self.missing(Field::Fix, 3);
                    self.at = anchor;
                }
                _ => {
                    self.letterless(slot);
                    return;
                }
            }
        }
        self.late_fix();
        let number = |at: usize| self.items.get(at).and_then(|item| whole(decimal, item));
        let (latitude, longitude) = (number(self.at), number(self.at + 2));
        let north = match self.items.text(self.at + 1) {
            b"N" => Some(1.0),
            b"S" => Some(-1.0),
            _ => None,
        };
        let east = match self.items.text(self.at + 3) {
            b"E" => Some(1.0),
            b"W" => Some(-1.0),
            _ => None,
        };
        self.set_place(latitude, longitude, north, east);
        for field in [
            Field::Latitude,
            Field::NorthSouth,
            Field::Longitude,
            Field::EastWest,
        ] {
            self.mark(field, self.at);
            self.at += 1;
        }
    }

    /// A registration that is a lone `0` or `1` was the fix, if there is no other.
    fn late_fix(&mut self) {
        let record = &mut self.reading.record;
        if record.fix.is_some() || record.registration.as_bytes().len() != 1 {
            return;
        }
        let fix = match record.registration.as_bytes() {
            b"1" => true,
            b"0" => false,
            _ => return,
        };
        record.fix = Some(fix);
        record.registration = Text::EMPTY;
        self.missing(Field::Registration, 3);
    }

    /// Four items in the place of a position whose letters are not there (`00.0,0,00.0,0`).
    fn letterless(&mut self, slot: Slot) {
        let number = |at: usize| self.items.get(at).and_then(|item| whole(decimal, item));
        let has_four = (0..4).all(|n| number(self.at + n).is_some());
        if !has_four {
            self.search(slot, None);
            return;
        }
        self.missing(Field::NorthSouth, 1);
        for field in [
            Field::Latitude,
            Field::NorthSouth,
            Field::Longitude,
            Field::EastWest,
        ] {
            self.mark(field, self.at);
            self.at += 1;
        }
    }

    /// Latitude and longitude without letters: India is north and east.
    fn bare_place(&mut self) {
        let number = |at: usize| {
            let item = self.items.get(at)?;
            item.contains(&b'.').then(|| whole(decimal, item)).flatten()
        };
        let (latitude, longitude) = (number(self.at), number(self.at + 1));
        if latitude.is_none() || longitude.is_none() {
            self.missing(Field::Latitude, 6);
            return;
        }
        self.set_place(latitude, longitude, Some(1.0), Some(1.0));
        self.mark(Field::Latitude, self.at);
        self.mark(Field::Longitude, self.at + 1);
        self.at += 2;
    }

    /// `12.97N77.54E`
    fn joined_place(&mut self, slot: Slot) {
        let item = self.items.text(self.at);
        let letter = item.iter().position(|b| matches!(b, b'N' | b'S'));
        let parts = letter.and_then(|at| item.split_at_checked(at));
        let Some((latitude, [north, longitude @ .., east @ (b'E' | b'W')])) = parts else {
            self.search(slot, None);
            return;
        };
        let sign = |negative: bool| Some(if negative { -1.0 } else { 1.0 });
        let (latitude, longitude) = (whole(decimal, latitude), whole(decimal, longitude));
        self.set_place(
            latitude,
            longitude,
            sign(*north == b'S'),
            sign(*east == b'W'),
        );
        self.mark(Field::Place, self.at);
        self.at += 1;
    }

    fn set_place(
        &mut self,
        latitude: Option<f64>,
        longitude: Option<f64>,
        north: Option<f64>,
        east: Option<f64>,
    ) {
        let (Some(latitude), Some(longitude), Some(north), Some(east)) =
            (latitude, longitude, north, east)
        else {
            self.missing(Field::Latitude, 4);
            return;
        };
        self.reading.score += 4;
        let (latitude, longitude) = crate::degrees(latitude, longitude);
        self.reading.record.latitude = Some(latitude * north);
        self.reading.record.longitude = Some(longitude * east);
    }

    /// The operator: any text. A number is an operator only before two flags and a voltage.
    fn operator(&mut self) {
        let flag = |at: usize| matches!(self.items.text(at), b"0" | b"1");
        let item = self.items.text(self.at);
        if !item.is_empty() && item.iter().all(u8::is_ascii_digit) {
            let is_before_flags = flag(self.at + 1) && flag(self.at + 2);
            if !is_before_flags {
                if flag(self.at) && flag(self.at + 1) {
                    self.missing(Field::Operator, 3);
                    return;
                }
                self.extra(self.at);
                self.at += 1;
            }
        }
        if !self.put(Field::Operator) {
            self.missing(Field::Operator, 3);
        }
    }

    /// Everything up to the digital inputs, and then the tail.
    fn neighbours(&mut self) {
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
    fn checksum(&mut self) {
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

    /// After the reply number: MCC, MNC, LAC and cell, or LAC and cell.
    fn serving_cell(&mut self) {
        let left = self.items.len().saturating_sub(self.at);
        let sums = usize::from(self.stated.is_none());
        let fields: &[Field] = match left.checked_sub(sums).unwrap_or(left) {
            4 => &[Field::Mcc, Field::Mnc, Field::Lac, Field::Cell],
            2 => &[Field::Lac, Field::Cell],
            _ => match left {
                4 => &[Field::Mcc, Field::Mnc, Field::Lac, Field::Cell],
                2 if self.stated.is_some() => &[Field::Lac, Field::Cell],
                _ => &[],
            },
        };
        for field in fields {
            if !self.put(*field) {
                return;
            }
        }
    }

    /// Everything to the end. What looks like a checksum at the end may be one: the text keeps it.
    fn parameters(&mut self) {
        let Some(rest) = self.items.rest(self.at) else {
            return;
        };
        let last = self.items.len().saturating_sub(1);
        let item = self.items.text(last);
        let is_sum = matches!(item.len(), 2 | 4 | 8) && item.iter().all(u8::is_ascii_hexdigit);
        if self.stated.is_none() && last > self.at && is_sum {
            let span = self.items.span(last);
            self.reading.stated = span.and_then(|s| stated_item(self.raw, s.range()));
        }
        if let Some(item) = self.raw.get(rest.range()) {
            self.reading.record.set(Field::Parameters, self.raw, item);
            if T::ON {
                self.trace.read(Field::Parameters.name(), rest.range());
            }
        }
        self.at = self.items.len();
    }

    /// Items after the last field.
    fn left_over(&mut self) {
        while self.at < self.items.len() {
            let is_last = self.at + 1 == self.items.len();
            let is_empty = self.items.text(self.at).is_empty();
            if is_empty && is_last {
                self.at += 1;
            } else if !self.put(Field::Ota) {
                self.extra(self.at);
                self.at += 1;
            }
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

fn is_imei(item: &[u8]) -> bool {
    item.len() == 15 && item.iter().all(u8::is_ascii_digit)
}

fn is_date(item: &[u8]) -> bool {
    let is_digits = item.iter().all(u8::is_ascii_digit);
    matches!(item.len(), 6 | 8 | 12 | 14) && is_digits
}

fn is_clock(item: &[u8]) -> bool {
    item.len() == 6 && item.iter().all(u8::is_ascii_digit)
}
