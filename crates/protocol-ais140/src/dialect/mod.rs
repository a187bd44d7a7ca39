//! Dialects: what differs between makers and states, as data.
//!
//! A [`Source`] is a dialect as a person writes it. The crate's own are in one table
//! ([`TABLE`]); others come from TOML text (feature `toml`, [`Dialects::from_toml`]). Both are
//! checked and compiled by the same function.

mod compile;
mod meaning;
mod table;
#[cfg(feature = "toml")]
mod text;

use core::fmt;
use std::sync::{Arc, LazyLock};

pub use compile::{DialectError, Source};
pub use meaning::Meaning;
pub use table::TABLE;

use crate::Field;
use crate::checksum::Rule;
use crate::neighbour::Order;

/// What kind of packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// The device names itself.
    Login,
    /// A position, with or without an alert.
    Tracking,
    /// An emergency or its end (`EMR`, `SEM`).
    Emergency,
    /// The device's own health.
    Health,
    /// A sign of life.
    Heartbeat,
    /// What a command changed or asked (`$,PC,12`).
    Ota,
    /// The answer to an activation or a health request by SMS (`ACTVR`, `HCHKR`).
    Activation,
    /// A command, sent by a server.
    Command,
    /// Another protocol.
    Foreign,
    /// No known kind.
    Unknown,
}

impl Kind {
    /// The kinds that a dialect has layouts for.
    pub const WITH_LAYOUT: [Self; 7] = [
        Self::Login,
        Self::Tracking,
        Self::Emergency,
        Self::Health,
        Self::Heartbeat,
        Self::Ota,
        Self::Activation,
    ];

    /// The name in a dialect's table, in errors and in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Tracking => "tracking",
            Self::Emergency => "emergency",
            Self::Health => "health",
            Self::Heartbeat => "heartbeat",
            Self::Ota => "ota",
            Self::Activation => "activation",
            Self::Command => "command",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::WITH_LAYOUT
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(crate) fn index(self) -> Option<usize> {
        Self::WITH_LAYOUT.iter().position(|kind| *kind == self)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A place in a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) field: Field,
    pub(crate) is_optional: bool,
}

/// The order of a packet's fields after its header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout(pub(crate) Vec<Slot>);

/// When a reply leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyClass {
    /// At once.
    Now,
    /// When what the packet says is durable.
    WhenDelivered,
}

/// A reply that a dialect's devices wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplyRule {
    pub(crate) on: Kind,
    pub(crate) class: ReplyClass,
    /// Only one source says so: sent if the policy wants it.
    pub(crate) is_unconfirmed: bool,
    pub(crate) template: Box<str>,
}

/// How a packet ends when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// What stands between the last field and the checksum: `,`, `*`, `,*,`.
    pub(crate) before: &'static str,
    /// What stands after the checksum: `*`, `,*`, `,` or nothing.
    pub(crate) after: &'static str,
    /// Digits of the checksum; 0 for none.
    pub(crate) width: usize,
}

/// A dialect, ready for use.
#[derive(Debug, Clone)]
pub struct Dialect {
    pub(crate) name: Box<str>,
    #[cfg(feature = "telemetry")]
    pub(crate) label: milepost_telemetry::Name,
    pub(crate) version: u16,
    pub(crate) about: Box<str>,
    pub(crate) headers: Vec<(Box<[u8]>, Kind)>,
    pub(crate) vendors: Vec<Box<[u8]>>,
    pub(crate) layouts: [Vec<Layout>; 7],
    pub(crate) tails: Vec<Layout>,
    pub(crate) order: Order,
    #[cfg_attr(
        not(feature = "telemetry"),
        expect(dead_code, reason = "inputs are read where reports are made")
    )]
    pub(crate) is_last_input_first: bool,
    pub(crate) rules: Vec<(Kind, Rule)>,
    pub(crate) ending: Ending,
    pub(crate) bare_ending: Ending,
    pub(crate) alerts: Vec<(u16, Meaning)>,
    pub(crate) replies: Vec<ReplyRule>,
    pub(crate) commands: Vec<(Box<str>, Box<str>)>,
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.version == other.version
    }
}

