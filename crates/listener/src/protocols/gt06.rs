//! GT06 / Concox / Jimi: [`milepost_protocol_gt06::Session`] on this crate's traits.

use std::fmt;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use milepost_protocol_gt06::media::Abandoned;
use milepost_protocol_gt06::normalize::{self, DECODER, ReportSource};
use milepost_protocol_gt06::{
    AckPolicy, Direction, Frame, FrameError, Message, Profile, ReplyClass, Start, Upload,
};
use milepost_telemetry::{DeviceKey, Name, Quarantine};

use crate::{
    Closed, Command, CommandRefused, Context, Identified, Opened, Protocol, RawFrame, Session,
    Skipped,
};

/// The GT06 family of protocols.
#[derive(Debug, Clone, Default)]
pub struct Gt06 {
    prototype: milepost_protocol_gt06::Session,
}

impl Gt06 {
    /// With a policy of one's own about what is acknowledged beyond the manuals.
    pub fn new(acknowledge: AckPolicy) -> Self {
        milepost_protocol_gt06::Session::new(acknowledge).into()
    }
}

/// With all that a session can be given: who knows addresses, who judges cards, limits for files.
/// Each connection gets a copy.
impl From<milepost_protocol_gt06::Session> for Gt06 {
    fn from(prototype: milepost_protocol_gt06::Session) -> Self {
        Self { prototype }
    }
}

impl Protocol for Gt06 {
    type Session = Gt06Session;

    fn name(&self) -> Name {
        DECODER.protocol()
    }

    fn session(&self, _: &Opened) -> Gt06Session {
        Gt06Session {
            session: self.prototype.clone(),
            known: Profile::default(),
            speaker: ReportSource::new(None, None),
            login: None,
            may_learn: true,
        }
    }
}

/// One GT06 connection.
#[derive(Debug)]
pub struct Gt06Session {
    session: milepost_protocol_gt06::Session,
    /// What was known before the frame at hand, by which it is read.
    known: Profile,
    speaker: ReportSource,
    /// The login that waits for the registry.
    login: Option<Box<Login>>,
    /// Not if the registry's profile could not be read: it would be overwritten.
    may_learn: bool,
}

/// A login, and what became of files with it.
#[derive(Debug)]
struct Login {
    frame: Frame,
    message: Message,
    upload: Option<Box<Upload>>,
}

impl Gt06Session {
    fn report(
        &self,
        frame: &Frame,
        message: &Message,
        upload: Option<&Upload>,
        cx: &mut Context<'_>,
    ) {
        let around = normalize::Context::new(
            frame.head(),
            &self.known,
            &self.speaker,
            cx.now(),
            cx.origin(),
        );
        let reports = cx.reports();
        normalize::normalize(message, &around, reports);
        if let Some(upload) = upload {
            normalize::normalize_upload(message, upload, &around, reports);
        }
        if reports.is_empty() {
            cx.filter(match message.direction() {
                Direction::Server => "server_message",
                Direction::Device => "nothing_to_report",
            });
        }
    }

    /// Notes what the frame at hand taught the session; the next one is read by it.
    fn learn(&mut self, cx: &mut Context<'_>) {
        if self.known != *self.session.profile() {
            self.known = self.session.profile().clone();
            if self.may_learn {
                cx.learn((&self.known).into());
            }
        }
    }
}

impl RawFrame for Frame {
    fn raw(&self) -> Bytes {
        self.raw().clone()
    }

    /// By the number alone: what kind of alarm it is stands in the body. Numbers that devices also
    /// use for other messages (0x19, 0x32, 0x33, 0xA3) are not urgent, nor are the relatives
    /// without serial number, whose numbers mean other things.
    fn urgent(&self) -> bool {
        let head = self.head();
        matches!(head.start(), Start::Short)
            && head.serial().is_some()
            && matches!(
                head.number(),
                0x16 | 0x26 | 0x27 | 0x39 | 0x95 | 0xa4 | 0xa5 | 0xa9
            )
    }
}

