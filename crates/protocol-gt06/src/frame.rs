//! Frames: what delimits them, before any field is read.
//!
//! | part | `78 78` | `79 79` | checksum covers it |
//! |---|---|---|---|
//! | start marker | 2 | 2 | |
//! | length: number + body + serial + checksum | 1 | 2 | yes |
//! | number | 1 | 1 | yes |
//! | body | length − 5 | length − 5 | yes |
//! | serial | 2 | 2 | yes |
//! | checksum | 2 | 2 | |
//! | stop, `0D 0A` | 2 | 2 | |
//!
//! Nothing is escaped: bodies may hold `78 78`, `79 79` and `0D 0A`, so only the length delimits,
//! and the length may lie. [`find`] holds the rules for both.

use core::fmt;
use core::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::checksum::{Digest, checksum};
use crate::relative;

/// The longest frame with a one-byte length.
pub const MAX_SHORT: usize = 260;
/// The longest frame with a two-byte length.
pub const MAX_LONG: usize = 65_541;
/// How far a lying two-byte length is looked behind.
const MAX_SEARCHED: usize = 2_048;
/// Number, serial, checksum: no announced length is less.
const MIN_LENGTH: u16 = 5;
const STOP: [u8; 2] = [0x0d, 0x0a];

/// How a frame starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Start {
    /// `78 78` and a length of one byte.
    Short,
    /// `79 79` and a length of two bytes.
    Long,
    /// `78 78` and a length of two bytes, the first of them 0: only address replies (0x97) of a
    /// server, as an old manual prints them.
    Wide,
}

impl Start {
    /// The start marker.
    #[must_use]
    pub const fn marker(self) -> [u8; 2] {
        match self {
            Self::Short | Self::Wide => [0x78, 0x78],
            Self::Long => [0x79, 0x79],
        }
    }

    /// The number's place in the frame: behind marker and length.
    #[must_use]
    pub const fn number_offset(self) -> usize {
        match self {
            Self::Short => 3,
            Self::Long | Self::Wide => 4,
        }
    }

    /// What the length does not count: marker, the length itself, stop.
    const fn overhead(self) -> usize {
        self.number_offset() + 2
    }
}

/// The verdict on a frame's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Checksum {
    /// It is right.
    Valid,
    /// It is wrong; some devices always send a wrong one.
    Mismatch,
    /// The dialect has neither checksum nor serial number.
    Absent,
}

/// Everything about a frame but its bytes.
///
/// Packed, so that it is handed around in a register: put into memory part by part and taken from
/// there as a whole it made every frame wait.
///
/// | bits | content |
/// |---|---|
/// | 0–19 | size |
/// | 20–35 | announced length |
/// | 36–51 | serial |
/// | 52–59 | number |
/// | 60–61 | start |
/// | 62–63 | checksum |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head(u64);

impl Head {
    #[inline(always)]
    const fn new(
        start: Start,
        number: u8,
        checksum: Checksum,
        announced: u16,
        serial: u16,
        len: usize,
    ) -> Self {
        debug_assert!(len <= MAX_LONG, "no frame is longer");
        Self(
            (len as u64 & 0xf_ffff)
                | (announced as u64) << 20
                | (serial as u64) << 36
                | (number as u64) << 52
                | (start as u64) << 60
                | (checksum as u64) << 62,
        )
    }

