//! One connection's conversation, without I/O: bytes and the time in, messages and replies out.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::address::{Purpose, Resolver};
use crate::command::{self, CommandError};
use crate::field::TerminalId;
use crate::media::{self, Abandoned, Assembler, Taken, UploadId};
use crate::message::{CardAnswer, PhotoRequest};
use crate::offset::OffsetWatch;
use crate::reply::{AckPolicy, Answer, Reply, ReplyClass};
use crate::{
    DecodeError, Deframer, Dialect, Direction, Frame, FrameError, Message, Models, Profile,
};

/// The state of one connection.
///
/// ```
/// use bytes::BytesMut;
/// use milepost_protocol_gt06::{AckPolicy, ReplyClass, Session};
///
/// let mut session = Session::new(AckPolicy::default());
/// let mut stream = BytesMut::new();
/// stream.extend_from_slice(
///     b"\x78\x78\x11\x01\x07\x52\x53\x36\x78\x90\x02\x42\x70\x00\x32\x01\x00\x05\x12\x79\x0d\x0a",
/// );
/// let frame = session.next_frame(&mut stream)?.expect("a whole frame");
/// let handled = session.on_frame(&frame, 1_451_357_465);
///
/// let id = handled.identify.expect("a login");
/// assert_eq!(id.to_string(), "752533678900242");
/// let reply = handled.reply.expect("logins are answered");
/// assert_eq!(reply.class, ReplyClass::Now);
/// assert_eq!(reply.bytes[..6], [0x78, 0x78, 0x05, 0x01, 0x00, 0x05]);
/// # Ok::<(), milepost_protocol_gt06::FrameError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Session {
    deframer: Deframer,
    policy: AckPolicy,
    profile: Profile,
    id: Option<TerminalId>,
    login: LoginFacts,
    cards: Option<CardJudge>,
    addresses: Option<Resolver>,
    models: Models,
    /// Few devices send files.
    uploads: Option<Box<Assembler>>,
    /// Unless they are the usual ones; shared by all sessions that are cloned from one.
    media_limits: Option<Arc<media::Limits>>,
    /// The serial of what the server last sent unasked.
    command_serial: u16,
    offsets: OffsetWatch,
}

/// Decides whether a card is accepted.
#[derive(Clone)]
pub struct CardJudge(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl CardJudge {
    /// By a function of the card's number.
    pub fn new(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    /// Whether the card is accepted.
    #[must_use]
    pub fn accepts(&self, card: &str) -> bool {
        (self.0)(card)
    }
}

impl fmt::Debug for CardJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardJudge")
    }
}

/// What became of the files that a device uploads, with one frame.
///
/// Every block of a file is a report of its own. This is what comes on top; give it to
/// [`normalize::normalize_upload`](crate::normalize::normalize_upload), after the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// The file that this frame's block completed.
    pub completed: Option<Bytes>,
    /// Uploads that were given up: too large, too many, or too long without a block; with a login
    /// of another device, those of the one before.
    pub abandoned: Vec<Abandoned>,
}

/// What a login shows about the device.
#[derive(Debug, Clone, Copy, Default)]
struct LoginFacts {
    model: Option<u16>,
    zone: Option<i16>,
    /// Whether it came without serial and checksum.
    bare: Option<bool>,
}

/// What came of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handled {
    /// The message. A frame that cannot be read goes to quarantine, and is answered all the same.
    pub message: Result<Message, DecodeError>,
    /// Which way it travels. A server's message gives no report.
    pub direction: Direction,
    /// The answer.
    pub reply: Option<Reply>,
    /// The device named itself: find out whose it is and what is known about it, then call
    /// [`Session::on_identified`].
    pub identify: Option<TerminalId>,
    /// What became of files; rare.
    pub upload: Option<Box<Upload>>,
}

impl Session {
    /// A session for a new connection.
    #[must_use]
    pub fn new(policy: AckPolicy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// With a judge for cards that a reader sends (0x9B); without, all
    /// are.
    #[must_use]
    pub fn with_cards(mut self, judge: CardJudge) -> Self {
        self.cards = Some(judge);
        self
    }

    /// With a source of addresses: devices that ask for one get it instead of "NA", and
    /// alarms get it after their acknowledgement.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Resolver) -> Self {
        self.addresses = Some(resolver);
        self
    }

    /// With the meaning of the type words of logins. A dialect that is set by hand, or was learned
    /// from other messages before, counts more.
    #[must_use]
    pub fn with_models(mut self, models: Models) -> Self {
        self.models = models;
        self
    }

    /// With limits of one's own for the files that devices upload in blocks.
    ///
    /// A session holds [`bytes`](media::Limits::bytes) of blocks at most, and some 100 bytes about
    /// each of them, of which there are [`files`](media::Limits::files) times
    /// [`blocks`](media::Limits::blocks) at most: by default 2 MiB, and 3 MiB more where all blocks
    /// are of a few bytes. A file that is whole is copied once, into [`Upload::completed`]. With 0
    /// bytes no file is put together: none is asked for, each that begins is reported as given up, and
    /// its blocks are reported as ever.
    ///
    /// All this is so before a login, too: a capture without one gives its files.
    #[must_use]
    pub fn with_media_limits(mut self, limits: media::Limits) -> Self {
        self.media_limits = Some(Arc::new(limits));
        self
    }

