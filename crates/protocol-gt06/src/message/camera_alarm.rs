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
//! Events: 01 SOS, 0E low voltage, 76 temperature, 80 vibration, 87 overspeed, 88 power cut, 90
//! acceleration, 91 braking, 92 cornering, 93 collision; others (69) are recordings. Seen on
//! devices.

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
    /// What happened.
    pub event: u8,
    /// What belongs to the event, but on the JC100.
    pub data: u16,
    /// Names of the recordings, separated by commas.
    pub files: Bytes,
}

/// What models say about the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        /// Kilometres per hour.
        speed: u16,
        /// Volts × 10.
        voltage: u16,
    },
}

const MARK: [u8; 2] = [0xff, 0xff];
/// The shortest body of a JC400: all but the files.
const LOCATED: usize = 19;

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

const fn event_name(event: u8) -> &'static str {
    match event {
        0x01 => "SOS",
        0x0e => "low voltage",
        0x76 => "temperature",
        0x80 => "vibration",
        0x87 => "overspeed",
        0x88 => "power cut",
        0x90 => "acceleration",
        0x91 => "braking",
        0x92 => "cornering",
        0x93 => "collision",
        _ => "recording",
    }
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
            let speed = r.u16("speed")?;
            r.note(|| format!("{speed} km/h"));
            let voltage = r.u16("voltage")?;
            r.note(|| format!("{:.1} V", f32::from(voltage) / 10.0));
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
            let form = if cx.body.len() < LOCATED {
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
        let event = r.u8("event")?;
        r.note(|| event_name(event).into());
        let plain = matches!(form, CameraAlarmForm::Plain);
        let data = if plain { 0 } else { r.u16("event data")? };
        let files = r.take_rest(if plain { "unknown" } else { "files" });
        if !files.is_empty() && !plain {
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
                for word in [course_status.0, speed, voltage] {
                    out.put_u16(word);
                }
            }
        }
        out.put_u8(self.event);
        if !matches!(self.form, CameraAlarmForm::Plain) {
            out.put_u16(self.data);
        }
        out.put_slice(&self.files);
    }

    fn number(&self) -> u8 {
        0x95
    }

    /// Key: number, time, position, event with its data and files.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use telemetry::{Event, EventKind, Kind, Signal, Speed, Voltage};

        let key = crate::normalize::Key::new(0x95).alarm(Some(self.event.into()));
        let report = match self.position() {
            Some(position) => {
                let gps = crate::field::Gps::new(self.time, &position);
                let more = [&self.data.to_be_bytes(), &self.files[..]].concat();
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
                    Speed::from_kmh(speed.into()).ok(),
                    Some(raw_satellites & 0x0f),
                ),
                _ => (None, None),
            };
        }
        if let CameraAlarmForm::Marked { voltage, .. } = self.form {
            report.power.external = Voltage::from_volts(f32::from(voltage) / 10.0).ok();
        }
        let kind = match self.event {
            0x01 => EventKind::Sos,
            0x0e => EventKind::LowExternalPower,
            0x76 => EventKind::Temperature,
            0x80 => EventKind::Vibration,
            0x87 => EventKind::Overspeed,
            0x88 => EventKind::PowerCut,
            0x90 => EventKind::HarshAcceleration,
            0x91 => EventKind::HarshBraking,
            0x92 => EventKind::HarshCornering,
            0x93 => EventKind::Collision,
            _ => EventKind::Recording,
        };
        report
            .more
            .events
            .push(Event::by_device(kind, Some(self.event.into())));
        if kind == EventKind::PowerCut {
            report.power.external_connected = Some(false);
        }
        if matches!(self.form, CameraAlarmForm::Plain) {
            cx.note_tail(report, &self.files);
        } else {
            if self.data != 0 {
                let data = Signal::named("gt06.event_data").number(self.data.into(), None);
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
            event: 0x91,
            data: 0,
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
                speed: 300,
                voltage: 138,
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
    fn each_short_length_is_an_error() {
        for len in 1..7 {
            assert!(
                read_body(Start::Short, 0x95, &[9; 7][..len]).is_err(),
                "{len}"
            );
        }
        let mut body = BytesMut::new();
        alarm(forms()[2], b"").encode(&mut body);
        for len in 2..body.len() {
            assert!(
                read_body(Start::Short, 0x95, &body[..len]).is_err(),
                "{len}"
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn the_event_the_place_and_the_files_are_reported() {
        use crate::message::testing::{report, signal};
        use telemetry::EventKind;

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
            event: 0x69,
            ..alarm(plain, b"")
        });
        assert_eq!(recording.more.events[0].kind, EventKind::Recording);
        assert_eq!(recording.more.events[0].code, Some(0x69));
    }
}
