//! The last fixes of a device, 18 bytes each.

use milepost_telemetry::Rejected;

use super::column::{self, Guess};
use super::sample::{REASONS, Sample, Source, number};

/// How many samples are kept.
pub(crate) const KEPT: usize = 64;
/// How old the oldest may be, milliseconds.
pub(crate) const KEPT_MS: i64 = 2 * 3_600_000;

const NONE: u16 = u16::MAX;

/// The last samples in the order of their time. A field per array, so that no space is lost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recent {
    /// The newest time; the others are kept as the low 32 bits.
    newest_ms: i64,
    pub(crate) len: u8,
    time: [u32; KEPT],
    latitude: [i32; KEPT],
    longitude: [i32; KEPT],
    /// cm/s
    speed: [u16; KEPT],
    /// 0.01°
    course: [u16; KEPT],
    /// HDOP in tenths up to 12.7, or 128 and the satellites.
    quality: [u8; KEPT],
    /// See the constants.
    flags: [u8; KEPT],
}

const HAS_POSITION: u8 = 1;
const USABLE: u8 = 2;
const IGNITION_KNOWN: u8 = 4;
const IGNITION: u8 = 8;
/// Reason plus one, 0 for none.
const REASON_SHIFT: u32 = 4;

impl Default for Recent {
    fn default() -> Self {
        Self {
            newest_ms: 0,
            len: 0,
            time: [0; KEPT],
            latitude: [0; KEPT],
            longitude: [0; KEPT],
            speed: [0; KEPT],
            course: [0; KEPT],
            quality: [0; KEPT],
            flags: [0; KEPT],
        }
    }
}

/// A time and a place.
pub(crate) type Neighbour = (i64, (f64, f64));

/// A kept sample, read back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) sample: Sample,
    pub(crate) rejected: Option<Rejected>,
}

impl Recent {
    /// Keeps a sample in the order of time; one that is too old is not kept.
    pub(crate) fn insert(&mut self, sample: &Sample, rejected: Option<Rejected>) {
        let at = self.place(sample.time_ms);
        let len = usize::from(self.len);
        if len == KEPT && at == 0 {
            return;
        }
        if len > 0 && sample.time_ms < self.newest_ms - KEPT_MS {
            return;
        }
        let at = if len == KEPT {
            self.shift_out(at);
            at - 1
        } else {
            self.shift_in(at, len);
            self.len += 1;
            at
        };
        self.newest_ms = if len == 0 {
            sample.time_ms
        } else {
            self.newest_ms.max(sample.time_ms)
        };
        self.write(at, sample, rejected);
        self.expire();
    }

