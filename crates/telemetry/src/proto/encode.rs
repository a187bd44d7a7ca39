//! Our types in the generated ones. Every struct is taken apart in full: a new field does not
//! compile until it travels too.

use bytes::Bytes;

use super::generated as wire;
use super::words::Word as _;
use crate::{
    Cell, CommandAnswer, Content, Envelope, Event, Fix, Identity, Io, Media, Name, Network, Power,
    Quarantine, Rare, RawTime, Report, Signal, SignalId, Smoothed, Switches, Timestamp, Value,
    Vehicle, WifiStation,
};

pub(super) fn envelope(gateway: &str, envelope: &Envelope) -> wire::Envelope {
    let Envelope {
        origin,
        frames,
        received_at,
        peer,
        protocol,
        device,
        accepted,
        urgent,
        profile,
        raw,
        content,
    } = envelope;
    let is_one = frames.iter().eq([(origin.frame, origin.frame)]);
    wire::Envelope {
        gateway: gateway.to_owned(),
        epoch: origin.epoch,
        connection: origin.connection,
        frame: origin.frame,
        frames: if is_one {
            Vec::new()
        } else {
            frames
                .iter()
                .map(|(first, last)| wire::FrameRange { first, last })
                .collect()
        },
        received_at: received_at.as_millis(),
        peer: peer.map(|peer| peer.to_string()),
        protocol: text(*protocol),
        tenant: device.map(|device| device.tenant.to_string()),
        device: device.map(|device| device.device.to_string()),
        accepted: *accepted,
        urgent: *urgent,
        profile: profile.as_ref().map(|profile| profile.as_str().to_owned()),
        raw: raw.clone(),
        content: Some(match content {
            Content::Reports(reports) => wire::envelope::Content::Reports(wire::Reports {
                reports: reports.iter().map(report).collect(),
            }),
            Content::Filtered(reason) => wire::envelope::Content::Filtered(text(*reason)),
            Content::Quarantined(Quarantine {
                field,
                offset,
                message,
            }) => wire::envelope::Content::Quarantined(wire::Quarantine {
                field: field.map(text),
                offset: *offset,
                message: message.to_string(),
            }),
        }),
        log_id: None,
        log_position: None,
    }
}

fn text(name: Name) -> String {
    name.as_str().to_owned()
}

fn owned(text: &Option<Box<str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

fn millis(time: Timestamp) -> i64 {
    time.as_millis()
}

/// `None` for a group that says nothing.
fn group<T: Default + PartialEq>(group: T) -> Option<T> {
    (group != T::default()).then_some(group)
}

pub(super) fn report(report: &Report) -> wire::Report {
    let Report {
        id,
        decoder,
        protocol,
        dialect,
        tenant,
        device,
        kind,
        checksum,
        sequence,
        received_at,
        time,
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
        odometer,
        more,
    } = report;
    let Rare {
        vehicle: vehicle_,
        identity: identity_,
        operator,
        cells,
        wifi,
        events,
        signals,
        diagnostics,
        address_claim,
        media: media_,
        reply_to,
        answer: answer_,
        text: text_,
        raw,
    } = &**more;
    wire::Report {
        id: Bytes::copy_from_slice(id.as_bytes()),
        decoder: text(*decoder),
        protocol: text(*protocol),
        dialect: dialect.map(text),
        tenant: tenant.map(|tenant| tenant.to_string()),
        device: device.map(|device| device.to_string()),
        kind: kind.number(),
        checksum: checksum.number(),
        sequence: *sequence,
        received_at: millis(*received_at),
        time: millis(*time),
        time_source: time_source.number(),
        device_time: device_time.map(millis),
        raw_time: raw_time_.map(raw_time),
        zone: zone.map(|zone| zone.number()),
        late: *late,
        fix: fix_.as_ref().map(fix),
        smoothed: smoothed_.as_ref().map(smoothed),
        power: group(power(power_)),
        network: group(network(network_, operator, cells, wifi)),
        io: group(io(io_)),
        odometer_m: odometer.map(|odometer| odometer.as_metres()),
        vehicle: vehicle_.as_ref().map(vehicle),
        identity: identity_.as_ref().map(identity),
        events: events.iter().map(event).collect(),
        signals: signals.iter().map(signal).collect(),
        media: media_.as_ref().map(|m| Box::new(media(m))),
        reply_to: *reply_to,
        answer: answer_.as_ref().map(answer),
        text: owned(text_),
        raw: raw.as_deref().map(Bytes::copy_from_slice),
        diagnostics_json: diagnostics.as_ref().map(json),
        address_claim_json: address_claim.as_ref().map(json),
    }
}

/// A group in its JSON form. Numbers, words and lists: nothing that JSON could refuse.
fn json<T: serde::Serialize>(group: &T) -> String {
    serde_json::to_string(group).unwrap_or_default()
}

fn raw_time(time: RawTime) -> wire::RawTime {
    let time = match time {
        RawTime::Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } => wire::raw_time::Time::Civil(wire::CivilTime {
            year: year.into(),
            month: month.into(),
            day: day.into(),
            hour: hour.into(),
            minute: minute.into(),
            second: second.into(),
        }),
        RawTime::Unix(seconds) => wire::raw_time::Time::Unix(seconds),
    };
    wire::RawTime { time: Some(time) }
}

