//! Carriers: the text and binary forms in which gateways forward CAN frames over a byte stream or in datagrams.
//!
//! ```
//! use bytes::BytesMut;
//! use milepost_protocol_j1939::carrier::{Carrier, Form};
//!
//! let mut carrier = Carrier::new(Form::Candump);
//! let mut stream = BytesMut::from("(1543509533.000838) can0 18FEF100#F3003CCFFFFFE0FF\n(15435");
//! let record = carrier.next_frame(&mut stream)?.expect("a whole line");
//! assert_eq!(record.frame().unwrap().to_string(), "18FEF100#F3003CCFFFFFE0FF");
//! assert_eq!(carrier.next_frame(&mut stream), Ok(None), "the rest of a line is needed");
//! # Ok::<(), milepost_protocol_j1939::carrier::Skipped>(())
//! ```
//!
//! # Forms
//!
//! | name | record | time stamp | resynchronisation: lost at most | bytes kept undecided |
//! |---|---|---|---|---|
//! | `thirteen-byte` | 13 bytes | none | nothing after the garbage, if four valid records in a row follow (52 bytes), or two and a pause | 52 |
//! | `candump` | line | µs, optional | the damaged line, at most 512 bytes each | 512 |
//! | `slcan` | up to CR | ms modulo 60 000, optional | the damaged line | 512 |
//! | `socketcan-le`, `socketcan-be` | 16 bytes (CAN FD 72) | none | nothing after the garbage, if four valid classic records in a row follow (64 bytes), or two and a pause | 72 |
//! | `cannelloni` | 5 to 70 bytes | none | everything up to the next greeting: close the connection | 70 |
//! | `cannelloni-udp` | the same, in datagrams | none | the rest of the datagram | 70 |
//! | `socketcand` | `< … >` | µs | the damaged token | 512 |
//! | `elm327` | line | none | the damaged line | 512 |
//!
//! - Garbage that is itself valid cannot be told from frames. In forms without delimiters four random
//!   records agree with a probability below 10⁻⁸ each position; all-zero records agree with nothing.
//! - A frame without a time stamp has [`CanFrame::time`](crate::CanFrame::time) `None`. The receiver
//!   stamps it on arrival and marks the time as estimated; time-outs of the transport protocol should not be judged by it.
//! - CAN FD, CAN XL and error frames are records of their own kind: counted and passed over.
//!
//! # Acknowledgement
//!
//! No carrier acknowledges frames. What the gateway has sent and the receiver has not stored when
//! it stops is lost: frames in the buffers of both systems' sockets, and those in memory. Over TCP
//! a receiver that does not read slows the gateway down, which then drops frames by its own rule.
//!
//! # Handshakes
//!
//! cannelloni over TCP expects a greeting from both sides, socketcand two requests. They are given by
//! [`Carrier::take_output`], to be sent whenever it returns bytes. The other forms are only listened to:
//! serial adapters and ELM327 must have been set up before.
//!
//! # Further forms
//!
//! A form that is not here (GVRET, PCAN-Gateway, items of another protocol) implements [`Deframe`]
//! and is driven by [`Carrier::custom`].

use alloc::boxed::Box;

use bytes::{Buf, Bytes, BytesMut};

pub mod candump;
mod cannelloni;
mod deframe;
mod detect;
mod elm327;
#[cfg(feature = "embedded-can")]
mod embedded;
mod encode;
mod form;
mod record;
mod slcan;
mod socketcan;
mod socketcand;
mod text;
mod thirteen;

pub use deframe::{AGREEMENT, Deframe, Scan, TEXT_LIMIT};
pub use detect::{DETECTION_LIMIT, Detected, detect};
#[cfg(feature = "embedded-can")]
pub use embedded::from_embedded;
pub use encode::{Encoder, NoRemote};
pub use form::{Form, Setting, Stamps, UnknownForm};
pub use record::{Counts, Reason, Record, RecordKind, Skipped};
pub use socketcan::ByteOrder;

use cannelloni::{Tcp, Udp};
use deframe::Sliding;
use detect::Detection;
use elm327::Elm327;
use slcan::Slcan;
use socketcan::SocketCan;
use socketcand::Socketcand;
use thirteen::Thirteen;

