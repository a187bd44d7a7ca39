//! What can be asked of a store.

use std::fmt;
use std::str::FromStr;

use milepost_telemetry::{DeviceId, DeviceKey, Name, Profile, Report, ReportId, Tenant, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::columns::{self, FindProvenance, SELECT};
use super::provenance::Provenance;
use super::{Store, StoreError, waiting};
use crate::latest::Latest;

/// A connection for reading. Its calls block; each sees one consistent state of the store.
#[derive(Debug)]
pub struct Reader {
    /// Present until dropped.
    db: Option<Connection>,
    store: Store,
}

/// A device and what is last known of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Device {
    /// Tenant and device.
    pub key: DeviceKey,
    /// What is last known of it.
    pub latest: Latest,
}

/// A frame in quarantine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuarantinedFrame {
    /// When it arrived.
    pub received_at: Timestamp,
    /// Who sent it, on the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The protocol that it was read by.
    pub protocol: String,
    /// Whose device it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The device, if it had logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The frame's bytes, in hex.
    pub raw: String,
    /// The field that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The byte at which that field starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
    /// What is wrong.
    pub error: String,
}

/// A network that a device has come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KnownNetwork {
    /// The network, such as `10.1.2.0/24`.
    pub network: String,
    /// When the device first came from there.
    pub first_seen: Timestamp,
    /// When it was last noted that it did.
    pub last_seen: Timestamp,
}

/// Which part of a history is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From this time on; from the beginning if absent.
    pub from: Option<Timestamp>,
    /// Up to, and not including, this time; to the end if absent.
    pub to: Option<Timestamp>,
    /// Whether the reports are to have their frame's bytes.
    pub raw: bool,
}

/// How much of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Page {
    /// The first `limit` ones.
    pub const fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The ones after a cursor.
    pub const fn after(limit: u32, cursor: Option<Cursor>) -> Self {
        Self {
            limit,
            after: cursor,
        }
    }
}

/// A page of a list, and where the next one starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The page.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last one.
    pub next: Option<Cursor>,
}

/// Where a page ended. Opaque outside of the store; it stays valid while the store grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    pub(super) fn new(place: &str) -> Self {
        Self(hex::encode(place))
    }

    pub(super) fn place(&self) -> Result<String, StoreError> {
        let bytes = hex::decode(&self.0).map_err(|_| StoreError::Cursor)?;
        String::from_utf8(bytes).map_err(|_| StoreError::Cursor)
    }

    pub(super) fn number(&self) -> Result<i64, StoreError> {
        self.place()?.parse().map_err(|_| StoreError::Cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(s: &str) -> Result<Self, StoreError> {
        let cursor = Self(s.to_owned());
        cursor.place()?;
        Ok(cursor)
    }
}

impl<T> Paged<T> {
    /// Of one more row than was asked for, keeps those that were; the cursor is the last one's.
    pub(super) fn cut(mut rows: Vec<(T, String)>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(_, at)| Cursor::new(at));
        let items = rows.into_iter().map(|(item, _)| item).collect();
        Self { items, next }
    }
}

impl Reader {
    pub(super) fn new(db: Connection, store: Store) -> Self {
        Self {
            db: Some(db),
            store,
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "the connection is taken out in `drop` and nowhere else"
    )]
    pub(super) fn db(&self) -> &Connection {
        self.db.as_ref().expect("present until dropped")
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// The devices of a tenant, by their ids.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is not one.
    pub fn devices(&self, tenant: &Tenant, page: &Page) -> Result<Paged<Device>, StoreError> {
        let after = page.after.as_ref().map(Cursor::place).transpose()?;
        let mut find = self.db().prepare_cached(
            "SELECT device, latest FROM device WHERE tenant = ?1 AND device > ?2
             ORDER BY device LIMIT ?3",
        )?;
        let rows = find.query_map(
            params![
                tenant.as_str(),
                after.unwrap_or_default(),
                i64::from(page.limit) + 1
            ],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )?;
        let mut devices = Vec::new();
        for row in rows {
            let (id, latest) = row?;
            devices.push((device(tenant, &id, &latest)?, id));
        }
        Ok(Paged::cut(devices, page.limit))
    }

    /// One device.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        let latest: Option<String> = self
            .db()
            .prepare_cached("SELECT latest FROM device WHERE tenant = ?1 AND device = ?2")?
            .query_row([key.tenant.as_str(), key.device.as_str()], |row| row.get(0))
            .optional()?;
        latest
            .map(|latest| device(&key.tenant, key.device.as_str(), &latest))
            .transpose()
    }