    /// How the frame starts.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> Start {
        match self.0 >> 60 & 0b11 {
            0 => Start::Short,
            1 => Start::Long,
            _ => Start::Wide,
        }
    }

    /// The message's number (protocol number).
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        (self.0 >> 52 & 0xff) as u8
    }

    /// The verdict on the checksum.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> Checksum {
        match self.0 >> 62 {
            0 => Checksum::Valid,
            1 => Checksum::Mismatch,
            _ => Checksum::Absent,
        }
    }

    /// The length that the frame announces, true or not.
    #[inline]
    #[must_use]
    pub const fn announced(&self) -> u16 {
        (self.0 >> 20 & 0xffff) as u16
    }

    /// The length that a truthful frame with this body announces: the L of the manuals' tables.
    #[inline]
    #[must_use]
    pub const fn length(&self) -> usize {
        self.len().saturating_sub(self.start().overhead())
    }

    /// The device's counter of frames.
    #[inline]
    #[must_use]
    pub const fn serial(&self) -> Option<u16> {
        match self.checksum() {
            Checksum::Absent => None,
            Checksum::Valid | Checksum::Mismatch => Some((self.0 >> 36 & 0xffff) as u16),
        }
    }

    /// The size of the whole frame in bytes.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub const fn len(&self) -> usize {
        (self.0 & 0xf_ffff) as usize
    }

    /// Where the body lies in the frame.
    #[inline]
    #[must_use]
    pub const fn body(&self) -> Range<usize> {
        let behind = match self.checksum() {
            Checksum::Absent => 2,
            Checksum::Valid | Checksum::Mismatch => 6,
        };
        let start = self.start().number_offset() + 1;
        let end = self.len().saturating_sub(behind);
        start..if end < start { start } else { end }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("start", &self.start())
            .field("number", &self.number())
            .field("checksum", &self.checksum())
            .field("announced", &self.announced())
            .field("serial", &self.serial())
            .field("len", &self.len())
            .finish()
    }
}

/// A delimited frame with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    head: Head,
    raw: Bytes,
}

impl Frame {
    pub(crate) const fn new(head: Head, raw: Bytes) -> Self {
        Self { head, raw }
    }

    /// Reads bytes that are said to be exactly one frame, such as one that was kept.
    ///
    /// `None` if they are not. For a stream use the [`Deframer`](crate::Deframer).
    #[must_use]
    pub fn parse(raw: Bytes, framing: Framing) -> Option<Self> {
        let head = match find(&raw, true, framing) {
            Found::Frame(head) if head.len() == raw.len() => head,
            // What seems to begin inside it was told by what came behind it, which is not kept.
            _ => whole(&raw)?,
        };
        Some(Self::new(head, raw))
    }

    /// Everything but the bytes.
    #[inline]
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// All bytes, as they came.
    #[inline]
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The body: what stands between the number and the serial number.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.raw.get(self.head.body()).unwrap_or_default()
    }

    /// The message's number (protocol number).
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.head.number()
    }

    /// How the frame starts.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> Start {
        self.head.start()
    }

    /// The device's counter of frames.
    #[inline]
    #[must_use]
    pub const fn serial(&self) -> Option<u16> {
        self.head.serial()
    }

    /// The verdict on the checksum.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> Checksum {
        self.head.checksum()
    }
}

/// Writes a frame with a true length and checksum around the body that `body` writes.
///
/// A body that is too long for the length field is cut to what fits.
pub fn encode(
    start: Start,
    number: u8,
    serial: u16,
    out: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut),
) {
    let begin = out.len();
    out.put_slice(&start.marker());
    out.put_bytes(0, start.number_offset() - 2);
    out.put_u8(number);
    let body_begin = out.len();
    body(out);
    let room = match start {
        Start::Short | Start::Wide => usize::from(u8::MAX),
        Start::Long => usize::from(u16::MAX),
    } - usize::from(MIN_LENGTH);
    out.truncate(body_begin + room);
    let length = u16::try_from(out.len() - body_begin).unwrap_or(u16::MAX) + MIN_LENGTH;
    let [high, low] = length.to_be_bytes();
    match (out.get_mut(begin + 2..body_begin), start) {
        (Some([short, ..]), Start::Short) => *short = low,
        (Some([first, second, ..]), _) => (*first, *second) = (high, low),
        _ => {}
    }
    out.put_u16(serial);
    let sum = checksum(out.get(begin + 2..).unwrap_or_default());
    out.put_u16(sum);
    out.put_slice(&STOP);
}

