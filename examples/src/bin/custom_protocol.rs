//! A protocol of your own on Milepost's listener: session, registry and all, in one file.
//!
//! The protocol is made up, and typical: lines of text. A device names itself, then sends
//! positions, each of which is acknowledged once it is stored, and signs of life, which are
//! answered at once:
//!
//! | device | server |
//! |---|---|
//! | `I,boat-7` | `OK` |
//! | `P,1763622000,54.3213,10.1349,12.5` (Unix time, latitude, longitude, km/h) | `A,1763622000` |
//! | `H` | `H` |
//!
//! Run it: it serves on a free port, plays a device against itself, and prints what arrived.

use bytes::{Bytes, BytesMut};
use milepost_listener::{
    Claim, Context, Identified, NotDelivered, Opened, Protocol, Registry, Resolution, Server,
    Session, Skipped,
};
use milepost_telemetry::{
    Content, Coordinates, Decoder, DeviceKey, Envelope, Fix, FixSource, IdentitySeed, Kind, Name,
    Profile, Quarantine, RawTime, Report, ReportId, Speed, Tenant, TimeSource, Zone,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

const DECODER: Decoder = Decoder::new("waymark", "waymark/1.0.0");
const MAX_LINE: usize = 256;

/// The protocol: a factory of sessions.
struct Waymark;

impl Protocol for Waymark {
    type Session = Lines;

    fn name(&self) -> Name {
        DECODER.protocol()
    }

    fn session(&self, _: &Opened) -> Lines {
        Lines { seed: None }
    }
}

/// One connection. It does no I/O: bytes in, reports and replies out.
struct Lines {
    /// Who is speaking, hashed once.
    seed: Option<IdentitySeed>,
}

impl Session for Lines {
    type Frame = Bytes;

    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, Skipped> {
        match src.iter().position(|byte| *byte == b'\n') {
            Some(end) => Ok(Some(src.split_to(end + 1).freeze())),
            None if src.len() > MAX_LINE => {
                let bytes = src.len();
                src.clear();
                Err(Skipped::new(bytes))
            }
            None => Ok(None),
        }
    }

    fn on_frame(&mut self, line: Bytes, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let text = std::str::from_utf8(&line).map_err(|_| Quarantine::new("not text"))?;
        match text.trim_end().split_once(',') {
            Some(("I", id)) => {
                // The session stops here until the registry has answered.
                cx.identify(id.parse().map_err(|_| Quarantine::new("not a device id"))?);
                Ok(())
            }
            Some(("P", fields)) => self.position(fields, cx),
            None if text.trim_end() == "H" => {
                cx.reply(Bytes::from_static(b"H\n"));
                cx.filter("heartbeat");
                Ok(())
            }
            _ => Err(Quarantine::new("neither I, P nor H")),
        }
    }

    fn on_identified(&mut self, who: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let DeviceKey { tenant, device } = &who.device;
        let seed = IdentitySeed::new(Some(tenant), Some(device), &DECODER.protocol());
        self.seed = Some(seed);
        cx.reply(Bytes::from_static(b"OK\n"));
        // A login carries no time of its own: its identity is where it arrived.
        let id = ReportId::mint(seed, cx.now(), &cx.origin().key(0));
        self.emit(Report::new(id, DECODER, Kind::Login, cx.now()), cx);
        Ok(())
    }
}

impl Lines {
    fn position(&self, fields: &str, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let seed = self
            .seed
            .ok_or_else(|| Quarantine::new("data before login"))?;
        let bad = |what: &'static str| Quarantine {
            field: Some(Name::new(what)),
            ..Quarantine::new(format!("cannot read the {what}"))
        };
        let mut parts = fields.split(',');
        let mut number = |what| {
            parts
                .next()
                .and_then(|v| v.parse::<f64>().ok())
                .ok_or_else(|| bad(what))
        };
        let (seconds, latitude, longitude) =
            (number("time")?, number("latitude")?, number("longitude")?);
        let speed = number("speed")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates"
        )]
        let raw_time = RawTime::Unix(seconds as u32);
        let time = raw_time.as_utc().ok_or_else(|| bad("time"))?;
        let here = Coordinates::from_degrees(latitude, longitude).map_err(|_| bad("position"))?;

        // The same fact sent again gets the same id, and is stored once.
        let mut report = Report::new(
            ReportId::mint(seed, time, fields.as_bytes()),
            DECODER,
            Kind::Location,
            cx.now(),
        );
        report.raw_time = Some(raw_time);
        report.set_device_time(time, TimeSource::Fix, Zone::Utc);
        let mut fix = Fix::new(here, true, FixSource::Gnss);
        fix.time = Some(time);
        #[expect(clippy::cast_possible_truncation, reason = "f32 is enough for a speed")]
        let kmh = speed as f32;
        fix.speed = Speed::from_kmh(kmh).ok();
        report.fix = Some(fix);
        self.emit(report, cx);
        cx.reply_when_delivered(Bytes::from(format!("A,{}\n", time.as_unix())));
        Ok(())
    }

    fn emit(&self, mut report: Report, cx: &mut Context<'_>) {
        report.tenant = cx.device().map(|key| key.tenant);
        report.device = cx.device().map(|key| key.device);
        cx.emit(report);
    }
}

/// Knows the boats of one harbour.
struct Harbour(Tenant);

impl Registry for Harbour {
    async fn resolve(&self, claim: Claim) -> Resolution {
        if !claim.id.as_str().starts_with("boat-") {
            return Resolution::Refuse;
        }
        let device = DeviceKey {
            tenant: self.0,
            device: claim.id,
        };
        Resolution::Accept(Identified::new(device))
    }

    fn learn(&self, _: Name, _: &DeviceKey, _: &Profile) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Where reports go. `Ok` must mean durable; here, durable is: printed.
    let deliver = |envelope: Envelope| async move {
        match envelope.content {
            Content::Reports(reports) => {
                for report in reports {
                    println!("report: {}", serde_json::json!(report));
                }
            }
            other => println!("no report: {other:?}"),
        }
        Ok::<(), NotDelivered>(())
    };
    let server = Server::new(Waymark, Harbour(Tenant::new("harbour")?), deliver)
        .bind("127.0.0.1:0".parse()?)?;
    let addr = server.local_addr().ok_or("no address")?;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.run(shutdown.clone()));

    let (read, mut write) = tokio::net::TcpStream::connect(addr).await?.into_split();
    let mut answers = BufReader::new(read).lines();
    for line in ["I,boat-7\n", "H\n", "P,1763622000,54.3213,10.1349,12.5\n"] {
        write.write_all(line.as_bytes()).await?;
        let answer = answers.next_line().await?.ok_or("closed")?;
        println!("{} -> {answer}", line.trim_end());
    }
    shutdown.cancel();
    serving.await?;
    Ok(())
}
