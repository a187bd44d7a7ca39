//! The messages: one struct each, in a file each.
//!
//! Adding one is a file (`message/NAME.rs`, with a type that implements [`Body`]) and a line in
//! the table below.

mod body;
#[cfg(test)]
pub(crate) mod testing;
mod unknown;
pub(crate) mod upload;

pub use body::{Body, Context, Direction, Fit};
pub use unknown::Unknown;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

#[cfg(feature = "telemetry")]
use bytes::BufMut;
use bytes::{Bytes, BytesMut};

use crate::address::Question;
use crate::explain::Field;
use crate::field::DateTime;
use crate::frame::{self, Frame, Head, Start};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect, explain};

/// What to do with the type of a frame's number.
trait Visitor {
    type Output;
    fn visit<B: Body + Into<Message>>(self) -> Self::Output;
    fn unknown(self) -> Self::Output;
}

macro_rules! messages {
    ($($module:ident: $($number:pat_param)|+ => $variant:ident $(in $box:ident)?,)*) => {
        $(mod $module;)*
        $(pub use $module::*;)*

        /// A message.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Message {
            $(#[doc = concat!("See [`", stringify!($variant), "`](struct@", stringify!($variant), ").")]
            $variant(held!($variant $($box)?)),)*
            /// A well-formed frame with a number, length or content that no decoder knows.
            Unknown(Unknown),
        }

        $(impl From<$variant> for Message {
            #[inline]
            fn from(body: $variant) -> Self {
                Self::$variant(body.into())
            }
        })*

        $($(impl From<$box<$variant>> for Message {
            fn from(body: $box<$variant>) -> Self {
                Self::$variant(body)
            }
        })?)*

        #[inline]
        fn dispatch<V: Visitor>(cx: &Context<'_>, visitor: V) -> V::Output {
            match cx.number() {
                $($($number)|+ if <$variant as Body>::fit(cx) == Fit::Certain => {
                    return visitor.visit::<$variant>();
                })*
                _ => {}
            }
            match cx.number() {
                $($($number)|+ if <$variant as Body>::fit(cx) != Fit::No => {
                    visitor.visit::<$variant>()
                })*
                _ => visitor.unknown(),
            }
        }

        macro_rules! each {
            ($message:expr, $body:ident => $does:expr) => {
                match $message {
                    $(Message::$variant($body) => $does,)*
                    Message::Unknown($body) => $does,
                }
            };
        }
    };
}

macro_rules! held {
    ($body:ident) => { $body };
    ($body:ident $box:ident) => { $box<$body> };
}