/// Writes a frame of the relatives without serial and checksum (Topin, ZX303).
pub fn encode_relative(announced: u8, number: u8, out: &mut BytesMut, body: &[u8]) {
    out.put_slice(&Start::Short.marker());
    out.put_u8(announced);
    out.put_u8(number);
    out.put_slice(body);
    out.put_slice(&STOP);
}

/// What is known about the frames of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// Serial and checksum are expected, frames without are recognised by their shape.
    #[default]
    Checked,
    /// The device belongs to the relatives without serial and checksum.
    Bare,
}

/// What stands at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A frame.
    Frame(Head),
    /// This many bytes (at least one) that belong to no frame.
    Skip(usize),
    /// Undecided before there are this many bytes in all.
    More(usize),
}

/// Finds what stands at the front of `src`.
///
/// What it finds does not depend on how the stream was cut: everything is decided at a byte of
/// the stream that follows from the bytes before it. Only `quiet` (the sender has paused) decides
/// with what is there.
///
/// 1. A start whose announced end has come, with stop bytes and a right checksum: a frame.
///    Before the announced end has come nothing is decided, since bodies may hold stop bytes.
/// 2. The announced end is wrong or its checksum is: the earliest of
///    - stop bytes whose checksum is right for the bytes as sent (the length lies);
///    - a frame with a right checksum that begins further inside: the outer one ends at its
///      announced end, or at the stop bytes, before it, or is no frame at all;
///    - the announced end with stop bytes: a frame with a wrong checksum;
///    - stop bytes that a start marker follows (or, after a pause, nothing): a frame with a wrong
///      checksum or none.
/// 3. None of these within the longest possible frame: on to the next start marker.
#[inline]
#[must_use]
pub fn find(src: &[u8], quiet: bool, framing: Framing) -> Found {
    if matches!(framing, Framing::Checked)
        && let Some(head) = usual(src)
    {
        return Found::Frame(head);
    }
    find_other(src, quiet, framing)
}

/// A whole short frame with a right checksum, which nearly all are.
#[inline(always)]
fn usual(src: &[u8]) -> Option<Head> {
    let [m1, m0, length, number, ..] = *src else {
        return None;
    };
    if [m1, m0] != Start::Short.marker() || u16::from(length) < MIN_LENGTH {
        return None;
    }
    let len = usize::from(length) + Start::Short.overhead();
    let [_, _, covered @ .., c1, c0, e1, e0] = src.get(..len)? else {
        return None;
    };
    // Length, number and serial at least: the shortest length is 5.
    let [_, _, .., s1, s0] = covered else {
        return None;
    };
    if [*e1, *e0] != STOP {
        return None;
    }
    (checksum(covered) == u16::from_be_bytes([*c1, *c0])).then(|| {
        let serial = u16::from_be_bytes([*s1, *s0]);
        let announced = u16::from(length);
        Head::new(
            Start::Short,
            number,
            Checksum::Valid,
            announced,
            serial,
            len,
        )
    })
}

#[inline(never)]
fn find_other(src: &[u8], quiet: bool, framing: Framing) -> Found {
    let announced = announced(src);
    if let Announced::Whole(head) = announced
        && matches!(head.checksum(), Checksum::Valid)
        // Among the relatives a shorter one of theirs was whole before it.
        && (matches!(framing, Framing::Checked)
            || relative_frame(src).is_none_or(|other| other.len() >= head.len()))
    {
        return Found::Frame(head);
    }
    find_slowly(src, announced, quiet, framing)
}

/// A relative's frame that has come, unless a frame with a right checksum begins in it: a false
/// start and what follows may have that size too.
fn relative_frame(src: &[u8]) -> Option<Head> {
    let Some(relative::Size::Exactly(len)) = relative::find(src) else {
        return None;
    };
    let frame = src.get(..len)?;
    if starts(frame).any(|at| is_valid_at(frame, at)) {
        return None;
    }
    bare_head(frame)
}