    /// Reports of a device, by time and then in the order in which they were stored.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is not one.
    pub fn history(
        &self,
        key: &DeviceKey,
        span: &Span,
        page: &Page,
    ) -> Result<Paged<Report>, StoreError> {
        let Some(device) = self.device_number(key)? else {
            return Ok(Paged {
                items: Vec::new(),
                next: None,
            });
        };
        let from = span.from.map_or(i64::MIN, Timestamp::as_millis);
        let to = span.to.map_or(i64::MAX, Timestamp::as_millis);
        let (time, seq) = match &page.after {
            None => (from, i64::MIN),
            Some(cursor) => history_place(cursor)?,
        };
        // The index by device and time holds the row's number too: reading on from there sorts
        // nothing, however many reports have one time.
        let mut find = self.db().prepare_cached(&format!(
            "{SELECT} WHERE r.device = ?1 AND r.time >= max(?2, ?4) AND r.time < ?3
             AND (r.time, r.seq) > (?4, ?5) ORDER BY r.time, r.seq LIMIT ?6"
        ))?;
        let mut rows = find.query(params![
            device,
            from,
            to,
            time,
            seq,
            i64::from(page.limit) + 1
        ])?;
        let mut reports = Vec::new();
        while let Some(row) = rows.next()? {
            let report = columns::read(row, self, span.raw)?;
            let place = history_cursor(row.get(2)?, row.get(0)?);
            reports.push((report, place));
        }
        Ok(Paged::cut(reports, page.limit))
    }

    /// One report.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn report(&self, id: &ReportId) -> Result<Option<Report>, StoreError> {
        let mut find = self
            .db()
            .prepare_cached(&format!("{SELECT} WHERE r.id = ?1"))?;
        let mut rows = find.query([&id.as_bytes()[..]])?;
        rows.next()?
            .map(|row| columns::read(row, self, true))
            .transpose()
    }

    /// Whether a report is stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has(&self, id: &ReportId) -> Result<bool, StoreError> {
        let mut find = self
            .db()
            .prepare_cached("SELECT 1 FROM report WHERE id = ?1")?;
        Ok(find.exists([&id.as_bytes()[..]])?)
    }

    /// How many reports are stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = self
            .db()
            .query_row("SELECT count(*) FROM report", [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Frames in quarantine, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is not one.
    pub fn quarantine(&self, page: &Page) -> Result<Paged<QuarantinedFrame>, StoreError> {
        let before = page.after.as_ref().map(Cursor::number).transpose()?;
        let mut find = self.db().prepare_cached(
            "SELECT seq, received_at, peer, protocol, tenant, device, hex(raw), field, offset, error
             FROM quarantine WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
        )?;
        let rows = find.query_map(
            params![before.unwrap_or(i64::MAX), i64::from(page.limit) + 1],
            |row| {
                let frame = QuarantinedFrame {
                    received_at: Timestamp::from_millis(row.get(1)?),
                    peer: row.get(2)?,
                    protocol: row.get(3)?,
                    tenant: row.get(4)?,
                    device: row.get(5)?,
                    raw: row.get::<_, String>(6)?.to_ascii_lowercase(),
                    field: row.get(7)?,
                    offset: row.get(8)?,
                    error: row.get(9)?,
                };
                Ok((frame, row.get::<_, i64>(0)?.to_string()))
            },
        )?;
        Ok(Paged::cut(rows.collect::<Result<_, _>>()?, page.limit))
    }

    /// What has been learned of a device that speaks a protocol.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn profile(&self, key: &DeviceKey, protocol: Name) -> Result<Option<Profile>, StoreError> {
        let put = waiting::lock(self.store.waiting());
        if let Some(profile) = put.profiles.get(&(*key, protocol)) {
            return Ok(Some(profile.clone()));
        }
        drop(put);
        // An older store does not say which protocol it was.
        let profile: Option<String> = self
            .db()
            .prepare_cached(
                "SELECT profile FROM learned
                 WHERE tenant = ?1 AND device = ?2 AND protocol IN (?3, '')
                 ORDER BY protocol DESC LIMIT 1",
            )?
            .query_row(
                [key.tenant.as_str(), key.device.as_str(), protocol.as_str()],
                |row| row.get(0),
            )
            .optional()?;
        Ok(profile.map(|text| Profile::new(&text)))
    }

    /// The networks that a device has come from, the one first seen first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn networks(&self, key: &DeviceKey) -> Result<Vec<KnownNetwork>, StoreError> {
        let mut find = self.db().prepare_cached(
            "SELECT network, first_seen, last_seen FROM device_network
             WHERE tenant = ?1 AND device = ?2 ORDER BY first_seen, network",
        )?;
        let rows = find.query_map([key.tenant.as_str(), key.device.as_str()], |row| {
            Ok(KnownNetwork {
                network: row.get(0)?,
                first_seen: Timestamp::from_millis(row.get(1)?),
                last_seen: Timestamp::from_millis(row.get(2)?),
            })
        })?;
        let mut known: Vec<KnownNetwork> = rows.collect::<Result<_, _>>()?;
        for ((device, network), at) in &waiting::lock(self.store.waiting()).networks {
            if device != key {
                continue;
            }
            match known.iter_mut().find(|one| *one.network == **network) {
                Some(one) => one.last_seen = one.last_seen.max(*at),
                None => known.push(KnownNetwork {
                    network: network.to_string(),
                    first_seen: *at,
                    last_seen: *at,
                }),
            }
        }
        Ok(known)
    }

    pub(super) fn device_number(&self, key: &DeviceKey) -> Result<Option<i64>, StoreError> {
        Ok(self
            .db()
            .prepare_cached("SELECT id FROM device WHERE tenant = ?1 AND device = ?2")?
            .query_row([key.tenant.as_str(), key.device.as_str()], |row| row.get(0))
            .optional()?)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.store.keep_reader(db);
        }
    }
}

