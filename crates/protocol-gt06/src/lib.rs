//! Decoder and encoder for the GT06 / Concox / Jimi tracker protocol, without I/O.
//!
//! Bytes in; frames, messages, replies and normalized reports out. No runtime, no clock, no
//! sockets; `no_std` with `alloc` without features.
//!
//! ```
//! use bytes::BytesMut;
//! use protocol_gt06::{AckPolicy, FrameError, Message, Session};
//!
//! let mut session = Session::new(AckPolicy::default());
//! let mut stream = BytesMut::from(&b"\x78\x78\x22\x22\x0F\x0C\x1D\x02\x33\x05\xC9\x02\x7A\xC8\x18\
//!     \x0C\x46\x58\x60\x00\x14\x00\x01\xCC\x00\x28\x7D\x00\x1F\x71\x00\x00\x01\x00\x08\x20\x86\x0D\x0A"[..]);
//! loop {
//!     match session.next_frame(&mut stream) {
//!         Ok(Some(frame)) => match session.on_frame(&frame, 1_451_357_465).message {
//!             Ok(Message::Location(l)) => println!("{} {}", l.gps.time, l.gps.position.latitude()),
//!             Ok(other) => println!("{}", other.name()),
//!             Err(error) => eprintln!("kept aside: {error}"),
//!         },
//!         Ok(None) => break, // read more bytes into `stream`
//!         Err(FrameError::Skipped { bytes, .. }) => eprintln!("{bytes} bytes passed over"),
//!         Err(_) => {}
//!     }
//! }
//! ```
//!
//! # Layers
//!
//! | layer | type | does |
//! |---|---|---|
//! | frames | [`Deframer`], [`frame`] | delimits: partial reads, garbage, lying lengths; the checksum is a verdict, not a gate |
//! | messages | [`Message`], [`message`] | reads and writes bodies, losslessly |
//! | conversation | [`Session`], [`reply`] | who logged in, what is answered and when, what is learned ([`Profile`]) |
//! | reports | [`normalize`] (feature `telemetry`) | units, zones, validity, identity |
//! | commands | [`command`], [`answer`] | what is said to a device, and what its answer in words means |
//! | files | [`media`] | photos and recordings put together from their blocks, with bounds |
//! | explanation | [`Message::explain`] | every byte of a frame with name and meaning |
//!
//! # Support
//!
//! | number | message | decode | encode | reply | dialects |
//! |---|---|---|---|---|---|
//! | 01 | login | yes | yes | at once | all; L 0D, 0F, 11 |
//! | 10 | position without cell | yes | yes | by policy, when stored | concox |
//! | 11 | cell alone, or position with wide cell | yes | yes | by policy, when stored | concox |
//! | 12, 22, 2D, 31, A0 | location | yes | yes | by policy, when stored | concox, benway, wetrust, gt06e, s5, vxt01, seeworld, qh302r, sl4x (31), vl103 (A0) |
//! | 22 (L 3C), 25 | location with status and driver | yes | yes | by policy, when stored | nt11 to nt46, xt40, x25 |
//! | 13, 23 | heartbeat | yes | yes | at once | concox, gt03, r11, lynkworld, seeworld, obd6, space10x, gk310 |
//! | 15, 21 | answer to a command, text read | yes | yes | none | all |
//! | 16, 26 | alarm | yes | yes | when stored, unless LNG is 0 | concox, jimi, lynkworld, seeworld, trx16i, vxt01 |
//! | 19, A5 | alarm with a cell alone | yes | yes | when stored, unless LNG is 0 | concox, jimi 4g |
//! | 19 (L ≥ 17) | several cells | yes | yes | when stored | space10x |
//! | 1E | position with seven cells | yes | yes | by policy, when stored | ji09 |
//! | 27, A3, A4 | alarm with fence | yes | yes | when stored, unless LNG is 0 | jimi, gk310, ll301 |
//! | A3 (L 0C, 18) | status | yes | yes | when stored, unless LNG is 0 | seeworld |
//! | 32 (L 2C, 2F) | location with supply | yes | yes | by policy, when stored | j16 |
//! | 32 (L 27, 29) | alarm with altitude | yes | yes | when stored, unless LNG is 0 | sl4x |
//! | 32, 33 (`79 79`) | position, alarm in blocks | yes | yes | when stored | az735 |
//! | 34 (L ≥ 38) | location with ports | yes | yes | by policy, when stored | x1 |
//! | 35 | photo is ready | yes | yes | a request for its first block, when stored | x1 |
//! | 36 (blocks) | block of a photo | yes | yes | a request for the next block, when stored | x1 |
//! | 36 (L ≥ 0A) | heartbeat with items | yes | yes | at once | jimi 4g, h08 |
//! | 36 (L 35) | location with card | yes | yes | by policy, when stored | trx16i |
//! | 37, 38 | location with items | yes | yes | by policy, when stored | jm-vg01u, vl106 |
//! | 39 | alarm with items | yes | yes | when stored, unless LNG is 0 | jimi 4g |
//! | 40 | battery pack | yes | yes | when stored | wd-209 |
//! | 41 (`79 79`) | part of a photo | yes | yes | when stored | |
//! | 61 | location with key | yes | yes | by policy, when stored | dt16e |
//! | 65, 66, 8C | values of the vehicle as text | yes | yes | none under `79 79` | fm08abc |
//! | 70 (`79 79`) | modules | yes | yes | when stored, if wanted | ct10, jm-ll01, jm-ll02, vl103 |
//! | 8D (`79 79`) | block of a recording | yes | yes | none | |
//! | 94 | information, every sub-type | yes | yes | none | all; L 07 under `78 78` |
//! | 95 | alarm of a camera | yes | yes | when stored | jc100, jc261, jc400 |
//! | 9B, 9C (`79 79`) | data of a connected device | yes | yes | a card is accepted or refused, when stored | |
//! | A2 (L 40) | location with status | yes | yes | by policy; its alarms when stored | lynkworld |
//! | 17, 1A, 2A, A7 | question for an address | yes | yes | 17 or 97: the address of a [`Resolver`](address::Resolver), else "NA", at once | concox, gk310 |
//! | 17 (L 27, 28) | location with card or status | yes | yes | by policy; its alarms when stored | trx16i |
//! | 18, 24, 28, 2E, 34 (L 37), A1 | cells | yes | yes | by policy, when stored | concox, wanway, sl4x, gk310 |
//! | 24 (L 2E) | location with ignition and voltages | yes | yes | by policy, when stored | sr411 |
//! | 2C, A2, 33 | cells and WiFi | yes | yes | by policy, when stored | concox, gk310, jimi, sl4x |
//! | A9 | alarm with cells and WiFi | yes | yes | when stored, unless LNG is 0 | jimi |
//! | F3 | WiFi | yes | yes | by policy, when stored | |
//! | 8B | serving cell | yes | yes | none | |
//! | 8A | time request | yes | yes | the time, at once | all |
//! | B2 | beacon met | yes | yes | `78 78`: when stored | |
//! | F1 (`79 79`) | state of the device | yes | yes | when stored, if wanted | jimi 4g |
//! | F2 (`79 79`) | state of what is connected | yes | yes | none | vl842 |
//! | FD (`79 79`) | firmware | yes | yes | none | gt06d |
//! | 81, 82 | texts (server) | kept whole | yes | none | early models |
//! | 36, 9B | photo wanted, card accepted (server) | yes | yes | none | |
//! | 01, 08 to 11, 13 to 15, 17 to 1A, 30, 41, 57, 69, 92 to 94, 99 without serial and checksum | login, positions, status, WiFi and cells, time request, notices | yes | yes | echoes: login, status, time at once; positions, WiFi and cells when stored | topin |
//! | 80 | command (server) | yes | yes | none | all |
//! | 8A, 17, 97, NN without body | answers of a server | yes | yes | none | all |
//! | others | unknown, body kept | yes | yes | `78 78`: when stored | |
//!
//! # Guarantees
//!
//! - No panic on any bytes; memory bounded by the longest frame (65 541 bytes).
//! - What is found in a stream does not depend on how it was cut into reads.
//! - One damaged frame costs at most that frame, never a neighbour with a right checksum.
//! - `encode(decode(x)) == x` for every well-formed frame; what is not known is kept.
//! - A frame that cannot be read is answered as its kind demands, so that the device does not
//!   send it for ever; the error names field and byte.
//! - No allocation per frame from bytes to message, nor to the report of a plain location.
//!
//! # Adding a message
//!
//! 1. `src/message/NAME.rs`: a table of the layout with its source, a type that keeps all that is
//!    sent, [`message::Body`] for it. With several layouts under one number, `accepts` says which
//!    frames are this one; fields that messages share are in [`field`].
//! 2. One line in the table of `src/message/mod.rs`: `name: 0xNN => Type,`.
//!
//! Reading through [`Reader`] with a name for each field is what gives errors their field and
//! byte, and `--explain` its lines; `r.note(|| ...)` adds what a field means. `ANSWER` is the reply
//! where the body cannot be read; `answer` where it can. `normalize` states the identity key.
#![no_std]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::panic
    )
)]

extern crate alloc;
#[cfg(any(feature = "telemetry", feature = "codec", test))]
extern crate std;

pub mod address;
pub mod answer;
mod checksum;
pub mod command;
mod deframer;
mod dialect;
mod error;
mod explain;
pub mod field;
pub mod frame;
pub mod media;
pub mod message;
#[cfg(feature = "telemetry")]
pub mod normalize;
mod parse;
mod profile;
mod relative;
pub mod reply;
mod session;
mod text;

pub use checksum::checksum;
pub use deframer::Deframer;
pub use dialect::{Dialect, UnknownDialect};
pub use error::{DecodeError, DecodeErrorKind, FrameError};
pub use explain::Field;
pub use frame::{Checksum, Frame, Framing, Head, Start};
pub use message::{Direction, Message};
pub use parse::{Reader, Trace};
#[cfg(feature = "telemetry")]
pub use profile::ProfileError;
pub use profile::{Profile, Zones};
pub use reply::{AckPolicy, Reply, ReplyClass};
pub use session::{CardJudge, Handled, Session, Upload};
