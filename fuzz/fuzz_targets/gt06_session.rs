//! A whole conversation as the listener holds it: any bytes in any chunks, pauses, commands, a
//! connection after the other. No panic; all that is sent are frames that our own deframer reads;
//! nothing that a server says is answered or reported; profiles survive being kept; reports have ids
//! of their own, and those of uploaded files can be written and read back.
//!
//! Input: flags, then steps. A step is a control byte and what it counts. 00 to 7F: that many
//! bytes arrive; 80 to DF: as many bytes as its low six bits say, and a pause; E0 to EF: a command
//! of as many characters as the low four bits say; F0 to F7: time goes by; F8 to FF: the
//! connection ends, and the device calls again.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use protocol_gt06::address::Resolver;
use protocol_gt06::answer::Answer;
use protocol_gt06::normalize::{self, Speaker};
use protocol_gt06::{
    AckPolicy, CardJudge, Checksum, Deframer, Direction, Frame, Message, Profile, Session, Upload,
};
use telemetry::{Origin, Report, Timestamp};

/// What the registry and the listener do around a session.
struct Listener {
    flags: u8,
    session: Session,
    /// By what is known before it, a frame is read.
    known: Profile,
    /// What the registry keeps.
    kept: Option<telemetry::Profile>,
    speaker: Speaker,
    stream: BytesMut,
    now: i64,
    connection: u64,
    frames: u64,
    flag: u32,
}

impl Listener {
    fn new(flags: u8) -> Self {
        Self {
            flags,
            session: session(flags),
            known: Profile::default(),
            kept: None,
            speaker: Speaker::new(None, None),
            stream: BytesMut::new(),
            now: 1_763_622_000,
            connection: 1,
            frames: 0,
            flag: 0,
        }
    }

    fn reconnect(&mut self) {
        self.session = session(self.flags);
        self.known = Profile::default();
        self.speaker = Speaker::new(None, None);
        self.stream.clear();
        self.connection += 1;
    }

    fn drain(&mut self) {
        loop {
            match self.session.next_frame(&mut self.stream) {
                Ok(Some(frame)) => self.on_frame(&frame),
                Ok(None) => return,
                Err(_) => {}
            }
        }
    }

    fn on_frame(&mut self, frame: &Frame) {
        self.frames += 1;
        let handled = self.session.on_frame(frame, self.now);
        if let Some(reply) = &handled.reply {
            assert_ne!(
                handled.direction,
                Direction::Server,
                "echoes are not answered"
            );
            match frame.serial() {
                Some(_) => _ = assert_frames(&reply.bytes),
                // What is repeated to the relatives is not escaped, so stop bytes may be in it.
                None => assert!(
                    reply.bytes.starts_with(b"\x78\x78") && reply.bytes.ends_with(b"\r\n"),
                    "{:02x?}",
                    &reply.bytes[..]
                ),
            }
        }
        if let Some(id) = handled.identify {
            let known = self
                .kept
                .as_ref()
                .map(|kept| Profile::try_from(kept).expect("was kept"));
            self.known = known.clone().unwrap_or_default();
            let changed = self.session.on_identified(known);
            assert_eq!(changed, self.known != *self.session.profile());
            self.speaker = Speaker::new(None, id.device_id());
            assert_eq!(self.session.id(), Some(id));
        }
        if let Ok(message) = &handled.message {
            self.report(frame, message, handled.upload.as_deref());
            if let Message::CommandReply(reply) = message {
                let _ = Answer::read(&reply.to_text());
            }
        }
        if self.known != *self.session.profile() {
            self.known = self.session.profile().clone();
            let kept = telemetry::Profile::from(&self.known);
            assert_eq!(Profile::try_from(&kept).as_ref(), Ok(&self.known));
            self.kept = Some(kept);
        }
    }

    fn report(&self, frame: &Frame, message: &Message, upload: Option<&Upload>) {
        let cx = normalize::Context::new(
            frame.head(),
            &self.known,
            &self.speaker,
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
                assert_eq!(read, *report);
            }
        }
        for (at, report) in reports.iter().enumerate() {
            let mut others = reports.iter().skip(at + 1);
            assert!(others.all(|next| next.id != report.id), "{message:?}");
        }
    }

    fn command(&mut self, text: &[u8]) {
        self.flag = self.flag.wrapping_mul(0x0101).wrapping_add(0x81);
        let text = String::from_utf8_lossy(text);
        // Long ones too, which take the other frame.
        let text = if self.flags & 8 == 0 {
            text.into_owned()
        } else {
            text.repeat(70)
        };
        let Ok(sent) = self.session.command(self.flag, &text) else {
            return;
        };
        let frame = assert_frames(&sent);
        let Ok(Message::Command(command)) = Message::decode(&frame, self.known.dialect()) else {
            panic!("not a command: {:02x?}", &sent[..]);
        };
        assert_eq!(
            (command.flag, &command.text[..]),
            (self.flag, text.as_bytes())
        );
    }
}

fn session(flags: u8) -> Session {
    let mut policy = AckPolicy::default();
    policy.locations = flags & 1 != 0;
    let mut session = Session::new(policy);
    if flags & 2 != 0 {
        session = session.with_resolver(Resolver::new(|question| {
            let street = if question.cell.is_some() {
                "Straße"
            } else {
                "地址"
            };
            Some(street.repeat(usize::from(question.phone[0])))
        }));
    }
    if flags & 4 != 0 {
        session = session.with_cards(CardJudge::new(|card| card.len() % 2 == 0));
    }
    session
}

/// All of these bytes are frames, and none has a wrong checksum; the first one.
fn assert_frames(bytes: &Bytes) -> Frame {
    let mut stream = BytesMut::from(&bytes[..]);
    let mut deframer = Deframer::default();
    let mut first = None;
    while !stream.is_empty() {
        let mut read = deframer.next_frame(&mut stream);
        if matches!(read, Ok(None)) {
            deframer.on_pause();
            read = deframer.next_frame(&mut stream);
        }
        let Ok(Some(frame)) = read else {
            panic!("not frames: {:02x?}", &bytes[..])
        };
        assert_ne!(frame.checksum(), Checksum::Mismatch, "{:02x?}", &bytes[..]);
        first.get_or_insert(frame);
    }
    first.expect("a frame at least")
}

fuzz_target!(|data: &[u8]| {
    let Some((&flags, mut rest)) = data.split_first() else {
        return;
    };
    let mut listener = Listener::new(flags);
    if flags & 0x10 != 0 {
        // A device of which something was kept.
        let mut known = Profile::default();
        known.bare_frames = flags & 0x20 != 0;
        known.acknowledge_locations = Some(flags & 0x40 != 0);
        known.zones.configured = Some(-90);
        listener.kept = Some((&known).into());
    }
    let take = |rest: &mut &[u8], len: u8| -> Vec<u8> {
        let (taken, behind) = rest.split_at(usize::from(len).min(rest.len()));
        *rest = behind;
        taken.to_vec()
    };
    while let Some((&control, behind)) = rest.split_first() {
        rest = behind;
        match control {
            0x00..=0xdf => {
                let pause = control >= 0x80;
                let len = if pause { control & 0x3f } else { control };
                let chunk = take(&mut rest, len);
                listener.stream.extend_from_slice(&chunk);
                if pause {
                    listener.session.on_pause();
                }
                listener.drain();
            }
            0xe0..=0xef => {
                let text = take(&mut rest, control & 0x0f);
                listener.command(&text);
            }
            0xf0..=0xf7 => listener.now += 301 * i64::from(control & 7),
            0xf8..=0xff => listener.reconnect(),
        }
    }
});
