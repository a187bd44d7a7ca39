//! From a record to a packet: for a gateway that forwards to a second server in that server's
//! dialect, and for simulated devices.

mod forms;

use core::fmt::Write as _;

use bytes::Bytes;

use crate::Field;
use crate::checksum::{End, Rule};
use crate::dialect::{Dialect, Ending, Kind, Layout};
use crate::neighbour::{Neighbour, Order};
use crate::record::{Alarm, Few, Record};
use crate::text::Bits;
use crate::time::DateTime;

/// A record that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The dialect has no layout for this kind of packet.
    #[error("dialect {dialect} has no layout for {kind} packets")]
    NoLayout {
        /// The dialect.
        dialect: String,
        /// The kind.
        kind: &'static str,
    },
    /// A text holds what would end its item.
    #[error("the {field} holds a separator or a control character")]
    NotText {
        /// The field.
        field: &'static str,
    },
}

/// Writes a record as a packet of a kind in a dialect: by its first header and layout for the kind,
/// with its checksum. Numbers are rounded to what devices print. Fields that the record does not
/// have are written empty or, where the layout needs a number, as zero.
///
/// # Errors
/// When the dialect has no layout for the kind, or a text holds a separator.
///
/// ```
/// use milepost_protocol_ais140::{Dialects, Frame, Kind, Known, Message, Record, encode};
///
/// let dialects = Dialects::builtin();
/// let roadpoint = dialects.by_name("roadpoint").expect("in the table");
/// let mut record = Record::default();
/// record.imei = Some(123_456_789_012_347);
/// record.registration = "KA01AB1234".into();
/// record.firmware = "1.0.0".into();
/// (record.latitude, record.longitude) = (Some(12.976545), Some(77.549759));
///
/// let packet = encode(&record, Kind::Login, roadpoint)?;
/// assert_eq!(
///     packet[..],
///     b"$LGN,KA01AB1234,123456789012347,1.0.0,12.976545,N,77.549759,E,0D9E2300*"[..]
/// );
/// let read = Message::decode(&Frame::new(packet), &dialects, &Known::default())?;
/// assert_eq!(read.record.registration, record.registration);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode(record: &Record, kind: Kind, dialect: &Dialect) -> Result<Bytes, EncodeError> {
    let no_layout = || EncodeError::NoLayout {
        dialect: dialect.name().into(),
        kind: kind.name(),
    };
    match dialect.name() {
        "cdac" => return forms::cdac(record, kind)?.ok_or_else(no_layout),
        "transync" if kind == Kind::Tracking => return Ok(forms::transync(record)),
        _ => {}
    }
    let layout = dialect.layouts(kind).first().ok_or_else(no_layout)?;
    let header = dialect.headers.iter().find(|(_, of)| *of == kind);
    let header = header.or_else(|| dialect.headers.iter().find(|(_, of)| *of == Kind::Unknown));
    let header = match (header, kind) {
        (Some((token, _)), _) => String::from_utf8_lossy(token).into_owned(),
        // Logins without a header begin with the registration.
        (None, Kind::Login) => String::new(),
        (None, _) => return Err(no_layout()),
    };
    let mut writer = Writer {
        record,
        dialect,
        items: Vec::new(),
        analogs: 0,
        accelerations: 0,
        checksum_at: None,
    };
    writer.layout(layout)?;
    let rule = dialect.own_rules(kind).next();
    let Writer {
        items, checksum_at, ..
    } = writer;
    Ok(finish(&header, items, checksum_at, rule, dialect))
}

/// Puts header, items, checksum and end mark together.
fn finish(
    header: &str,
    items: Vec<String>,
    checksum_at: Option<usize>,
    rule: Option<Rule>,
    dialect: &Dialect,
) -> Bytes {
    let after_star = |end: End| matches!(end, End::BeforeStar | End::Star | End::StarComma);
    let ending = match rule {
        Some(rule) if after_star(rule.end) == dialect.ending.before.contains('*') => dialect.ending,
        // The checksum of this kind stands elsewhere than that of positions.
        Some(rule) => match rule.end {
            End::BeforeStar | End::Star => Ending {
                before: "*",
                after: "",
                width: width(rule),
            },
            End::StarComma => Ending {
                before: "*,",
                after: "",
                width: width(rule),
            },
            _ => Ending {
                before: ",",
                after: "*",
                width: width(rule),
            },
        },
        None => dialect.bare_ending,
    };
    let mut out = if header.is_empty() {
        String::from("$")
    } else {
        format!("{header},")
    };
    let at = checksum_at
        .filter(|_| !ending.before.contains('*'))
        .unwrap_or(items.len());
    let (before, after) = items.split_at(at.min(items.len()));
    out.push_str(&before.join(","));
    match rule {
        Some(rule) => {
            out.push_str(ending.before);
            let end = match rule.end {
                End::BeforeComma => out.len().saturating_sub(1),
                End::BeforeStar => out
                    .len()
                    .saturating_sub(ending.before.trim_start_matches(',').len()),
                _ => out.len(),
            };
            let sum = rule.print(out.as_bytes(), end, ending.width);
            out.push_str(&sum);
            for item in after {
                out.push(',');
                out.push_str(item);
            }
            out.push_str(ending.after);
        }
        None => {
            // A checksum that nobody can work out is left out; what follows it stays.
            for item in after {
                out.push(',');
                out.push_str(item);
            }
            out.push_str(ending.after);
        }
    }
    out.into_bytes().into()
}

