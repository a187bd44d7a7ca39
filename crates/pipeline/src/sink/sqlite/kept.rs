//! Frames as they were kept, to be decoded again.
//!
//! Decoding is a function of the frame and of the profile with which it was decoded first, so both
//! are kept. The ids that it was given then are reused, in order: the same fact stays one row,
//! also if a newer version makes ids by another rule.

use milepost_telemetry::{DeviceId, DeviceKey, Profile, Report, ReportId, Tenant, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::StoreError;
use super::read::Reader;

/// What was known of a device when a frame was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptProfile {
    /// This.
    Known(Profile),
    /// Something else: the device had as many different profiles that day as are kept, and this
    /// is its oldest of the day.
    StandIn(Profile),
    /// It was not kept: the row is from an older version, or the device had no profile.
    Unknown,
}

impl KeptProfile {
    /// The profile with which the frame was decoded, if that is known.
    pub const fn exact(&self) -> Option<&Profile> {
        match self {
            Self::Known(profile) => Some(profile),
            Self::StandIn(_) | Self::Unknown => None,
        }
    }
}

/// A frame with all that its decoder needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptFrame {
    /// Its protocol.
    pub protocol: String,
    /// Its device, if it had logged in.
    pub device: Option<DeviceKey>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// What was known of the device.
    pub profile: KeptProfile,
    /// The ids of the reports that were stored of it, each with its place in what the frame said.
    /// Reports that were known already have none here.
    pub ids: Vec<(usize, ReportId)>,
}

impl KeptFrame {
    /// Gives reports of the same frame, decoded again, the ids that they have in the store. Those
    /// that were not stored before keep the ids that they were minted with.
    pub fn reuse_ids(&self, reports: &mut [Report]) {
        for (item, id) in &self.ids {
            if let Some(report) = reports.get_mut(*item) {
                report.id = *id;
            }
        }
    }
}

const FRAME: &str = "SELECT r.epoch, r.connection, r.frame, r.raw,
        coalesce(v.protocol, r.body ->> 'protocol'),
        coalesce(r.received_at,
                 CAST(round(unixepoch(r.body ->> 'received_at', 'subsec') * 1000) AS INTEGER)),
        d.tenant, d.device, r.profile, p.text
    FROM report r
    LEFT JOIN provenance v ON v.id = r.provenance
    LEFT JOIN device d ON d.id = r.device
    LEFT JOIN used_profile p ON p.id = abs(r.profile)";

impl Reader {
    /// The frame that a report was read from, if its bytes are kept. (The bytes are with the first
    /// new report of a frame.)
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_frame(&self, report: &ReportId) -> Result<Option<KeptFrame>, StoreError> {
        let find = format!(
            "{FRAME} WHERE r.part = 0 AND (r.epoch, r.connection, r.frame) =
                 (SELECT epoch, connection, frame FROM report WHERE id = ?1)
             AND r.seq BETWEEN (SELECT seq FROM report WHERE id = ?1) - ?2
                           AND (SELECT seq FROM report WHERE id = ?1)"
        );
        // The reports of a frame are neighbours: so no index by frame is needed.
        let found = self
            .db()
            .prepare_cached(&find)?
            .query_row(params![&report.as_bytes()[..], MOST_PER_FRAME], kept)
            .optional()?;
        let Some((origin, mut frame)) = found else {
            return Ok(None);
        };
        let mut find = self.db().prepare_cached(
            "SELECT coalesce(item, part), id FROM report
             WHERE epoch = ?1 AND connection = ?2 AND frame = ?3 AND part >= 0
             AND seq BETWEEN (SELECT seq FROM report WHERE id = ?4) - ?5
                         AND (SELECT seq FROM report WHERE id = ?4) + ?5 ORDER BY part",
        )?;
        let [epoch, connection, number] = origin;
        let rows = find.query_map(
            params![
                epoch,
                connection,
                number,
                &report.as_bytes()[..],
                MOST_PER_FRAME
            ],
            |row| {
                let item: i64 = row.get(0)?;
                let id: [u8; 16] = row.get(1)?;
                Ok((
                    usize::try_from(item).unwrap_or(usize::MAX),
                    ReportId::from_bytes(id),
                ))
            },
        )?;
        frame.ids = rows.collect::<Result<_, _>>()?;
        Ok(Some(frame))
    }

    /// The frames in quarantine after a number (0: from the first), the oldest first, each with
    /// its number: to be decoded again by a newer version. Those of one page are held in memory.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_quarantine(
        &self,
        after: i64,
        most: u32,
    ) -> Result<Vec<(i64, KeptFrame)>, StoreError> {
        let mut find = self.db().prepare_cached(
            "SELECT q.epoch, q.connection, q.frame, q.raw, q.protocol, q.received_at, q.tenant,
                    q.device, q.profile, p.text, q.seq
             FROM quarantine q LEFT JOIN used_profile p ON p.id = abs(q.profile)
             WHERE q.seq > ?1 ORDER BY q.seq LIMIT ?2",
        )?;
        let rows = find.query_map(params![after, most], |row| Ok((row.get(10)?, kept(row)?.1)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Reports of one frame, at most: more than any protocol has.
const MOST_PER_FRAME: i64 = 4_096;

fn kept(row: &Row<'_>) -> Result<([i64; 3], KeptFrame), rusqlite::Error> {
    let odd = |at: usize, error: milepost_telemetry::Malformed| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
    };
    let device = match (
        row.get::<_, Option<String>>(6)?,
        row.get::<_, Option<String>>(7)?,
    ) {
        (Some(tenant), Some(device)) => Some(DeviceKey {
            tenant: Tenant::new(&tenant).map_err(|error| odd(6, error))?,
            device: DeviceId::new(&device).map_err(|error| odd(7, error))?,
        }),
        _ => None,
    };
    let number: Option<i64> = row.get(8)?;
    let text: Option<String> = row.get(9)?;
    let profile = match (number, text) {
        (Some(1..), Some(text)) => KeptProfile::Known(Profile::new(&text)),
        (Some(_), Some(text)) => KeptProfile::StandIn(Profile::new(&text)),
        _ => KeptProfile::Unknown,
    };
    let frame = KeptFrame {
        protocol: row.get(4)?,
        device,
        received_at: Timestamp::from_millis(row.get(5)?),
        raw: row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
        profile,
        ids: Vec::new(),
    };
    Ok(([row.get(0)?, row.get(1)?, row.get(2)?], frame))
}
