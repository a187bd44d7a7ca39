//! TEDI's batch: `$,BTH,IMEI,count,$,record,$,record…*`.
//!
//! A record is `alert,L|H,fix,DDMMYY,hhmmss,lat,N,lon,E,MCC,MNC,LAC,cell,speed,heading,satellites,
//! HDOP,GSM,ignition,main power,mode,altitude,operator`. Source: TEDI ITS-IRNS-01, a maker's own
//! decoder.

use super::{Certainty, Message, error};
use crate::dialect::{Dialects, Kind, Layout, Slot};
use crate::frame::Frame;
use crate::items::Items;
use crate::layout::{Reader, Trace};
use crate::{DecodeError, DecodeErrorKind, Field};

/// The length of `$,BTH,`.
const HEADER: usize = 6;

const RECORD: [Field; 24] = [
    Field::Alert,
    Field::Status,
    Field::Fix,
    Field::Date,
    Field::Time,
    Field::Latitude,
    Field::NorthSouth,
    Field::Longitude,
    Field::EastWest,
    Field::Mcc,
    Field::Mnc,
    Field::Lac,
    Field::Cell,
    Field::Speed,
    Field::Heading,
    Field::Satellites,
    Field::Hdop,
    Field::Gsm,
    Field::Ignition,
    Field::MainPower,
    Field::Mode,
    Field::Altitude,
    Field::Operator,
    Field::Ota,
];

pub(super) fn read<T: Trace>(
    frame: &Frame,
    dialects: &Dialects,
    mut trace: T,
) -> (Result<Message, DecodeError>, T) {
    let raw = frame.raw();
    let dialect = dialects
        .by_name("tedi")
        .cloned()
        .unwrap_or_else(|| dialects.generic());
    let mut message = Message::new(
        Kind::Tracking,
        dialect.clone(),
        Certainty::Vendor,
        Box::default(),
    );
    let missing = |field: Field, at: usize| {
        Err(error(
            Kind::Tracking,
            field.name(),
            at,
            DecodeErrorKind::Missing,
        ))
    };
    trace.read("header", 0..HEADER.min(raw.len()));
    let body = frame.body();
    let head = Items::cut(
        raw,
        HEADER.min(body.len()),
        find(body, 0).unwrap_or(body.len()).min(40),
        false,
    );
    match head.get(0) {
        Some(imei) if message.record.set(Field::Imei, raw, imei) => {
            if let Some(span) = head.span(0) {
                trace.read(Field::Imei.name(), span.range());
            }
        }
        _ => return (missing(Field::Imei, HEADER), trace),
    }
    if let Some(span) = head.span(1) {
        trace.read("count", span.range());
    }
    let slots = RECORD.map(|field| Slot {
        field,
        is_optional: field == Field::Ota,
    });
    let layout = Layout(slots.to_vec());
    let mut at = 0;
    while let Some(next) = find(body, at) {
        let from = next + 2;
        let to = find(body, from).unwrap_or(body.len());
        // Places in items are of 16 bits; a batch can be longer.
        let part = raw.slice(next..to.min(next.saturating_add(2_048)));
        let items = Items::cut(&part, 2, part.len(), false);
        let mut at_part = At { base: next, trace };
        at_part.read("record", 0..2);
        let reader = Reader::new(&part, &items, &dialect, None, None, at_part);
        let (reading, back) = reader.run(&layout);
        trace = back.trace;
        let mut record = reading.record;
        record.imei = message.record.imei;
        if record.latitude.is_some() || record.time.is_some() {
            message.items.push(*record);
        }
        at = to;
    }
    if message.items.is_empty() {
        return (missing(Field::Latitude, body.len()), trace);
    }
    (Ok(message), trace)
}

/// The next `$,` of a batch after its header.
fn find(body: &[u8], from: usize) -> Option<usize> {
    let from = from.max(3);
    let rest = body.get(from..)?;
    rest.windows(2)
        .position(|two| two == b"$,")
        .map(|at| from + at)
}

/// Tells reads of a part at their places in the whole.
struct At<T> {
    base: usize,
    trace: T,
}

impl<T: Trace> Trace for At<T> {
    const ON: bool = T::ON;

    fn read(&mut self, field: &'static str, range: core::ops::Range<usize>) {
        let base = self.base;
        self.trace.read(
            field,
            base.saturating_add(range.start)..base.saturating_add(range.end),
        );
    }
}
