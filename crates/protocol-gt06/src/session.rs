//! One connection's conversation, without I/O: bytes and the time in, messages and replies out.

use bytes::BytesMut;

use crate::field::TerminalId;
use crate::message::Login;
use crate::reply::{AckPolicy, Reply};
use crate::{DecodeError, Deframer, Direction, Frame, FrameError, Message, Profile};

/// The state of one connection.
///
/// ```
/// use bytes::BytesMut;
/// use protocol_gt06::{AckPolicy, ReplyClass, Session};
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
/// # Ok::<(), protocol_gt06::FrameError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Session {
    deframer: Deframer,
    policy: AckPolicy,
    profile: Profile,
    id: Option<TerminalId>,
    login: LoginFacts,
}

/// What a login says about the device.
#[derive(Debug, Clone, Copy, Default)]
struct LoginFacts {
    model: Option<u16>,
    zone: Option<i16>,
}

/// What came of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// What it says. A frame that cannot be read goes to quarantine, and is answered all the same.
    pub message: Result<Message, DecodeError>,
    /// Which way it travels. What a server said gives no report.
    pub direction: Direction,
    /// The answer.
    pub reply: Option<Reply>,
    /// The device named itself: find out whose it is and what is known about it, then call
    /// [`Session::on_identified`].
    pub identify: Option<TerminalId>,
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

    /// Interprets a frame. `unix_now` is the time in seconds since 1970, for devices that ask.
    #[inline]
    pub fn on_frame(&mut self, frame: &Frame, unix_now: i64) -> Handled {
        let dialect = self.profile.dialect();
        let message = Message::decode(frame, dialect);
        let (answer, direction) = match &message {
            Ok(message) => (message.answer(), message.direction()),
            Err(_) => (Message::unread(frame, dialect).1, Direction::Device),
        };
        // Set by hand or learned before, it stays.
        if self.profile.dialect.is_none() {
            self.profile.dialect = message.as_ref().ok().and_then(Message::dialect);
        }
        let identify = match &message {
            Ok(Message::Login(login)) => {
                self.on_login(login);
                Some(login.id)
            }
            _ => None,
        };
        let policy = self.profile.ack_policy(self.policy);
        let reply = answer.reply(
            frame.start(),
            frame.number(),
            frame.serial(),
            policy,
            unix_now,
        );
        Handled {
            message,
            direction,
            reply,
            identify,
        }
    }

    /// A login, also a second one on the same connection: the device is who it says now.
    fn on_login(&mut self, login: &Login) {
        if self.id != Some(login.id) {
            self.profile = Profile::default();
        }
        self.id = Some(login.id);
        self.login = LoginFacts {
            model: login.model,
            zone: login.zone.and_then(|zone| zone.minutes()),
        };
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

    fn apply_login(&mut self) {
        if let Some(model) = self.login.model {
            self.profile.model = Some(model);
        }
        if let Some(minutes) = self.login.zone {
            self.profile.zones.login = Some(minutes);
        }
    }
}