impl Session for Gt06Session {
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
        match handled.reply {
            Some(reply) if reply.class == ReplyClass::Now => cx.reply(reply.bytes),
            Some(reply) => cx.reply_when_delivered(reply.bytes),
            None => {}
        }
        let message = handled.message.map_err(|e| Quarantine {
            field: Some(Name::new(e.field())),
            offset: Some(e.offset()),
            message: e.to_string().into(),
        })?;
        if let Some(id) = handled.identify {
            let id = id.device_id();
            let mut upload = handled.upload;
            // Another device's are not this one's to report.
            if (id.is_none() || self.speaker.device() != id)
                && let Some(upload) = upload.take()
            {
                let uploader = Uploader {
                    connection: cx.origin().connection,
                    peer: cx.peer(),
                    device: cx.device(),
                };
                uploader.give_up(&upload.abandoned, "login", &"another device's login");
            }
            let id = id.ok_or_else(|| Quarantine::new("not a terminal id"))?;
            self.login = Some(Box::new(Login {
                frame,
                message,
                upload,
            }));
            cx.identify(id);
            return Ok(());
        }
        self.report(&frame, &message, handled.upload.as_deref(), cx);
        self.learn(cx);
        Ok(())
    }

    fn on_identified(&mut self, who: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let profile = match who.profile.as_ref().map(Profile::try_from) {
            Some(Ok(profile)) => Some(profile),
            Some(Err(e)) => {
                tracing::warn!(device = %who.device, error = %e, "a profile cannot be read");
                self.may_learn = false;
                None
            }
            None => None,
        };
        self.known = profile.clone().unwrap_or_default();
        self.session.on_identified(profile);
        self.speaker = ReportSource::new(Some(who.device.tenant), Some(who.device.device));
        if let Some(login) = self.login.take() {
            let upload = login.upload.as_deref();
            self.report(&login.frame, &login.message, upload, cx);
        }
        self.learn(cx);
        Ok(())
    }

    /// By the profile of the device; the flag comes back in its answer.
    fn on_command(
        &mut self,
        command: &Command,
        cx: &mut Context<'_>,
    ) -> Result<(), CommandRefused> {
        let frame = self
            .session
            .command(command.flag, &command.text)
            .map_err(|e| CommandRefused::never(e.to_string()))?;
        cx.reply(frame);
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.session.held_bytes()
    }

    fn shed(&mut self) -> usize {
        self.session.shed()
    }

    /// Uploads that are not whole: no report can tell of them any more.
    fn on_close(&mut self, closed: &Closed<'_>, _: &mut Context<'_>) {
        let uploader = Uploader {
            connection: closed.connection,
            peer: closed.peer,
            device: closed.device,
        };
        // The registry did not want the login that was to report these.
        if let Some(upload) = self.login.take().and_then(|login| login.upload) {
            uploader.give_up(&upload.abandoned, "closed", &closed.reason);
        }
        uploader.give_up(&self.session.on_close(), "closed", &closed.reason);
    }
}

/// Whose uploads are given up.
struct Uploader<'a> {
    connection: u64,
    peer: Option<SocketAddr>,
    device: Option<&'a DeviceKey>,
}

impl Uploader<'_> {
    /// Counts and names uploads of which no report tells. Their blocks were reports of their own.
    fn give_up(&self, uploads: &[Abandoned], label: &'static str, reason: &dyn fmt::Display) {
        for upload in uploads {
            metrics::counter!(
                "milepost_listener_uploads_abandoned_total",
                "protocol" => DECODER.protocol().as_str(), "reason" => label
            )
            .increment(1);
            tracing::warn!(
                connection = self.connection,
                peer = self.peer.map(tracing::field::display),
                device = self.device.map(tracing::field::display),
                upload = %upload.id,
                received = upload.held,
                of = upload.total,
                %reason,
                "an upload was given up before it was whole"
            );
        }
    }
}