    /// The samples, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Kept> + Clone + '_ {
        (0..usize::from(self.len)).filter_map(|at| self.read(at))
    }

    /// Whether this very fix is kept already.
    pub(crate) fn holds(&self, sample: &Sample) -> bool {
        let Some((latitude, longitude)) = sample.position else {
            return false;
        };
        (0..usize::from(self.len)).any(|at| {
            self.time_at(at) == Some(sample.time_ms)
                && self.latitude.get(at) == Some(&fixed(latitude))
                && self.longitude.get(at) == Some(&fixed(longitude))
        })
    }

    /// The believed fixes next to a time: the last one before it and the first one after it.
    pub(crate) fn neighbours(&self, time_ms: i64) -> (Option<Neighbour>, Option<Neighbour>) {
        let (mut before, mut after) = (None, None);
        for kept in self.iter() {
            let sample = kept.sample;
            let (None, false, Some(place)) = (kept.rejected, sample.invalid, sample.position)
            else {
                continue;
            };
            if sample.time_ms < time_ms {
                before = Some((sample.time_ms, place));
            } else if sample.time_ms > time_ms {
                after = Some((sample.time_ms, place));
                break;
            }
        }
        (before, after)
    }

    /// The time of the oldest, if any.
    pub(crate) fn oldest_ms(&self) -> Option<i64> {
        (self.len > 0).then(|| self.time_at(0)).flatten()
    }

    /// The time of the believed fix that comes `back` fixes before the newest one.
    pub(crate) fn believed_ms(&self, back: u8) -> Option<i64> {
        self.iter()
            .rev()
            .filter(|kept| kept.rejected.is_none() && !kept.sample.invalid)
            .nth(usize::from(back))
            .map(|kept| kept.sample.time_ms)
    }

    /// Marks the newest usable samples as rejected or believed, after a return or a new place.
    pub(crate) fn revise(&mut self, mut count: u8, rejected: Option<Rejected>) {
        for at in (0..usize::from(self.len)).rev() {
            let Some(flags) = self.flags.get_mut(at) else {
                continue;
            };
            if count == 0 {
                return;
            }
            let reason = *flags >> REASON_SHIFT;
            let candidate = reason == code(Rejected::Jump);
            let believed = reason == 0 && *flags & USABLE != 0;
            if (rejected.is_none() && candidate) || (rejected.is_some() && (believed || candidate))
            {
                *flags = (*flags & 0x0F) | rejected.map_or(0, code) << REASON_SHIFT;
                count -= 1;
            }
        }
    }

    /// Whether an earlier record returns: same position, speed and course; and whether the newest
    /// position is the same although the speed differs.
    pub(crate) fn repeats(&self, sample: &Sample) -> Repeat {
        let Some((latitude, longitude)) = sample.position else {
            return Repeat::None;
        };
        let (lat, lon) = (fixed(latitude), fixed(longitude));
        let (speed, course) = (speed_code(sample.speed), course_code(sample.course));
        let mut newest = true;
        for at in (0..usize::from(self.len)).rev() {
            let flags = self.flags.get(at).copied().unwrap_or(0);
            if flags & USABLE == 0 {
                continue;
            }
            let same = self.latitude.get(at) == Some(&lat) && self.longitude.get(at) == Some(&lon);
            if same && self.speed.get(at) == Some(&speed) && self.course.get(at) == Some(&course) {
                return Repeat::Record;
            }
            if same && newest {
                return Repeat::Position;
            }
            newest = false;
        }
        Repeat::None
    }

    fn place(&self, time_ms: i64) -> usize {
        let mut at = usize::from(self.len);
        while at > 0 && self.time_at(at - 1).is_some_and(|t| t > time_ms) {
            at -= 1;
        }
        at
    }

    fn time_at(&self, at: usize) -> Option<i64> {
        let low = *self.time.get(at)?;
        let newest = self.newest_ms as u32;
        Some(self.newest_ms - i64::from(newest.wrapping_sub(low)))
    }

    fn shift_in(&mut self, at: usize, len: usize) {
        let end = (len + 1).min(KEPT);
        macro_rules! shift { ($($field:ident)*) => { $(
            if let Some(part) = self.$field.get_mut(at..end) { part.rotate_right(1); }
        )* } }
        shift!(time latitude longitude speed course quality flags);
    }

    fn shift_out(&mut self, at: usize) {
        macro_rules! shift { ($($field:ident)*) => { $(
            if let Some(part) = self.$field.get_mut(..at) { part.rotate_left(1); }
        )* } }
        shift!(time latitude longitude speed course quality flags);
    }

    fn expire(&mut self) {
        while self.len > 0
            && self
                .time_at(0)
                .is_some_and(|t| t < self.newest_ms - KEPT_MS)
        {
            let len = usize::from(self.len);
            self.shift_out(len);
            self.len -= 1;
            // What is unused is always zero, so that equal states are equal.
            macro_rules! clear { ($($field:ident)*) => { $(
                if let Some(slot) = self.$field.get_mut(len - 1) { *slot = 0; }
            )* } }
            clear!(time latitude longitude speed course quality flags);
        }
    }

    fn write(&mut self, at: usize, sample: &Sample, rejected: Option<Rejected>) {
        let (latitude, longitude) = sample.position.unwrap_or((0.0, 0.0));
        let mut flags = rejected.map_or(0, code) << REASON_SHIFT;
        if sample.position.is_some() {
            flags |= HAS_POSITION;
        }
        if sample.source == Source::Gnss && !sample.invalid && sample.position.is_some() {
            flags |= USABLE;
        }
        if let Some(on) = sample.ignition {
            flags |= IGNITION_KNOWN | if on { IGNITION } else { 0 };
        }
        let quality = match (sample.hdop, sample.satellites) {
            (Some(hdop), _) => (hdop * 10.0).round().clamp(1.0, 127.0) as u8,
            (None, Some(satellites)) => 128 | satellites.min(126).saturating_add(1),
            (None, None) => 0,
        };
        macro_rules! put { ($($field:ident = $value:expr,)*) => { $(
            if let Some(slot) = self.$field.get_mut(at) { *slot = $value; }
        )* } }
        put! {
            time = sample.time_ms as u32,
            latitude = fixed(latitude),
            longitude = fixed(longitude),
            speed = speed_code(sample.speed),
            course = course_code(sample.course),
            quality = quality,
            flags = flags,
        }
    }

    fn read(&self, at: usize) -> Option<Kept> {
        let flags = *self.flags.get(at)?;
        let quality = *self.quality.get(at)?;
        let (speed, course) = (*self.speed.get(at)?, *self.course.get(at)?);
        let place = (
            f64::from(*self.latitude.get(at)?) * 1e-7,
            f64::from(*self.longitude.get(at)?) * 1e-7,
        );
        Some(Kept {
            sample: Sample {
                time_ms: self.time_at(at)?,
                position: (flags & HAS_POSITION != 0).then_some(place),
                speed: (speed != NONE).then(|| f32::from(speed) / 100.0),
                course: (course != NONE).then(|| f32::from(course) / 100.0),
                hdop: (quality > 0 && quality < 128).then(|| f32::from(quality) / 10.0),
                satellites: (quality > 128).then(|| (quality & 127) - 1),
                invalid: flags & USABLE == 0,
                ignition: (flags & IGNITION_KNOWN != 0).then_some(flags & IGNITION != 0),
                ..Sample::default()
            },
            rejected: (flags >> REASON_SHIFT)
                .checked_sub(1)
                .and_then(|reason| REASONS.get(usize::from(reason)).copied()),
        })
    }

    /// Everything in bytes, see `snapshot.rs`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let len = usize::from(self.len);
        out.extend_from_slice(&self.newest_ms.to_be_bytes());
        out.push(self.len);
        macro_rules! put { ($($field:ident by $guess:ident,)*) => { $(
            column::write(self.$field.get(..len).unwrap_or(&[]), Guess::$guess, out);
        )* } }
        put! {
            time by Line, latitude by Line, longitude by Line, speed by Same, course by Same,
            quality by Same, flags by Same,
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut recent = Self {
            newest_ms: i64::from_be_bytes(take(bytes)?),
            ..Self::default()
        };
        let [len] = take(bytes)?;
        if usize::from(len) > KEPT {
            return None;
        }
        recent.len = len;
        macro_rules! read { ($($field:ident by $guess:ident,)*) => { $(
            let slots = recent.$field.get_mut(..usize::from(len))?;
            column::read(slots, Guess::$guess, bytes)?;
        )* } }
        read! {
            time by Line, latitude by Line, longitude by Line, speed by Same, course by Same,
            quality by Same, flags by Same,
        }
        Some(recent)
    }
}

