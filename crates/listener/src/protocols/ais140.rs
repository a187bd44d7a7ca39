//! AIS 140 in all its dialects: [`milepost_protocol_ais140::Session`] on this crate's traits.

use bytes::BytesMut;
use milepost_protocol_ais140::normalize::{self, Arrival, DECODER, ReportSource};
use milepost_protocol_ais140::{
    Frame, FrameError, Handled, Message, Profile, ReplyClass, Session as Decoder,
};
use milepost_telemetry::{Name, Quarantine};

use crate::{
    Command, CommandRefused, Context, Identified, Opened, Protocol, RawFrame, Session, Skipped,
};

/// The AIS 140 family of protocols.
#[derive(Debug, Clone, Default)]
pub struct Ais140 {
    prototype: Decoder,
}

/// With all that a session can be given: dialects, and which replies are sent. Each connection gets
/// a copy.
impl From<Decoder> for Ais140 {
    fn from(prototype: Decoder) -> Self {
        Self { prototype }
    }
}

impl Protocol for Ais140 {
    type Session = Ais140Session;

    fn name(&self) -> Name {
        DECODER.protocol()
    }

    fn session(&self, _: &Opened) -> Ais140Session {
        Ais140Session {
            session: self.prototype.clone(),
            learned: Profile::default(),
            source: ReportSource::new(None, None),
            waiting: None,
            may_learn: true,
        }
    }
}

/// One AIS 140 connection.
#[derive(Debug)]
pub struct Ais140Session {
    session: Decoder,
    /// What the registry knows.
    learned: Profile,
    source: ReportSource,
    /// The packet that named the device, while the registry is asked.
    waiting: Option<Frame>,
    /// Not if the registry's profile could not be read: it would be overwritten.
    may_learn: bool,
}

impl RawFrame for Frame {
    fn raw(&self) -> bytes::Bytes {
        self.raw().clone()
    }

    fn urgent(&self) -> bool {
        self.urgent()
    }
}

impl Ais140Session {
    fn handled(&mut self, handled: &Handled, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        match &handled.reply {
            Some(reply) if reply.class == ReplyClass::Now => cx.reply(reply.bytes.clone()),
            Some(reply) => cx.reply_when_delivered(reply.bytes.clone()),
            None => {}
        }
        let is_from_server = match &handled.message {
            Ok(message) => Message::is_from_server(message),
            Err(e) => {
                return Err(Quarantine {
                    field: Some(Name::new(e.field())),
                    offset: Some(e.offset()),
                    message: e.to_string().into(),
                });
            }
        };
        let arrival = Arrival {
            at: cx.now(),
            origin: cx.origin(),
        };
        normalize::normalize(handled, &self.source, arrival, cx.reports());
        if cx.reports().is_empty() {
            cx.filter(if is_from_server {
                "server_message"
            } else {
                "nothing_to_report"
            });
        }
        if self.learned != *self.session.profile() {
            self.learned = self.session.profile().clone();
            if self.may_learn {
                cx.learn((&self.learned).into());
            }
        }
        Ok(())
    }
}

impl Session for Ais140Session {
    type Frame = Frame;

    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, Skipped> {
        self.session.next_frame(src).map_err(|e| match e {
            FrameError::Skipped { bytes, looks_like } => Skipped::new(bytes).looks_like(looks_like),
            _ => Skipped::new(1),
        })
    }

    fn on_pause(&mut self) {
        self.session.on_pause();
    }

    fn on_frame(&mut self, frame: Frame, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let handled = self.session.on_frame(&frame, cx.now().as_unix());
        let Some(imei) = handled.identify else {
            return self.handled(&handled, cx);
        };
        let id = imei.device_id();
        cx.identify(id.ok_or_else(|| Quarantine::new("not an IMEI"))?);
        self.waiting = Some(frame);
        Ok(())
    }

    fn on_identified(&mut self, who: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let profile = match who.profile.as_ref().map(Profile::try_from).transpose() {
            Ok(profile) => profile,
            Err(e) => {
                tracing::warn!(device = %who.device, error = %e, "a profile cannot be read");
                self.may_learn = false;
                None
            }
        };
        self.learned = profile.clone().unwrap_or_default();
        self.session.on_identified(profile);
        self.source = ReportSource::new(Some(who.device.tenant), Some(who.device.device));
        match self.waiting.take() {
            Some(frame) => {
                let handled = self.session.on_frame(&frame, cx.now().as_unix());
                self.handled(&handled, cx)
            }
            None => Ok(()),
        }
    }

    /// In the words of the device's dialect.
    fn on_command(
        &mut self,
        command: &Command,
        cx: &mut Context<'_>,
    ) -> Result<(), CommandRefused> {
        let bytes = self
            .session
            .command(&command.text)
            .map_err(|e| CommandRefused::never(e.to_string()))?;
        cx.reply(bytes);
        Ok(())
    }
}
