//! Where the servers are, and what is written to them.

use milepost_telemetry::*;

/// The address in a variable that `services/env` sets.
pub(crate) fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run services/up and services/env"))
}

/// A name that no other test has.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}_{:016x}", rand::random::<u64>())
}

pub(crate) const DECODER: Decoder = Decoder::new("gt06", "gt06/0.1.0");

pub(crate) fn device(number: u32) -> DeviceKey {
    DeviceKey {
        tenant: Tenant::new("acme").unwrap(),
        device: DeviceId::new(&format!("{number:015}")).unwrap(),
    }
}

pub(crate) fn now() -> Timestamp {
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap())
}

/// A location of a device: with the same arguments, with the same id.
pub(crate) fn location(key: &DeviceKey, time: Timestamp, received_at: Timestamp) -> Report {
    let seed = IdentitySeed::new(Some(&key.tenant), Some(&key.device), "gt06");
    let id = ReportId::mint(seed, time, b"location");
    let mut report = Report::new(id, DECODER, Kind::Location, received_at);
    report.time = time;
    report.time_source = TimeSource::Fix;
    report.tenant = Some(key.tenant);
    report.device = Some(key.device);
    report.checksum = Checksum::Valid;
    let here = Coordinates::from_degrees(23.111755, 114.40923).unwrap();
    let mut fix = Fix::new(here, true, FixSource::Gnss);
    fix.speed = Speed::from_kmh(54.0).ok();
    fix.time = Some(time);
    report.fix = Some(fix);
    report
}

/// A report that says everything: the snapshot of the JSON form.
pub(crate) fn full() -> Report {
    serde_json::from_str(include_str!("../../../telemetry/tests/snapshots/full.json")).unwrap()
}