    /// A command as a frame, by what is known about the device. The flag comes back in the answer
    /// ([`CommandReply::flag`](crate::message::CommandReply::flag)), perhaps minutes later or on
    /// another connection: use each for one command only.
    ///
    /// # Errors
    /// When the text cannot be sent (see [`command::encode`]), or the device reads no commands:
    /// the relatives without serial and checksum do not.
    pub fn command(&mut self, flag: u32, text: &str) -> Result<Bytes, CommandError> {
        if self.is_relative() {
            return Err(CommandError::NoCommands);
        }
        let serial = self.command_serial.wrapping_add(1);
        let language = self.profile.command_language.unwrap_or_default();
        let frame = command::encode(flag, text, language, serial)?;
        self.command_serial = serial;
        Ok(frame)
    }

    /// Takes the next frame off the front of `src`; see [`Deframer`].
    ///
    /// # Errors
    /// When bytes were passed over. Go on.
    #[inline]
    pub fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        self.deframer.next_frame(src)
    }

    /// The sender went quiet; see [`Deframer::on_pause`].
    pub const fn on_pause(&mut self) {
        self.deframer.on_pause();
    }

    /// What is known about the device.
    #[inline]
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Who logged in.
    #[must_use]
    pub const fn id(&self) -> Option<TerminalId> {
        self.id
    }

    /// Interprets a frame. `unix_now` is the time of its arrival in seconds since 1970: devices are
    /// sent it that ask, their zone is found by it, and uploads are given up by it.
    #[inline]
    #[must_use = "the device waits for the reply, and a login for `on_identified`"]
    pub fn on_frame(&mut self, frame: &Frame, unix_now: i64) -> Handled {
        let dialect = self.profile.dialect();
        let message = Message::decode(frame, dialect);
        let mut upload = None;
        let (answer, direction) = match &message {
            Ok(message) => {
                let own = self.answer(message, unix_now.saturating_mul(1_000), &mut upload);
                (own.unwrap_or_else(|| message.answer()), message.direction())
            }
            Err(_) => (Message::unread(frame, dialect).1, Direction::Device),
        };
        if let Ok(message) = &message {
            let reported = message.dialect().filter(|dialect| self.may_be(*dialect));
            let known = self.profile.dialect;
            let contradicts = known.is_some_and(|known| message.contradicts(known));
            self.profile.weigh_dialect(reported, contradicts);
            let battery = message.raw_battery();
            if battery.is_some_and(|raw| crate::field::ONLY_PERCENT.contains(&raw)) {
                self.profile.battery_in_percent = true;
            }
        }
        if let Some((time, live)) = message.as_ref().ok().and_then(Message::clock)
            && let Some(minutes) = self.offsets.observe(time, live, unix_now)
        {
            self.profile.zones.detected = Some(minutes);
        }
        let identify = match &message {
            Ok(Message::Login(login)) => {
                let facts = LoginFacts {
                    model: login.model,
                    zone: login.zone.and_then(|zone| zone.minutes()),
                    bare: Some(false),
                };
                self.on_login(login.id, facts, &mut upload);
                Some(login.id)
            }
            Ok(Message::TopinLogin(login)) => {
                let facts = LoginFacts {
                    bare: Some(true),
                    ..LoginFacts::default()
                };
                self.on_login(login.id, facts, &mut upload);
                Some(login.id)
            }
            _ => None,
        };
        let policy = self.profile.ack_policy(self.policy);
        let mut reply = answer.reply(
            frame.start(),
            frame.number(),
            frame.serial(),
            policy,
            unix_now,
        );
        if let (Some(resolver), Some(reply), Ok(message)) = (&self.addresses, &mut reply, &message)
        {
            tell_address(resolver, message, frame, reply);
        }
        Handled {
            message,
            direction,
            reply,
            identify,
            upload,
        }
    }

    /// The answer that depends on more than the message.
    #[inline]
    fn answer(
        &mut self,
        message: &Message,
        now_ms: i64,
        upload: &mut Option<Box<Upload>>,
    ) -> Option<Answer> {
        if let Some(uploads) = &mut self.uploads {
            uploads.expire(now_ms);
        }
        let answer = match message {
            Message::ExternalData(data) => {
                let card = data.card_number()?;
                let accepted = self.cards.as_ref().is_none_or(|judge| judge.accepts(card));
                Some(CardAnswer::new(accepted).to_answer())
            }
            Message::PhotoInfo(info) => {
                let id = UploadId::photo(info.photo);
                let opened = self.uploads().open(id, info.size.into(), now_ms);
                (!opened).then_some(Answer::Silent)
            }
            Message::PhotoBlock(_) | Message::PhotoPart(_) | Message::FileBlock(_) => {
                self.on_block(message, now_ms, upload)
            }
            _ => None,
        };
        if let Some(uploads) = &mut self.uploads {
            let abandoned = uploads.take_abandoned();
            if !abandoned.is_empty() {
                upload.get_or_insert_default().abandoned = abandoned;
            }
            if uploads.is_empty() {
                self.uploads = None;
            }
        }
        answer
    }

    fn uploads(&mut self) -> &mut Assembler {
        let limits = self.media_limits.as_deref();
        self.uploads.get_or_insert_with(|| {
            let limits = limits.copied().unwrap_or_default();
            Box::new(Assembler::new(limits))
        })
    }

    #[cold]
    fn on_block(
        &mut self,
        message: &Message,
        now_ms: i64,
        upload: &mut Option<Box<Upload>>,
    ) -> Option<Answer> {
        let block = message.block()?;
        let uploads = self.uploads();
        let taken = uploads.push(block.id, block.place, block.total, block.data, now_ms);
        match taken {
            // The report of such a block is that of the file.
            Taken::Complete(_) if block.is_whole => {}
            Taken::Complete(whole) => {
                upload.get_or_insert_default().completed = Some(whole);
            }
            _ => {}
        }
        let Message::PhotoBlock(photo) = message else {
            return None;
        };
        let (offset, len) = uploads.request(block.id, PhotoRequest::LONGEST, now_ms)?;
        let offset = u32::try_from(offset).ok()?;
        let request = PhotoRequest {
            photo: photo.photo,
            offset,
            len,
        };
        Some(request.to_answer(ReplyClass::WhenDelivered))
    }

    /// A login, also a second one on the same connection: the device is the one named now.
    fn on_login(&mut self, id: TerminalId, facts: LoginFacts, upload: &mut Option<Box<Upload>>) {
        if self.id != Some(id) {
            self.profile = Profile::default();
            self.offsets = OffsetWatch::default();
            // What another one has begun is no part of what this one sends.
            let mut given_up = self.on_close();
            if !given_up.is_empty() {
                let abandoned = &mut upload.get_or_insert_default().abandoned;
                abandoned.append(&mut given_up);
            }
        }
        self.id = Some(id);
        self.login = facts;
        self.apply_login();
    }

    /// Goes on after [`Handled::identify`] with what is known about the device. Whether the
    /// [`profile`](Self::profile) has changed by the login and should be kept.
    pub fn on_identified(&mut self, known: Option<Profile>) -> bool {
        let before = known.clone().unwrap_or_default();
        self.profile = before.clone();
        self.apply_login();
        self.deframer.set_framing(self.profile.framing());
        self.profile != before
    }

    /// About how many bytes of memory uploads take that are not whole.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.uploads
            .as_ref()
            .map_or(0, |uploads| uploads.footprint())
    }

    /// Gives up the largest upload, because memory is short; the next report of a file names it.
    /// Returns how many bytes that freed, about.
    pub fn shed(&mut self) -> usize {
        self.uploads.as_mut().map_or(0, |uploads| uploads.shed())
    }

    /// The connection has ended. Uploads that are not whole are given up; they are named here,
    /// since no frame comes any more whose report could contain them.
    #[must_use]
    pub fn on_close(&mut self) -> Vec<Abandoned> {
        self.uploads.take().map_or_else(Vec::new, |mut uploads| {
            uploads.clear();
            uploads.take_abandoned()
        })
    }

    /// A device that logs in with serial and checksum is none of the relatives without, whatever
    /// one of its frames looks like.
    fn may_be(&self, dialect: Dialect) -> bool {
        dialect != Dialect::Topin || self.login.bare != Some(false)
    }

    /// Whether the device is one of the relatives without serial and checksum, as far as is known.
    fn is_relative(&self) -> bool {
        let dialect = self.profile.dialect();
        self.profile.bare_frames || dialect == Dialect::Topin && self.may_be(dialect)
    }

    fn apply_login(&mut self) {
        if let Some(model) = self.login.model {
            self.profile.model = Some(model);
            if self.profile.dialect.is_none() {
                self.profile.dialect = self.models.dialect(model);
                self.profile.dialect_evidence = Profile::CERTAIN;
            }
        }
        if let Some(minutes) = self.login.zone {
            self.profile.zones.login = Some(minutes);
        }
        if let Some(bare) = self.login.bare {
            self.profile.bare_frames = bare;
            if bare {
                self.profile.dialect.get_or_insert(Dialect::Topin);
                self.profile.dialect_evidence = Profile::CERTAIN;
            }
            self.profile.dialect = self.profile.dialect.filter(|known| self.may_be(*known));
        }
    }
}

/// Puts an address into the reply: in place of "NA" where the device asked, after the
/// acknowledgement of an alarm.
#[cold]
fn tell_address(resolver: &Resolver, message: &Message, frame: &Frame, reply: &mut Reply) {
    let (Some(question), Some(serial)) = (message.question(), frame.serial()) else {
        return;
    };
    let Some(address) = resolver.resolve(&question) else {
        return;
    };
    let reported = question.reply(serial, &address);
    reply.bytes = match question.purpose {
        Purpose::Query => reported,
        Purpose::Alarm => [&reply.bytes[..], &reported[..]].concat().into(),
    };
}