/// What the length at the front announces.
#[derive(Clone, Copy)]
enum Announced {
    /// No start marker.
    Nothing,
    /// The length has not come.
    NoLength,
    /// Too short for number, serial and checksum.
    Implausible(Start),
    /// The end has not come.
    Partial(Start, usize),
    /// There are no stop bytes at the end.
    NoStop(Start, usize),
    /// Stop bytes are where they should be.
    Whole(Head),
}

#[inline]
fn announced(src: &[u8]) -> Announced {
    let (start, length) = match src {
        [0x78, 0x78, length, ..] => (Start::Short, u16::from(*length)),
        [0x79, 0x79, high, low, ..] => (Start::Long, u16::from_be_bytes([*high, *low])),
        [0x78, 0x78] | [0x79, 0x79, ..] | [0x78 | 0x79] => return Announced::NoLength,
        _ => return Announced::Nothing,
    };
    announced_by(src, start, length)
}

#[inline]
fn announced_by(src: &[u8], start: Start, length: u16) -> Announced {
    if length < MIN_LENGTH {
        return Announced::Implausible(start);
    }
    let end = usize::from(length) + start.overhead();
    let Some(frame) = src.get(..end) else {
        return Announced::Partial(start, end);
    };
    checked_head(frame, start, length).map_or(Announced::NoStop(start, end), Announced::Whole)
}

/// Whether a whole frame with a right checksum begins there.
fn is_valid_at(src: &[u8], at: usize) -> bool {
    matches!(
        src.get(at..).map(announced),
        Some(Announced::Whole(head)) if matches!(head.checksum(), Checksum::Valid)
    )
}

/// The size of the frame at the front, by its own length.
fn announced_size(src: &[u8]) -> Option<usize> {
    match announced(src) {
        Announced::Partial(_, len) | Announced::NoStop(_, len) => Some(len),
        Announced::Whole(head) => Some(head.len()),
        Announced::Nothing | Announced::NoLength | Announced::Implausible(_) => None,
    }
}

/// The head of a frame with serial and checksum that is exactly these bytes, if stop bytes end it.
#[inline]
fn checked_head(frame: &[u8], start: Start, announced: u16) -> Option<Head> {
    let [_, _, covered @ .., c1, c0, 0x0d, 0x0a] = frame else {
        return None;
    };
    let [.., s1, s0] = covered else { return None };
    let verdict = if checksum(covered) == u16::from_be_bytes([*c1, *c0]) {
        Checksum::Valid
    } else {
        Checksum::Mismatch
    };
    let number = *frame.get(start.number_offset())?;
    let serial = u16::from_be_bytes([*s1, *s0]);
    Some(Head::new(
        start,
        number,
        verdict,
        announced,
        serial,
        frame.len(),
    ))
}

#[cold]
fn find_slowly(src: &[u8], announced: Announced, quiet: bool, framing: Framing) -> Found {
    let (start, end) = match announced {
        Announced::Nothing => return skip_to_start(src),
        Announced::NoLength => return Found::More(src.len() + 1),
        Announced::Implausible(start) => (start, None),
        Announced::Partial(start, end) | Announced::NoStop(start, end) => (start, Some(end)),
        Announced::Whole(head) => (head.start(), Some(head.len())),
    };
    if matches!(framing, Framing::Bare) || end.is_none() {
        // A relative tells its size in ways of its own.
        if let Some(head) = relative_frame(src) {
            return Found::Frame(head);
        }
        if let Some(relative::Size::More(len)) = relative::find(src)
            && !quiet
            && len > src.len()
        {
            // Where the announced end comes before, it is a frame if its checksum is right.
            let end = end.filter(|end| *end > src.len());
            return Found::More(end.map_or(len, |end| end.min(len)));
        }
    }
    // An old manual's address reply: `78 78 00 NN 97`.
    if let [0x78, 0x78, 0x00, low, 0x97, ..] = src {
        match announced_by(src, Start::Wide, u16::from(*low)) {
            Announced::Whole(head) if matches!(head.checksum(), Checksum::Valid) => {
                return Found::Frame(head);
            }
            Announced::Partial(_, end) if !quiet => return Found::More(end),
            _ => {}
        }
    }
    let earliest = end.unwrap_or(0);
    if src.len() < earliest && !quiet {
        return Found::More(earliest);
    }
    if earliest > MAX_SEARCHED && !matches!(announced, Announced::Whole(_)) && !quiet {
        return skip_to_next_start(src);
    }
    let limit = earliest.max(MAX_SHORT);
    Search {
        src,
        window: src.get(..limit).unwrap_or(src),
        start,
        earliest,
        quiet,
        framing,
    }
    .run(match announced {
        Announced::Whole(head) => Some(head),
        _ => None,
    })
    .unwrap_or_else(|| {
        if src.len() < limit {
            Found::More(src.len() + 1)
        } else {
            skip_to_next_start(src)
        }
    })
}

