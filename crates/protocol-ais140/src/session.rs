//! One connection's conversation, without I/O: bytes and the time in, messages and replies out.

use bytes::{Bytes, BytesMut};

use crate::clock::ClockWatch;
use crate::command::{self, CommandError};
use crate::dialect::{Dialects, Kind};
use crate::incident::{Incident, Mark};
use crate::message::{Certainty, Known, Message};
use crate::neighbour::Order;
use crate::profile::{Checksum, Lesson, judge};
use crate::reply::{Reply, ReplyPolicy, reply};
use crate::{DecodeError, Deframer, Frame, FrameError, Imei, Profile};

/// After so many packets whose checksum nothing fits, only one of [`SEARCH_EVERY`] is searched.
const SEARCHES: u16 = 16;
const SEARCH_EVERY: u16 = 64;

/// The state of one connection.
///
/// ```
/// use bytes::BytesMut;
/// use milepost_protocol_ais140::{ReplyClass, Session};
///
/// let mut session = Session::default();
/// let mut stream = BytesMut::from(
///     &b"$,LGN,MARK,KA01AB1234,123456789012347,1.0.0,AIS140,12.976545,N,77.549759,E,*\r\n"[..],
/// );
/// let frame = session.next_frame(&mut stream)?.expect("a whole packet");
/// let handled = session.on_frame(&frame, 1_709_619_330);
/// // The device named itself: look up what is known about it, then hand in the packet again.
/// assert_eq!(handled.identify.expect("a new device").to_string(), "123456789012347");
/// session.on_identified(None);
///
/// let handled = session.on_frame(&frame, 1_709_619_330);
/// let reply = handled.reply.expect("this dialect waits for one");
/// assert_eq!(reply.class, ReplyClass::Now);
/// assert_eq!(reply.bytes[..], b"$LGN05032024061530*"[..]);
/// # Ok::<(), milepost_protocol_ais140::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Session {
    deframer: Deframer,
    dialects: Dialects,
    policy: ReplyPolicy,
    profile: Profile,
    /// What reading needs of the profile.
    known: Known,
    imei: Option<Imei>,
    /// The device that waits for [`Session::on_identified`].
    asked: Option<Imei>,
    clock: ClockWatch,
    incident: Incident,
    /// Mismatches in a row, and rules that were right in all of them.
    misses: u8,
    instead: Vec<crate::checksum::Rule>,
    searches: u16,
    /// Packets in a row whose neighbours showed the same other order.
    order: Option<(Order, u8)>,
}

/// What came of a packet.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Handled {
    /// What it says. A packet that cannot be read goes to quarantine.
    pub message: Result<Message, DecodeError>,
    /// The verdict on its checksum.
    pub checksum: Checksum,
    /// Where its records stand in an emergency, by their place among [`Message::records`].
    pub incidents: Vec<(usize, Mark)>,
    /// The zone of the device's clock, and whether it was set by hand, if it is not UTC.
    pub zone: Option<(i16, bool)>,
    /// The answer.
    pub reply: Option<Reply>,
    /// The device named itself: find out whose it is and what is known about it, call
    /// [`Session::on_identified`], then hand in the packet again. Nothing else was done with it.
    pub identify: Option<Imei>,
}

impl Default for Session {
    fn default() -> Self {
        Self::new(Dialects::builtin(), ReplyPolicy::default())
    }
}

impl Session {
    /// A session for a new connection.
    #[must_use]
    pub fn new(dialects: Dialects, policy: ReplyPolicy) -> Self {
        Self {
            deframer: Deframer::new(),
            dialects,
            policy,
            profile: Profile::default(),
            known: Known::default(),
            imei: None,
            asked: None,
            clock: ClockWatch::default(),
            incident: Incident::default(),
            misses: 0,
            instead: Vec::new(),
            searches: 0,
            order: None,
        }
    }

