//! Tally: lines of text that count things.
//!
//! | device | server |
//! |---|---|
//! | `I,boat-7` | `OK`, or whatever `tally.greeting` says |
//! | `N,42` | `A,42`, when it is stored |

use std::io;

use bytes::{Bytes, BytesMut};
use milepost::config::setting::{choice, listen};
use milepost::config::{Config, Key};
use milepost::decode::{Decoded, Decoding, Fault, Lines, Write};
use milepost::failure::Failure;
use milepost::protocol::ProtocolPlug;
use milepost::protocol::listen::{DeviceListener, tcp};
use milepost_listener::{Context, Identified, Opened, Protocol, Session, Skipped};
use milepost_telemetry::{
    Decoder, DeviceId, DeviceKey, IdentitySeed, Kind, Name, Quarantine, Report, ReportId,
};

const DECODER: Decoder = Decoder::new("tally", "tally/1.0.0");

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally;

impl ProtocolPlug for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn title(&self) -> &'static str {
        "Tally"
    }

    fn keys(&self) -> Vec<Key> {
        vec![
            listen("tally.listen", ([127, 0, 0, 1], 5999).into()),
            choice("tally.greeting", &["OK", "AHOY"]),
        ]
    }

    fn device_id(&self, text: &str) -> Result<DeviceId, String> {
        DeviceId::new(text).map_err(|error| format!("must be a name: {error}"))
    }

    fn bind(&self, config: &Config) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
        let greeting = format!("{}\n", config.protocols.text("tally.greeting"));
        tcp(self.name(), config, || Carried(greeting.clone().into()))
    }

    fn lines(&self, _decoding: &Decoding) -> Result<Box<dyn Lines>, Failure> {
        Ok(Box::new(TallyLines))
    }

    fn is_message(&self, argument: &str) -> bool {
        argument.len() < 100
    }

    fn check_command(&self, text: &str) -> Option<Result<(), String>> {
        Some(match text {
            "PING" => Ok(()),
            _ => Err("must be PING".to_owned()),
        })
    }

    fn getting_started(&self) -> &'static [&'static str] {
        &["Send `I,NAME`."]
    }
}

struct TallyLines;

impl Lines for TallyLines {
    fn line(&mut self, text: &[u8], write: &mut Write<'_>) -> io::Result<()> {
        let count = std::str::from_utf8(text).ok().and_then(count);
        write(match count {
            Some(count) => Decoded {
                frame: Some(serde_json::value::to_raw_value(
                    &serde_json::json!({ "count": count }),
                )?),
                ..Decoded::default()
            },
            None => Decoded::unreadable(Fault {
                field: "line",
                offset: 0,
                message: "must be N and a number".to_owned(),
            }),
        })
    }

    fn next_connection(&mut self) {}
}

fn count(text: &str) -> Option<u32> {
    text.strip_prefix("N,")?.parse().ok()
}

struct Carried(Bytes);

impl Protocol for Carried {
    type Session = TallySession;

    fn name(&self) -> Name {
        DECODER.protocol()
    }

    fn session(&self, _: &Opened) -> TallySession {
        TallySession {
            greeting: self.0.clone(),
            seed: None,
        }
    }
}

struct TallySession {
    greeting: Bytes,
    seed: Option<IdentitySeed>,
}

impl Session for TallySession {
    type Frame = Bytes;

    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, Skipped> {
        let end = src.iter().position(|byte| *byte == b'\n');
        Ok(end.map(|end| src.split_to(end + 1).freeze()))
    }

    fn on_frame(&mut self, line: Bytes, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let text = std::str::from_utf8(&line).map_err(|_| Quarantine::new("not text"))?;
        if let Some(id) = text.trim_end().strip_prefix("I,") {
            cx.identify(id.parse().map_err(|_| Quarantine::new("not a device id"))?);
            return Ok(());
        }
        let count = count(text.trim_end()).ok_or_else(|| Quarantine::new("neither I nor N"))?;
        let seed = self.seed.ok_or_else(|| Quarantine::new("no login"))?;
        let id = ReportId::mint(seed, cx.now(), &cx.origin().key(0));
        let mut report = Report::new(id, DECODER, Kind::Status, cx.now());
        report.tenant = cx.device().map(|key| key.tenant);
        report.device = cx.device().map(|key| key.device);
        cx.emit(report);
        cx.reply_when_delivered(Bytes::from(format!("A,{count}\n")));
        Ok(())
    }

    fn on_identified(&mut self, who: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let DeviceKey { tenant, device } = &who.device;
        let protocol = DECODER.protocol();
        self.seed = Some(IdentitySeed::new(Some(tenant), Some(device), &protocol));
        cx.reply(self.greeting.clone());
        cx.filter("login");
        Ok(())
    }
}
