//! Finding frames in a stream: where one ends whose length or checksum is wrong, and what is between.

use crate::checksum::{Digest, Parts, checksum, effort};
use crate::head::{Checksum, Framing, Head, MAX_SHORT, MIN_LENGTH, STOP, Start};
use crate::relative;

/// How far the end after a wrong two-byte length is searched, and how long a frame is that is found there.
const MAX_SEARCHED: usize = 2_048;

/// What some bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A frame.
    Frame(Head),
    /// This many bytes (at least one) that belong to no frame.
    Skip(usize),
    /// Undecided before there are this many bytes in all.
    More(usize),
}

/// Finds what `src` begins with.
///
/// What it finds does not depend on how the stream was cut: everything is decided at a byte of
/// the stream that follows from the bytes before it. Only `quiet` (the sender has paused) decides
/// with what is there.
///
/// 1. A start whose announced end has come, with stop bytes and a right checksum: a frame.
///    Before the announced end has come nothing is decided, since bodies may hold stop bytes.
/// 2. The announced end is wrong or its checksum is: the earliest of
///    - stop bytes whose checksum is right for the bytes as sent (the length is wrong);
///    - a frame with a right checksum that begins further inside: the outer one ends at its
///      announced end, or at the stop bytes, before it, or is no frame at all;
///    - the announced end with stop bytes: a frame with a wrong checksum;
///    - stop bytes that a start marker follows (or, after a pause, nothing): a frame with a wrong
///      checksum or none.
/// 3. None of these within the longest possible frame: on to the next start marker.
///
/// Frames that begin further inside are looked for in 2 048 bytes, and are no longer, so that no
/// stream takes long: those of devices are shorter. Only after a pause all that has come is
/// searched.
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
    let mut parts = Parts::new(frame);
    let mut is_whole_at = |at| {
        let size = frame.get(at..).and_then(announced_size);
        size.is_some_and(|len| is_whole(frame, &mut parts, at, len))
    };
    if starts(frame).any(&mut is_whole_at) {
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
    match (start_and_length(src), src) {
        (Some((start, length)), _) => announced_by(src, start, length),
        (None, [0x78, 0x78] | [0x79, 0x79, ..] | [0x78 | 0x79]) => Announced::NoLength,
        (None, _) => Announced::Nothing,
    }
}

/// The start of a frame, once its length has arrived.
#[inline]
fn start_and_length(src: &[u8]) -> Option<(Start, u16)> {
    match src {
        [0x78, 0x78, length, ..] => Some((Start::Short, u16::from(*length))),
        [0x79, 0x79, high, low, ..] => Some((Start::Long, u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
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

/// The size of the frame at the front, by its own length.
fn announced_size(src: &[u8]) -> Option<usize> {
    let (start, length) = start_and_length(src)?;
    (length >= MIN_LENGTH).then(|| usize::from(length) + start.overhead())
}

/// Whether stop bytes and a right checksum end the frame of this size that begins there.
fn is_whole(src: &[u8], parts: &mut Parts<'_>, at: usize, len: usize) -> bool {
    let Some([.., c1, c0, 0x0d, 0x0a]) = src.get(at..at + len) else {
        return false;
    };
    parts.checksum(at + 2..at + len - 4) == Some(u16::from_be_bytes([*c1, *c0]))
}

/// The head of a frame with serial and checksum that is exactly these bytes, if stop bytes end it.
#[inline]
fn checked_head(frame: &[u8], start: Start, announced: u16) -> Option<Head> {
    let [_, _, covered @ .., c1, c0, 0x0d, 0x0a] = frame else {
        return None;
    };
    let [.., s1, s0] = covered else { return None };
    effort::note(covered.len());
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
        // A relative has its own ways to give its size.
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
    let searched = match announced {
        Announced::Whole(_) => limit.min(MAX_SEARCHED),
        // A longer one whose end is wrong, or has not come before the pause.
        _ => limit,
    };
    Search {
        src,
        window: src.get(..searched).unwrap_or(src),
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
        // inside it is the better evidence.
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
        let before = self.src.get(..end).unwrap_or(self.src);
        // What begins further ahead of it ends before it.
        let from = before.len().saturating_sub(MAX_SEARCHED);
        effort::note(before.len() - from);
        starts(before.get(from..).unwrap_or_default())
            .map(|at| from + at)
            .filter(|at| *at + 4 <= end)
            .map(|at| self.settled_by(at))
            .max()
            .unwrap_or(0)
    }

    /// The byte of the stream at which it is known whether a frame begins at `at`.
    fn settled_by(&self, at: usize) -> usize {
        let size = self.src.get(at..).and_then(announced_size);
        let known = match size {
            Some(len) if len <= MAX_SEARCHED => at + len,
            _ => return 0,
        };
        // After a pause nothing more comes for now that could settle it.
        if self.quiet {
            known.min(self.src.len())
        } else {
            known
        }
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
        effort::note(self.window.len());
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
        // In noise, and in what was made to look like many frames, there is none.
        effort::note(self.window.len());
        if !(1..self.window.len()).any(|at| self.has_stop(at)) {
            return None;
        }
        let reach = self.window.len() + MAX_SEARCHED;
        let mut parts = Parts::new(self.src.get(..reach).unwrap_or(self.src));
        let mut before = starts(self.src).peekable();
        let mut settled = self.earliest;
        let mut first: Option<(usize, usize)> = None;
        for at in starts(self.window) {
            effort::note(1);
            // One that begins before it and ends after it may be the frame of which it is part.
            while let Some(other) = before.next_if(|other| *other + 4 <= at) {
                settled = settled.max(self.settled_by(other));
            }
            if first.is_some_and(|(_, known)| known <= settled) {
                break;
            }
            let Some(len) = self.src.get(at..).and_then(announced_size) else {
                continue;
            };
            let known = settled.max(at + len);
            if len <= MAX_SEARCHED
                && self.known(at + len) <= until
                && first.is_none_or(|(_, other)| known < other)
                && is_whole(self.src, &mut parts, at, len)
            {
                first = Some((at, known));
            }
        }
        first
    }

    /// Whether what begins at `at` is a start, and has stop bytes at its announced end.
    #[inline]
    fn has_stop(&self, at: usize) -> bool {
        let rest = self.src.get(at..).unwrap_or_default();
        announced_size(rest)
            .and_then(|len| rest.get(len - STOP.len()..len))
            .is_some_and(|stop| stop == STOP)
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
            // In the window: what comes after it may not have come when the search is given up.
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

/// The head of a frame that is exactly these bytes, whatever its length: one with a right
/// checksum or, among the relatives, one without.
pub(crate) fn whole(raw: &[u8], framing: Framing) -> Option<Head> {
    let start = match raw {
        [0x78, 0x78, ..] => Start::Short,
        [0x79, 0x79, ..] => Start::Long,
        _ => return None,
    };
    let announced = announced_length(raw);
    let smallest = start.overhead() + usize::from(MIN_LENGTH);
    let checked = checked_head(raw, start, announced)
        .filter(|head| matches!(head.checksum(), Checksum::Valid) && head.len() >= smallest);
    let bare = || bare_head(raw).filter(|_| matches!(framing, Framing::Bare));
    // No further than a stream is searched.
    let limit = (usize::from(announced) + start.overhead()).max(MAX_SHORT);
    checked.or_else(bare).filter(|head| head.len() <= limit)
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

/// Skips what comes before the first start marker of bytes that do not begin with one.
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