fn fix(fix: &Fix) -> wire::Fix {
    let Fix {
        time,
        coordinates,
        altitude,
        speed,
        course,
        satellites,
        hdop,
        pdop,
        valid,
        live,
        source,
    } = fix;
    wire::Fix {
        time: time.map(millis),
        latitude_e7: coordinates.latitude_e7(),
        longitude_e7: coordinates.longitude_e7(),
        altitude_m: altitude.map(|v| v.as_metres()),
        speed_kmh: speed.map(|v| v.as_kmh()),
        course_deg: course.map(|v| v.as_degrees()),
        satellites: satellites.map(u32::from),
        hdop: hdop.map(|v| v.value()),
        pdop: pdop.map(|v| v.value()),
        valid: *valid,
        live: *live,
        source: source.number(),
    }
}

fn smoothed(smoothed: &Smoothed) -> wire::Smoothed {
    let Smoothed {
        latitude,
        longitude,
        speed,
        course,
        accuracy_m,
        moving,
        outlier,
        rejected,
    } = smoothed;
    wire::Smoothed {
        latitude: *latitude,
        longitude: *longitude,
        speed_kmh: speed.map(|v| v.as_kmh()),
        course_deg: course.map(|v| v.as_degrees()),
        accuracy_m: *accuracy_m,
        moving: *moving,
        outlier: *outlier,
        rejected: rejected.map(|rejected| rejected.number()),
    }
}

fn power(power: &Power) -> wire::Power {
    let Power {
        external_connected,
        external,
        battery,
        battery_charge,
        battery_level,
        charging,
    } = power;
    wire::Power {
        external_connected: *external_connected,
        external_v: external.map(|v| v.as_volts()),
        battery_v: battery.map(|v| v.as_volts()),
        battery_pct: battery_charge.map(|v| v.value()),
        battery_level: battery_level.map(|level| level.number()),
        charging: *charging,
    }
}

fn network(
    network: &Network,
    operator: &Option<Box<str>>,
    cells: &[Cell],
    wifi: &[WifiStation],
) -> wire::Network {
    let Network {
        signal,
        signal_dbm,
        cell: first,
    } = network;
    wire::Network {
        signal_pct: signal.map(|v| v.value()),
        signal_dbm: signal_dbm.map(i32::from),
        cells: first.iter().chain(cells).map(cell).collect(),
        operator: owned(operator),
        wifi: wifi.iter().map(station).collect(),
    }
}

fn cell(cell: &Cell) -> wire::Cell {
    let Cell {
        radio,
        serving,
        mcc,
        mnc,
        lac,
        cell_id,
        signal_dbm,
    } = *cell;
    wire::Cell {
        radio: radio.number(),
        serving,
        mcc: mcc.into(),
        mnc: mnc.into(),
        lac,
        cell_id,
        signal_dbm: signal_dbm.map(i32::from),
    }
}