impl Dialect {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version: counts up when the meaning of its packets changes.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Makers, models and source.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The headers of its packets.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.headers.iter().map(|(token, kind)| (&**token, *kind))
    }

    /// The checksums of its packets, as far as they are known.
    pub fn rules(&self) -> impl Iterator<Item = (Kind, Rule)> {
        self.rules.iter().copied()
    }

    /// The verbs of its commands.
    pub fn verbs(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|(verb, _)| &**verb)
    }

    /// Whether it answers packets of a kind.
    #[must_use]
    pub fn replies_to(&self, kind: Kind) -> bool {
        self.replies.iter().any(|rule| rule.on == kind)
    }

    /// What an alert id means here. Ids of 1 to 16 are the standard's.
    #[must_use]
    pub fn meaning(&self, alert: u16) -> Meaning {
        let own = self.alerts.iter().find(|(id, _)| *id == alert);
        own.map_or_else(|| Meaning::of_standard(alert), |(_, meaning)| *meaning)
    }

    pub(crate) fn layouts(&self, kind: Kind) -> &[Layout] {
        kind.index()
            .and_then(|at| self.layouts.get(at))
            .map_or(&[], Vec::as_slice)
    }

    /// The kind that a header of this dialect announces.
    #[inline]
    pub(crate) fn kind_of(&self, header: &[u8]) -> Option<Kind> {
        self.headers
            .iter()
            .find(|(token, _)| **token == *header)
            .map(|(_, kind)| *kind)
    }

    pub(crate) fn has_vendor(&self, vendor: &[u8]) -> bool {
        self.vendors
            .iter()
            .any(|known| known.eq_ignore_ascii_case(vendor))
    }

    pub(crate) fn own_rules(&self, kind: Kind) -> impl Iterator<Item = Rule> {
        self.rules
            .iter()
            .filter(move |(of, _)| *of == kind)
            .map(|(_, rule)| *rule)
    }
}

/// All dialects that a decoder knows; cheap to clone.
#[derive(Debug, Clone)]
pub struct Dialects(Arc<[Arc<Dialect>]>);

impl Default for Dialects {
    /// The crate's own.
    fn default() -> Self {
        Self::builtin()
    }
}

/// The dialect of packets that fit no other.
pub const GENERIC: &str = "generic";

impl Dialects {
    /// The crate's own dialects.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<Dialects> = LazyLock::new(|| {
            // A mistake in the table is found by the tests; it would cost that dialect only.
            let all = TABLE.iter().filter_map(|source| source.compile().ok());
            Dialects(all.map(Arc::new).collect())
        });
        BUILTIN.clone()
    }

    /// These and others; a dialect of the same name is replaced. Others come first, so that they
    /// win where both know a header.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = Dialect>) -> Self {
        let mut all: Vec<Arc<Dialect>> = others.into_iter().map(Arc::new).collect();
        for dialect in &*self.0 {
            if !all.iter().any(|other| other.name == dialect.name) {
                all.push(dialect.clone());
            }
        }
        Self(all.into())
    }

    /// Compiles dialects from their sources.
    ///
    /// # Errors
    /// When one of them is wrong; the error names dialect, key and value.
    pub fn compile(sources: &[Source<'_>]) -> Result<Vec<Dialect>, DialectError> {
        sources.iter().map(Source::compile).collect()
    }

    /// The crate's own dialects, and those of a TOML text: a table `[[dialect]]` for each. Keys are
    /// those of [`Source`]; `like` names a dialect whose values hold for the keys that are absent.
    ///
    /// # Errors
    /// When the text is no TOML or a dialect is wrong; the error names dialect, key and value.
    ///
    /// ```
    /// use milepost_protocol_ais140::Dialects;
    ///
    /// let dialects = Dialects::from_toml(
    ///     r#"
    ///     [[dialect]]
    ///     name = "acme"
    ///     like = "itriangle"
    ///     headers = ["$ACME tracking"]
    ///     tail = ["inputs,outputs,frame,odometer_m,checksum"]
    ///     checksums = ["tracking crc16-xmodem $ comma hex"]
    ///     ending = ",CHK4*"
    ///     "#,
    /// )?;
    /// assert!(dialects.by_name("acme").is_some());
    /// # Ok::<(), milepost_protocol_ais140::dialect::DialectError>(())
    /// ```
    #[cfg(feature = "toml")]
    pub fn from_toml(toml: &str) -> Result<Self, DialectError> {
        Ok(Self::builtin().with(text::read(toml)?))
    }

    /// The dialect of a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<Dialect>> {
        self.0.iter().find(|dialect| &*dialect.name == name)
    }

    /// All of them, in the order in which headers are looked up.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Dialect>> {
        self.0.iter()
    }

    /// The dialect for what fits no other.
    #[must_use]
    pub fn generic(&self) -> Arc<Dialect> {
        self.by_name(GENERIC)
            .or_else(|| self.0.first())
            .cloned()
            .unwrap_or_else(|| {
                // Only a set without any dialect has no first one, and none can be made so.
                Arc::new(
                    Source::STANDARD
                        .compile()
                        .unwrap_or_else(|_| Dialect::empty()),
                )
            })
    }
}
