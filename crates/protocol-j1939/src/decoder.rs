//! CAN frames of one bus in, decoded groups and messages out.
//!
//! ```
//! use milepost_protocol_j1939::decoder::{Content, Decoder, Output};
//! use milepost_protocol_j1939::{CanFrame, CanId, CanTime};
//!
//! let id = CanId::extended(0x18FEF100).unwrap();
//! let frame = CanFrame::new(id, &[0xF3, 0x00, 0x3C, 0xCF, 0xFF, 0xFF, 0xE0, 0xFF])?;
//! let mut decoder = Decoder::default();
//! decoder.push(&frame, CanTime(0));
//! let Some(Output::Message(message)) = decoder.poll() else { panic!() };
//! assert!(matches!(message.content, Content::Signals));
//! let speed = message.signals().find(|s| s.spn.number == 84).unwrap();
//! assert_eq!(speed.reading.value(), Some(60.0));
//! # Ok::<(), milepost_protocol_j1939::CanFrameError>(())
//! ```

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::can::{CanFrame, CanId, CanTime};
use crate::diagnostics::{Diagnostic, SpnConversion};
use crate::error::DecodeError;
use crate::id::{J1939Id, Pgn};
use crate::name::{AddressBook, ClaimOutcome, Name};
use crate::network::{Acknowledge, CommandedAddress, Request};
use crate::obd::isotp::{Addressing, IsoTp, IsoTpError, IsoTpEvent};
use crate::obd::{self, ObdMessage, Role};
use crate::signal::{self, Payload, Sample, Spn};
use crate::text::{self, TextField};
use crate::transport::{self, Event, Failure, Reassembler, Stamp};

/// Signals that a user defined, besides or instead of those of the table.
pub trait Definitions: Send + Sync {
    /// All signals of a group; `None` if the user defined none for it.
    fn group(&self, pgn: Pgn) -> Option<&'static [Spn]>;
    /// All signals of an 11-bit identifier.
    fn standard(&self, id: u16) -> Option<&'static [Spn]>;
}

/// How a bus is decoded.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// How trouble codes with conversion method 1 are read.
    pub conversion: SpnConversion,
    /// A user's signals.
    pub definitions: Option<Arc<dyn Definitions>>,
    /// Bounds of multi-packet messages.
    pub transport: transport::Limits,
    /// Bounds of segmented messages.
    pub iso_tp: obd::isotp::Limits,
    /// Where the protocol bytes of segmented messages start.
    pub addressing: Addressing,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("conversion", &self.conversion)
            .field("definitions", &self.definitions.is_some())
            .finish_non_exhaustive()
    }
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// A parameter group.
    Group(J1939Id),
    /// Another identifier: OBD-II, diagnostics of a maker, or 11 bits.
    Can(CanId),
}

impl Head {
    /// The address of the sender; for other identifiers their lowest byte.
    #[must_use]
    pub fn source(self) -> u8 {
        match self {
            Self::Group(id) => id.source,
            Self::Can(id) => {
                let [low, ..] = id.raw().to_le_bytes();
                low
            }
        }
    }
}

/// The payload of a message. Up to eight bytes are held in place.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// Of a single frame.
    Short(CanFrame),
    /// Put together from several frames, or taken out of one.
    Long(Vec<u8>),
}

impl core::ops::Deref for Data {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(frame) => frame.data(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Signals of the table or of the user: [`Message::signals`].
    Signals,
    /// Tell-tales of the instrument cluster: [`signal::states::tell_tales`].
    TellTales,
    /// Text.
    Text(Vec<TextField>),
    /// A diagnostic message.
    Diagnostic(Diagnostic),
    /// A request for a group.
    Request(Request),
    /// The answer to a request.
    Acknowledge(Acknowledge),
    /// An address claim, and what it changed.
    AddressClaim(Name, ClaimOutcome),
    /// A unit is told its address.
    CommandedAddress(CommandedAddress),
    /// A message of OBD-II.
    Obd(ObdMessage),
    /// Nothing is known about this group or identifier.
    Unknown,
}

/// A decoded group or message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Whose it is.
    pub head: Head,
    /// When its last frame was on the bus.
    pub stamp: Stamp,
    /// Its payload.
    pub data: Data,
    /// What it is.
    pub content: Content,
    definitions: &'static [Spn],
}

