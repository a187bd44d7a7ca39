//! A conversation, in one piece and cut anywhere: the same packets, verdicts, replies and reports;
//! profiles survive being kept; replies to emergencies wait until they are stored.
//!
//! The first byte says how the stream is cut and whether unconfirmed replies are sent; a byte 0x01
//! in the stream is a pause, 0x02 lets a minute pass.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use milepost_protocol_ais140::normalize::{Arrival, ReportSource, normalize};
use milepost_protocol_ais140::{Dialects, Kind, Profile, ReplyClass, ReplyPolicy, Session};
use milepost_telemetry::{Origin, Report, Timestamp};

struct Listener {
    session: Session,
    source: ReportSource,
    now: i64,
    frame: u64,
    reports: Vec<Report>,
    said: Vec<String>,
}

impl Listener {
    fn hear(&mut self, src: &mut BytesMut) {
        loop {
            match self.session.next_frame(src) {
                Ok(Some(frame)) => {
                    self.frame += 1;
                    let mut handled = self.session.on_frame(&frame, self.now);
                    if let Some(imei) = handled.identify {
                        self.source = ReportSource::new(None, imei.device_id());
                        self.session.on_identified(None);
                        handled = self.session.on_frame(&frame, self.now);
                        assert!(handled.identify.is_none());
                    }
                    if let (Ok(message), Some(reply)) = (&handled.message, &handled.reply) {
                        let waits = reply.class == ReplyClass::WhenDelivered;
                        assert!(waits || message.kind != Kind::Emergency);
                        assert!(!reply.bytes.contains(&b'\n'));
                    }
                    let origin = Origin {
                        epoch: 1,
                        connection: 1,
                        frame: self.frame,
                    };
                    let at = Timestamp::from_unix(self.now);
                    let before = self.reports.len();
                    normalize(
                        &handled,
                        &self.source,
                        Arrival { at, origin },
                        &mut self.reports,
                    );
                    if handled.message.as_ref().is_ok_and(|m| !m.is_from_server()) {
                        assert!(self.reports.len() > before);
                    }
                    self.said
                        .push(format!("{:?} {:?}", handled.checksum, handled.reply));
                    let kept = milepost_telemetry::Profile::from(self.session.profile());
                    assert_eq!(
                        Profile::try_from(&kept).as_ref(),
                        Ok(self.session.profile())
                    );
                }
                Ok(None) => break,
                Err(_) => {}
            }
        }
    }
}

fn run(data: &[u8], chunk: usize, unconfirmed: bool) -> (Vec<Report>, Vec<String>) {
    let mut listener = Listener {
        session: Session::new(Dialects::builtin(), ReplyPolicy::new(unconfirmed)),
        source: ReportSource::new(None, None),
        now: 1_709_619_330,
        frame: 0,
        reports: Vec::new(),
        said: Vec::new(),
    };
    let mut src = BytesMut::new();
    for part in data.split_inclusive(|b| matches!(b, 1 | 2)) {
        let (bytes, step) = match part.split_last() {
            Some((step @ (1 | 2), bytes)) => (bytes, *step),
            _ => (part, 0),
        };
        for bytes in bytes.chunks(chunk) {
            src.extend_from_slice(bytes);
            listener.hear(&mut src);
        }
        match step {
            1 => {
                listener.session.on_pause();
                listener.hear(&mut src);
            }
            2 => listener.now += 60,
            _ => {}
        }
    }
    listener.session.finish();
    listener.hear(&mut src);
    assert!(src.is_empty());
    (listener.reports, listener.said)
}

fuzz_target!(|data: &[u8]| {
    let Some((setup, stream)) = data.split_first() else {
        return;
    };
    if stream.len() > 8_192 {
        return;
    }
    let unconfirmed = setup & 0x80 != 0;
    let whole = run(stream, stream.len().max(1), unconfirmed);
    let cut = run(stream, usize::from(setup & 0x7f).max(1), unconfirmed);
    assert_eq!(whole.1, cut.1);
    for (a, b) in whole.0.iter().zip(&cut.0) {
        let (mut a, mut b) = (a.clone(), b.clone());
        // Times of arrival differ where a pause or a minute falls into a packet.
        (a.received_at, b.received_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        assert_eq!((a.kind, a.device, a.fix), (b.kind, b.device, b.fix));
    }
});
