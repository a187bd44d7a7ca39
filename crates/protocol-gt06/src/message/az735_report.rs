//! 0x32 and 0x33 under `79 79`, position and alarm of AZ735: blocks with their own length.
//!
//! | length | field | meaning |
//! |---|---|---|
//! | 6 | time | [`DateTime`] |
//! | 1 | size of the position | 0: none; else 12 bytes follow |
//! | 12 | position | [`Position`] |
//! | 1 | size of the cell | 0: none; else a cell follows |
//! | 9, 10 | cell | [`Cell`] and a signal of 1 |
//! | 1 | size of the cells | N |
//! | N | cells | N / 6 × [`Neighbour`] |
//! | 1 | size of the stations | M |
//! | M | stations | M / 7 × WiFi station: MAC 6, signal 1 |
//! | 1 | state | 0x33: A0 armed, A1 disarmed, A2, A3 low battery, A4 intrusion, A5 door |
//! | 1 | size of the extension | K |
//! | K | extension | unknown |
//!
//! Seen on devices. A reply is wanted, in a frame of the same kind. What is cut short after the position
//! is read up to the first block that is not whole, and kept as it is from there on.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, DateTime, Neighbour, NeighbourForm, Position};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position or an alarm of AZ735.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Az735Report {
    /// 0x32 or 0x33.
    pub number: u8,
    /// When.
    pub time: DateTime,
    /// The size of the position as sent, and the position.
    pub position: Option<(u8, Position)>,
    /// The size of the cell as sent, the cell, and its signal.
    pub cell: Option<(u8, Cell, u8)>,
    /// The neighbour cells.
    pub cells: Vec<Neighbour>,
    /// The WiFi stations: address and signal.
    pub stations: Vec<([u8; 6], u8)>,
    /// How many of the blocks after the position are there: cell, cells, stations, state, extension. A
    /// body has all 5, unless it is cut short.
    pub blocks: u8,
    /// State; 0x33: the alarm. 0 where it is not there.
    pub state: u8,
    /// Unknown.
    pub extension: Bytes,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for Az735Report {
    const NAME: &'static str = "az735_report";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let position = match r.u8("position size")? {
            0 => None,
            size => Some((size, Position::decode(r)?)),
        };
        let blocks = whole_blocks(r.peek());
        let has = |block: u8| blocks >= block;
        let cell = match has(1).then(|| r.u8("cell size")).transpose()? {
            None | Some(0) => None,
            Some(size) => Some((size, Cell::decode(r, CellForm::L8)?, r.u8("cell signal")?)),
        };
        let mut cells = Vec::new();
        if has(2) {
            let size = r.u8("cells size")?;
            r.sub("cells", size.into(), |r| {
                while r.remaining() > 0 {
                    cells.push(Neighbour::decode(r, NeighbourForm::C6)?);
                }
                Ok(())
            })?;
        }
        let mut stations = Vec::new();
        if has(3) {
            let size = r.u8("wifi size")?;
            r.sub("wifi", size.into(), |r| {
                while r.remaining() > 0 {
                    stations.push((crate::field::mac(r, "wifi address")?, r.u8("wifi signal")?));
                }
                Ok(())
            })?;
        }
        let state = if has(4) {
            let state = r.u8("state")?;
            r.note(|| state_meaning(state).into());
            state
        } else {
            0
        };
        let extension = if has(5) {
            let size = r.u8("extension size")?;
            r.bytes("extension", size.into())?
        } else {
            Bytes::new()
        };
        Ok(Self {
            number: cx.number(),
            time,
            position,
            cell,
            cells,
            stations,
            blocks,
            state,
            extension,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        let size = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        self.time.encode(out);
        out.put_u8(self.position.map_or(0, |(size, _)| size));
        if let Some((_, position)) = self.position {
            position.encode(out);
        }
        if self.blocks >= 1 {
            out.put_u8(self.cell.map_or(0, |(size, ..)| size));
        }
        if let Some((_, cell, signal)) = self.cell {
            cell.encode(out);
            out.put_u8(signal);
        }
        if self.blocks >= 2 {
            out.put_u8(size(self.cells.len() * NeighbourForm::C6.size()));
        }
        for cell in &self.cells {
            cell.encode(out);
        }
        if self.blocks >= 3 {
            out.put_u8(size(self.stations.len() * 7));
        }
        for (address, signal) in &self.stations {
            out.put_slice(address);
            out.put_u8(*signal);
        }
        if self.blocks >= 4 {
            out.put_u8(self.state);
        }
        if self.blocks >= 5 {
            out.put_u8(size(self.extension.len()));
        }
        out.put_slice(&self.extension);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        Start::Long
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::field::{Gps, dbm};
        use milepost_telemetry::{Event, EventKind, Kind, MacAddress, Signal, WifiStation};

        let event = match (self.number, self.state) {
            (0x33, 0xa0) => Some(EventKind::Armed),
            (0x33, 0xa1) => Some(EventKind::Disarmed),
            (0x33, 0xa2 | 0xa3) => Some(EventKind::LowBattery),
            (0x33, 0xa4) => Some(EventKind::Intrusion),
            (0x33, 0xa5) => Some(EventKind::Door),
            (0x33, 1..) => Some(EventKind::Unknown),
            _ => None,
        };
        let kind = match (self.number, &self.position) {
            (0x33, _) => Kind::Alarm,
            (_, Some(_)) => Kind::Location,
            (_, None) => Kind::Cells,
        };
        let report = if let Some((_, position)) = self.position {
            let gps = Gps::new(self.time, &position);
            let state = (self.blocks >= 4).then_some(self.state.into());
            let key = crate::normalize::Key::new(self.number).alarm(state);
            cx.positioned(out, kind, &gps, key)
        } else {
            cx.timed(out, kind, self.time, &super::whole_key(self), 0)
        };
        // The cells' signals fall from the serving one down (63, 36, 36, 33, 18 were seen), so they
        // are no −dBm; their unit is unknown, and none is put into the report.
        if let Some((_, cell, _)) = self.cell
            && let Some(normal) = cell.normalize(true)
        {
            report.push_cell(normal);
            // The neighbours' network is the serving cell's.
            for neighbour in &self.cells {
                if let Some(mut cell) = neighbour.normalize(cell.raw_mcc, cell.mnc, false) {
                    cell.signal_dbm = None;
                    report.push_cell(cell);
                }
            }
        }
        for (address, signal) in &self.stations {
            if *address != [0; 6] {
                report.more.wifi.push(WifiStation {
                    mac: MacAddress(*address),
                    signal_dbm: dbm(*signal),
                    ssid: None,
                });
            }
        }
        match event {
            Some(kind) => {
                report
                    .more
                    .events
                    .push(Event::by_device(kind, Some(self.state.into())));
                match kind {
                    EventKind::Armed => report.io.armed = Some(true),
                    EventKind::Disarmed => report.io.armed = Some(false),
                    _ => {}
                }
            }
            None if self.state != 0 => {
                report
                    .more
                    .signals
                    .push(Signal::named("gt06.state").number(self.state.into(), None));
            }
            None => {}
        }
        if !self.extension.is_empty() {
            crate::normalize::note_bytes(report, "gt06.extension", &self.extension);
        }
        cx.note_tail(report, &self.tail);
    }
}

/// How many of the five blocks after the position are whole.
fn whole_blocks(mut rest: &[u8]) -> u8 {
    let mut blocks = 0;
    for block in 1..=5 {
        let [size, after @ ..] = rest else { break };
        let len = match block {
            // A cell and its signal, whatever its size.
            1 if *size == 0 => 0,
            1 => CellForm::L8.len(Cell::peek_mcc(after)) + 1,
            // Entries that the size does not end after are none.
            2 if usize::from(*size) % NeighbourForm::C6.size() != 0 => break,
            3 if *size % 7 != 0 => break,
            4 => 0,
            _ => usize::from(*size),
        };
        let Some(after) = after.get(len..) else {
            break;
        };
        (blocks, rest) = (block, after);
    }
    blocks
}

fn state_meaning(state: u8) -> &'static str {
    match state {
        0xa0 => "armed",
        0xa1 => "disarmed",
        0xa2 | 0xa3 => "low battery",
        0xa4 => "intrusion",
        0xa5 => "door",
        _ => "unknown",
    }
}