// One line a message: file, numbers, type. The best fit wins, and of equal ones the first. Large ones
// are held `in Box`, so that the others are moved cheaply; a test checks which are large.
messages! {
    // What only servers send comes first: echoes of it must not be taken for a device's messages.
    acknowledgement: _ => Acknowledgement,
    command: 0x80 => Command,
    address_reply: 0x17 | 0x97 => AddressReply,
    time_answer: 0x8a => TimeAnswer,
    server_text: 0x81 | 0x82 => ServerText,
    card_answer: 0x9b => CardAnswer,
    photo_request: 0x36 => PhotoRequest,
    // By number.
    login: 0x01 => Login,
    gps_only: 0x10 => GpsOnly,
    cell_only: 0x11 => CellOnly,
    wide_location: 0x11 | 0x31 => WideLocation,
    location: 0x12 | 0x22 | 0x2d | 0x31 | 0xa0 => Location,
    address_query: 0x17 | 0x1a | 0x2a | 0xa7 => AddressQuery,
    rfid_location: 0x17 => RfidLocation,
    location_with_id: 0x12 => LocationWithId,
    status_location: 0x22 | 0x25 => StatusLocation in Box,
    heartbeat: 0x13 | 0x23 => Heartbeat,
    supply_alarm: 0x16 => SupplyAlarm,
    alarm: 0x16 | 0x26 => AlarmReport,
    command_reply: 0x15 | 0x21 => CommandReply,
    cell_scan: 0x19 => CellScan,
    cell_alarm: 0x19 | 0xa5 => CellAlarm,
    gps_cells: 0x1e => GpsCells in Box,
    supply_state: 0x24 => SupplyState,
    fence_alarm: 0x27 | 0xa3 | 0xa4 => FenceAlarm,
    altitude_alarm: 0x32 => AltitudeAlarm,
    supply_location: 0x32 => SupplyLocation,
    az735_report: 0x32 | 0x33 => Az735Report in Box,
    x1_location: 0x34 => X1Location in Box,
    counted_cells: 0x24 | 0x34 => CountedCells,
    card_location: 0x36 => CardLocation,
    item_location: 0x37 => ItemLocation,
    radio_location: 0x38 => RadioLocation,
    radio_alarm: 0x39 => RadioAlarm,
    key_location: 0x61 => KeyLocation,
    lynkworld_location: 0xa2 => LynkworldLocation,
    // What has a position and none of the layouts above; before lists of cells, which fit any body.
    position_only: 0x10..=0x12 | 0x16 | 0x17 | 0x1a | 0x1e | 0x22 | 0x24..=0x27 | 0x2a | 0x2d | 0x31 | 0x32 | 0x34 | 0x36..=0x39 | 0x61 | 0xa0 | 0xa2..=0xa4 => PositionOnly,
    cell_list: 0x18 | 0x24 | 0x28 | 0x2e | 0xa1 => CellList,
    photo_info: 0x35 => PhotoInfo,
    photo_block: 0x36 => PhotoBlock,
    item_heartbeat: 0x36 => ItemHeartbeat,
    battery_pack: 0x40 => BatteryPack in Box,
    photo_part: 0x41 => PhotoPart,
    obd_text: 0x65 | 0x66 | 0x8c => ObdText,
    modular: 0x70 => Modular,
    file_block: 0x8d => FileBlock,
    serving_cell: 0x8b => ServingCell,
    information: 0x94 => Information in Box,
    camera_alarm: 0x95 => CameraAlarm,
    external_data: 0x9b | 0x9c => ExternalData,
    cells_wifi: 0x2c | 0x33 | 0xa2 => CellsWifi,
    seeworld_status: 0xa3 => SeeworldStatus,
    wifi_alarm: 0xa9 => WifiAlarm,
    time_request: 0x8a => TimeRequest,
    bluetooth_clock: 0xb2 => BluetoothClock,
    device_state: 0xf1 => DeviceState,
    peripheral_state: 0xf2 => PeripheralState,
    wifi_list: 0xf3 => WifiList,
    firmware_notice: 0xfd => FirmwareNotice,
    // Without serial and checksum: what fits nothing else is a notice.
    topin_login: 0x01 => TopinLogin,
    topin_gps: 0x08 | 0x09 | 0x10 | 0x11 => TopinGps,
    topin_status: 0x13 => TopinStatus,
    topin_radio: 0x17..=0x1b | 0x69 => TopinRadio,
    topin_notice: _ => TopinNotice,
}

/// The key of a report that has a time and no position: the number and the whole body.
#[cfg(feature = "telemetry")]
fn whole_key<B: Body>(body: &B) -> BytesMut {
    let mut key = BytesMut::new();
    key.put_u8(body.number());
    body.encode(&mut key);
    key
}

/// Text where the bytes are text, without what pads it; hexadecimal where they are not.
#[cfg(feature = "telemetry")]
fn readable(bytes: &[u8]) -> Box<str> {
    let text = bytes.trim_ascii();
    let end = text
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    match text.get(..end).map(core::str::from_utf8) {
        Some(Ok(text)) if !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            text.trim().into()
        }
        _ => crate::normalize::hex(bytes).into(),
    }
}

/// Whether a frame is known.
struct Known;

impl Visitor for Known {
    type Output = bool;