impl Message {
    /// The signals of the payload, by the table and the user's definitions. Diagnostic messages
    /// that carry counters and distances have signals too.
    pub fn signals(&self) -> impl Iterator<Item = Sample> {
        let payload = Payload::new(&self.data);
        self.definitions.iter().map(move |spn| spn.sample(&payload))
    }

    /// The definitions of its signals.
    #[must_use]
    pub const fn definitions(&self) -> &'static [Spn] {
        self.definitions
    }
}

/// What comes out of a [`Decoder`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// A decoded message.
    Message(Message),
    /// A message whose content cannot be read.
    Malformed {
        /// Whose it is.
        head: Head,
        /// When it was on the bus.
        stamp: Stamp,
        /// Its payload.
        data: Data,
        /// What is wrong.
        error: DecodeError,
    },
    /// A multi-packet message that was refused, aborted or lost.
    Failure(Failure),
    /// A segmented message that was dropped.
    IsoTpFailure {
        /// Whose it was.
        id: CanId,
        /// Why.
        error: IsoTpError,
    },
}

/// Decodes the frames of one bus.
#[derive(Debug, Default)]
pub struct Decoder {
    options: Options,
    transport: Reassembler,
    iso_tp: IsoTp,
    addresses: AddressBook,
    output: VecDeque<Output>,
}