fn station(station: &WifiStation) -> wire::WifiStation {
    let WifiStation {
        mac,
        signal_dbm,
        ssid,
    } = station;
    wire::WifiStation {
        mac: Bytes::copy_from_slice(&mac.0),
        signal_dbm: signal_dbm.map(i32::from),
        ssid: owned(ssid),
    }
}

fn io(io: &Io) -> wire::Io {
    let Io {
        ignition,
        ignition_source,
        armed,
        inputs,
        outputs,
    } = io;
    wire::Io {
        ignition: *ignition,
        ignition_source: ignition_source.map(|source| source.number()),
        armed: *armed,
        inputs: switches(*inputs),
        outputs: switches(*outputs),
    }
}

fn switches(switches: Switches) -> Option<wire::Switches> {
    let mut row = wire::Switches { len: 0, bits: 0 };
    for on in switches.iter() {
        row.bits |= u32::from(on).checked_shl(row.len).unwrap_or(0);
        row.len += 1;
    }
    (row.len > 0).then_some(row)
}

fn vehicle(vehicle: &Vehicle) -> wire::Vehicle {
    let Vehicle {
        engine_hours_s,
        fuel,
        fuel_used_l,
        engine_rpm,
        wheel_speed_kmh,
        coolant_c,
    } = vehicle;
    wire::Vehicle {
        engine_hours_s: *engine_hours_s,
        fuel_pct: fuel.map(|v| v.value()),
        fuel_used_l: *fuel_used_l,
        engine_rpm: *engine_rpm,
        wheel_speed_kmh: *wheel_speed_kmh,
        coolant_c: *coolant_c,
    }
}

fn identity(identity: &Identity) -> wire::Identity {
    let Identity {
        vin,
        registration,
        vendor,
        firmware,
        model,
        imei,
        iccid,
        imsi,
        driver,
    } = identity;
    wire::Identity {
        vin: owned(vin),
        registration: owned(registration),
        vendor: owned(vendor),
        firmware: owned(firmware),
        model: owned(model),
        imei: owned(imei),
        iccid: owned(iccid),
        imsi: owned(imsi),
        driver: owned(driver),
    }
}

fn event(event: &Event) -> wire::Event {
    let Event {
        kind,
        by,
        code,
        incident,
        incident_id,
        late,
    } = *event;
    wire::Event {
        kind: super::word(kind),
        by: by.number(),
        code,
        incident: incident.map(|incident| incident.number()),
        incident_id: incident_id.map(|id| Bytes::copy_from_slice(id.as_bytes())),
        late,
    }
}

fn signal(signal: &Signal) -> wire::Signal {
    let Signal {
        id,
        name,
        value,
        unit,
        source,
        time,
        state,
    } = signal;
    wire::Signal {
        id: Some(match *id {
            SignalId::Spn(number) => wire::signal::Id::Spn(number),
            SignalId::Pid { mode, pid } => wire::signal::Id::Pid(wire::Pid {
                mode: mode.into(),
                pid: pid.into(),
            }),
            SignalId::Named(name) => wire::signal::Id::Named(text(name)),
        }),
        name: text(*name),
        value: value.as_ref().map(|value| match value {
            Value::Bool(value) => wire::signal::Value::Bool(*value),
            Value::Number(value) => wire::signal::Value::Number(*value),
            Value::Text(value) => wire::signal::Value::Text(value.to_string()),
        }),
        unit: unit.map(text),
        source: source.map(u32::from),
        time: time.map(millis),
        state: state.map(|state| state.number()),
    }
}

fn media(media: &Media) -> wire::Media {
    let Media {
        id,
        kind,
        format,
        event,
        channel,
        size,
        offset,
        complete,
        data,
    } = media;
    wire::Media {
        id: id.to_string(),
        kind: text(*kind),
        format: format.map(text),
        event: *event,
        channel: *channel,
        size: *size,
        offset: *offset,
        complete: *complete,
        data: data.clone(),
    }
}

fn answer(answer: &CommandAnswer) -> wire::CommandAnswer {
    let CommandAnswer {
        flag,
        outcome,
        verb,
        text,
    } = answer;
    wire::CommandAnswer {
        flag: *flag,
        outcome: outcome.map(|outcome| outcome.number()),
        verb: owned(verb),
        text: text.to_string(),
    }
}
