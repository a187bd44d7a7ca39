//! Bytes, frames, envelopes: whatever the chunks.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::Rig;
use telemetry::Content;

#[tokio::test(start_paused = true)]
async fn a_device_logs_in_and_reports_byte_by_byte() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    for byte in b"I 42\nD one\n" {
        device.send([*byte]).await;
    }
    device.expect("welcome\nstored one\n").await;
    assert_eq!(rig.shelf.contents().len(), 2);
    assert!(matches!(rig.shelf.contents()[1], Content::Reports(_)));
    drop(device);
    rig.drain().await;
}