    fn visit<B: Body + Into<Message>>(self) -> bool {
        true
    }

    fn unknown(self) -> bool {
        false
    }
}

/// The head by which a frame is read: its own or, under `79 79`, that of a `78 78` frame with the
/// same body.
///
/// Devices send any message under `79 79`, as they must where it is long. 0x32, 0x33 and 0x94 are
/// other messages there. So are those that a type takes under `79 79`; all else that is known
/// under `78 78` is read as there, and answered under the start it came by.
fn read_by(cx: &Context<'_>) -> Head {
    let own = *cx.head;
    if !cx.is_long() || own.serial().is_none() || matches!(cx.number(), 0x32 | 0x33 | 0x94) {
        return own;
    }
    let short = own.under(Start::Short);
    // Without a body it is an echo, or the question for the time.
    let has_body = !cx.body.is_empty() || cx.number() == 0x8a;
    let as_short = Context {
        head: &short,
        ..*cx
    };
    if has_body && !dispatch(cx, Known) && dispatch(&as_short, Known) {
        short
    } else {
        own
    }
}

struct Decode<'r, 'a, T: Trace> {
    reader: &'r mut Reader<'a, T>,
    cx: &'r Context<'r>,
}

impl<T: Trace> Visitor for Decode<'_, '_, T> {
    type Output = Result<Message, DecodeError>;

    fn visit<B: Body + Into<Message>>(self) -> Self::Output {
        self.reader.name(B::NAME);
        B::decode(self.reader, self.cx).map(Into::into)
    }

    fn unknown(self) -> Self::Output {
        self.reader.name(Unknown::NAME);
        Unknown::decode(self.reader, self.cx).map(Message::Unknown)
    }
}

struct Unread<'c>(&'c Context<'c>);

impl Visitor for Unread<'_> {
    type Output = (&'static str, Answer);

    fn visit<B: Body + Into<Message>>(self) -> Self::Output {
        (B::NAME, B::unread(self.0))
    }

    fn unknown(self) -> Self::Output {
        (Unknown::NAME, Answer::Silent)
    }
}

impl Message {
    /// Reads a frame.
    ///
    /// # Errors
    /// When the body cannot be read: which field, and at which byte of the frame.
    #[inline]
    pub fn decode(frame: &Frame, dialect: Dialect) -> Result<Self, DecodeError> {
        let (head, raw) = (frame.head(), frame.raw());
        match Location::read_usual(head, raw) {
            Some(usual) => Ok(Self::Location(usual.into())),
            None => decode_traced(head, raw, Some(raw), dialect, &mut ()),
        }
    }

    /// Reads a frame in a slice, as [`find::find`](crate::find::find) found it. Opaque parts are copied.
    ///
    /// # Errors
    /// As for [`Message::decode`].
    #[inline]
    pub fn decode_slice(head: &Head, raw: &[u8], dialect: Dialect) -> Result<Self, DecodeError> {
        match Location::read_usual(head, raw) {
            Some(usual) => Ok(Self::Location(usual.into())),
            None => decode_traced(head, raw, None, dialect, &mut ()),
        }
    }

    /// Reads a frame and explains every byte: each is covered exactly once.
    pub fn explain(frame: &Frame, dialect: Dialect) -> (Result<Self, DecodeError>, Vec<Field>) {
        explain::explain(frame, |trace| {
            decode_traced(frame.head(), frame.raw(), Some(frame.raw()), dialect, trace)
        })
    }

    /// How a frame is answered whose body cannot be read, and its message's name.
    pub(crate) fn unread(frame: &Frame, dialect: Dialect) -> (&'static str, Answer) {
        let cx = Context {
            head: frame.head(),
            body: frame.body(),
            dialect,
        };
        let head = read_by(&cx);
        let cx = Context { head: &head, ..cx };
        dispatch(&cx, Unread(&cx))
    }

