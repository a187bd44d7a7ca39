//! From a packet to what it says.

mod batch;
mod fixed;
mod sentence;
mod transync;

use std::sync::Arc;

use crate::checksum::Stated;
use crate::dialect::{Dialect, Dialects, Kind};
use crate::frame::{Form, Frame};
use crate::layout::{Silent, Trace};
use crate::neighbour::{Evidence, Order};
use crate::record::Record;
use crate::text::Text;
use crate::{DecodeError, DecodeErrorKind};

/// How sure it is that a packet is of its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// No dialect has this header.
    Guessed,
    /// Several dialects have this header, and this one fits no worse than the others.
    Shared,
    /// Several dialects have this header, and this one's layout fits exactly.
    Fits,
    /// Only this dialect has this header.
    Header,
    /// The vendor id, or the form of the packet, is this dialect's own.
    Vendor,
}

/// What is known about a device before a packet is read.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its dialect.
    pub dialect: Option<Arc<Dialect>>,
    /// Whether the dialect is set by hand: then no packet's vendor or layout is asked.
    pub is_configured: bool,
    /// The order of its neighbours' values.
    pub order: Option<Order>,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// What kind of packet.
    pub kind: Kind,
    /// By whose rules it was read.
    pub dialect: Arc<Dialect>,
    /// How sure that is.
    pub certainty: Certainty,
    /// The values. Of a batch, those that all its records share.
    pub record: Box<Record>,
    /// The records of a batch, in the order of the packet.
    pub items: Vec<Record>,
    /// The checksum.
    pub stated: Option<Stated>,
    /// What the neighbours' columns showed.
    pub evidence: Evidence,
    /// The whole packet, where its kind has no fields: commands, other protocols, unknown ones.
    pub text: Text,
}

impl Message {
    pub(crate) fn new(
        kind: Kind,
        dialect: Arc<Dialect>,
        certainty: Certainty,
        record: Box<Record>,
    ) -> Self {
        Self {
            kind,
            dialect,
            certainty,
            record,
            items: Vec::new(),
            stated: None,
            evidence: Evidence::default(),
            text: Text::EMPTY,
        }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// When neither an IMEI nor a position can be read; the error names field and byte.
    pub fn decode(frame: &Frame, dialects: &Dialects, known: &Known) -> Result<Self, DecodeError> {
        read(frame, dialects, known, Silent).0
    }

    /// Whether it comes from a server: commands. What a server says gives no report.
    #[must_use]
    pub fn is_from_server(&self) -> bool {
        self.kind == Kind::Command
    }

    /// The IMEI, as the packet states it.
    #[must_use]
    pub fn imei(&self) -> Option<u64> {
        self.record.imei
    }

    /// All records: those of a batch, or the only one.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        let single = self.items.is_empty().then_some(&*self.record);
        single.into_iter().chain(&self.items)
    }
}

/// Reads a packet and tells `trace` what is read.
pub(crate) fn read<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    known: &Known,
    trace: T,
) -> (Result<Message, DecodeError>, T) {
    let whole = |kind: Kind, field: &'static str, mut trace: T| {
        let mut message =
            Message::new(kind, dialects.generic(), Certainty::Guessed, Box::default());
        message.text = Text::part(frame.raw(), frame.raw());
        trace.read(field, 0..frame.raw().len());
        (Ok(message), trace)
    };
    match frame.form() {
        Form::Sentence | Form::Bare => sentence::read(frame, dialects, known, trace),
        Form::Batch => batch::read(frame, dialects, trace),
        Form::Fixed => fixed::read(frame, dialects, trace),
        Form::TranSync => transync::read(frame, dialects, trace),
        Form::Command => whole(Kind::Command, "command", trace),
        Form::Foreign => whole(Kind::Foreign, "foreign", trace),
    }
}

/// An error at a byte of a packet.
pub(crate) fn error(
    kind: Kind,
    field: &'static str,
    at: usize,
    what: DecodeErrorKind,
) -> DecodeError {
    DecodeError::new(
        kind.name(),
        field,
        u32::try_from(at).unwrap_or(u32::MAX),
        what,
    )
}