const fn width(rule: Rule) -> usize {
    match rule.algorithm.bits() {
        8 => 2,
        16 => 4,
        _ => 8,
    }
}

struct Writer<'a> {
    record: &'a Record,
    dialect: &'a Dialect,
    items: Vec<String>,
    analogs: usize,
    accelerations: usize,
    checksum_at: Option<usize>,
}

impl Writer<'_> {
    fn layout(&mut self, layout: &Layout) -> Result<(), EncodeError> {
        for slot in &layout.0 {
            self.field(slot.field, slot.is_optional)?;
        }
        Ok(())
    }

    fn push(&mut self, item: impl Into<String>) {
        self.items.push(item.into());
    }

    fn number(&mut self, value: Option<f64>, decimals: usize) {
        self.items
            .push(format!("{:.decimals$}", value.unwrap_or(0.0)));
    }

    fn flag(&mut self, flag: Option<bool>) {
        self.push(if flag == Some(true) { "1" } else { "0" });
    }

    fn text(&mut self, field: Field, text: &str) -> Result<(), EncodeError> {
        let closing = match text.as_bytes().first() {
            Some(b'(') => Some(')'),
            Some(b'<') => Some('>'),
            Some(b'{') => Some('}'),
            Some(b'"') => Some('"'),
            _ => None,
        };
        let rest = text.get(1..).unwrap_or_default();
        let is_bracketed =
            closing.is_some_and(|c| rest.find(c).is_some_and(|at| at + 1 == rest.len()));
        // An open bracket would take the items after it in.
        let is_open = closing.is_some() && !is_bracketed;
        let ends_item =
            |c: char| c.is_control() || matches!(c, '*' | '$' | '#') || c == ',' && !is_bracketed;
        if (is_open || text.contains(ends_item)) && field != Field::Parameters {
            return Err(EncodeError::NotText {
                field: field.name(),
            });
        }
        self.push(text);
        Ok(())
    }

    /// One field; an optional one that the record does not have is left out.
    fn field(&mut self, field: Field, is_optional: bool) -> Result<(), EncodeError> {
        let record = self.record;
        let more = record.more.clone().unwrap_or_default();
        match field {
            Field::Vendor if is_optional && record.vendor.is_empty() => {}
            Field::Vendor => self.text(field, &record.vendor.to_string())?,
            Field::Firmware => self.text(field, &record.firmware.to_string())?,
            Field::Type => {
                let code = if record.packet_type.is_empty() {
                    "NR".into()
                } else {
                    record.packet_type.to_string()
                };
                self.text(field, &code)?;
            }
            Field::Alert => {
                if let Some(alert) = record.alert {
                    self.push(format!("{alert:02}"));
                } else if !is_optional {
                    self.push("01");
                }
            }
            Field::Status => self.push(if record.live == Some(false) { "H" } else { "L" }),
            Field::PacketStatus => self.push(if record.live == Some(false) {
                "SP"
            } else {
                "NM"
            }),
            Field::Imei => match record.imei {
                Some(imei) => self.push(format!("{imei:015}")),
                None if is_optional => {}
                None => self.push(""),
            },
            Field::Registration => self.text(field, &record.registration.to_string())?,
            Field::Fix => {
                // `A` and `V` in emergency packets.
                let letters = more.alarm.is_some();
                let fix = record.fix == Some(true);
                self.push(match (letters, fix) {
                    (true, true) => "A",
                    (true, false) => "V",
                    (false, true) => "1",
                    (false, false) => "0",
                });
            }
            Field::Date | Field::DateItems | Field::Time | Field::TimeItems | Field::DateTime => {
                self.time(field);
            }
            Field::Latitude => self.number(record.latitude.map(f64::abs), 6),
            Field::NorthSouth => self.push(
                if record.latitude < Some(0.0) && record.latitude.is_some() {
                    "S"
                } else {
                    "N"
                },
            ),
            Field::Longitude => self.number(record.longitude.map(f64::abs), 6),
            Field::EastWest => self.push(
                if record.longitude < Some(0.0) && record.longitude.is_some() {
                    "W"
                } else {
                    "E"
                },
            ),
            Field::Place => {
                let (lat, lon) = (
                    record.latitude.unwrap_or(0.0),
                    record.longitude.unwrap_or(0.0),
                );
                let (ns, ew) = (
                    if lat < 0.0 { 'S' } else { 'N' },
                    if lon < 0.0 { 'W' } else { 'E' },
                );
                self.push(format!("{:.6}{ns}{:.6}{ew}", lat.abs(), lon.abs()));
            }
            Field::Speed => self.number(record.speed, 1),
            Field::Heading => self.number(record.heading, 2),
            Field::Satellites => self.push(record.satellites.unwrap_or(0).to_string()),
            Field::Altitude => self.number(record.altitude, 1),
            Field::Pdop => self.number(record.pdop, 2),
            Field::Hdop => self.number(record.hdop, 2),
            Field::Operator => self.text(field, &record.operator.to_string())?,
            Field::Ignition => self.flag(record.ignition),
            Field::MainPower => self.flag(record.main_power),
            Field::MainVolts => self.number(record.main_volts, 1),
            Field::BatteryVolts => self.number(record.battery_volts, 1),
            Field::Emergency => self.flag(record.emergency),
            Field::Tamper => match record.tamper {
                Some(b' ') => self.push(""),
                Some(letter) => self.push(char::from(letter)),
                None if is_optional => {}
                None => self.push("C"),
            },
            Field::Geofence if is_optional && more.geofence.is_empty() => {}
            Field::Geofence => self.text(field, &more.geofence.to_string())?,
            Field::Gsm => self.push(record.gsm.unwrap_or(99).to_string()),
            Field::Mcc => self.push(record.cells.mcc.unwrap_or(0).to_string()),
            Field::Mnc => self.push(format!("{:02}", record.cells.mnc.unwrap_or(0))),
            Field::Lac => self.push(format!("{:04x}", record.cells.lac.unwrap_or(0))),
            Field::Cell => self.push(cell(record.cells.cell.unwrap_or(0), record.cells.is_wide)),
            Field::CellDecimal => self.push(record.cells.cell.unwrap_or(0).to_string()),
            Field::Neighbours => {
                self.neighbours();
                if let Some(tail) = self.dialect.tails.first() {
                    self.layout(tail)?;
                }
            }
            Field::ServingCell => self.serving_cell(),
            Field::Inputs => self.bits(record.inputs, 4),
            Field::Block => self.bits(more.block, 4),
            Field::Outputs => self.bits(record.outputs, 2),
            Field::InputsOutputs => {
                let (inputs, outputs) = (padded(record.inputs, 4), padded(record.outputs, 2));
                self.push(format!("{inputs}{outputs}"));
            }
            Field::Frame => self.push(format!("{:06}", record.frame.unwrap_or(0) % 1_000_000)),
            Field::Analog => {
                let value = record.analog.as_slice().get(self.analogs).copied();
                self.analogs += 1;
                if value.is_some() || !is_optional {
                    self.number(value, 1);
                }
            }
            Field::OdometerMetres => self.number(record.odometer_m, 0),
            Field::OdometerKm => self.number(record.odometer_m.map(|m| m / 1_000.0), 1),
            Field::Delta => self.number(more.delta, 1),
            Field::Acceleration => {
                let value = Few::as_slice(&more.accelerations)
                    .get(self.accelerations)
                    .copied();
                self.accelerations += 1;
                self.number(value, 2);
            }
            Field::Value => self.push("0"),
            Field::Text => self.push("-"),
            Field::Ota => {
                let ota = if more.ota.is_empty() {
                    "()".to_string()
                } else {
                    more.ota.to_string()
                };
                self.text(field, &ota)?;
            }
            Field::Checksum => self.checksum_at = Some(self.items.len()),
            Field::Message => self.push(match more.alarm {
                Some(Alarm::End) => "SEM",
                _ => "EMR",
            }),
            Field::Distance => self.number(more.distance, 1),
            Field::Provider => {
                let provider = if more.provider.is_empty() {
                    "G".into()
                } else {
                    more.provider.to_string()
                };
                self.text(field, &provider)?;
            }
            Field::Reply => {
                let reply = if more.reply.is_empty() {
                    "0".into()
                } else {
                    more.reply.to_string()
                };
                self.text(field, &reply)?;
            }
            Field::Protocol => {
                let protocol = if more.protocol.is_empty() {
                    "AIS140".into()
                } else {
                    more.protocol.to_string()
                };
                self.text(field, &protocol)?;
            }
            Field::Iccid => self.text(field, &more.iccid.to_string())?,
            Field::Imsi => self.text(field, &more.imsi.to_string())?,
            Field::Token => self.text(field, &more.token.to_string())?,
            Field::BatteryPercent => self.number(more.battery_pct, 0),
            Field::LowPercent => self.number(more.low_pct, 0),
            Field::MemoryPercent => self.number(more.memory_pct, 1),
            Field::Memory2Percent => self.number(more.memory2_pct, 1),
            Field::IntervalOn => self.number(more.interval_on, 0),
            Field::IntervalOff => self.number(more.interval_off, 0),
            Field::Mode => self.push(char::from(more.mode.unwrap_or(b'M'))),
            Field::Source => self.text(field, &more.source.to_string())?,
            Field::Sender => self.text(field, &more.sender.to_string())?,
            Field::Parameters if is_optional && more.parameters.is_empty() => {}
            Field::Parameters => self.text(field, &more.parameters.to_string())?,
            Field::Activation => self.text(field, &more.activation.to_string())?,
        }
        Ok(())
    }

    fn time(&mut self, field: Field) {
        let time = self.record.time.unwrap_or_default();
        let DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = time;
        self.push(match field {
            Field::Date => format!("{day:02}{month:02}{year:04}"),
            Field::DateItems => format!("{day:02},{month:02},{year:04}"),
            Field::Time => format!("{hour:02}{minute:02}{second:02}"),
            Field::TimeItems => format!("{hour:02},{minute:02},{second:02}"),
            _ => format!("{day:02}{month:02}{year:04}{hour:02}{minute:02}{second:02}"),
        });
    }

    fn bits(&mut self, bits: Bits, len: u8) {
        self.push(padded(bits, len));
    }

    /// Four neighbours in the dialect's order; those that are not there as zeros.
    fn neighbours(&mut self) {
        let neighbours = self.record.neighbours.as_slice();
        let order = self.dialect.order;
        let four = (0..4).map(|at| neighbours.get(at));
        if order == Order::Packed {
            let mut packed = String::new();
            for neighbour in four.flatten() {
                let Neighbour {
                    lac, cell, signal, ..
                } = *neighbour;
                let lac = lac.unwrap_or(0) & 0xfff;
                let written = write!(
                    packed,
                    "{lac:03x}{:04x}{:02}",
                    cell & 0xffff,
                    signal.unwrap_or(0).clamp(0, 99)
                );
                debug_assert!(written.is_ok(), "a string takes all");
            }
            self.push(packed);
            return;
        }
        let (lac_at, cell_at, signal_at) = order.columns();
        for neighbour in four {
            let mut row = [const { String::new() }; 3];
            let count = if lac_at.is_some() { 3 } else { 2 };
            if let Some(place) = lac_at.and_then(|at| row.get_mut(at)) {
                *place = format!("{:04x}", neighbour.and_then(|n| n.lac).unwrap_or(0));
            }
            if let Some(place) = row.get_mut(cell_at) {
                *place = neighbour.map_or_else(|| "0000".into(), |n| cell(n.cell, n.is_wide));
            }
            if let Some(place) = row.get_mut(signal_at) {
                *place = neighbour.and_then(|n| n.signal).unwrap_or(0).to_string();
            }
            self.items.extend(row.into_iter().take(count));
        }
    }

    fn serving_cell(&mut self) {
        let cells = self.record.cells;
        if let (Some(mcc), Some(mnc), Some(lac), Some(id)) =
            (cells.mcc, cells.mnc, cells.lac, cells.cell)
        {
            self.push(mcc.to_string());
            self.push(format!("{mnc:02}"));
            self.push(format!("{lac:04x}"));
            self.push(cell(id, cells.is_wide));
        }
    }
}

fn cell(id: u64, is_wide: bool) -> String {
    if is_wide {
        format!("{id:07x}")
    } else {
        format!("{id:04x}")
    }
}

fn padded(bits: Bits, len: u8) -> String {
    let mut text = bits.to_string();
    while text.len() < usize::from(len) {
        text.push('0');
    }
    text
}
