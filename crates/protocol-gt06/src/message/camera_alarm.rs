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
//! What is cut short after the place is read as far as it is whole, and without the event names none. A
//! JC400's differs from a JC100's with bytes after it by its latitude, which begins with 00 to 09 and is
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
    /// Names of the recordings, separated by commas; without the data, bytes that no manual describes.
    pub files: Bytes,
}

/// The place, by model.
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
    /// The place, if the model sends one.
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
            // What the form has no field for was not sent.
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
