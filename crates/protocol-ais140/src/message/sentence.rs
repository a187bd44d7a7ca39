//! Sentences: `$`, a header, items with commas between.
//!
//! The kind of a packet is what its shapes say; the header counts only where they say nothing:
//!
//! | shape | kind |
//! |---|---|
//! | `EMR` or `SEM` among the first items | emergency |
//! | two to four letters, perhaps an alert id, `L` or `H`, an IMEI | tracking |
//! | what the header announces | that |
//! | an IMEI and a position with letters | login |
//! | an IMEI followed by four numbers | health |
//!
//! The dialect is the one that is set by hand; else the one that has the header and the vendor id;
//! else the one that is known of the device, if it has the header; else, of those that have the
//! header, the first one whose layout fits exactly, or best.

use std::sync::Arc;

use super::{Certainty, Known, Message, error};
use crate::dialect::{Dialect, Dialects, Kind, Layout};
use crate::exact;
use crate::frame::{Form, Frame};
use crate::items::Items;
use crate::layout::{Reader, Reading, Silent, Trace};
use crate::read::{decimal, whole};
use crate::text::Text;
use crate::{DecodeError, DecodeErrorKind, Field};

pub(super) fn read<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    known: &Known,
    mut trace: T,
) -> (Result<Message, DecodeError>, T) {
    let raw = frame.raw();
    let header = match frame.form() {
        Form::Bare => raw.get(..5).unwrap_or_default(),
        _ => frame.header(),
    };
    let candidates = Candidates::of(header, dialects, known);
    // Without a known header the first item may be the registration of a login.
    let is_bare = candidates.is_none() && header.first() == Some(&b'$');
    let from = if is_bare {
        1
    } else {
        let separator = raw.get(header.len()).copied();
        header.len() + usize::from(matches!(separator, Some(b',' | b'$')))
    };
    // `$` separates the items where it occurs again.
    let tail = frame.body().get(1.max(from)..).unwrap_or_default();
    let by_dollar =
        memchr::memchr(b'$', tail).is_some() && frame.form() == Form::Sentence && header.len() < 24;
    let by_dollar = by_dollar && !tail.ends_with(b",$");
    if !T::ON
        && !by_dollar
        && let Some(message) = usual(frame, from, candidates.as_ref(), known)
    {
        return (Ok(message), trace);
    }
    let items = Items::cut(raw, from, frame.body().len(), by_dollar);
    trace.read("header", 0..from);
    let kind = match frame.form() {
        Form::Bare => Kind::Activation,
        _ => kind_of(&items, candidates.as_ref().map(|c| c.kind)),
    };
    if kind == Kind::Unknown {
        return (unknown(frame, dialects, &items, &mut trace), trace);
    }
    let (dialect, certainty) = choose(frame, kind, &items, candidates, dialects, known);
    let order = known.order;
    let layout = best_layout(frame, kind, &items, &dialect, dialects);
    let reader = Reader::new(raw, &items, &dialect, order, frame.stated(), trace);
    let (reading, mut trace) = reader.run(layout);
    if let Some(stated) = frame.stated() {
        trace.read(Field::Checksum.name(), stated.range());
    }
    (finish(kind, dialect, certainty, reading, &items), trace)
}

/// A tracking packet that has exactly the form of its device's dialect.
fn usual(
    frame: &Frame,
    from: usize,
    candidates: Option<&Candidates>,
    known: &Known,
) -> Option<Message> {
    let candidates = candidates.filter(|_| known.dialect.is_some())?;
    let dialect = &candidates.first;
    let is_tracking = matches!(candidates.kind, Kind::Tracking | Kind::Unknown);
    if !is_tracking || !candidates.others.is_empty() {
        return None;
    }
    let body = (from, frame.body().len());
    let reading = exact::read(frame.raw(), body, dialect, known.order, frame.stated())?;
    // The shape of a tracking packet, which a header for any kind does not announce.
    reading.record.live?;
    reading.record.imei?;
    let words = frame.raw().get(from..)?.split(|b| *b == b',').take(3);
    let has_vendor =
        !dialect.vendors.is_empty() && words.into_iter().any(|w| dialect.has_vendor(w));
    let certainty = if has_vendor || known.is_configured {
        Certainty::Vendor
    } else {
        candidates.certainty
    };
    let mut message = Message::new(Kind::Tracking, dialect.clone(), certainty, reading.record);
    message.stated = reading.stated;
    message.evidence = reading.evidence;
    Some(message)
}

/// The dialects that have a header.
struct Candidates {
    first: Arc<Dialect>,
    /// What the first one says about the header; the others may disagree.
    kind: Kind,
    others: Vec<Arc<Dialect>>,
    certainty: Certainty,
}