    /// Writes the message as a frame with this serial number, under its usual start; one of the
    /// relatives without serial and checksum as theirs.
    pub fn encode(&self, serial: u16, out: &mut BytesMut) {
        self.encode_under(self.start(), serial, out);
    }

    /// Writes the message as [`Message::encode`] does, under a start: messages that usually come
    /// under `78 78` come under `79 79` too. The start is the frame's, as is the serial; a frame is
    /// written as it was under [`Frame::start`] with [`Frame::serial`].
    ///
    /// A body that is too long for the length field, which no frame has that was read under that
    /// start, is cut to what fits (see [`frame::encode`]).
    pub fn encode_under(&self, start: Start, serial: u16, out: &mut BytesMut) {
        if let Some(announced) = each!(self, body => body.bare()) {
            let mut body = BytesMut::new();
            self.encode_body(&mut body);
            return frame::encode_relative(announced, self.number(), out, &body);
        }
        frame::encode(start, self.number(), serial, out, |out| {
            self.encode_body(out);
        });
    }

    /// The message as a frame with this serial number, under its usual start.
    #[must_use]
    pub fn to_bytes(&self, serial: u16) -> Bytes {
        self.to_bytes_under(self.start(), serial)
    }

    /// The message as a frame with this start and serial number.
    #[must_use]
    pub fn to_bytes_under(&self, start: Start, serial: u16) -> Bytes {
        let mut out = BytesMut::new();
        self.encode_under(start, serial, &mut out);
        out.freeze()
    }

    /// Writes the body alone.
    pub fn encode_body(&self, out: &mut BytesMut) {
        each!(self, body => body.encode(out));
    }

    /// The message's number.
    #[must_use]
    pub fn number(&self) -> u8 {
        each!(self, body => body.number())
    }

    /// How its frames usually start.
    #[must_use]
    pub fn start(&self) -> Start {
        each!(self, body => body.start())
    }

    /// The message's name, in lower case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        each!(self, body => body.name())
    }

    /// What it is answered.
    #[must_use]
    pub fn answer(&self) -> Answer {
        each!(self, body => body.answer())
    }

    /// Which way it travels.
    #[must_use]
    pub fn direction(&self) -> Direction {
        each!(self, body => body.direction())
    }

    /// The family of devices that sent it, where only one sends such a message: by this a
    /// [`Session`](crate::Session) learns what it is talking to.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        each!(self, body => body.dialect())
    }

    /// Whether a device of this family would not send this message.
    #[must_use]
    pub fn contradicts(&self, dialect: Dialect) -> bool {
        each!(self, body => body.contradicts(dialect))
    }

    /// The battery in the unit that some devices count in percent and others in levels.
    #[must_use]
    pub fn raw_battery(&self) -> Option<u8> {
        each!(self, body => body.raw_battery())
    }

    /// The device's clock, in messages whose zone no manual states, and whether the
    /// message is marked as live.
    #[must_use]
    pub fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        each!(self, body => body.clock())
    }

    /// The address that it asks for, or that may follow its acknowledgement.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        each!(self, body => body.question())
    }

    /// Its reports; none for a server's message.
    #[cfg(feature = "telemetry")]
    #[inline]
    pub fn normalize(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &mut crate::normalize::Reports,
    ) {
        each!(self, body => body.normalize(cx, out));
    }
}

#[inline(never)]
fn decode_traced<T: Trace>(
    head: &Head,
    raw: &[u8],
    owner: Option<&Bytes>,
    dialect: Dialect,
    trace: &mut T,
) -> Result<Message, DecodeError> {
    let Range { start, end } = head.body();
    let body = raw.get(start..end).unwrap_or_default();
    let cx = Context {
        head,
        body,
        dialect,
    };
    let head = &read_by(&cx);
    let cx = Context { head, ..cx };
    let mut reader = Reader::new(body, start, head.number(), owner, trace);
    dispatch(
        &cx,
        Decode {
            reader: &mut reader,
            cx: &cx,
        },
    )
}
