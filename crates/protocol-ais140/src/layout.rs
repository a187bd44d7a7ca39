//! Reads items by a layout, anchored: where an item does not have the form of the field that the
//! layout expects, the shapes around it decide whether a field is missing or an item is extra.

use bytes::Bytes;

use crate::Field;
use crate::checksum::Stated;
use crate::dialect::{Dialect, Layout, Slot};
use crate::frame::stated_item;
use crate::items::Items;
use crate::neighbour::{Evidence, Order};
use crate::read::{digits, trim, whole};
use crate::record::Record;
use crate::text::Text;
use crate::time::DateTime;

mod place;
mod tail;

pub(crate) use tail::shape;

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
