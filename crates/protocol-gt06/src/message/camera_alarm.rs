//! 0x95, an alarm of a camera.
//!
//! | model | body |
//! |---|---|
//! | JC100, L 0C | time 6, event 1 |
//! | JC400 | time 6, latitude 4, longitude 4, course and status 2, event 1, data 2, files |
//! | JC261 and newer, marked by `FF FF` | `FF FF`, version 1, time 6, satellites 1, latitude 4, longitude 4, course and status 2, speed 2, volts/10 2, event 1, data 2, files |
//!
//! The files are names in ASCII, separated by commas; they hold the local time of the recording,
//! which shows that the time of the alarm is UTC.
//!
//! What is cut short behind the place is read as far as it is whole, and without the event names none. A
//! JC400's is told from a JC100's with bytes behind it by its latitude, which begins with 00 to 09 and is
//! no event but 01.
//!
//! Events: the table `events!` below. Any other code is `unknown`. Seen on devices; the newer codes are those of the
//! JC261 and JC400 protocol V1.3.5, section 5.4.1.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{CourseStatus, DateTime, Position};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraAlarm {
    /// When.
    pub time: DateTime,
    /// Where, by model.
    pub form: CameraAlarmForm,
    /// What happened; `None` where the body ends before.
    pub event: Option<u8>,
    /// What belongs to the event, but on the JC100.
    pub data: Option<u16>,
    /// Names of the recordings, separated by commas; without the data, bytes that no manual knows.
    pub files: Bytes,
}

/// What models say about the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CameraAlarmForm {
    /// JC100: nothing.
    Plain,
    /// JC400.
    Located {
        /// Degrees × 1 800 000.
        raw_latitude: u32,
        /// Degrees × 1 800 000.
        raw_longitude: u32,
        /// Course, hemispheres, validity.
        course_status: CourseStatus,
    },
    /// With a marker.
    Marked {
        /// Version of the form.
        version: u8,
        /// Low nibble: satellites used.
        raw_satellites: u8,
        /// Degrees × 1 800 000.
        raw_latitude: u32,
        /// Degrees × 1 800 000.
        raw_longitude: u32,
        /// Course, hemispheres, validity.
        course_status: CourseStatus,
        /// Kilometres per hour; `None`, as what follows, where the body ends before.
        speed: Option<u16>,
        /// Volts × 10.
        voltage: Option<u16>,
    },
}

const MARK: [u8; 2] = [0xff, 0xff];
/// The shortest body of a JC400: all but the files; and what of it is time and place.
const LOCATED: usize = 19;
const PLACE_ENDS: usize = 16;

/// Whether a body is a JC400's.
fn is_located(body: &[u8]) -> bool {
    let is_place = || {
        let place = body.get(6..PLACE_ENDS).and_then(<[u8]>::first_chunk);
        place.is_some_and(|[a, b, c, d, e, f, g, h]: &[u8; 8]| {
            let position = Position {
                raw_latitude: u32::from_be_bytes([*a, *b, *c, *d]),
                raw_longitude: u32::from_be_bytes([*e, *f, *g, *h]),
                ..Position::default()
            };
            position.is_on_earth()
        })
    };
    body.len() >= LOCATED || is_place()
}

impl CameraAlarm {
    /// The place, if the model says one.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        match self.form {
            CameraAlarmForm::Plain => None,
            CameraAlarmForm::Located {
                raw_latitude,
                raw_longitude,
                course_status,
            } => Some(Position {
                raw_satellites: 0,
                raw_latitude,
                raw_longitude,
                raw_speed: 0,
                course_status,
            }),
            CameraAlarmForm::Marked {
                raw_satellites,
                raw_latitude,
                raw_longitude,
                course_status,
                ..
            } => Some(Position {
                raw_satellites,
                raw_latitude,
                raw_longitude,
                raw_speed: 0,
                course_status,
            }),
        }
    }
}

