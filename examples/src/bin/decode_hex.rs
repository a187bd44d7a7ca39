//! What does this frame say? Hex as arguments, JSON out; without arguments, an example.
//!
//! `cargo run -p milepost-examples --bin decode_hex -- 78781101075253367890024270003201000512790d0a`

use bytes::BytesMut;
use milepost_protocol_gt06::normalize::{self, ReportSource};
use milepost_protocol_gt06::{Deframer, Message, Profile};
use milepost_telemetry::{Origin, Timestamp};

const EXAMPLE: &str =
    "787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000001000820860d0a";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut frames: Vec<String> = std::env::args().skip(1).collect();
    if frames.is_empty() {
        frames.push(EXAMPLE.to_owned());
    }
    // What is known about the device (nothing), and who speaks (nobody has logged in).
    let (profile, speaker) = (Profile::default(), ReportSource::new(None, None));
    for hex in frames {
        let mut stream = BytesMut::from(&hex::decode(hex)?[..]);
        let frame = Deframer::default()
            .next_frame(&mut stream)?
            .ok_or("not a whole frame")?;
        let message = Message::decode(&frame, profile.dialect())?;
        println!("{message:?}");

        let received_at = Timestamp::from_unix(1_763_622_000);
        let origin = Origin {
            epoch: 0,
            connection: 1,
            frame: 1,
        };
        let cx = normalize::Context::new(frame.head(), &profile, &speaker, received_at, origin);
        let mut reports = Vec::new();
        normalize::normalize(&message, &cx, &mut reports);
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    Ok(())
}
