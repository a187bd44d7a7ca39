//! The generated types in ours. Every value is checked again: a log may be damaged, and a sender may
//! be of another version.

use super::generated as wire;
use super::words::Word;
use super::{LogPosition, ProtoError, Wire};
use crate::{
    Altitude, Cell, CommandAnswer, Content, Coordinates, Course, DeviceId, DeviceKey, Dop,
    Envelope, Event, Fix, FrameRanges, Identity, Io, MacAddress, Media, More, Name, Network,
    Odometer, Origin, Percent, Power, Profile, Quarantine, Rare, RawTime, Report, ReportId, Signal,
    SignalId, Smoothed, Speed, Switches, Tenant, Timestamp, Value, Vehicle, Voltage, WifiStation,
};

type Result<T> = core::result::Result<T, ProtoError>;

/// Turns an error of any kind into one that names the field.
fn at<T, E: ToString>(field: &'static str, value: core::result::Result<T, E>) -> Result<T> {
    value.map_err(|error| ProtoError::new(field, error.to_string()))
}

/// An optional value, checked.
fn some<V, T, E: ToString>(
    field: &'static str,
    value: Option<V>,
    check: impl FnOnce(V) -> core::result::Result<T, E>,
) -> Result<Option<T>> {
    at(field, value.map(check).transpose())
}

fn name(field: &'static str, text: &str) -> Result<Name> {
    at(field, Name::intern(text))
}

fn opt_name(field: &'static str, text: Option<&String>) -> Result<Option<Name>> {
    text.map(|text| name(field, text)).transpose()
}

fn word<T: Word>(field: &'static str, number: i32) -> Result<T> {
    T::from_number(number)
        .ok_or_else(|| ProtoError::new(field, format!("number {number} is not known")))
}