    /// Takes the next packet off the front of what was received.
    ///
    /// # Errors
    /// When bytes were passed over that belong to no packet. Go on.
    pub fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        self.deframer.next_frame(src)
    }

    /// The sender went quiet; see [`Deframer::on_pause`].
    pub const fn on_pause(&mut self) {
        self.deframer.on_pause();
    }

    /// Nothing more will come; see [`Deframer::finish`].
    pub const fn finish(&mut self) {
        self.deframer.finish();
    }

    /// What is known about the device.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The dialects.
    #[must_use]
    pub const fn dialects(&self) -> &Dialects {
        &self.dialects
    }

    /// The policy for replies.
    #[must_use]
    pub const fn policy(&self) -> &ReplyPolicy {
        &self.policy
    }

    /// The device, once it is identified.
    #[must_use]
    pub const fn imei(&self) -> Option<Imei> {
        self.imei
    }

    /// Goes on after [`Handled::identify`] with what is known about the device.
    pub fn on_identified(&mut self, profile: Option<Profile>) {
        self.imei = self.asked.take().or(self.imei);
        self.profile = profile.unwrap_or_default();
        self.known = self.profile.known(&self.dialects);
        self.clock = ClockWatch::default();
        self.incident = Incident::default();
        self.misses = 0;
        self.instead.clear();
        self.searches = 0;
        self.order = None;
    }

    /// Reads a packet, says what it is answered, and learns from it. It is read by what was known
    /// before it.
    pub fn on_frame(&mut self, frame: &Frame, unix_now: i64) -> Handled {
        let message = Message::decode(frame, &self.dialects, &self.known);
        let mut handled = Handled {
            message,
            checksum: Checksum::Absent,
            incidents: Vec::new(),
            zone: self.profile.zone().filter(|(minutes, _)| *minutes != 0),
            reply: None,
            identify: None,
        };
        let message = match &handled.message {
            Ok(message) if message.is_from_server() => return handled,
            Ok(message) => message,
            Err(_) => {
                handled.checksum = match frame.stated() {
                    Some(_) => Checksum::Unverified,
                    None => Checksum::Absent,
                };
                return handled;
            }
        };
        if let Some(imei) = message.imei().map(Imei::new)
            && self.imei != Some(imei)
        {
            self.asked = Some(imei);
            handled.identify = Some(imei);
            return handled;
        }
        let known = self.profile.checksums.get(&message.kind);
        let may_search = self.searches < SEARCHES || self.searches.is_multiple_of(SEARCH_EVERY);
        let (verdict, lesson) = judge(
            frame.raw(),
            message.stated.as_ref(),
            message.kind,
            &message.dialect,
            &self.dialects,
            known,
            may_search,
        );
        handled.checksum = verdict;
        for (at, record) in message.records().enumerate() {
            if let Some(mark) = self.incident.mark(record, &message.dialect) {
                handled.incidents.push((at, mark));
            }
        }
        let first = message.records().next();
        if let Some(record) = first {
            handled.reply = reply(
                &message.dialect,
                message.kind,
                record,
                &self.policy,
                unix_now,
            );
        }
        // A damaged packet teaches nothing but that it is damaged.
        if verdict != Checksum::Mismatch {
            let sent = first
                .filter(|record| record.live == Some(true) && message.items.is_empty())
                .and_then(|record| record.time)
                .and_then(|time| time.to_unix());
            self.learn_dialect(message.kind, &message.dialect, message.certainty);
            self.learn_clock(sent, unix_now);
            self.learn_order(message.evidence.order, message.dialect.order);
        }
        let kind = message.kind;
        // What has no layout has no checksum of its own.
        if kind.index().is_some() {
            self.learn_checksum(kind, lesson, verdict);
        }
        handled
    }

    /// A command as bytes, by the device's dialect.
    ///
    /// # Errors
    /// When the text cannot be sent, or the dialect does not have that command.
    pub fn command(&self, text: &str) -> Result<Bytes, CommandError> {
        let dialect = self.known.dialect.as_ref();
        let learned = self.profile.dialect.as_ref();
        let learned = learned.and_then(|(name, _)| self.dialects.by_name(name));
        let generic = self.dialects.generic();
        let dialect = dialect.or(learned).unwrap_or(&generic);
        command::encode(text, dialect, self.imei)
    }

    fn learn_dialect(&mut self, kind: Kind, dialect: &crate::Dialect, certainty: Certainty) {
        // Logins and emergencies of many dialects look alike: only a vendor id counts there.
        let certainty = match kind {
            Kind::Tracking => certainty,
            _ if certainty >= Certainty::Header => certainty,
            _ => certainty.min(Certainty::Shared),
        };
        if certainty == Certainty::Guessed || self.known.is_configured {
            return;
        }
        let is_same = self
            .profile
            .dialect
            .as_ref()
            .is_some_and(|(name, version)| *name == *dialect.name && *version == dialect.version);
        let is_better = self.profile.certainty < Some(certainty);
        if is_better || !is_same && self.profile.certainty == Some(certainty) {
            self.profile.dialect = Some((dialect.name.to_string(), dialect.version));
            self.profile.certainty = Some(certainty);
            self.known = self.profile.known(&self.dialects);
        }
    }

    fn learn_clock(&mut self, sent: Option<i64>, now: i64) {
        let Some(minutes) = sent.and_then(|sent| self.clock.observe(sent, now)) else {
            return;
        };
        // A device that was found in UTC needs no entry.
        let detected = (minutes != 0 || self.profile.detected_zone.is_some()).then_some(minutes);
        if self.profile.detected_zone != detected {
            self.profile.detected_zone = detected;
        }
    }

    /// Two packets in a row that show another order than the dialect's teach it.
    fn learn_order(&mut self, seen: Option<Order>, usual: Order) {
        let Some(seen) = seen else { return };
        if self.profile.neighbours.unwrap_or(usual) == seen {
            self.order = None;
            return;
        }
        let count = match self.order {
            Some((order, count)) if order == seen => count.saturating_add(1),
            _ => 1,
        };
        self.order = Some((seen, count));
        if count >= 2 {
            self.profile.neighbours = Some(seen);
            self.known.order = Some(seen);
            self.order = None;
        }
    }

    fn learn_checksum(&mut self, kind: Kind, lesson: Lesson, verdict: Checksum) {
        match lesson {
            Lesson::Nothing => {
                if verdict == Checksum::Unverified {
                    self.searches = self.searches.saturating_add(1).min(u16::MAX - 1);
                }
            }
            Lesson::Confirmed => {
                self.misses = 0;
                self.instead.clear();
            }
            Lesson::Missed(others) => {
                if self.misses == 0 {
                    self.instead = others;
                } else {
                    self.instead.retain(|rule| others.contains(rule));
                }
                self.misses = self.misses.saturating_add(1);
                if self.misses >= 3 {
                    if let Some(rule) = self.instead.first() {
                        let sums = self.profile.checksums.entry(kind).or_default();
                        sums.locked = Some(*rule);
                    }
                    self.misses = 0;
                    self.instead.clear();
                }
            }
            Lesson::Learn(sums) => {
                if self.profile.checksums.get(&kind) != Some(&sums) {
                    self.profile.checksums.insert(kind, sums);
                }
            }
        }
    }
}
