//! One frame on its way from the listener to the stores.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{DeviceKey, Name, Origin, Profile, Rare, Report, Timestamp};

/// Frames of one connection that are settled together, with everything that came of them.
///
/// It is the unit that is delivered, counted and acknowledged: each envelope ends in exactly one
/// bucket (stored, duplicate, filtered, quarantined). Usually it is one frame; a session may hold
/// frames and settle them with a later one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Where it arrived: the last of its frames.
    pub origin: Origin,
    /// The frames that it settles.
    pub frames: FrameRanges,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The peer's address, if it came over a network.
    pub peer: Option<SocketAddr>,
    /// The protocol by which it was read.
    pub protocol: Name,
    /// The device, once it has logged in.
    pub device: Option<DeviceKey>,
    /// Whether the device is one of ours: it has logged in and was accepted.
    pub accepted: bool,
    /// Whether it passes other connections' frames in every queue.
    pub urgent: bool,
    /// What was known about the device when the frame was decoded.
    pub profile: Option<Profile>,
    /// The frame's bytes.
    pub raw: Bytes,
    /// What came of it.
    pub content: Content,
}

impl Envelope {
    /// An envelope of one frame from a peer that is not known.
    pub const fn new(
        origin: Origin,
        received_at: Timestamp,
        protocol: Name,
        raw: Bytes,
        content: Content,
    ) -> Self {
        Self {
            origin,
            frames: FrameRanges::one(origin.frame),
            received_at,
            peer: None,
            protocol,
            device: None,
            accepted: false,
            urgent: false,
            profile: None,
            raw,
            content,
        }
    }

    /// About how much memory it takes: itself, its bytes and its reports.
    pub fn footprint(&self) -> usize {
        let content = match &self.content {
            Content::Reports(reports) => reports
                .iter()
                .map(|report| size_of::<Report>().saturating_add(apart(report)))
                .fold(0, usize::saturating_add),
            Content::Filtered(_) => 0,
            Content::Quarantined(why) => why.message.len(),
        };
        size_of::<Self>()
            .saturating_add(self.raw.len())
            .saturating_add(size_of_val(&*self.frames.rest))
            .saturating_add(content)
    }
}

/// Frames of one connection, by their ordinals: at least one, in rising order, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameRanges {
    first: (u64, u64),
    /// Later ranges; empty for nearly all envelopes.
    rest: Vec<(u64, u64)>,
}

impl FrameRanges {
    /// One frame.
    pub const fn one(frame: u64) -> Self {
        Self {
            first: (frame, frame),
            rest: Vec::new(),
        }
    }

    /// Adds a frame that comes after all that are in it; one that does not is passed over.
    pub fn push(&mut self, frame: u64) {
        let last = self.rest.last_mut().unwrap_or(&mut self.first);
        if frame <= last.1 {
            return;
        }
        if last.1.checked_add(1) == Some(frame) {
            last.1 = frame;
        } else {
            self.rest.push((frame, frame));
        }
    }

    /// From ranges, each with its first and its last frame, in rising order and without overlap.
    /// `None` if they are not, or if there is none.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u64, u64)>) -> Option<Self> {
        let mut ranges = ranges.into_iter();
        let first = ranges.next().filter(|(first, last)| first <= last)?;
        let mut last = first.1;
        let mut rest = Vec::new();
        for range in ranges {
            if range.0 <= last || range.1 < range.0 {
                return None;
            }
            last = range.1;
            rest.push(range);
        }
        Some(Self { first, rest })
    }

    /// How many frames there are.
    pub fn count(&self) -> u64 {
        self.iter()
            .map(|(first, last)| last.saturating_sub(first).saturating_add(1))
            .fold(0, u64::saturating_add)
    }

    /// The ranges, each with its first and its last frame.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }
}

/// What a report keeps outside of itself: the parts that can be large.
fn apart(report: &Report) -> usize {
    let more = &report.more;
    [
        if more.is_none() { 0 } else { size_of::<Rare>() },
        size_of_val(&*more.cells),
        size_of_val(&*more.wifi),
        size_of_val(&*more.events),
        size_of_val(&*more.signals),
        more.diagnostics.as_ref().map_or(0, |all| all.footprint()),
        more.media.as_ref().map_or(0, |media| media.data.len()),
        more.text.as_ref().map_or(0, |text| text.len()),
        more.raw.as_ref().map_or(0, |raw| raw.len()),
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}

/// What came of a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// It was read; at least one report.
    Reports(Vec<Report>),
    /// It was understood and holds nothing to store; why.
    Filtered(Name),
    /// It could not be read, or may not be stored as data: it is kept with its bytes.
    Quarantined(Quarantine),
}

/// Why a frame is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The field that could not be read.
    pub field: Option<Name>,
    /// The byte of the frame at which that field starts.
    pub offset: Option<u32>,
    /// What is wrong, for people.
    pub message: Box<str>,
}

impl Quarantine {
    /// A reason that is not about a field.
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self {
            field: None,
            offset: None,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, IdentitySeed, Kind, Media, ReportId};

    #[test]
    fn a_footprint_counts_what_can_be_large() {
        let decoder = Decoder::new("test", "test/1");
        let id = ReportId::mint(
            IdentitySeed::new(None, None, "test"),
            Timestamp::UNIX_EPOCH,
            b"key",
        );
        let mut report = Report::new(id, decoder, Kind::Media, Timestamp::UNIX_EPOCH);
        let mut envelope = Envelope::new(
            Origin {
                epoch: 1,
                connection: 1,
                frame: 1,
            },
            Timestamp::UNIX_EPOCH,
            decoder.protocol(),
            Bytes::from_static(&[0; 100]),
            Content::Filtered(Name::new("echo")),
        );
        assert_eq!(envelope.footprint(), size_of::<Envelope>() + 100);

        let mut media = Media::new("1", "photo");
        media.data = Bytes::from_static(&[0; 50_000]);
        report.more.media = Some(media);
        envelope.content = Content::Reports(vec![report.clone(), report]);
        assert!(envelope.footprint() >= 100_100 + 2 * size_of::<Report>());
    }

    #[test]
    fn neighbouring_frames_make_one_range() {
        let mut frames = FrameRanges::one(3);
        for frame in [4, 5, 9, 9, 7, 10, 12] {
            frames.push(frame);
        }
        assert_eq!(
            frames.iter().collect::<Vec<_>>(),
            [(3, 5), (9, 10), (12, 12)]
        );
        assert_eq!(frames.count(), 6);
    }
}