/// The search for a frame's true end. Every candidate has the byte of the stream at which it is
/// known; the one that is known first wins, so that it does not matter how the stream was cut.
struct Search<'a> {
    src: &'a [u8],
    window: &'a [u8],
    start: Start,
    earliest: usize,
    quiet: bool,
    framing: Framing,
}

impl Search<'_> {
    fn run(&self, announced: Option<Head>) -> Option<Found> {
        let limit = self.earliest.max(self.window.len());
        // Where the frame may end with a wrong checksum, or none.
        let hard = self.hard_end();
        let unchecked = announced
            .map(|head| (head.len(), self.earliest))
            .or(hard)
            .map(|(end, known)| (end, known.max(self.settled(end))));
        let until = unchecked.map_or(limit, |(_, known)| known.max(limit));
        let inner = self.inner_frame(until);

        // By chance one in 65 536 ends of a false start has a right checksum too: a whole frame
        // inside it is the better witness.
        if let Some(head) = self.end_with_right_checksum()
            && inner.is_none_or(|(at, known)| at >= head.len() || self.known(head.len()) < known)
            && unchecked.is_none_or(|(_, known)| self.known(head.len()) <= known)
        {
            return Some(Found::Frame(head));
        }
        if let Some((at, known)) = inner
            && unchecked.is_none_or(|(_, other)| known <= other)
        {
            let announced = announced.map(|head| head.len());
            let outer = [announced, hard.map(|(end, _)| end)]
                .into_iter()
                .flatten()
                .find(|end| *end <= at);
            return Some(match outer {
                _ if known > self.src.len() && !self.quiet => self.look_again(),
                Some(end) => self.unchecked(end),
                None => Found::Skip(at),
            });
        }
        unchecked.map(|(end, known)| {
            if known > self.src.len() && !self.quiet {
                self.look_again()
            } else {
                self.unchecked(end)
            }
        })
    }

    /// Not to be decided yet, but any byte may end something that is known before the rest is.
    const fn look_again(&self) -> Found {
        Found::More(self.src.len() + 1)
    }

    /// The byte of the stream at which it is known whether a frame begins before `end` that does
    /// not end before it.
    fn settled(&self, end: usize) -> usize {
        starts(self.src.get(..end).unwrap_or(self.src))
            .filter(|at| *at + 4 <= end)
            .filter_map(|at| match announced_size(self.src.get(at..)?) {
                Some(len) if len <= MAX_SEARCHED => Some(at + len),
                _ => None,
            })
            // After a pause nothing more comes for now that could settle it.
            .map(|known| {
                if self.quiet {
                    known.min(self.src.len())
                } else {
                    known
                }
            })
            .max()
            .unwrap_or(0)
    }

    /// The byte of the stream at which something that ends at `end` is known.
    fn known(&self, end: usize) -> usize {
        end.max(self.earliest)
    }

    /// All ends by stop bytes, ascending.
    fn ends(&self) -> impl Iterator<Item = usize> {
        let [first, second] = STOP;
        memchr::memchr_iter(first, self.window)
            .map(|at| at + STOP.len())
            .filter(move |end| self.window.get(end - 1) == Some(&second))
    }

    /// The first end whose checksum is right for the bytes as sent.
    fn end_with_right_checksum(&self) -> Option<Head> {
        let mut digest = Digest::new();
        let mut digested = 2;
        for end in self.ends() {
            let Some(covered_end) = end
                .checked_sub(4)
                .filter(|covered| *covered >= self.start.number_offset() + 3)
            else {
                continue;
            };
            digest.update(self.window.get(digested..covered_end).unwrap_or_default());
            digested = covered_end;
            let frame = self.window.get(..end)?;
            let [.., c1, c0, 0x0d, 0x0a] = frame else {
                continue;
            };
            if digest.finish() == u16::from_be_bytes([*c1, *c0]) {
                return checked_head(frame, self.start, announced_length(frame));
            }
        }
        None
    }

    /// The first frame with a right checksum that begins inside the window and ends before
    /// `until`: where it begins, and when that is known.
    fn inner_frame(&self, until: usize) -> Option<(usize, usize)> {
        let mut first: Option<(usize, usize)> = None;
        for at in starts(self.window) {
            let Some(Announced::Whole(head)) = self.src.get(at..).map(announced) else {
                continue;
            };
            let known = self.known(at + head.len());
            if known > until || !matches!(head.checksum(), Checksum::Valid) {
                continue;
            }
            // One that begins before it and ends behind it may be the frame of which it is part.
            let settled = self.settled(at).max(known);
            if first.is_none_or(|(_, other)| settled < other) {
                first = Some((at, settled));
            }
            if settled == self.earliest {
                break;
            }
        }
        first
    }

    /// The first stop bytes that a start marker follows or, after a pause, nothing: the end, and
    /// when that is known.
    fn hard_end(&self) -> Option<(usize, usize)> {
        let smallest = match self.start {
            // The relatives without serial and checksum.
            Start::Short | Start::Wide => 6,
            Start::Long => self.start.overhead() + usize::from(MIN_LENGTH),
        };
        self.ends().filter(|end| *end >= smallest).find_map(|end| {
            // In the window: what lies behind it may not have come when the search is given up.
            match self.window.get(end..end + 2) {
                Some([0x78, 0x78] | [0x79, 0x79]) => Some((end, self.known(end + 2))),
                None if self.quiet && end == self.src.len() => Some((end, self.known(end))),
                _ => None,
            }
        })
    }

    /// The frame up to `end`, whose checksum is wrong or absent.
    fn unchecked(&self, end: usize) -> Found {
        let Some(frame) = self.src.get(..end) else {
            return Found::More(end);
        };
        let checked = checked_head(frame, self.start, announced_length(frame))
            .filter(|head| head.body().end > self.start.number_offset())
            .filter(|head| head.len() >= self.start.overhead() + usize::from(MIN_LENGTH));
        let bare = || bare_head(frame);
        let head = match (self.start, self.framing, checked) {
            (Start::Short, Framing::Bare, _) => bare(),
            (Start::Short, Framing::Checked, Some(_)) if relative::fits(frame) => bare(),
            (_, _, Some(head)) => Some(head),
            (_, _, None) => bare(),
        };
        head.map_or(Found::Skip(1), Found::Frame)
    }
}