impl Candidates {
    fn of(header: &[u8], dialects: &Dialects, known: &Known) -> Option<Self> {
        if let Some(dialect) = &known.dialect {
            let kind = dialect.kind_of(header);
            // Nobody is asked but the one that was set.
            if known.is_configured {
                let first = dialect.clone();
                let certainty = Certainty::Vendor;
                return kind.map(|kind| Self {
                    first,
                    kind,
                    others: Vec::new(),
                    certainty,
                });
            }
            if let Some(kind) = kind {
                let first = dialect.clone();
                let certainty = Certainty::Header;
                return Some(Self {
                    first,
                    kind,
                    others: Vec::new(),
                    certainty,
                });
            }
        }
        let mut all = dialects
            .iter()
            .filter_map(|d| d.kind_of(header).map(|kind| (d, kind)));
        let (first, kind) = all.next()?;
        let others: Vec<_> = all.map(|(d, _)| d.clone()).collect();
        let certainty = if others.is_empty() {
            Certainty::Header
        } else {
            Certainty::Shared
        };
        let has_word = header.len() > 2;
        let certainty = if has_word {
            certainty
        } else {
            Certainty::Shared
        };
        Some(Self {
            first: first.clone(),
            kind,
            others,
            certainty,
        })
    }
}

/// What kind of packet the shapes say, or else the header.
fn kind_of(items: &Items<'_>, announced: Option<Kind>) -> Kind {
    let is_type = |at: usize| {
        let item = items.text(at);
        (2..=4).contains(&item.len()) && item.iter().all(u8::is_ascii_alphabetic)
    };
    for at in 0..items.len().min(7) {
        match items.text(at) {
            b"EMR" | b"SEM" => return Kind::Emergency,
            b"L" | b"H" if at > 0 => {
                let is_alert = |item: &[u8]| item.len() <= 3 && item.iter().all(u8::is_ascii_digit);
                let before = items.text(at - 1);
                let typed = is_type(at - 1)
                    || at > 1 && is_alert(before) && is_type(at - 2)
                    || matches!(before, [b'<' | b'(' | b'{', ..]);
                if typed && items.text(at + 1).len() >= 14 {
                    return Kind::Tracking;
                }
            }
            _ => {}
        }
    }
    let imei = items.find_imei();
    let is_number = |at: usize| {
        items
            .get(at)
            .is_some_and(|item| whole(decimal, item).is_some())
    };
    let looks_like_health =
        imei.is_some_and(|at| (1..=4).all(|n| is_number(at + n) && items.text(at + n).len() <= 6));
    match announced {
        // Health under a header of other kinds: iStartek's `$,HBT`, iTriangle's `$Header`.
        Some(Kind::Heartbeat | Kind::Unknown) if looks_like_health => Kind::Health,
        Some(Kind::Unknown) | None => {
            if imei.is_some() && (items.find_place().is_some() || items.has_joined_place()) {
                Kind::Login
            } else if looks_like_health {
                Kind::Health
            } else {
                Kind::Unknown
            }
        }
        // Nearly nothing, such as an OTA answer that is cut off.
        Some(kind) => kind,
    }
}

/// The dialect by whose rules the packet is read.
fn choose(
    frame: &Frame,
    kind: Kind,
    items: &Items<'_>,
    candidates: Option<Candidates>,
    dialects: &Dialects,
    known: &Known,
) -> (Arc<Dialect>, Certainty) {
    let Some(mut candidates) = candidates else {
        // No header, so a login, or a dialect that nobody knows.
        let known = known.dialect.clone();
        return match known {
            Some(dialect) => (dialect, Certainty::Guessed),
            None => (
                by_vendor(items, dialects).unwrap_or_else(|| dialects.generic()),
                Certainty::Guessed,
            ),
        };
    };
    if known.is_configured {
        return (candidates.first, candidates.certainty);
    }
    let vendor =
        |dialect: &Dialect| (0..items.len().min(3)).any(|at| dialect.has_vendor(items.text(at)));
    if vendor(&candidates.first) {
        return (candidates.first, Certainty::Vendor);
    }
    if known.dialect.is_some() && candidates.others.is_empty() {
        return (candidates.first, candidates.certainty);
    }
    if let Some(at) = candidates.others.iter().position(|d| vendor(d)) {
        return (candidates.others.swap_remove(at), Certainty::Vendor);
    }
    if candidates.others.is_empty() {
        return (candidates.first, candidates.certainty);
    }
    // Dialects with vendor ids come last where the packet has none of theirs.
    let mut best: Option<(i32, &Arc<Dialect>)> = None;
    let mut is_tied = false;
    for dialect in core::iter::once(&candidates.first).chain(&candidates.others) {
        let reading = try_all(frame, items, dialect, dialect.layouts(kind));
        let Some((is_exact, score)) = reading else {
            continue;
        };
        let score = score + 100 * i32::from(is_exact) - i32::from(!dialect.vendors.is_empty());
        match best {
            Some((most, _)) if score < most => {}
            Some((most, _)) if score == most => is_tied = true,
            _ => (best, is_tied) = (Some((score, dialect)), false),
        }
    }
    match best {
        // Logins and emergencies that many dialects send alike say nothing about the dialect.
        Some(_) if is_tied && kind != Kind::Tracking => (dialects.generic(), Certainty::Guessed),
        Some((score, dialect)) if score >= 90 => (dialect.clone(), Certainty::Fits),
        Some((_, dialect)) => (dialect.clone(), Certainty::Shared),
        None => (candidates.first, Certainty::Shared),
    }
}