fn opt_word<T: Word>(field: &'static str, number: Option<i32>) -> Result<Option<T>> {
    number.map(|number| word(field, number)).transpose()
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn boxed(text: Option<String>) -> Option<Box<str>> {
    text.map(String::into_boxed_str)
}

fn id(field: &'static str, bytes: &[u8]) -> Result<ReportId> {
    at(field, <[u8; 16]>::try_from(bytes)).map(ReportId::from_bytes)
}

pub(super) fn envelope(envelope: wire::Envelope) -> Result<Wire> {
    let wire::Envelope {
        gateway,
        epoch,
        connection,
        frame,
        frames,
        received_at,
        peer,
        protocol,
        tenant,
        device,
        accepted,
        urgent,
        profile,
        raw,
        content,
        log_id,
        log_position,
    } = envelope;
    let position = match (log_id, log_position) {
        (Some(log), Some(position)) => Some(LogPosition {
            log: u128::from_be_bytes(at("log_id", <[u8; 16]>::try_from(&*log))?),
            position,
        }),
        _ => None,
    };
    let device = match (tenant, device) {
        (Some(tenant), Some(device)) => Some(DeviceKey {
            tenant: at("tenant", tenant.parse::<Tenant>())?,
            device: at("device", device.parse::<DeviceId>())?,
        }),
        (None, None) => None,
        _ => {
            return Err(ProtoError::new(
                "device",
                "tenant and device go together".to_owned(),
            ));
        }
    };
    let frames = if frames.is_empty() {
        FrameRanges::one(frame)
    } else {
        FrameRanges::from_ranges(frames.iter().map(|range| (range.first, range.last)))
            .ok_or_else(|| ProtoError::new("frames", "not in rising order".to_owned()))?
    };
    let content = match content {
        Some(wire::envelope::Content::Reports(wire::Reports { reports })) => {
            Content::Reports(reports.into_iter().map(report).collect::<Result<_>>()?)
        }
        Some(wire::envelope::Content::Filtered(reason)) => {
            Content::Filtered(name("filtered", &reason)?)
        }
        Some(wire::envelope::Content::Quarantined(why)) => {
            let mut quarantine = Quarantine::new(why.message);
            quarantine.field = opt_name("quarantined.field", why.field.as_ref())?;
            quarantine.offset = why.offset;
            Content::Quarantined(quarantine)
        }
        None => return Err(ProtoError::new("content", "missing".to_owned())),
    };
    let origin = Origin {
        epoch,
        connection,
        frame,
    };
    Ok(Wire {
        gateway: gateway.into(),
        position,
        envelope: Envelope {
            origin,
            frames,
            received_at: time(received_at),
            peer: some("peer", peer, |peer| peer.parse())?,
            protocol: name("protocol", &protocol)?,
            device,
            accepted,
            urgent,
            profile: profile.as_deref().map(Profile::new),
            raw,
            content,
        },
    })
}

pub(super) fn report(report: wire::Report) -> Result<Report> {
    let wire::Report {
        id: id_,
        decoder,
        protocol,
        dialect,
        tenant,
        device,
        kind,
        checksum,
        sequence,
        received_at,
        time: time_,
        time_source,
        device_time,
        raw_time: raw_time_,
        zone,
        late,
        fix: fix_,
        smoothed: smoothed_,
        power: power_,
        network: network_,
        io: io_,
        odometer_m,
        vehicle: vehicle_,
        identity: identity_,
        events,
        signals,
        media: media_,
        reply_to,
        answer: answer_,
        text,
        raw,
        diagnostics_json,
        address_claim_json,
    } = report;
    let (network, operator, cells, wifi) = network(network_.unwrap_or_default())?;
    Ok(Report {
        id: id("id", &id_)?,
        decoder: name("decoder", &decoder)?,
        protocol: name("protocol", &protocol)?,
        dialect: opt_name("dialect", dialect.as_ref())?,
        tenant: some("tenant", tenant, |tenant| tenant.parse::<Tenant>())?,
        device: some("device", device, |device| device.parse::<DeviceId>())?,
        kind: word("kind", kind)?,
        checksum: word("checksum", checksum)?,
        sequence,
        received_at: time(received_at),
        time: time(time_),
        time_source: word("time_source", time_source)?,
        device_time: device_time.map(time),
        raw_time: raw_time_.map(raw_time).transpose()?,
        zone: opt_word("zone", zone)?,
        late,
        fix: fix_.map(fix).transpose()?,
        smoothed: smoothed_.map(smoothed).transpose()?,
        power: power(power_.unwrap_or_default())?,
        network,
        io: io(io_.unwrap_or_default())?,
        odometer: some("odometer_m", odometer_m, Odometer::from_metres)?,
        more: More::from(Rare {
            vehicle: vehicle_.map(vehicle).transpose()?,
            identity: identity_.map(identity),
            operator,
            cells,
            wifi,
            events: events.into_iter().map(event).collect::<Result<_>>()?,
            signals: signals.into_iter().map(signal).collect::<Result<_>>()?,
            diagnostics: json("diagnostics_json", diagnostics_json.as_deref())?,
            address_claim: json("address_claim_json", address_claim_json.as_deref())?,
            media: media_.map(|m| media(*m)).transpose()?,
            reply_to,
            answer: answer_.map(answer).transpose()?,
            text: boxed(text),
            raw: raw.map(|raw| Box::from(&*raw)),
        }),
    })
}

fn raw_time(raw: wire::RawTime) -> Result<RawTime> {
    match raw.time {
        Some(wire::raw_time::Time::Civil(civil)) => {
            let byte = |value: u32| at("raw_time", u8::try_from(value));
            Ok(RawTime::Civil {
                year: at("raw_time", u16::try_from(civil.year))?,
                month: byte(civil.month)?,
                day: byte(civil.day)?,
                hour: byte(civil.hour)?,
                minute: byte(civil.minute)?,
                second: byte(civil.second)?,
            })
        }
        Some(wire::raw_time::Time::Unix(seconds)) => Ok(RawTime::Unix(seconds)),
        None => Err(ProtoError::new("raw_time", "missing".to_owned())),
    }
}

fn fix(fix: wire::Fix) -> Result<Fix> {
    let coordinates = Coordinates::from_e7(fix.latitude_e7.into(), fix.longitude_e7.into());
    Ok(Fix {
        time: fix.time.map(time),
        coordinates: at("fix", coordinates)?,
        altitude: some("fix.altitude_m", fix.altitude_m, Altitude::from_metres)?,
        speed: some("fix.speed_kmh", fix.speed_kmh, Speed::from_kmh)?,
        course: some("fix.course_deg", fix.course_deg, Course::from_degrees)?,
        satellites: some("fix.satellites", fix.satellites, u8::try_from)?,
        hdop: some("fix.hdop", fix.hdop, Dop::new)?,
        pdop: some("fix.pdop", fix.pdop, Dop::new)?,
        valid: fix.valid,
        live: fix.live,
        source: word("fix.source", fix.source)?,
    })
}

fn smoothed(smoothed: wire::Smoothed) -> Result<Smoothed> {
    let (latitude, longitude) = (smoothed.latitude, smoothed.longitude);
    at("smoothed", Coordinates::from_degrees(latitude, longitude))?;
    Ok(Smoothed {
        latitude,
        longitude,
        speed: some("smoothed.speed_kmh", smoothed.speed_kmh, Speed::from_kmh)?,
        course: some(
            "smoothed.course_deg",
            smoothed.course_deg,
            Course::from_degrees,
        )?,
        accuracy_m: smoothed.accuracy_m,
        moving: smoothed.moving,
        outlier: smoothed.outlier,
        rejected: opt_word("smoothed.rejected", smoothed.rejected)?,
    })
}

fn power(power: wire::Power) -> Result<Power> {
    Ok(Power {
        external_connected: power.external_connected,
        external: some("power.external_v", power.external_v, Voltage::from_volts)?,
        battery: some("power.battery_v", power.battery_v, Voltage::from_volts)?,
        battery_charge: some("power.battery_pct", power.battery_pct, Percent::new)?,
        battery_level: opt_word("power.battery_level", power.battery_level)?,
        charging: power.charging,
    })
}

type NetworkParts = (Network, Option<Box<str>>, Vec<Cell>, Vec<WifiStation>);

fn network(network: wire::Network) -> Result<NetworkParts> {
    let mut cells = network.cells.into_iter().map(cell);
    let inline = Network {
        signal: some("network.signal_pct", network.signal_pct, Percent::new)?,
        signal_dbm: some("network.signal_dbm", network.signal_dbm, i16::try_from)?,
        cell: cells.next().transpose()?,
    };
    let rest = cells.collect::<Result<_>>()?;
    let wifi = network
        .wifi
        .into_iter()
        .map(station)
        .collect::<Result<_>>()?;
    Ok((inline, boxed(network.operator), rest, wifi))
}

fn cell(cell: wire::Cell) -> Result<Cell> {
    Ok(Cell {
        radio: word("cell.radio", cell.radio)?,
        serving: cell.serving,
        mcc: at("cell.mcc", cell.mcc.try_into())?,
        mnc: at("cell.mnc", cell.mnc.try_into())?,
        lac: cell.lac,
        cell_id: cell.cell_id,
        signal_dbm: some("cell.signal_dbm", cell.signal_dbm, i16::try_from)?,
    })
}

fn station(station: wire::WifiStation) -> Result<WifiStation> {
    Ok(WifiStation {
        mac: MacAddress(at("wifi.mac", <[u8; 6]>::try_from(&*station.mac))?),
        signal_dbm: some("wifi.signal_dbm", station.signal_dbm, i16::try_from)?,
        ssid: boxed(station.ssid),
    })
}

fn io(io: wire::Io) -> Result<Io> {
    Ok(Io {
        ignition: io.ignition,
        ignition_source: opt_word("io.ignition_source", io.ignition_source)?,
        armed: io.armed,
        inputs: switches("io.inputs", io.inputs)?,
        outputs: switches("io.outputs", io.outputs)?,
    })
}

fn switches(field: &'static str, row: Option<wire::Switches>) -> Result<Switches> {
    let Some(row) = row else {
        return Ok(Switches::EMPTY);
    };
    let len = at(field, u8::try_from(row.len))?;
    if len > 32 {
        return Err(ProtoError::new(field, format!("{len} switches")));
    }
    Ok(Switches::from_bits(row.bits, len))
}

fn vehicle(vehicle: wire::Vehicle) -> Result<Vehicle> {
    Ok(Vehicle {
        engine_hours_s: vehicle.engine_hours_s,
        fuel: some("vehicle.fuel_pct", vehicle.fuel_pct, Percent::new)?,
        fuel_used_l: vehicle.fuel_used_l,
        engine_rpm: vehicle.engine_rpm,
        wheel_speed_kmh: vehicle.wheel_speed_kmh,
        coolant_c: vehicle.coolant_c,
    })
}

fn identity(identity: wire::Identity) -> Identity {
    Identity {
        vin: boxed(identity.vin),
        registration: boxed(identity.registration),
        vendor: boxed(identity.vendor),
        firmware: boxed(identity.firmware),
        model: boxed(identity.model),
        imei: boxed(identity.imei),
        iccid: boxed(identity.iccid),
        imsi: boxed(identity.imsi),
        driver: boxed(identity.driver),
    }
}

fn event(event: wire::Event) -> Result<Event> {
    Ok(Event {
        kind: super::from_word("event.kind", &event.kind)?,
        by: word("event.by", event.by)?,
        code: event.code,
        incident: opt_word("event.incident", event.incident)?,
        incident_id: event
            .incident_id
            .map(|bytes| id("event.incident_id", &bytes))
            .transpose()?,
        late: event.late,
    })
}

fn signal(signal: wire::Signal) -> Result<Signal> {
    let id = match signal.id {
        Some(wire::signal::Id::Spn(number)) => SignalId::Spn(number),
        Some(wire::signal::Id::Pid(wire::Pid { mode, pid })) => SignalId::Pid {
            mode: at("signal.id", mode.try_into())?,
            pid: at("signal.id", pid.try_into())?,
        },
        Some(wire::signal::Id::Named(text)) => SignalId::Named(name("signal.id", &text)?),
        None => return Err(ProtoError::new("signal.id", "missing".to_owned())),
    };
    let value = match signal.value {
        Some(wire::signal::Value::Number(number)) if !number.is_finite() => {
            return Err(ProtoError::new("signal.value", number.to_string()));
        }
        Some(wire::signal::Value::Number(number)) => Some(Value::Number(number)),
        Some(wire::signal::Value::Bool(value)) => Some(Value::Bool(value)),
        Some(wire::signal::Value::Text(text)) => Some(Value::Text(text.into())),
        None => None,
    };
    Ok(Signal {
        id,
        name: name("signal.name", &signal.name)?,
        value,
        unit: opt_name("signal.unit", signal.unit.as_ref())?,
        source: some("signal.source", signal.source, u8::try_from)?,
        time: signal.time.map(time),
        state: opt_word("signal.state", signal.state)?,
    })
}

fn media(media: wire::Media) -> Result<Media> {
    Ok(Media {
        id: media.id.into(),
        kind: name("media.kind", &media.kind)?,
        format: opt_name("media.format", media.format.as_ref())?,
        event: media.event,
        channel: media.channel,
        size: media.size,
        offset: media.offset,
        complete: media.complete,
        data: media.data,
    })
}

fn answer(answer: wire::CommandAnswer) -> Result<CommandAnswer> {
    Ok(CommandAnswer {
        flag: answer.flag,
        outcome: opt_word("answer.outcome", answer.outcome)?,
        verb: boxed(answer.verb),
        text: answer.text.into(),
    })
}

/// A group in its JSON form.
fn json<T: serde::de::DeserializeOwned>(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<T>> {
    text.map(|text| at(field, serde_json::from_str(text)))
        .transpose()
}
