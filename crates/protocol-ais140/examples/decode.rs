//! Reads packets, one a line, from standard input and prints what they say.
//!
//! `cargo run -p milepost-protocol-ais140 --example decode -- [--explain] < packets.txt`
use std::io::BufRead as _;

use milepost_protocol_ais140::{Dialects, Lines, Profile, ReplyPolicy};
use milepost_telemetry::Timestamp;

fn main() -> std::io::Result<()> {
    let explain = std::env::args().any(|argument| argument == "--explain");
    let (dialects, policy) = (Dialects::builtin(), ReplyPolicy::default());
    let mut lines = Lines::new(dialects, policy, None, Profile::default());
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.is_empty() {
            lines.next_connection();
            continue;
        }
        for found in lines.line(&line, Timestamp::from_unix(1_800_000_000), explain) {
            println!("{} checksum {}", found.kind, found.checksum.name());
            for report in &found.reports {
                println!("{}", serde_json::to_string(report).unwrap_or_default());
            }
            if let Some(error) = found.error {
                println!("{error}");
            }
            for part in &found.parts {
                println!("{part}");
            }
        }
    }
    Ok(())
}