/// The interface that a socketcand server is asked for unless another one is set.
pub const DEFAULT_BUS: &str = "can0";

/// Takes records off the front of a stream, however it is cut.
///
/// - `Ok(None)` asks for more bytes and consumes nothing.
/// - Every other return has consumed at least one byte; an error is never terminal.
/// - The frames found do not depend on how the stream is cut into reads, pauses apart.
/// - At most [`Form::max_pending`] bytes stay undecided ([`DETECTION_LIMIT`] during detection).
#[derive(Debug)]
pub struct Carrier {
    form: Any,
    counts: Counts,
}

#[derive(Debug)]
enum Any {
    Candump(candump::Candump),
    Thirteen(Sliding<Thirteen>),
    SocketCan(ByteOrder, Sliding<SocketCan>),
    Slcan(Slcan),
    Tcp(Tcp),
    Udp(Udp),
    Socketcand(Socketcand),
    Elm327(Elm327),
    Detecting {
        detection: Detection,
        bus: Box<str>,
        is_quiet: bool,
    },
    Custom(Box<dyn Deframe + Send + Sync>),
}

impl Carrier {
    /// A carrier for a stream of this form, or for one whose form is to be detected.
    #[must_use]
    pub fn new(setting: impl Into<Setting>) -> Self {
        Self::with_bus(setting, DEFAULT_BUS)
    }

    /// Like [`new`](Self::new), with the interface that a socketcand server is asked for.
    #[must_use]
    pub fn with_bus(setting: impl Into<Setting>, bus: &str) -> Self {
        Self::of(match setting.into() {
            Setting::Form(form) => Any::new(form, bus, true),
            Setting::Detect => Any::Detecting {
                detection: Detection::default(),
                bus: bus.into(),
                is_quiet: false,
            },
        })
    }

    /// A carrier for a form that this crate does not have.
    #[must_use]
    pub fn custom(form: Box<dyn Deframe + Send + Sync>) -> Self {
        Self::of(Any::Custom(form))
    }

    /// A carrier of which not even the first record is believed without others.
    fn doubtful(form: Form) -> Self {
        Self::of(Any::new(form, DEFAULT_BUS, false))
    }

    const fn of(form: Any) -> Self {
        Self {
            form,
            counts: Counts {
                frames: 0,
                payloads: 0,
                fd: 0,
                error_frames: 0,
                notices: 0,
                skips: 0,
                skipped_bytes: 0,
            },
        }
    }

    /// Takes the next record off the front of `src`.
    ///
    /// # Errors
    /// [`Skipped`] when bytes were passed over that hold no readable record. Go on.
    #[inline]
    pub fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Record>, Skipped> {
        match self.form.scan(src) {
            Scan::More => Ok(None),
            Scan::Record { len, kind } => {
                self.counts.add(&kind);
                Ok(Some(Record::new(take(len, src), kind)))
            }
            Scan::Skip { len, reason } => Err(self.skip(len, reason, src)),
        }
    }

    /// Like [`next_frame`](Self::next_frame), without keeping the bytes of a record: a third faster.
    /// A frame can be written again with [`candump::line_of`].
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame); the bytes passed over are kept.
    #[inline]
    pub fn next_kind(&mut self, src: &mut BytesMut) -> Result<Option<RecordKind>, Skipped> {
        match self.form.scan(src) {
            Scan::More => Ok(None),
            Scan::Record { len, kind } => {
                self.counts.add(&kind);
                src.advance(len.max(1).min(src.len()));
                Ok(Some(kind))
            }
            Scan::Skip { len, reason } => Err(self.skip(len, reason, src)),
        }
    }

    #[cold]
    fn skip(&mut self, len: usize, reason: Reason, src: &mut BytesMut) -> Skipped {
        let raw = take(len, src);
        self.counts.skip(raw.len());
        Skipped::new(raw, reason)
    }

    /// The sender went quiet, or the datagram ended. Call [`next_frame`](Self::next_frame) until
    /// it returns `Ok(None)` before more bytes are appended.
    pub fn on_pause(&mut self) {
        if let Any::Detecting { is_quiet, .. } = &mut self.form {
            *is_quiet = true;
        }
        if let Some(form) = self.form.as_dyn() {
            form.on_pause();
        }
    }

    /// Bytes to send to the peer, each once: ask at the start and after every
    /// [`next_frame`](Self::next_frame).
    pub fn take_output(&mut self) -> Option<Bytes> {
        self.form.as_dyn()?.take_output()
    }

    /// Whether the form cannot find the next record by itself. The connection should be closed, so
    /// that the peer starts anew.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match &self.form {
            Any::Tcp(form) => form.is_lost(),
            Any::Custom(form) => form.is_lost(),
            _ => false,
        }
    }

    /// The form, if it is set or detected; `None` during detection and for a custom form.
    #[must_use]
    pub const fn form(&self) -> Option<Form> {
        Some(match &self.form {
            Any::Candump(_) => Form::Candump,
            Any::Thirteen(_) => Form::ThirteenByte,
            Any::SocketCan(order, _) => Form::SocketCan(*order),
            Any::Slcan(_) => Form::Slcan,
            Any::Tcp(_) => Form::Cannelloni,
            Any::Udp(_) => Form::CannelloniUdp,
            Any::Socketcand(_) => Form::Socketcand,
            Any::Elm327(_) => Form::Elm327,
            Any::Detecting { .. } | Any::Custom(_) => return None,
        })
    }

    /// How many records of each kind there were.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

