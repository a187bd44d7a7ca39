//! A whole conversation as the listener holds it, twice: with all that arrives in one piece, and
//! cut anywhere. Both times the same is found, answered and reported, at the same time, and no
//! byte is lost. All that is sent are frames of a server, which are not answered when they come
//! back; what a server sends is not reported; only what is kept is acknowledged; profiles survive
//! being kept; reports have ids of their own, and a frame that was kept is read again as it was.
//!
//! How an input is read: `milepost_fuzz::session`.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use milepost_fuzz::frames::Form;
use milepost_fuzz::session::{self, Setup, Step};
use milepost_protocol_gt06::address::Resolver;
use milepost_protocol_gt06::answer::Reading;
use milepost_protocol_gt06::field::TerminalId;
use milepost_protocol_gt06::media::{Abandoned, Limits};
use milepost_protocol_gt06::normalize::{self, ReportSource};
use milepost_protocol_gt06::{
    AckPolicy, CardJudge, Checksum, DecodeError, Deframer, Dialect, Direction, Frame, FrameError,
    Message, Profile, Reply, ReplyClass, Session, Upload,
};
use milepost_telemetry::{Origin, Report, Timestamp};

/// What comes of a conversation.
#[derive(Debug, PartialEq)]
enum Outcome {
    Frame(Frame),
    Reply(Reply),
    Unreadable(DecodeError),
    Report(Box<Report>),
    Sent(Bytes),
    /// The end of a connection cuts these off.
    CutOff(Vec<Abandoned>),
    /// All that had arrived was looked at.
    Waiting,
}

/// What the registry and the listener do around a session.
struct Listener<S> {
    setup: Setup,
    /// How what arrives is cut.
    sizes: S,
    session: Session,
    /// By what is known before it, a frame is read.
    known: Profile,
    /// What the registry keeps.
    kept: Vec<(TerminalId, milepost_telemetry::Profile)>,
    source: ReportSource,
    /// Has been sent by the device, but not arrived.
    on_the_way: Vec<u8>,
    buffer: BytesMut,
    /// Of this connection: bytes that arrived, and those that were passed over or made frames.
    arrived: usize,
    accounted: usize,
    now: i64,
    connection: u64,
    frames: u64,
    flag: u32,
    outcomes: Vec<Outcome>,
}

impl<S: Iterator<Item = usize>> Listener<S> {
    fn new(setup: Setup, sizes: S) -> Self {
        Self {
            setup,
            sizes,
            session: session(setup),
            known: Profile::default(),
            kept: Vec::new(),
            source: ReportSource::new(None, None),
            on_the_way: Vec::new(),
            buffer: BytesMut::new(),
            arrived: 0,
            accounted: 0,
            now: 1_763_622_000,
            connection: 1,
            frames: 0,
            flag: 0,
            outcomes: Vec::new(),
        }
    }

    fn close(&mut self) {
        let cut_off = self.session.on_close();
        assert_eq!(self.session.on_close(), [], "reported once");
        self.outcomes.push(Outcome::CutOff(cut_off));
    }

    fn reconnect(&mut self) {
        self.close();
        self.session = session(self.setup);
        self.known = Profile::default();
        self.source = ReportSource::new(None, None);
        self.buffer.clear();
        (self.arrived, self.accounted) = (0, 0);
        self.connection += 1;
    }