/// The head of a frame with a right checksum that is exactly these bytes, whatever its length says.
fn whole(raw: &[u8]) -> Option<Head> {
    let start = match raw {
        [0x78, 0x78, ..] => Start::Short,
        [0x79, 0x79, ..] => Start::Long,
        _ => return None,
    };
    // No further than a stream is searched.
    let announced = announced_length(raw);
    let limit = (usize::from(announced) + start.overhead()).max(MAX_SHORT);
    checked_head(raw, start, announced)
        .filter(|head| matches!(head.checksum(), Checksum::Valid))
        .filter(|head| (start.overhead() + usize::from(MIN_LENGTH)..=limit).contains(&head.len()))
}

/// The head of a frame without serial and checksum that is exactly these bytes.
fn bare_head(frame: &[u8]) -> Option<Head> {
    let [0x78, 0x78, announced, number, .., 0x0d, 0x0a] = frame else {
        return None;
    };
    let announced = u16::from(*announced);
    Some(Head::new(
        Start::Short,
        *number,
        Checksum::Absent,
        announced,
        0,
        frame.len(),
    ))
}

fn announced_length(frame: &[u8]) -> u16 {
    match frame {
        [0x79, 0x79, high, low, ..] => u16::from_be_bytes([*high, *low]),
        [_, _, length, ..] => u16::from(*length),
        _ => 0,
    }
}

