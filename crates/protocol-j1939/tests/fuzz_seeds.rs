//! The seeds of the fuzz targets are what our own encoder makes. With `WRITE_SEEDS` set they are
//! written; without, they are compared.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use milepost_protocol_j1939::encode::{addressed, broadcast, extended, iso_tp};
use milepost_protocol_j1939::{CanFrame, CanId, Pgn};

fn check(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let path = folder.join(name);
    if std::env::var_os("WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(
        found == bytes,
        "{} is not what the encoder makes",
        path.display()
    );
}

/// The record of the transport target.
fn transport(frames: &[CanFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.push(50);
        bytes.extend(frame.id().raw().to_be_bytes());
        bytes.push(frame.dlc());
        bytes.extend(frame.data());
    }
    bytes
}

/// The record of the ISO-TP target.
fn obd(frames: &[CanFrame], which: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.extend([which, frame.dlc()]);
        bytes.extend(frame.data());
    }
    bytes
}

#[test]
fn the_seeds_are_what_the_encoder_makes() {
    let dm1 = [4, 255, 100, 0, 1, 1, 110, 0, 2, 1];
    let target = "j1939_transport";
    check(
        target,
        "bam-dm1",
        &transport(&broadcast(0, Pgn::DM1, &dm1).unwrap()),
    );
    let vin = b"1M8GDM9AXKP042788*";
    check(
        target,
        "bam-vin",
        &transport(&broadcast(23, Pgn::VI, vin).unwrap()),
    );
    let ci = b"MAKE*MODEL*SERIAL*UNIT*";
    check(
        target,
        "rts-ci",
        &transport(&addressed(0, 0xF9, Pgn::CI, ci).unwrap()),
    );
    check(
        target,
        "etp",
        &transport(&extended(0, 0xF9, Pgn::CI, &[7; 1800]).unwrap()),
    );
    let mut two = broadcast(0, Pgn::DM1, &dm1).unwrap();
    two.extend(broadcast(3, Pgn::DM1, &dm1).unwrap());
    two.swap(1, 3);
    check(target, "interleaved", &transport(&two));

    let target = "j1939_isotp";
    let id = CanId::Standard(0x7E8);
    for (name, payload) in [
        ("vin", &b"\x49\x02\x011HGBH41JXMN109186"[..]),
        ("values", &[0x41, 0x0C, 0x1A, 0xF8, 0x05, 0x5F, 0x0D, 0x32]),
        ("codes", &[0x43, 2, 1, 0x33, 0x22, 0x6D]),
        ("refused", &[0x7F, 9, 0x12]),
        ("freeze", &[0x42, 0x0C, 0, 0x1A, 0xF8]),
        ("monitor", &[0x46, 1, 1, 10, 0x0B, 0x29, 0, 0, 0x0F, 0xA0]),
        ("supported", &[0x41, 0, 0xBE, 0x3E, 0xB0, 0x11]),
    ] {
        check(target, name, &obd(&iso_tp(id, payload, 0xAA).unwrap(), 0));
    }
}