/// At least one byte, so that a custom form cannot stop the stream.
#[inline]
fn take(len: usize, src: &mut BytesMut) -> Bytes {
    src.split_to(len.max(1).min(src.len())).freeze()
}

impl Any {
    fn new(form: Form, bus: &str, is_synced: bool) -> Self {
        match form {
            Form::Candump => Self::Candump(candump::Candump::default()),
            Form::ThirteenByte => Self::Thirteen(Sliding::new(Thirteen, is_synced)),
            Form::SocketCan(order) => {
                Self::SocketCan(order, Sliding::new(SocketCan(order), is_synced))
            }
            Form::Slcan => Self::Slcan(Slcan::default()),
            Form::Cannelloni => Self::Tcp(Tcp::default()),
            Form::CannelloniUdp => Self::Udp(Udp::default()),
            Form::Socketcand => Self::Socketcand(Socketcand::new(bus)),
            Form::Elm327 => Self::Elm327(Elm327::default()),
        }
    }

    #[inline]
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        match self {
            Self::Candump(form) => form.scan(bytes),
            Self::Thirteen(form) => form.scan(bytes),
            Self::SocketCan(_, form) => form.scan(bytes),
            Self::Slcan(form) => form.scan(bytes),
            Self::Tcp(form) => form.scan(bytes),
            Self::Udp(form) => form.scan(bytes),
            Self::Socketcand(form) => form.scan(bytes),
            Self::Elm327(form) => form.scan(bytes),
            Self::Detecting { .. } => self.detect(bytes),
            Self::Custom(_) if bytes.is_empty() => Scan::More,
            Self::Custom(form) => form.scan(bytes),
        }
    }

    #[cold]
    fn detect(&mut self, bytes: &[u8]) -> Scan {
        let Self::Detecting {
            detection,
            bus,
            is_quiet,
        } = self
        else {
            return Scan::More;
        };
        match detection.judge(bytes, *is_quiet) {
            Detected::More => {
                *is_quiet = false;
                Scan::More
            }
            Detected::Form(form) => {
                // The first record is believed only with others, and text before it is passed over.
                let mut detected = Self::new(form, bus, false);
                if *is_quiet && let Some(form) = detected.as_dyn() {
                    form.on_pause();
                }
                *self = detected;
                self.scan(bytes)
            }
            Detected::Unknown => {
                *detection = Detection::default();
                Scan::Skip {
                    len: DETECTION_LIMIT,
                    reason: Reason::OutOfSync,
                }
            }
        }
    }

    /// The form by its trait; `None` during detection.
    fn as_dyn(&mut self) -> Option<&mut dyn Deframe> {
        Some(match self {
            Self::Candump(form) => form,
            Self::Thirteen(form) => form,
            Self::SocketCan(_, form) => form,
            Self::Slcan(form) => form,
            Self::Tcp(form) => form,
            Self::Udp(form) => form,
            Self::Socketcand(form) => form,
            Self::Elm327(form) => form,
            Self::Custom(form) => form.as_mut(),
            Self::Detecting { .. } => return None,
        })
    }
}