/// Splits an array off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// How a sample repeats earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    None,
    /// The newest position again, with another speed or course.
    Position,
    /// A whole record.
    Record,
}

/// A reason in four bits; 0 is none.
fn code(reason: Rejected) -> u8 {
    u8::try_from(number(reason) + 1).unwrap_or(1)
}

/// 1e-7 degrees: 11 mm.
fn fixed(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

fn speed_code(speed: Option<f32>) -> u16 {
    speed.map_or(NONE, |s| (s * 100.0).round().clamp(0.0, 65_534.0) as u16)
}

fn course_code(course: Option<f32>) -> u16 {
    course.map_or(NONE, |c| {
        (c.rem_euclid(360.0) * 100.0).round().clamp(0.0, 36_000.0) as u16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64) -> Sample {
        Sample {
            time_ms: second * 1_000,
            position: Some((48.0 + second as f64 * 1e-4, -11.0)),
            speed: Some(12.34),
            course: Some(271.5),
            hdop: Some(0.9),
            ignition: Some(true),
            ..Sample::default()
        }
    }

    #[test]
    fn samples_come_back_in_order_of_time_however_they_arrive() {
        let mut recent = Recent::default();
        for second in [30, 10, 20, 50, 40] {
            recent.insert(&sample(second), (second == 20).then_some(Rejected::Frozen));
        }
        let kept: Vec<_> = recent.iter().collect();
        let times: Vec<_> = kept.iter().map(|k| k.sample.time_ms / 1_000).collect();
        assert_eq!(times, [10, 20, 30, 40, 50]);
        assert_eq!(kept[1].rejected, Some(Rejected::Frozen));
        let (read, written) = (kept[0].sample, sample(10));
        assert!((read.position.unwrap().0 - written.position.unwrap().0).abs() < 1e-7);
        assert_eq!(read.speed, written.speed);
        assert_eq!(read.course, written.course);
        assert_eq!(read.hdop, written.hdop);
        assert_eq!(read.ignition, written.ignition);
        assert_eq!(recent.neighbours(35_000).1.unwrap().0, 40_000);
    }

    #[test]
    fn only_the_last_fixes_of_two_hours_are_kept() {
        let mut recent = Recent::default();
        for second in 0..200 {
            recent.insert(&sample(second), None);
        }
        assert_eq!(usize::from(recent.len), KEPT);
        assert_eq!(recent.oldest_ms(), Some(136_000));
        recent.insert(&sample(199 + 7_200 - 10), None);
        assert_eq!(recent.oldest_ms(), Some(189_000));
        recent.insert(&sample(0), None);
        assert_eq!(recent.oldest_ms(), Some(189_000), "too old to be kept");
    }
}
