//! One frame on its way from the listener to the stores.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{DeviceKey, Name, Origin, Profile, Rare, Report, Timestamp};

/// One frame with everything that came of it.
///
/// It is the unit that is delivered, counted and acknowledged: each envelope ends in exactly one
/// bucket (stored, duplicate, filtered, quarantined).
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Where it arrived.
    pub origin: Origin,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Who sent it, on the network.
    pub peer: Option<SocketAddr>,
    /// The protocol that it was read by.
    pub protocol: Name,
    /// The device, once it has logged in.
    pub device: Option<DeviceKey>,
    /// What was known about the device when the frame was decoded.
    pub profile: Option<Profile>,
    /// The frame's bytes.
    pub raw: Bytes,
    /// What came of it.
    pub content: Content,
}

impl Envelope {
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
            .saturating_add(content)
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
        let mut envelope = Envelope {
            origin: Origin {
                epoch: 1,
                connection: 1,
                frame: 1,
            },
            received_at: Timestamp::UNIX_EPOCH,
            peer: None,
            protocol: decoder.protocol(),
            device: None,
            profile: None,
            raw: Bytes::from_static(&[0; 100]),
            content: Content::Filtered(Name::new("echo")),
        };
        assert_eq!(envelope.footprint(), size_of::<Envelope>() + 100);

        let mut media = Media::new("1", "photo");
        media.data = Bytes::from_static(&[0; 50_000]);
        report.more.media = Some(media);
        envelope.content = Content::Reports(vec![report.clone(), report]);
        assert!(envelope.footprint() >= 100_100 + 2 * size_of::<Report>());
    }
}