fn place<T: Trace>(r: &mut Reader<'_, T>) -> Result<(u32, u32, CourseStatus), DecodeError> {
    let latitude = r.u32("latitude")?;
    r.note(|| {
        format!(
            "{:.6}°, hemisphere below",
            super::photo_info::degrees(latitude)
        )
    });
    let longitude = r.u32("longitude")?;
    r.note(|| {
        format!(
            "{:.6}°, hemisphere below",
            super::photo_info::degrees(longitude)
        )
    });
    let course_status = CourseStatus(r.u16("course and status")?);
    r.note(|| course_status.describe());
    Ok((latitude, longitude, course_status))
}

/// The codes, their meaning for people, and the event's kind.
macro_rules! events {
    ($($code:literal $name:literal $kind:ident,)*) => {
        const fn event_name(event: u8) -> &'static str {
            match event {
                $($code => $name,)*
                _ => "unknown",
            }
        }

        #[cfg(feature = "telemetry")]
        const fn event_kind(event: u8) -> milepost_telemetry::EventKind {
            use milepost_telemetry::EventKind;
            match event {
                $($code => EventKind::$kind,)*
                _ => EventKind::Unknown,
            }
        }
    };
}

events! {
    0x01 "SOS" Sos,
    0x0e "low voltage" LowExternalPower,
    0x47 "fatigue" Fatigue,
    0x51 "door opened" Door,
    0x53 "fuel stolen" FuelLeak,
    0x69 "recording" Recording,
    0x6b "driver camera fault" Fault,
    0x6f "memory card fault" Fault,
    0x76 "temperature" Temperature,
    0x80 "vibration" Vibration,
    0x84 "seat belt unplugged" SeatBelt,
    0x87 "overspeed" Overspeed,
    0x88 "power cut" PowerCut,
    0x8c "eyes closed" Fatigue,
    0x8f "distraction" Distraction,
    0x90 "acceleration" HarshAcceleration,
    0x91 "braking" HarshBraking,
    0x92 "cornering" HarshCornering,
    0x93 "collision" Collision,
    0x94 "no face" DriverMissing,
    0x97 "phone call" PhoneUse,
    0x9a "smoking" Smoking,
    0xa0 "yawning" Fatigue,
    0xa7 "seat belt unplugged" SeatBelt,
    0xcc "forward collision warning" CollisionWarning,
    0xcd "lane departure" LaneDeparture,
    0xce "following distance" FollowingDistance,
    0xd4 "driver identified" DriverIn,
    0xd5 "driver not identified" DriverUnknown,
}

