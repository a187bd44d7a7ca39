//! The position: with letters as an anchor, without them, or in one item.

use super::{Reader, Trace};
use crate::Field;
use crate::dialect::Slot;
use crate::read::{decimal, whole};
use crate::text::Text;

impl<T: Trace> Reader<'_, T> {
    /// Latitude, `N`, longitude, `E`; the letters are an anchor.
    pub(super) fn place(&mut self, slot: Slot, next: Option<&Slot>) {
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
            // A fix after the time, or items that the layout does not have.
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
        self.mark_place();
    }

    /// Passes over the four items of a position.
    fn mark_place(&mut self) {
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
        self.mark_place();
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
    pub(super) fn joined_place(&mut self, slot: Slot) {
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
}