impl Decoder {
    /// A decoder for one bus.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            transport: Reassembler::new(options.transport),
            iso_tp: IsoTp::new(options.addressing, options.iso_tp),
            addresses: AddressBook::new(),
            output: VecDeque::new(),
            options,
        }
    }

    /// Takes a frame. `now` is the caller's clock, used if the frame carries no stamp.
    pub fn push(&mut self, frame: &CanFrame, now: CanTime) {
        // A remote frame asks for data and has none.
        if frame.is_remote() {
            return;
        }
        let stamp = frame
            .time()
            .map_or_else(|| Stamp::estimated(now), Stamp::exact);
        let role = obd::role(frame.id());
        match (J1939Id::new(frame.id()), role) {
            (_, Some(role)) => self.segment(frame, role, stamp),
            (Some(id), None) => {
                if self.transport.push(id, frame.data(), stamp) {
                    self.reassembled(stamp);
                } else {
                    self.group(id, Data::Short(*frame), stamp);
                    if self.transport.sessions() > 0 {
                        self.reassembled(stamp);
                    }
                }
            }
            (None, None) => self.other(frame, stamp),
        }
    }

    /// Lets time pass without frames. `now` is the carrier's time, or the caller's if the frames
    /// have no stamps.
    pub fn advance(&mut self, now: Stamp) {
        self.transport.advance(now);
        self.reassembled(now);
        let output = &mut self.output;
        self.iso_tp.advance(now, |event| fail(output, event));
    }

    /// The next result.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Who holds which address.
    #[must_use]
    pub const fn addresses(&self) -> &AddressBook {
        &self.addresses
    }

    /// Bytes held for unfinished messages: at most the sum of the limits of both protocols.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.transport.bytes().saturating_add(self.iso_tp.bytes())
    }

    fn reassembled(&mut self, stamp: Stamp) {
        while let Some(event) = self.transport.poll() {
            match event {
                Event::Failure(failure) => self.output.push_back(Output::Failure(failure)),
                Event::Message(message) => {
                    let id = J1939Id {
                        priority: message.priority,
                        pgn: message.pgn,
                        source: message.source,
                        destination: message.destination,
                    };
                    self.group(id, Data::Long(message.data), stamp);
                }
            }
        }
    }

    fn group(&mut self, id: J1939Id, data: Data, stamp: Stamp) {
        let definitions = self
            .options
            .definitions
            .as_ref()
            .and_then(|user| user.group(id.pgn))
            .or_else(|| signal::group(id.pgn.raw()).map(|group| group.signals))
            .unwrap_or(&[]);
        let head = Head::Group(id);
        let content = match id.pgn {
            Pgn::REQUEST => Request::decode(&data).map(Content::Request),
            Pgn::ACKNOWLEDGE => Acknowledge::decode(&data).map(Content::Acknowledge),
            Pgn::COMMANDED_ADDRESS => {
                CommandedAddress::decode(&data).map(Content::CommandedAddress)
            }
            Pgn::ADDRESS_CLAIMED => match data.first_chunk::<8>() {
                Some(name) => {
                    let name = Name::from_le_bytes(*name);
                    let outcome = self.addresses.claim(id.source, name, stamp.at);
                    Ok(Content::AddressClaim(name, outcome))
                }
                None => Err(DecodeError::truncated(
                    id.pgn,
                    "name",
                    0,
                    8usize.saturating_sub(data.len()),
                )),
            },
            Pgn::FMS1 => Ok(Content::TellTales),
            _ => match Diagnostic::decode(id.pgn, &data, self.options.conversion) {
                Some(read) => read.map(Content::Diagnostic),
                None => Ok(match text::decode(id.pgn, &data) {
                    Some(fields) => Content::Text(fields),
                    None if !definitions.is_empty() => Content::Signals,
                    None => Content::Unknown,
                }),
            },
        };
        self.emit(head, stamp, data, content, definitions);
    }

    fn segment(&mut self, frame: &CanFrame, role: Role, stamp: Stamp) {
        let output = &mut self.output;
        if let Role::Request { response } = role {
            // A tester that keeps its session alive (service 3E) interrupts nothing.
            let is_request = matches!(frame.data(), [1..=7, service, ..] if *service != 0x3E);
            if is_request {
                self.iso_tp.interrupt(response, |event| fail(output, event));
            }
        }
        let mut complete = None;
        self.iso_tp
            .push(frame.id(), frame.data(), stamp, |event| match event {
                IsoTpEvent::Message { id, data } => complete = Some((id, data)),
                failure => fail(output, failure),
            });
        if let Some((id, data)) = complete {
            let content = match role {
                Role::Other => Ok(Content::Unknown),
                _ => ObdMessage::decode(role, &data).map(Content::Obd),
            };
            self.emit(Head::Can(id), stamp, Data::Long(data), content, &[]);
        }
    }

    fn other(&mut self, frame: &CanFrame, stamp: Stamp) {
        let definitions = match (frame.id(), &self.options.definitions) {
            (CanId::Standard(id), Some(user)) => user.standard(id),
            _ => None,
        };
        let content = definitions.map_or(Content::Unknown, |_| Content::Signals);
        self.emit(
            Head::Can(frame.id()),
            stamp,
            Data::Short(*frame),
            Ok(content),
            definitions.unwrap_or(&[]),
        );
    }

    fn emit(
        &mut self,
        head: Head,
        stamp: Stamp,
        data: Data,
        content: Result<Content, DecodeError>,
        definitions: &'static [Spn],
    ) {
        self.output.push_back(match content {
            Ok(content) => Output::Message(Message {
                head,
                stamp,
                data,
                content,
                definitions,
            }),
            Err(error) => Output::Malformed {
                head,
                stamp,
                data,
                error,
            },
        });
    }
}

fn fail(output: &mut VecDeque<Output>, event: IsoTpEvent) {
    if let IsoTpEvent::Failure { id, error } = event {
        output.push_back(Output::IsoTpFailure { id, error });
    }
}