/// Where start markers begin, from the second byte on. Overlapping ones count.
fn starts(src: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr2_iter(0x78, 0x79, src)
        .skip_while(|at| *at == 0)
        .filter(|at| matches!(src.get(*at..*at + 2), Some([0x78, 0x78] | [0x79, 0x79])))
}

/// Passes over what stands before the first start marker of bytes that do not begin with one.
fn skip_to_start(src: &[u8]) -> Found {
    if src.is_empty() {
        return Found::More(1);
    }
    skip_to_next_start(src)
}

/// Passes over the first byte and all others up to a start marker.
fn skip_to_next_start(src: &[u8]) -> Found {
    Found::Skip(starts(src).next().unwrap_or_else(|| {
        // The last byte may be the first half of a marker.
        match src {
            [_, .., 0x78 | 0x79] => src.len() - 1,
            _ => src.len(),
        }
    }))
}

/// Names what bytes look like that are no frames of ours.
#[must_use]
pub fn looks_like(src: &[u8]) -> Option<&'static str> {
    const HTTP: [&[u8]; 8] = [
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIONS",
        b"CONNECT",
        b"DELETE ",
        b"PRI * HTTP",
    ];
    if HTTP.iter().any(|verb| src.starts_with(verb)) {
        return Some("http");
    }
    match src {
        [0x16, 0x03, 0x00..=0x04, ..] => Some("tls"),
        [0x68, 0x68, ..] | [0x54, 0x68, ..] => Some("gt02"),
        [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => Some("proxy"),
        [
            0x0d,
            0x0a,
            0x0d,
            0x0a,
            0x00,
            0x0d,
            0x0a,
            b'Q',
            b'U',
            b'I',
            b'T',
            0x0a,
            ..,
        ] => Some("proxy"),
        [b'S', b'S', b'H', b'-', ..] => Some("ssh"),
        [b'*', b'H', b'Q', ..] => Some("h02"),
        [b'#', b'#', ..] => Some("gps103"),
        [b'i', b'm', b'e', b'i', b':', ..] => Some("gps103"),
        [
            b'+',
            b'R' | b'B' | b'A',
            b'E' | b'U' | b'C',
            b'S' | b'F' | b'K',
            ..,
        ] => Some("gl200"),
        [b'[', b'3' | b'S' | b'C', b'G' | b'Q' | b'S', b'*', ..] => Some("watch"),
        [b'(', rest @ ..] if is_tk103(rest) => Some("tk103"),
        [b'$', b'$', ..] => Some("meitrack"),
        [b'$', next, ..] if next.is_ascii_uppercase() || *next == b',' => Some("ais140"),
        [0x7e, rest @ ..] if memchr::memchr(0x7e, rest).is_some() => Some("jt808"),
        [0x00, 0x0f, digits @ ..] if digits.len() >= 15 && all_digits(digits.get(..15)?) => {
            Some("teltonika")
        }
        [0x03, 0x00, _, _, ..] => Some("rdp"),
        _ => None,
    }
}

/// `(` and the digits of a phone number or IMEI, then a command such as `BR00`.
fn is_tk103(rest: &[u8]) -> bool {
    rest.get(..8).is_some_and(all_digits)
}

fn all_digits(src: &[u8]) -> bool {
    src.iter().all(u8::is_ascii_digit)
}

/// The longest prefix that [`looks_like`] wants to see before it gives up.
pub(crate) const SNIFFED: usize = 17;
