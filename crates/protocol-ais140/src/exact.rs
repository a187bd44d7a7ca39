//! The usual case in one pass: a tracking packet that has exactly the form of its device's dialect.
//!
//! Whatever is not as expected (a blank, a bracket, an empty number) is left to the anchored reader
//! of [`layout`](crate::layout), which reads the same packets to the same values, only slower.

use bytes::Bytes;

use crate::Field;
use crate::checksum::Stated;
use crate::dialect::{Dialect, Kind, Layout};
use crate::frame::stated_item;
use crate::layout::{Reading, shape};
use crate::neighbour::{self, Evidence, Neighbour, Neighbours, Order};
use crate::read::{Read, decimal, digits, hex};
use crate::record::{Few, Record};
use crate::text::Text;
use crate::time::DateTime;

/// Reads `raw[from..to]`; `None` if it does not have exactly the dialect's form.
pub(crate) fn read(
    raw: &Bytes,
    (from, to): (usize, usize),
    dialect: &Dialect,
    known: Option<Order>,
    stated: Option<Stated>,
) -> Option<Reading> {
    let [layout] = dialect.layouts(Kind::Tracking) else {
        return None;
    };
    let mut reading = Reading {
        stated,
        is_exact: true,
        ..Reading::default()
    };
    let mut cursor = Cursor {
        raw,
        rest: raw.get(from..to)?,
        to,
    };
    let order = known.unwrap_or(dialect.order);
    for slot in &layout.0 {
        match slot.field {
            Field::Neighbours => {
                let record = &mut *reading.record;
                let (found, evidence) = match cursor.neighbours(record, order) {
                    Some(found) => (found, Evidence::usual(order)),
                    None => cursor.other_neighbours(record, known, dialect.order)?,
                };
                record.neighbours = found;
                reading.evidence = evidence;
            }
            field => cursor.field(field, slot.is_optional, &mut reading.record)?,
        }
    }
    let starts_a_tail = cursor.starts_a_tail();
    starts_a_tail.then_some(())?;
    dialect
        .tails
        .iter()
        .any(|tail| Cursor { ..cursor }.tail(tail, &mut reading).is_some())
        .then_some(reading)
}

struct Cursor<'a> {
    raw: &'a Bytes,
    /// What is left, up to `raw[to]`.
    rest: &'a [u8],
    to: usize,
}

