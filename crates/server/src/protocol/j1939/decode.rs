//! Lines of `candump`, or bytes of another form, as the traffic of one bus.

use std::io::{self, Write as _};

use bytes::BytesMut;
use milepost_protocol_j1939::carrier::{Carrier, Form, RecordKind, Setting, candump};
use milepost_protocol_j1939::decoder::{Decoder, Head, Options, Output};
use milepost_protocol_j1939::normalize::{self, ReportContext};
use milepost_protocol_j1939::{CanFrame, CanTime, explain};
use milepost_telemetry::Origin;

use super::keys;
use crate::decode::{Decoded, Decoding, Explanation, Fault, Lines, Write, from_hex};
use crate::failure::Failure;

/// The frames of one bus, line by line.
pub(super) struct Connection {
    decoding: Decoding,
    decoder: Decoder,
    options: Options,
    /// Of a form other than `candump`, whose bytes the lines are.
    carrier: Option<(Setting, Carrier, BytesMut)>,
    origin: Origin,
}

impl Connection {
    pub(super) fn new(decoding: &Decoding) -> Result<Self, Failure> {
        if decoding.dialect.is_some() || !decoding.dialects.is_empty() {
            return Err(Failure::new("CAN frames have no dialects")
                .remedy("--dialect and --dialects are for other protocols"));
        }
        let carrier = match decoding.form.as_deref() {
            None => None,
            Some(name) => {
                let form: Setting = name
                    .parse()
                    .map_err(|error| Failure::new(format!("--form {name} is {error}")))?;
                (form != Setting::Form(Form::Candump))
                    .then(|| (form, Carrier::new(form), BytesMut::new()))
            }
        };
        let mut options = Options::default();
        options.conversion = keys::conversion(decoding.spn_conversion.map(i64::from));
        if let Some(file) = &decoding.dbc {
            let dbc =
                keys::read_dbc(file).map_err(|wrong| Failure::new(format!("--dbc {wrong}")))?;
            for warning in dbc.warnings() {
                // Standard error may be closed.
                let _lost = writeln!(io::stderr(), "warning: {warning}");
            }
            options.definitions = Some(dbc.into());
        }
        Ok(Self {
            decoding: decoding.clone(),
            decoder: Decoder::new(options.clone()),
            options,
            carrier,
            origin: Origin {
                epoch: 0,
                connection: 1,
                frame: 0,
            },
        })
    }

    fn push(&mut self, frame: &CanFrame, write: &mut Write<'_>) -> io::Result<()> {
        let now = self.decoding.now();
        let micros = u64::try_from(now.as_millis()).unwrap_or(0);
        self.decoder
            .push(frame, CanTime(micros.saturating_mul(1_000)));
        while let Some(output) = self.decoder.poll() {
            self.origin.frame += 1;
            write(self.decoded(&output)?)?;
        }
        Ok(())
    }

    fn decoded(&self, output: &Output) -> io::Result<Decoded> {
        let frame = |head: Head, data: &[u8]| {
            let json = normalize::frame_json(head, data);
            serde_json::value::to_raw_value(&json).map(Some)
        };
        Ok(match output {
            Output::Message(message) => {
                let context = ReportContext {
                    tenant: Some(&self.decoding.tenant),
                    device: None,
                    received_at: self.decoding.now(),
                    origin: self.origin,
                };
                let mut report = normalize::report(message, &context);
                if self.decoding.raw {
                    report.more.raw = Some((*message.data).into());
                }
                Decoded {
                    frame: frame(message.head, &message.data)?,
                    reports: vec![report],
                    explanation: self.decoding.explain.then(|| Explanation {
                        title: explain::head(message.head),
                        fields: explain::explain(message)
                            .iter()
                            .map(ToString::to_string)
                            .collect(),
                    }),
                    ..Decoded::default()
                }
            }
            Output::Malformed {
                head, data, error, ..
            } => Decoded {
                frame: frame(*head, data)?,
                ..Decoded::unreadable(Fault {
                    field: error.field(),
                    offset: u64::from(error.offset()),
                    message: error.to_string(),
                })
            },
            Output::Failure(failure) => Decoded::unreadable(Fault {
                field: "transport",
                offset: 0,
                message: failure.to_string(),
            }),
            Output::IsoTpFailure { id, error } => Decoded::unreadable(Fault {
                field: "transport",
                offset: 0,
                message: format!("identifier {id}: {error}"),
            }),
            _ => Decoded::default(),
        })
    }

    /// Takes what is complete off the bytes of the carrier.
    fn records(&mut self, write: &mut Write<'_>) -> io::Result<()> {
        loop {
            let Some((_, carrier, stream)) = &mut self.carrier else {
                return Ok(());
            };
            match carrier.next_kind(stream) {
                Ok(None) => return Ok(()),
                Ok(Some(RecordKind::Frame(frame))) => self.push(&frame, write)?,
                Ok(Some(_)) => {}
                Err(skipped) => write(fault(0, skipped.to_string()))?,
            }
        }
    }
}

impl Lines for Connection {
    fn next_connection(&mut self) {
        self.decoder = Decoder::new(self.options.clone());
        if let Some((form, carrier, stream)) = &mut self.carrier {
            *carrier = Carrier::new(*form);
            stream.clear();
        }
        self.origin.connection += 1;
        self.origin.frame = 0;
    }

    fn line(&mut self, text: &[u8], write: &mut Write<'_>) -> io::Result<()> {
        if let Some((form, _, stream)) = &mut self.carrier {
            match form {
                // What ends a record is not part of a line of text.
                Setting::Form(Form::Slcan) => {
                    stream.extend_from_slice(text);
                    stream.extend_from_slice(b"\r");
                }
                Setting::Form(Form::Socketcand | Form::Elm327) => {
                    stream.extend_from_slice(text);
                    stream.extend_from_slice(b"\r\n");
                }
                _ => match from_hex(text) {
                    Ok(bytes) => stream.extend_from_slice(&bytes),
                    Err(error) => return write(Decoded::unreadable(error)),
                },
            }
            self.records(write)?;
            if let Some((_, carrier, _)) = &mut self.carrier {
                carrier.on_pause();
            }
            return self.records(write);
        }
        match candump::parse(text) {
            Ok(line) => match line.kind {
                RecordKind::Frame(frame) => self.push(&frame, write),
                RecordKind::Fd => write(fault(0, "a CAN FD frame".to_owned())),
                RecordKind::ErrorFrame => write(fault(0, "an error frame".to_owned())),
                _ => Ok(()),
            },
            Err(reason) => {
                let offset = match reason {
                    milepost_protocol_j1939::carrier::Reason::Malformed { offset, .. } => offset,
                    _ => 0,
                };
                write(fault(offset as u64, reason.to_string()))
            }
        }
    }
}

fn fault(offset: u64, message: String) -> Decoded {
    Decoded::unreadable(Fault {
        field: "frame",
        offset,
        message,
    })
}