    /// What is on the way arrives.
    fn receive(&mut self) {
        let bytes = std::mem::take(&mut self.on_the_way);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let size = self.sizes.next().unwrap_or(1).clamp(1, rest.len());
            let (now, later) = rest.split_at(size);
            rest = later;
            self.arrived += now.len();
            self.buffer.extend_from_slice(now);
            self.drain();
        }
        self.outcomes.push(Outcome::Waiting);
    }

    fn pause(&mut self) {
        self.session.on_pause();
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            let before = self.buffer.len();
            match self.session.next_frame(&mut self.buffer) {
                Ok(Some(frame)) => {
                    self.accounted += frame.raw().len();
                    self.on_frame(frame);
                }
                Ok(None) => {
                    assert_eq!(before, self.buffer.len());
                    break;
                }
                Err(FrameError::Skipped { bytes, .. }) => {
                    assert!(bytes > 0);
                    self.accounted += bytes;
                }
                Err(_) => unreachable!("frames are only ever passed over"),
            }
        }
        assert_eq!(
            self.arrived,
            self.accounted + self.buffer.len(),
            "every byte is accounted for"
        );
        assert!(self.buffer.len() <= 65_541 + 2, "what is kept is bounded");
    }

    fn on_frame(&mut self, frame: Frame) {
        self.frames += 1;
        let before = self.session.clone();
        let handled = self.session.on_frame(&frame, self.now);
        if let Some(reply) = &handled.reply {
            assert_eq!(
                handled.direction,
                Direction::Device,
                "echoes are not answered"
            );
            match frame.serial() {
                Some(_) => assert_told(&before, &reply.bytes, frame.serial()),
                None => assert_bare(&frame, &reply.bytes),
            }
        }

        let reports = self.outcomes.len();
        match &handled.message {
            Err(error) => self.outcomes.push(Outcome::Unreadable(*error)),
            Ok(message) => {
                assert_eq!(message.number(), frame.number());
                if let Some(id) = handled.identify {
                    self.identify(id);
                }
                self.report(&frame, message, handled.upload.as_deref());
                if let Message::CommandReply(reply) = message {
                    let _ = Reading::read(&reply.to_text());
                }
            }
        }
        if let Some(reply) = handled.reply {
            assert!(
                reply.class == ReplyClass::Now || self.outcomes.len() > reports,
                "nothing of it is kept, and it is acknowledged: {:?}",
                handled.message
            );
            self.outcomes.push(Outcome::Reply(reply));
        }
        self.outcomes.push(Outcome::Frame(frame));
        self.learn();
    }

    fn identify(&mut self, id: TerminalId) {
        assert_eq!(self.session.id(), Some(id));
        // Not every id is one: such a login is set aside, as the listener does.
        let Some(device) = id.device_id() else { return };
        let known = match self.kept.iter().find(|(other, _)| *other == id) {
            Some((_, kept)) => Some(Profile::try_from(kept).expect("was kept")),
            None => self.setup.known(),
        };
        self.known = known.clone().unwrap_or_default();
        let changed = self.session.on_identified(known);
        assert_eq!(changed, self.known != *self.session.profile());
        self.source = ReportSource::new(None, Some(device));
    }

    /// What was learned is kept, and read back when the device calls again.
    fn learn(&mut self) {
        if self.known == *self.session.profile() {
            return;
        }
        self.known = self.session.profile().clone();
        let kept = milepost_telemetry::Profile::from(&self.known);
        assert_eq!(Profile::try_from(&kept).as_ref(), Ok(&self.known));
        if let Some(id) = self.session.id() {
            self.kept.retain(|(other, _)| *other != id);
            self.kept.push((id, kept));
        }
    }

    fn report(&mut self, frame: &Frame, message: &Message, upload: Option<&Upload>) {
        let cx = normalize::Context::new(
            frame.head(),
            &self.known,
            &self.source,
            Timestamp::from_unix(self.now),
            Origin {
                epoch: 1,
                connection: self.connection,
                frame: self.frames,
            },
        );
        let mut reports = Vec::new();
        normalize::normalize(message, &cx, &mut reports);
        let is_server = message.direction() == Direction::Server;
        assert!(!is_server || reports.is_empty(), "{message:?}");
        // Uploads are given up with whatever frame comes when their time is over.
        if let Some(upload) = upload {
            let own = reports.len();
            normalize::normalize_upload(message, upload, &cx, &mut reports);
            for report in reports.iter().skip(own) {
                let json = serde_json::to_vec(report).expect("a report can be written");
                let read: Report = serde_json::from_slice(&json).expect("and read");
                assert_eq!(&read, report);
            }
        }
        for (at, report) in reports.iter().enumerate() {
            let mut others = reports.iter().skip(at + 1);
            assert!(others.all(|next| next.id != report.id), "{message:?}");
        }
        // What was kept of it is the same frame.
        let again = Frame::parse(frame.raw().clone(), Form::of(frame).framing());
        assert_eq!(again.as_ref(), Some(frame), "read again it is another");
        let reports = reports.into_iter().map(Box::new).map(Outcome::Report);
        self.outcomes.extend(reports);
    }

    fn command(&mut self, text: &[u8]) {
        self.flag = self.flag.wrapping_mul(0x0101).wrapping_add(0x81);
        let text = String::from_utf8_lossy(text);
        // Long ones too, which take the other frame.
        let text = if self.setup.has(Setup::LONG_COMMANDS) {
            text.repeat(70)
        } else {
            text.into_owned()
        };
        let Ok(sent) = self.session.command(self.flag, &text) else {
            return;
        };
        assert_told(&self.session, &sent, None);
        let frame = Deframer::default().next_frame(&mut sent.clone().into());
        let frame = frame.ok().flatten().expect("is a frame");
        let Ok(Message::Command(command)) = Message::decode(&frame, self.known.dialect()) else {
            panic!("not a command: {:02x?}", &sent[..]);
        };
        assert_eq!(
            (command.flag, &command.text[..]),
            (self.flag, text.as_bytes())
        );
        self.outcomes.push(Outcome::Sent(sent));
    }

    /// What the device was sent last.
    fn last_sent(&self) -> Option<Bytes> {
        self.outcomes
            .iter()
            .rev()
            .find_map(|outcome| match outcome {
                Outcome::Reply(reply) => Some(reply.bytes.clone()),
                Outcome::Sent(bytes) => Some(bytes.clone()),
                _ => None,
            })
    }
}

