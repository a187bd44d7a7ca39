//! The seam for further forms, and what the forms of one family share.

use core::fmt;

use bytes::Bytes;
use memchr::memchr;

use super::record::{Reason, RecordKind};

/// One form: finds the first record at the front of the undecided bytes.
///
/// [`Carrier`](super::Carrier) owns the buffer, the counts and the errors; a form only looks at a
/// slice. Implement it for a form that this crate does not have and pass it to
/// [`Carrier::custom`](super::Carrier::custom).
pub trait Deframe: fmt::Debug {
    /// Decides about the front of `bytes`, which are all undecided bytes. After [`Scan::More`] the
    /// same bytes come again, with more behind them.
    ///
    /// The records found must not depend on how the stream is cut.
    fn scan(&mut self, bytes: &[u8]) -> Scan;

    /// The sender went quiet, or the datagram ended. Applies until the next [`Scan::More`].
    fn on_pause(&mut self) {}

    /// Bytes to send to the peer, each once.
    fn take_output(&mut self) -> Option<Bytes> {
        None
    }

    /// Whether record boundaries are lost for the rest of the connection.
    fn is_lost(&self) -> bool {
        false
    }
}

/// What a form decided about the front of the undecided bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// More bytes are needed.
    More,
    /// A record.
    Record {
        /// Its length in bytes, at least one.
        len: usize,
        /// What it holds.
        kind: RecordKind,
    },
    /// Bytes that hold no readable record.
    Skip {
        /// How many, at least one.
        len: usize,
        /// Why.
        reason: Reason,
    },
}

impl Scan {
    pub(super) const fn notice(len: usize) -> Self {
        Self::Record {
            len,
            kind: RecordKind::Notice,
        }
    }
}

/// The longest line or token of a text form, with its delimiter: a CAN FD frame with 64 bytes in
/// spaced candump text with the character column has about 330.
pub const TEXT_LIMIT: usize = 512;

/// Splits text at delimiters, within [`TEXT_LIMIT`].
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    /// Inside a line that exceeded the limit: everything up to its end is passed over.
    discarding: bool,
}

pub(super) enum Line<'a> {
    /// A line without its delimiter.
    Text { text: &'a [u8], len: usize },
    /// No line yet, or no line.
    Other(Scan),
}

impl Lines {
    /// Whether the front of the bytes is inside a line that is passed over.
    pub(super) const fn is_discarding(&self) -> bool {
        self.discarding
    }

    /// The next line up to the position that `find` gives.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> Line<'a> {
        let within = bytes.get(..TEXT_LIMIT).unwrap_or(bytes);
        match find(within) {
            Some(end) if !self.discarding => Line::Text {
                text: within.get(..end).unwrap_or_default(),
                len: end.saturating_add(1),
            },
            found => Line::Other(self.discard(within.len(), found)),
        }
    }

    #[cold]
    fn discard(&mut self, within: usize, found: Option<usize>) -> Scan {
        let len = match found {
            Some(end) => {
                self.discarding = false;
                end.saturating_add(1)
            }
            None if within == TEXT_LIMIT || self.discarding && within > 0 => {
                self.discarding = true;
                within
            }
            None => return Scan::More,
        };
        let limit = TEXT_LIMIT;
        Scan::Skip {
            len,
            reason: Reason::TooLong { limit },
        }
    }
}

/// The end of a line of a file or a pipe.
#[inline]
pub(super) fn line_feed(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', bytes)
}

/// The length of the run of bytes at the front for which `is` holds.
pub(super) fn run(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// Records that must be valid in a row before an alignment is believed again.
pub const AGREEMENT: usize = 4;

/// A binary record of a form without delimiters.
pub(super) trait Layout: fmt::Debug {
    /// Judges the bytes at the front. Strict: as long as the alignment is in doubt.
    fn check(&self, bytes: &[u8], strict: bool) -> Check;
}

pub(super) enum Check {
    Good { len: usize, kind: RecordKind },
    More,
    Bad,
}

/// Finds records without delimiters by sliding until [`AGREEMENT`] of them follow each other.
///
/// At the start of a stream the first record is believed at once: TCP delivers from the first
/// byte, so the alignment is known.
#[derive(Debug, Clone)]
pub(super) struct Sliding<L> {
    layout: L,
    is_synced: bool,
    is_quiet: bool,
}

enum Agreed {
    Yes,
    No,
    Undecided,
}

impl<L: Layout> Sliding<L> {
    pub(super) const fn new(layout: L, is_synced: bool) -> Self {
        Self {
            layout,
            is_synced,
            is_quiet: false,
        }
    }

    fn agreed(&self, mut bytes: &[u8]) -> Agreed {
        for found in 0..AGREEMENT {
            match self.layout.check(bytes, true) {
                Check::Good { len, .. } => bytes = bytes.get(len..).unwrap_or_default(),
                Check::Bad => return Agreed::No,
                // A pause exactly at a record's end is evidence too.
                Check::More if self.is_quiet && bytes.is_empty() && found >= 2 => {
                    return Agreed::Yes;
                }
                Check::More => return Agreed::Undecided,
            }
        }
        Agreed::Yes
    }

    /// The first position at which records agree, or may agree with more bytes.
    fn resynchronize(&mut self, bytes: &[u8]) -> Scan {
        let mut undecided = None;
        for at in 0..bytes.len() {
            match self.agreed(bytes.get(at..).unwrap_or_default()) {
                Agreed::No => continue,
                Agreed::Yes if at == 0 => {
                    self.is_synced = true;
                    return self.scan(bytes);
                }
                Agreed::Yes => return skip(at),
                Agreed::Undecided => undecided = undecided.or(Some(at)),
            }
            if !self.is_quiet {
                break;
            }
        }
        match undecided {
            Some(0) => self.more(),
            Some(at) => skip(at),
            None => skip(bytes.len()),
        }
    }

    const fn more(&mut self) -> Scan {
        self.is_quiet = false;
        Scan::More
    }
}

const fn skip(len: usize) -> Scan {
    Scan::Skip {
        len,
        reason: Reason::OutOfSync,
    }
}

impl<L: Layout> Deframe for Sliding<L> {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        if bytes.is_empty() {
            return self.more();
        }
        if self.is_synced {
            match self.layout.check(bytes, false) {
                Check::Good { len, kind } => return Scan::Record { len, kind },
                Check::More => return self.more(),
                Check::Bad => self.is_synced = false,
            }
        }
        self.resynchronize(bytes)
    }

    fn on_pause(&mut self) {
        self.is_quiet = true;
    }
}