impl<'a> Cursor<'a> {
    /// The next item.
    #[inline]
    fn item(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let len = self.rest.iter().position(|b| *b == b',');
        let (item, rest) = match len {
            Some(len) => (self.rest.get(..len)?, self.rest.get(len + 1..)?),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(item)
    }

    /// The next item as a text without blanks around it or anything that may hold a comma.
    #[inline]
    fn text(&mut self) -> Option<Text> {
        let item = self.item()?;
        match item {
            [b' ' | b'(' | b'<' | b'{' | b'"', ..] | [.., b' '] => None,
            _ => Some(Text::part(self.raw, item)),
        }
    }

    /// A value with a comma after it.
    #[inline]
    fn value<T>(&mut self, reader: impl FnOnce(&'a [u8]) -> Read<'a, T>) -> Option<T> {
        match reader(self.rest) {
            Ok(([b',', rest @ ..], value)) => {
                self.rest = rest;
                Some(value)
            }
            _ => None,
        }
    }

    #[inline]
    fn flag(&mut self) -> Option<bool> {
        let (flag, rest) = match self.rest {
            [b'0', b',', rest @ ..] => (false, rest),
            [b'1', b',', rest @ ..] => (true, rest),
            _ => return None,
        };
        self.rest = rest;
        Some(flag)
    }

    #[inline]
    fn letter(&mut self) -> Option<u8> {
        let [letter, b',', rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        Some(*letter)
    }

    #[inline]
    fn field(&mut self, field: Field, is_optional: bool, record: &mut Record) -> Option<()> {
        match field {
            Field::Vendor => record.vendor = self.word()?,
            Field::Firmware => record.firmware = self.word()?,
            Field::Registration => record.registration = self.text()?,
            Field::Operator => {
                let text = self.text()?;
                // A number may be something else.
                let is_name = text.as_bytes().iter().any(|b| !b.is_ascii_digit());
                (is_name || text.is_empty()).then_some(())?;
                record.operator = text;
            }
            Field::Alert => match self.value(digits::<1, 3>) {
                None if is_optional && matches!(self.rest, [b'L' | b'H', ..]) => {}
                alert => record.alert = Some(u16::try_from(alert?).ok()?),
            },
            Field::Status => {
                record.live = Some(match self.letter()? {
                    b'L' => true,
                    b'H' => false,
                    _ => return None,
                });
            }
            Field::Imei => record.imei = Some(self.value(digits::<15, 15>)?),
            Field::Fix => record.fix = Some(self.flag()?),
            Field::Date => {
                let date = self.value(digits::<8, 8>)?;
                let time = record.time.get_or_insert_default();
                time.set_date_number(date);
            }
            Field::Time => {
                let clock = self.value(digits::<6, 6>)?;
                let time: &mut DateTime = record.time.as_mut()?;
                time.set_clock_number(clock);
            }
            Field::Latitude => {
                let latitude = self.value(decimal)?;
                let north = match self.letter()? {
                    b'N' => 1.0,
                    b'S' => -1.0,
                    _ => return None,
                };
                let longitude = self.value(decimal)?;
                let east = match self.letter()? {
                    b'E' => 1.0,
                    b'W' => -1.0,
                    _ => return None,
                };
                let (latitude, longitude) = crate::degrees(latitude, longitude);
                record.latitude = Some(latitude * north);
                record.longitude = Some(longitude * east);
            }
            Field::NorthSouth | Field::Longitude | Field::EastWest => {}
            Field::Speed => record.speed = Some(self.value(decimal)?),
            Field::Heading => record.heading = Some(self.value(decimal)?),
            Field::Satellites => record.satellites = Some(self.small(digits::<1, 3>)?),
            Field::Altitude => record.altitude = Some(self.value(decimal)?),
            Field::Pdop => record.pdop = Some(self.value(decimal)?),
            Field::Hdop => record.hdop = Some(self.value(decimal)?),
            Field::Ignition => record.ignition = Some(self.flag()?),
            Field::MainPower => record.main_power = Some(self.flag()?),
            Field::MainVolts => record.main_volts = Some(self.value(decimal)?),
            Field::BatteryVolts => record.battery_volts = Some(self.value(decimal)?),
            Field::Emergency => record.emergency = Some(self.flag()?),
            Field::Tamper => match self.rest {
                [b',', rest @ ..] => {
                    record.tamper = Some(b' ');
                    self.rest = rest;
                }
                [letter, b',', rest @ ..] if letter.is_ascii_alphabetic() => {
                    record.tamper = Some(*letter);
                    self.rest = rest;
                }
                _ if is_optional => {}
                _ => return None,
            },
            Field::Geofence if is_optional && matches!(self.rest, [b'0'..=b'9', ..]) => {}
            Field::Gsm => record.gsm = Some(self.small(digits::<1, 3>)?),
            Field::Mcc => record.cells.mcc = Some(self.small(digits::<1, 3>)?),
            Field::Mnc => record.cells.mnc = Some(self.small(digits::<1, 3>)?),
            Field::Lac => record.cells.lac = Some(self.small(hex)?),
            Field::Cell => {
                let before = self.rest.len();
                record.cells.cell = Some(self.value(hex)?);
                record.cells.is_wide = before - self.rest.len() > 5;
            }
            Field::Type => {
                let item = self.item()?;
                record.set(Field::Type, self.raw, item).then_some(())?;
                not_an_emergency(record.packet_type.as_bytes())?;
            }
            _ => return None,
        }
        Some(())
    }

    /// A text among the first items.
    #[inline]
    fn word(&mut self) -> Option<Text> {
        let text = self.text()?;
        not_an_emergency(text.as_bytes())?;
        Some(text)
    }

    #[inline]
    fn small<T: TryFrom<u64>>(
        &mut self,
        reader: impl FnOnce(&'a [u8]) -> Read<'a, u64>,
    ) -> Option<T> {
        T::try_from(self.value(reader)?).ok()
    }

    /// Four neighbours in the usual order, the first one in the serving area.
    #[inline]
    fn neighbours(&mut self, record: &Record, order: Order) -> Option<Neighbours> {
        let mut ahead = Cursor { ..*self };
        let (lac_at, cell_at, signal_at) = order.columns();
        let lac_at = lac_at.filter(|_| order != Order::Packed)?;
        let mut neighbours = Neighbours::default();
        for _ in 0..4 {
            let mut neighbour = Neighbour::default();
            for column in 0..3 {
                let before = ahead.rest.len();
                if column == signal_at {
                    neighbour.signal = Some(ahead.small(digits::<1, 3>)?);
                } else if column == lac_at {
                    neighbour.lac = Some(ahead.small(hex).filter(|lac| *lac != 0)?);
                } else if column == cell_at {
                    neighbour.cell = ahead.value(hex).filter(|id| *id != 0 && *id != 0xffff)?;
                    neighbour.is_wide = before - ahead.rest.len() > 5;
                }
            }
            neighbours.push(neighbour);
        }
        let first = neighbours.as_slice().first()?.lac?;
        let serving = &record.cells;
        let is_serving = serving.lac == Some(first) && serving.cell != Some(first.into());
        is_serving.then_some(())?;
        self.rest = ahead.rest;
        Some(neighbours)
    }

    /// Four neighbours whose order, or area, is not the usual one.
    fn other_neighbours(
        &mut self,
        record: &Record,
        known: Option<Order>,
        usual: Order,
    ) -> Option<(Neighbours, Evidence)> {
        usual.columns().0.filter(|_| usual != Order::Packed)?;
        let mut items = [&[][..]; 12];
        for place in &mut items {
            let item = self.item()?;
            let is_plain = !matches!(item, [b'(' | b'<' | b'{' | b'"', ..]);
            *place = is_plain.then_some(item)?;
        }
        let (items, cells) = (items.into_iter(), &record.cells);
        // Groups have another form there; all others were just seen not to be as expected.
        let (found, evidence) = match known {
            Some(Order::Packed) => neighbour::triples(items, cells, known, usual),
            _ => neighbour::by_columns(items, cells, known, usual),
        };
        (!evidence.is_swapped).then_some((found, evidence))
    }

    /// Four inputs, then outputs, then a number: nothing else stands before them.
    fn starts_a_tail(&self) -> bool {
        let mut ahead = Cursor { ..*self };
        let is_bits = |item: &[u8]| item.iter().all(|b| matches!(b, b'0' | b'1'));
        ahead.item().is_some_and(|i| i.len() == 4 && is_bits(i))
            && ahead
                .item()
                .is_some_and(|i| (1..=4).contains(&i.len()) && is_bits(i))
            && ahead
                .item()
                .is_some_and(|i| matches!(decimal(i), Ok(([], _))))
    }

    /// A tail with its checksum, and nothing after it.
    fn tail(mut self, tail: &Layout, reading: &mut Reading) -> Option<()> {
        let record = &mut *reading.record;
        record.analog = Few::default();
        record.odometer_m = None;
        record.more = None;
        let before_tail = reading.stated;
        for slot in &tail.0 {
            if slot.is_optional {
                return None;
            }
            if slot.field == Field::Checksum {
                if before_tail.is_none() {
                    let start = self.to.checked_sub(self.rest.len())?;
                    let end = start.checked_add(self.item()?.len())?;
                    reading.stated = stated_item(self.raw, start..end);
                    reading.stated?;
                }
                continue;
            }
            let item = match self.rest {
                [b'(', b')', b',', rest @ ..] => {
                    self.rest = rest;
                    b"()"
                }
                b"()" => {
                    self.rest = &[];
                    b"()"
                }
                _ => self.item()?,
            };
            let is_plain = !matches!(item, [b' ' | b'<' | b'{' | b'"', ..] | [.., b' '])
                && (item == b"()" || !item.starts_with(b"("));
            let fits = is_plain && shape(slot.field, item);
            let is_kept = slot.field == Field::Text || record.set(slot.field, self.raw, item);
            (fits && is_kept).then_some(())?;
        }
        (self.rest.is_empty() && reading.stated.is_some()).then_some(())
    }
}

/// `EMR` and `SEM` among the first items make another kind of packet.
#[inline]
fn not_an_emergency(word: &[u8]) -> Option<()> {
    (!matches!(word, b"EMR" | b"SEM")).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::Items;
    use crate::layout::{Reader, Silent};
    use crate::{Dialects, Frame};

    const PACKETS: [(&str, &str); 4] = [
        (
            "roadpoint",
            "$NRM,ROADRPA,1.0.0,NR,01,L,123456789012347,KA01AB1234,1,05032024,061530,12.976545,N,\
             77.549759,E,32.5,118.0,11,914.0,1.20,0.80,Airtel,1,1,12.6,4.1,0,C,24,404,45,61B4,9AD9,\
             31,61B4,9ADB,28,61B4,9AE1,22,61B5,1F03,19,61B5,1F07,0001,00,000127,E4D8987B*",
        ),
        (
            "itriangle",
            "$Header,iTriangle,1_37T02,NR,1,L,123456789012347,KA01I2000,1,19042018,102926,22.846401,\
             N,75.948952,E,0.0,311,5,578.0,3.80,3.67,AirTel,0,1,12.5,4.3,0,C,14,404,93,0456,16db,29,\
             ebd8,0458,28,3843,18ab,25,072e,18ab,22,35da,0458,0000,00,031181,0.0,0.0,0,()*5A",
        ),
        (
            "satcop",
            "$,ID01,V,1.0,NR,01,H,123456789012347,KA01,0,05032024,061530,12.976545,S,77.549759,W,\
             32.5,118.0,11,914.0,1.20,0.80,,1,1,12.6,4.1,1,24,404,45,61B4,9AD9A,9ADB,61B4,31,9AE1,\
             61B4,28,1F03,61B5,22,1F07,61B5,19,0001,00,1.5,2.5,000127,8B,*",
        ),
        (
            "rlp",
            "$RLP,V,1.0,NR,01,L,123456789012347,KA01,05032024,061530,1,12.976545,N,77.549759,E,32.5,\
             118.0,11,914.0,1.20,0.80,Idea,1,1,12.6,4.1,0,C,24,404,45,61B4,9AD9,9ADB,61B4,31,9AE1,\
             61B4,28,1F03,61B5,22,1F07,61B5,19,0001,00,000127,12.5,8B,*",
        ),
    ];

    /// Whether this reader took the packet; if it did, the anchored one must agree.
    fn agrees(dialect: &Dialect, packet: Vec<u8>) -> bool {
        let frame = Frame::new(packet.into());
        let raw = frame.raw();
        let (from, to) = (frame.header().len() + 1, frame.body().len());
        let Some(found) = read(raw, (from, to), dialect, None, frame.stated()) else {
            return false;
        };
        let items = Items::cut(raw, from, to, false);
        let reader = Reader::new(raw, &items, dialect, None, frame.stated(), Silent);
        let [layout] = dialect.layouts(Kind::Tracking) else {
            panic!("one layout")
        };
        let (anchored, _) = reader.run(layout);
        assert_eq!(found.record, anchored.record, "{raw:?}");
        assert_eq!(found.stated, anchored.stated, "{raw:?}");
        assert_eq!(found.evidence, anchored.evidence, "{raw:?}");
        assert!(anchored.is_exact, "{raw:?}");
        true
    }

    #[test]
    fn what_is_read_in_one_pass_is_what_the_anchored_reader_reads() {
        let dialects = Dialects::builtin();
        for (name, packet) in PACKETS {
            let dialect = dialects.by_name(name).unwrap();
            assert!(agrees(dialect, packet.into()), "{packet}");
            for at in packet.find(',').unwrap()..packet.len() {
                for byte in *b",0159AHNSEW. -+%$*()<{\"x\xff" {
                    let mut damaged = packet.as_bytes().to_vec();
                    damaged[at] = byte;
                    agrees(dialect, damaged);
                    let mut longer = packet.as_bytes().to_vec();
                    longer.insert(at, byte);
                    agrees(dialect, longer);
                }
                let mut shorter = packet.as_bytes().to_vec();
                shorter.remove(at);
                agrees(dialect, shorter);
            }
        }
    }
}
