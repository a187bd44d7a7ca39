//! What the tests share: envelopes as a GT06 tracker would cause them.
#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod judge;

use bytes::Bytes;
use milepost_pipeline::sink::sqlite::{Store, StoreOptions};
use milepost_telemetry::{
    Content, Coordinates, Decoder, DeviceId, DeviceKey, Envelope, Fix, FixSource, IdentitySeed,
    Kind, Name, Origin, Quarantine, Report, ReportId, Speed, Tenant, TimeSource, Timestamp, Zone,
};

pub(crate) const NOON: i64 = 1_800_000_000;

pub(crate) fn key(n: u64) -> DeviceKey {
    DeviceKey {
        tenant: Tenant::new("acme").unwrap(),
        device: DeviceId::new(&format!("{:015}", 350_000_000_000_000 + n)).unwrap(),
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOON + seconds)
}

/// A position of `device` at `time`, that arrived at `received` (seconds after noon).
pub(crate) fn position(device: &DeviceKey, time: i64, received: i64) -> Report {
    let decoder = Decoder::new("gt06", "gt06/0.1.0");
    let seed = IdentitySeed::new(Some(&device.tenant), Some(&device.device), "gt06");
    let id = ReportId::mint(seed, at(time), b"position");
    let mut report = Report::new(id, decoder, Kind::Location, at(received));
    report.tenant = Some(device.tenant);
    report.device = Some(device.device);
    report.set_device_time(at(time), TimeSource::Fix, Zone::Utc);
    let east = f64::from(u32::try_from(time.rem_euclid(1_000)).unwrap()) / 1_000.0;
    let mut fix = Fix::new(
        Coordinates::from_degrees(23.0, 114.0 + east).unwrap(),
        true,
        FixSource::Gnss,
    );
    fix.time = Some(at(time));
    fix.speed = Some(Speed::from_kmh(54.0).unwrap());
    report.fix = Some(fix);
    report
}

/// A frame with content; `frame` is its number on connection 1 of epoch 1.
pub(crate) fn frame(device: Option<&DeviceKey>, frame: u64, content: Content) -> Envelope {
    let origin = Origin {
        epoch: 1,
        connection: 1,
        frame,
    };
    let raw = Bytes::copy_from_slice(&frame.to_be_bytes());
    let mut envelope = Envelope::new(origin, at(0), Name::new("gt06"), raw, content);
    envelope.peer = Some("192.0.2.7:5023".parse().unwrap());
    envelope.device = device.copied();
    envelope.accepted = device.is_some();
    envelope
}

pub(crate) fn located(device: &DeviceKey, number: u64, time: i64) -> Envelope {
    let report = position(device, time, time.max(0));
    frame(Some(device), number, Content::Reports(vec![report]))
}

pub(crate) fn unreadable(number: u64) -> Envelope {
    let why = Quarantine {
        field: Some(Name::new("latitude")),
        offset: Some(11),
        message: "out of range".into(),
    };
    frame(None, number, Content::Quarantined(why))
}

pub(crate) fn filtered(device: &DeviceKey, number: u64) -> Envelope {
    frame(Some(device), number, Content::Filtered(Name::new("echo")))
}

pub(crate) fn gt06() -> Name {
    Name::new("gt06")
}

pub(crate) fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path(), StoreOptions::default()).unwrap()
}