/// A dialect whose vendor id is among the first items.
fn by_vendor(items: &Items<'_>, dialects: &Dialects) -> Option<Arc<Dialect>> {
    let has = |d: &&Arc<Dialect>| (0..items.len().min(4)).any(|at| d.has_vendor(items.text(at)));
    dialects.iter().find(has).cloned()
}

/// The best of some layouts: whether it is exact, and its score.
fn try_all(
    frame: &Frame,
    items: &Items<'_>,
    dialect: &Dialect,
    layouts: &[Layout],
) -> Option<(bool, i32)> {
    layouts
        .iter()
        .map(|layout| {
            let reading = try_one(frame, items, dialect, layout);
            (reading.is_exact, reading.score)
        })
        .max()
}

fn try_one(frame: &Frame, items: &Items<'_>, dialect: &Dialect, layout: &Layout) -> Reading {
    let reader = Reader::new(frame.raw(), items, dialect, None, frame.stated(), Silent);
    reader.run(layout).0
}

/// The layout by which to read: the dialect's only one; of several the first exact one, or the
/// best; if none of them is exact, perhaps one of any dialect.
fn best_layout<'d>(
    frame: &Frame,
    kind: Kind,
    items: &Items<'_>,
    dialect: &'d Dialect,
    dialects: &'d Dialects,
) -> &'d Layout {
    static NONE: Layout = Layout(Vec::new());
    let own = dialect.layouts(kind);
    // Positions have one layout, whose tails are chosen while reading.
    if let ([only], Kind::Tracking) = (own, kind) {
        return only;
    }
    let general = dialects
        .by_name(crate::dialect::GENERIC)
        .map_or(&[][..], |generic| generic.layouts(kind));
    let mut best: Option<(i32, &Layout)> = None;
    for layout in own.iter().chain(general) {
        let reading = try_one(frame, items, dialect, layout);
        if reading.is_exact {
            return layout;
        }
        if best.is_none_or(|(most, _)| reading.score > most) {
            best = Some((reading.score, layout));
        }
    }
    best.map_or(&NONE, |(_, layout)| layout)
}

/// A message, unless it says neither who nor where.
fn finish(
    kind: Kind,
    dialect: Arc<Dialect>,
    certainty: Certainty,
    reading: Reading,
    items: &Items<'_>,
) -> Result<Message, DecodeError> {
    let record = reading.record;
    if record.imei.is_none() && record.latitude.is_none() && kind != Kind::Heartbeat {
        // An OTA answer cut off after its text says what it says.
        let says = !record.ota().is_empty();
        if !says {
            let at = items.span(0).map_or(0, |span| span.range().start);
            return Err(error(
                kind,
                Field::Imei.name(),
                at,
                DecodeErrorKind::Missing,
            ));
        }
    }
    let mut message = Message::new(kind, dialect, certainty, record);
    message.stated = reading.stated;
    message.evidence = reading.evidence;
    Ok(message)
}

/// A packet of no known kind: one that names a device is kept, all else is an error.
fn unknown<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    items: &Items<'_>,
    trace: &mut T,
) -> Result<Message, DecodeError> {
    let raw = frame.raw();
    let Some(imei) = items.find_imei() else {
        let at = items.span(0).map_or(1, |span| span.range().start);
        return Err(error(
            Kind::Unknown,
            Field::Imei.name(),
            at,
            DecodeErrorKind::Missing,
        ));
    };
    let mut message = Message::new(
        Kind::Unknown,
        dialects.generic(),
        Certainty::Guessed,
        Box::default(),
    );
    if let Some(item) = items.get(imei) {
        message.record.set(Field::Imei, raw, item);
    }
    for at in 0..items.len() {
        let name = if at == imei {
            Field::Imei.name()
        } else {
            "unknown"
        };
        if let Some(span) = items.span(at) {
            trace.read(name, span.range());
        }
    }
    message.stated = frame.stated();
    message.text = Text::part(raw, raw);
    Ok(message)
}
