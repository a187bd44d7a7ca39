//! Writes the seeds of the AIS 140 targets: packets of simulated vehicles in every dialect, made by
//! the crate's own encoder. Run it from anywhere:
//! `cargo run --manifest-path fuzz/Cargo.toml --example ais140_seeds`.

use std::fs;
use std::path::Path;

use milepost_protocol_ais140::simulate::{Packet, State, Vehicle};
use milepost_protocol_ais140::{Dialects, Imei};

fn main() -> std::io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let dialects = Dialects::builtin();
    let state = State {
        unix: 1_709_619_330,
        latitude: 12.976545,
        longitude: 77.549759,
        speed: 32.5,
        course: 118.0,
        ignition: true,
        emergency: false,
    };
    let packets = [
        Packet::Login,
        Packet::Position,
        Packet::History,
        Packet::Alert(10),
        Packet::Emergency,
        Packet::EmergencyEnd,
        Packet::Health,
    ];
    for (at, dialect) in dialects.iter().enumerate() {
        let imei = Imei::new(123_456_789_012_347);
        let Some(mut vehicle) = Vehicle::new(&dialects, dialect.name(), imei) else {
            continue;
        };
        let written: Vec<_> = packets
            .iter()
            .filter_map(|p| vehicle.packet(*p, &state).ok())
            .collect();
        let Some(first) = written.iter().max_by_key(|bytes| bytes.len()) else {
            continue;
        };
        let known = u8::try_from(at + 1).unwrap_or(0);
        let message = [&[known][..], first.trim_ascii_end()].concat();
        let stream = [&[7][..], &written.concat()].concat();
        let session = [&[13][..], &written.join(&2)].concat();
        fs::write(seeds.join("ais140_message").join(dialect.name()), message)?;
        fs::write(seeds.join("ais140_deframe").join(dialect.name()), stream)?;
        fs::write(seeds.join("ais140_session").join(dialect.name()), session)?;
    }
    let fixed = "vltdata=NRM12345678901234501L1060418102230023.125503N080.068033E4041231234123456789\
        070.48120.5025273011M";
    for target in ["ais140_message", "ais140_deframe", "ais140_session"] {
        fs::write(
            seeds.join(target).join("cdac"),
            [&[0][..], fixed.as_bytes()].concat(),
        )?;
    }
    Ok(())
}
