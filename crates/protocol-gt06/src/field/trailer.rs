//! TRAIL3: ignition, why the position was sent, and whether it comes from the buffer.

use alloc::format;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// The three bytes after many positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Trailer {
    /// Ignition: 0 off, 1 on.
    pub raw_ignition: u8,
    /// Why the position was sent; see [`upload_mode_name`].
    pub upload_mode: u8,
    /// 0 live, 1 a stored fix that is sent late.
    pub raw_reupload: u8,
}

/// The names of the upload modes.
#[must_use]
pub const fn upload_mode_name(mode: u8) -> Option<&'static str> {
    Some(match mode {
        0x00 => "interval",
        0x01 => "distance",
        0x02 => "turn",
        0x03 => "ignition_change",
        0x04 => "last_point_on_stopping",
        0x05 => "last_point_after_reconnect",
        0x06 => "ephemeris_refresh",
        0x07 => "key",
        0x08 => "power_on",
        0x0a => "static_repeat",
        0x0b => "wifi",
        0x0c => "command",
        0x0d => "static_last",
        0x0e => "static_interval",
        0x0f => "tracking_end",
        _ => return None,
    })
}

pub(super) fn describe_upload_mode(raw: u8) -> String {
    upload_mode_name(raw).unwrap_or("unknown").into()
}

pub(super) fn describe_reupload(raw: u8) -> String {
    match raw {
        0 => "live".into(),
        1 => "stored, sent late".into(),
        other => format!("unknown ({other})"),
    }
}

impl Trailer {
    /// The size of the block.
    pub const LEN: usize = 3;

    /// The ignition, where the byte is sane.
    #[inline]
    #[must_use]
    pub const fn ignition(self) -> Option<bool> {
        match self.raw_ignition {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Whether the fix is from now (or from the device's buffer), where the byte is sane.
    #[inline]
    #[must_use]
    pub const fn is_live(self) -> Option<bool> {
        match self.raw_reupload {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        }
    }

    /// Whether these bytes begin with a block of known values.
    pub(crate) const fn is_at(bytes: &[u8]) -> bool {
        matches!(bytes, [0 | 1, 0..=0x0f, 0 | 1, ..])
    }

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    #[inline]
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let raw_ignition = r.u8("ignition")?;
        r.note(|| match raw_ignition {
            0 => "off".into(),
            1 => "on".into(),
            other => format!("unknown ({other})"),
        });
        let upload_mode = r.u8("upload mode")?;
        r.note(|| describe_upload_mode(upload_mode));
        let raw_reupload = r.u8("re-upload")?;
        r.note(|| describe_reupload(raw_reupload));
        Ok(Self {
            raw_ignition,
            upload_mode,
            raw_reupload,
        })
    }

    /// Writes the block.
    pub fn encode(self, out: &mut BytesMut) {
        out.put_slice(&[self.raw_ignition, self.upload_mode, self.raw_reupload]);
    }

    /// Adds the values of the block to a report.
    #[cfg(feature = "telemetry")]
    #[inline]
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        if let Some(on) = self.ignition() {
            report
                .io
                .note_ignition(on, milepost_telemetry::IgnitionSource::Field);
        }
        if let Some(fix) = &mut report.fix {
            fix.live = self.is_live();
        }
        // "By interval" is the usual mode: it is not reported, which saves an allocation.
        if self.upload_mode != 0 {
            self.note_upload_mode(report);
        }
    }

    #[cfg(feature = "telemetry")]
    #[inline(never)]
    fn note_upload_mode(self, report: &mut milepost_telemetry::Report) {
        if let Some(fix) = &mut report.fix {
            match self.upload_mode {
                0x0a | 0x0d => {
                    // The time is the clock's, the position is older.
                    fix.source = milepost_telemetry::FixSource::LastKnown;
                    fix.time = None;
                    if report.time_source == milepost_telemetry::TimeSource::Fix {
                        report.time_source = milepost_telemetry::TimeSource::Device;
                    }
                }
                0x0b => fix.source = milepost_telemetry::FixSource::Wifi,
                _ => {}
            }
        }
        let signal = milepost_telemetry::Signal::named("gt06.upload_mode");
        report
            .more
            .signals
            .push(match upload_mode_name(self.upload_mode) {
                Some(name) => signal.text(name),
                None => signal.number(self.upload_mode.into(), None),
            });
    }
}