fn session(setup: Setup) -> Session {
    let policy = AckPolicy {
        locations: setup.has(Setup::LOCATIONS),
    };
    let mut session = Session::new(policy);
    if setup.is_tight() {
        let mut limits = Limits::default();
        (limits.files, limits.bytes, limits.blocks) = (2, 16, 2);
        session = session
            .with_media_limits(limits)
            .with_models([(0x7000, Dialect::Jimi)].into_iter().collect());
    }
    if setup.has(Setup::RESOLVER) {
        session = session.with_resolver(Resolver::new(|question| {
            let street = if question.cell.is_some() {
                "Straße && #"
            } else {
                "地址"
            };
            let times = usize::from(question.phone[0]);
            (question.phone[1] != b'?').then(|| street.repeat(times))
        }));
    }
    if setup.has(Setup::CARDS) {
        session = session.with_cards(CardJudge::new(|card| card.len() % 2 == 0));
    }
    session
}

/// All of these bytes are frames of a server with right checksums and this serial, and are not
/// answered when the device sends them back.
fn assert_told(session: &Session, bytes: &Bytes, serial: Option<u16>) {
    let mut stream = BytesMut::from(&bytes[..]);
    let mut deframer = Deframer::default();
    while !stream.is_empty() {
        let Ok(Some(frame)) = deframer.next_frame(&mut stream) else {
            panic!("not frames: {:02x?}", &bytes[..])
        };
        assert_eq!(frame.checksum(), Checksum::Valid, "{:02x?}", &bytes[..]);
        assert!(serial.is_none() || serial == frame.serial());
        let echo = session.clone().on_frame(&frame, 0);
        // The acknowledgement of what nobody knows may be anything.
        if let Ok(Message::Unknown(_)) = echo.message {
            continue;
        }
        assert_eq!(echo.direction, Direction::Server, "{:?}", echo.message);
        assert_eq!(echo.reply, None, "{:?}", echo.message);
        assert_eq!(echo.identify, None);
    }
}

/// This is what a relative waits for. It is not escaped, so stop bytes may be in it.
fn assert_bare(frame: &Frame, reply: &[u8]) {
    let [0x78, 0x78, announced, number, body @ .., 0x0d, 0x0a] = reply else {
        panic!("not a frame: {reply:02x?}");
    };
    assert_eq!(*number, frame.number());
    match number {
        0x30 => assert_eq!(body.len(), usize::from(*announced)),
        _ => assert_eq!(u16::from(*announced), frame.head().announced()),
    }
    match number {
        0x01 => assert_eq!(body, [1]),
        0x30 => assert_eq!(body.len(), 7),
        0x13 => assert_eq!(body, frame.body()),
        _ => assert_eq!(body, &frame.body()[..6], "the time as sent"),
    }
}

fn converse(
    setup: Setup,
    steps: session::Steps<'_>,
    sizes: impl Iterator<Item = usize>,
) -> Vec<Outcome> {
    let mut listener = Listener::new(setup, sizes);
    let mut last = Vec::new();
    let mut serial = 0_u16;
    for step in steps {
        match step {
            Step::Bytes(bytes) => listener.on_the_way.extend_from_slice(bytes),
            Step::Frame {
                form,
                fault,
                number,
                body,
            } => {
                serial += 1;
                last = fault.apply(form, form.write(number, serial, body).into());
                listener.on_the_way.extend_from_slice(&last);
            }
            Step::Again => listener.on_the_way.extend_from_slice(&last),
            Step::Pause => {
                listener.receive();
                listener.pause();
            }
            Step::Command(text) => {
                listener.receive();
                listener.command(text);
            }
            Step::Time(seconds) => {
                listener.receive();
                listener.now += seconds;
            }
            Step::Reconnect => {
                listener.receive();
                listener.reconnect();
            }
            Step::Echo => {
                listener.receive();
                let sent = listener.last_sent().unwrap_or_default();
                listener.on_the_way.extend_from_slice(&sent);
            }
        }
    }
    listener.receive();
    // The device goes quiet.
    loop {
        let before = listener.buffer.len();
        listener.pause();
        if listener.buffer.len() == before {
            listener.close();
            return listener.outcomes;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((setup, steps)) = session::read(data) else {
        return;
    };
    let whole = converse(setup, steps.clone(), std::iter::repeat(usize::MAX));
    let cut = converse(setup, steps, setup.sizes());
    if let Some(at) = whole.iter().zip(&cut).position(|(one, other)| one != other) {
        panic!(
            "outcome {at} depends on the cut:\nin one piece {:?}\ncut {:?}",
            whole[at], cut[at]
        );
    }
    assert_eq!(whole.len(), cut.len());
});