impl FindProvenance for Reader {
    fn find(&self, id: i64) -> Result<Option<Provenance>, rusqlite::Error> {
        if let Some(known) = self.store.provenance(id) {
            return Ok(Some(known));
        }
        self.store.know_provenance(Provenance::all(self.db())?);
        Ok(self.store.provenance(id))
    }
}

fn history_cursor(time: i64, seq: i64) -> String {
    format!("{time}#{seq}")
}

/// Cursors of older versions end in an id, and are refused.
fn history_place(cursor: &Cursor) -> Result<(i64, i64), StoreError> {
    let place = cursor.place()?;
    let (time, seq) = place.split_once('#').ok_or(StoreError::Cursor)?;
    let number = |text: &str| text.parse().map_err(|_| StoreError::Cursor);
    Ok((number(time)?, number(seq)?))
}

fn device(tenant: &Tenant, id: &str, latest: &str) -> Result<Device, StoreError> {
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Row {
        row: format!("device {tenant}/{id}"),
        source,
    };
    Ok(Device {
        key: DeviceKey {
            tenant: *tenant,
            device: DeviceId::new(id).map_err(|e| bad(e.into()))?,
        },
        latest: serde_json::from_str(latest).map_err(|e| bad(e.into()))?,
    })
}

/// Counters come back as they went in.
pub(super) fn uint(v: i64) -> u64 {
    debug_assert!(v >= 0, "a counter is never negative");
    u64::try_from(v).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_through_a_url_and_nonsense_is_refused() {
        let cursor = Cursor::new("1700000000000.é");
        let back: Cursor = cursor.to_string().parse().unwrap();
        assert_eq!(back.place().unwrap(), "1700000000000.é");
        assert!("zz".parse::<Cursor>().is_err());
        assert!(history_place(&cursor).is_err());
        let ours = Cursor::new(&history_cursor(-5, 7));
        assert_eq!(history_place(&ours).unwrap(), (-5, 7));
        // As version 0.1 made them.
        let old = "1700000000000.0197a1b2-0000-8000-8000-000000000000";
        assert!(history_place(&Cursor::new(old)).is_err());
        assert_eq!(uint(7), 7);
    }
}