impl Body for CameraAlarm {
    const NAME: &'static str = "camera_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let (time, form) = if cx.body.starts_with(&MARK) {
            let _: [u8; 2] = r.array("marker")?;
            let version = r.u8("version")?;
            let time = DateTime::decode(r)?;
            let raw_satellites = r.u8("satellites")?;
            r.note(|| format!("{} satellites", raw_satellites & 0x0f));
            let (raw_latitude, raw_longitude, course_status) = place(r)?;
            let mut whole = r.whole_fields();
            let speed = whole.read(2, |r| {
                let speed = r.u16("speed")?;
                r.note(|| format!("{speed} km/h"));
                Ok(speed)
            })?;
            let voltage = whole.read(2, |r| {
                let voltage = r.u16("voltage")?;
                r.note(|| format!("{:.1} V", f32::from(voltage) / 10.0));
                Ok(voltage)
            })?;
            let form = CameraAlarmForm::Marked {
                version,
                raw_satellites,
                raw_latitude,
                raw_longitude,
                course_status,
                speed,
                voltage,
            };
            (time, form)
        } else {
            let time = DateTime::decode(r)?;
            let form = if !is_located(cx.body) {
                CameraAlarmForm::Plain
            } else {
                let (raw_latitude, raw_longitude, course_status) = place(r)?;
                CameraAlarmForm::Located {
                    raw_latitude,
                    raw_longitude,
                    course_status,
                }
            };
            (time, form)
        };
        let plain = matches!(form, CameraAlarmForm::Plain);
        let mut whole = r.whole_fields();
        // A speed or a voltage that is cut short is no event.
        whole.only_if(!matches!(
            form,
            CameraAlarmForm::Marked { voltage: None, .. }
        ));
        let event = if plain {
            Some(r.u8("event")?)
        } else {
            whole.read(1, |r| r.u8("event"))?
        };
        if let Some(event) = event {
            r.note(|| event_name(event).into());
        }
        let data = if plain || event.is_none() {
            None
        } else {
            r.whole_fields().read(2, |r| r.u16("event data"))?
        };
        let files = r.take_rest(if data.is_some() { "files" } else { "unknown" });
        if !files.is_empty() && data.is_some() {
            r.note(|| crate::answer::ascii(&files));
        }
        Ok(Self {
            time,
            form,
            event,
            data,
            files,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        match self.form {
            CameraAlarmForm::Plain => self.time.encode(out),
            CameraAlarmForm::Located {
                raw_latitude,
                raw_longitude,
                course_status,
            } => {
                self.time.encode(out);
                out.put_u32(raw_latitude);
                out.put_u32(raw_longitude);
                out.put_u16(course_status.0);
            }
            CameraAlarmForm::Marked {
                version,
                raw_satellites,
                raw_latitude,
                raw_longitude,
                course_status,
                speed,
                voltage,
            } => {
                out.put_slice(&MARK);
                out.put_u8(version);
                self.time.encode(out);
                out.put_u8(raw_satellites);
                out.put_u32(raw_latitude);
                out.put_u32(raw_longitude);
                out.put_u16(course_status.0);
                for word in [speed, voltage].into_iter().flatten() {
                    out.put_u16(word);
                }
            }
        }
        out.extend(self.event);
        out.extend(self.data.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.files);
    }

    fn number(&self) -> u8 {
        0x95
    }

    /// Key: number, time, position, event with its data and files.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Event, EventKind, Kind, Signal, Speed, Voltage};

        let key = crate::normalize::Key::new(0x95).alarm(self.event.map(u16::from));
        let report = match self.position() {
            Some(position) => {
                let gps = crate::field::Gps::new(self.time, &position);
                let data = self.data.map(u16::to_be_bytes);
                let data = data.as_ref().map_or(&[][..], |data| data);
                let more = [data, &self.files[..]].concat();
                cx.positioned_with(out, Kind::Alarm, &gps, key, &more)
            }
            None => cx.timed(out, Kind::Alarm, self.time, &super::whole_key(self), 0),
        };
        if let Some(fix) = &mut report.fix {
            // What the form has no place for was not said.
            (fix.speed, fix.satellites) = match self.form {
                CameraAlarmForm::Marked {
                    speed,
                    raw_satellites,
                    ..
                } => (
                    speed.and_then(|speed| Speed::from_kmh(speed.into()).ok()),
                    Some(raw_satellites & 0x0f),
                ),
                _ => (None, None),
            };
        }
        if let CameraAlarmForm::Marked {
            voltage: Some(voltage),
            ..
        } = self.form
        {
            report.power.external = Voltage::from_volts(f32::from(voltage) / 10.0).ok();
        }
        if let Some(event) = self.event {
            let kind = event_kind(event);
            report
                .more
                .events
                .push(Event::by_device(kind, Some(event.into())));
            if kind == EventKind::PowerCut {
                report.power.external_connected = Some(false);
            }
        }
        let Some(data) = self.data else {
            cx.note_tail(report, &self.files);
            return;
        };
        if data != 0 {
            let data = Signal::named("gt06.event_data").number(data.into(), None);
            report.more.signals.push(data);
        }
        let files = crate::answer::ascii(&self.files);
        if !files.is_empty() {
            report
                .more
                .signals
                .push(Signal::named("gt06.files").text(files));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Start;
    use crate::message::testing::{read_body, round_trip};

    const TIME: DateTime = DateTime::from_bytes([20, 10, 6, 14, 34, 8]);

    fn alarm(form: CameraAlarmForm, files: &'static [u8]) -> CameraAlarm {
        CameraAlarm {
            time: TIME,
            form,
            event: Some(0x91),
            data: (form != CameraAlarmForm::Plain).then_some(0),
            files: Bytes::from_static(files),
        }
    }

    fn forms() -> [CameraAlarmForm; 3] {
        let p = Position::from_degrees(50.0, -19.0, 0, 197, 0).unwrap();
        [
            CameraAlarmForm::Plain,
            CameraAlarmForm::Located {
                raw_latitude: p.raw_latitude,
                raw_longitude: p.raw_longitude,
                course_status: p.course_status,
            },
            CameraAlarmForm::Marked {
                version: 1,
                raw_satellites: 0xda,
                raw_latitude: p.raw_latitude,
                raw_longitude: p.raw_longitude,
                course_status: p.course_status,
                speed: Some(300),
                voltage: Some(138),
            },
        ]
    }

    #[test]
    fn all_three_forms_read_back() {
        let [plain, located, marked] = forms();
        for (form, files) in [
            (plain, &b""[..]),
            (plain, b"\x01\x02"),
            (located, b""),
            (located, b"EVENT_1_I_56.mp4,EVENT_1_F_55.mp4"),
            (marked, b""),
            (marked, b"EVENT_1_I_56.mp4"),
        ] {
            round_trip(alarm(form, files));
        }
    }

    #[test]
    fn each_length_without_a_whole_place_is_an_error() {
        for len in 1..7 {
            assert!(
                read_body(Start::Short, 0x95, &[9; 7][..len]).is_err(),
                "{len}"
            );
        }
        let mut body = BytesMut::new();
        alarm(forms()[2], b"").encode(&mut body);
        for len in 2..20 {
            assert!(
                read_body(Start::Short, 0x95, &body[..len]).is_err(),
                "{len}"
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_place_costs_no_fix_and_gives_no_event() {
        use crate::message::testing::{report, signal};

        for (form, place_ends, event_at) in [(forms()[1], 16, 16), (forms()[2], 20, 24)] {
            let mut whole = BytesMut::new();
            alarm(form, b"").encode(&mut whole);
            for len in place_ends..whole.len() {
                let read = read_body(Start::Short, 0x95, &whole[..len]).unwrap();
                round_trip(read.clone());
                let report = report(read);
                assert!(report.fix.is_some(), "{len}");
                let has_event = len > event_at;
                assert_eq!(report.more.events.len(), usize::from(has_event), "{len}");
                assert_eq!(report.power.external.is_some(), len >= 24, "{len}");
                assert_eq!(signal(&report, "gt06.files"), None, "{len}");
            }
        }
        // A JC100's event is no latitude.
        let plain = report(read_body(Start::Short, 0x95, &alarm_bytes(&[9; 9])).unwrap());
        assert_eq!((plain.fix, plain.more.events.len()), (None, 1));
    }

    #[cfg(feature = "telemetry")]
    fn alarm_bytes(behind: &'static [u8]) -> BytesMut {
        let mut body = BytesMut::new();
        alarm(CameraAlarmForm::Plain, behind).encode(&mut body);
        body
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn the_event_the_place_and_the_files_are_reported() {
        use crate::message::testing::{report, signal};
        use milepost_telemetry::EventKind;

        let [plain, located, marked] = forms();
        let r = report(alarm(plain, b""));
        assert_eq!(
            (r.fix, r.more.events[0].kind),
            (None, EventKind::HarshBraking)
        );
        let r = report(alarm(located, b"a.mp4,b.mp4"));
        let fix = r.fix.as_ref().unwrap();
        assert_eq!(
            (fix.coordinates.longitude(), fix.speed, fix.satellites),
            (-19.0, None, None)
        );
        assert_eq!(signal(&r, "gt06.files").unwrap(), "a.mp4,b.mp4");
        let r = report(alarm(marked, b""));
        let fix = r.fix.as_ref().unwrap();
        assert_eq!(
            (fix.speed.unwrap().as_kmh(), fix.satellites),
            (300.0, Some(10))
        );
        assert_eq!(r.power.external.unwrap().as_volts(), 13.8);
        let recording = report(CameraAlarm {
            event: Some(0x69),
            ..alarm(plain, b"")
        });
        assert_eq!(recording.more.events[0].kind, EventKind::Recording);
        assert_eq!(recording.more.events[0].code, Some(0x69));
    }
}
