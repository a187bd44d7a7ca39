//! What many rows share, as a row of its own, and the words by which enumerations are stored.

use std::collections::HashMap;

use milepost_telemetry::{
    Checksum, FixSource, IgnitionSource, Kind, Name, RawTime, Report, TimeSource, Zone,
};
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What many reports have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Provenance {
    pub(super) protocol: Name,
    pub(super) decoder: Name,
    pub(super) dialect: Option<Name>,
    pub(super) kind: Kind,
    pub(super) checksum: Checksum,
    pub(super) time_source: TimeSource,
    pub(super) zone: Option<Zone>,
    pub(super) fix_source: Option<FixSource>,
    pub(super) live: Option<bool>,
    pub(super) ignition_source: Option<IgnitionSource>,
    pub(super) same: u8,
}

/// Which times need no column, since they equal others.
pub(super) mod same {
    pub(in super::super) const DEVICE_TIME: u8 = 1;
    pub(in super::super) const FIX_TIME: u8 = 2;
    /// The raw time is calendar fields, and they are the time of the id.
    pub(in super::super) const RAW_CIVIL: u8 = 4;
    /// The raw time is Unix seconds, and they are the time of the id.
    pub(in super::super) const RAW_UNIX: u8 = 8;
}

impl Provenance {
    pub(super) fn of(report: &Report) -> Self {
        let mut same = 0;
        if report.device_time == Some(report.time) {
            same |= same::DEVICE_TIME;
        }
        let fix = report.fix.as_ref();
        if fix.and_then(|fix| fix.time) == Some(report.time) {
            same |= same::FIX_TIME;
        }
        if let Some(raw) = report.raw_time
            && raw.as_utc() == Some(report.id.key_time())
        {
            same |= match raw {
                RawTime::Civil { .. } => same::RAW_CIVIL,
                RawTime::Unix(_) => same::RAW_UNIX,
            };
        }
        Self {
            protocol: report.protocol,
            decoder: report.decoder,
            dialect: report.dialect,
            kind: report.kind,
            checksum: report.checksum,
            time_source: report.time_source,
            zone: report.zone,
            fix_source: fix.map(|fix| fix.source),
            live: fix.and_then(|fix| fix.live),
            ignition_source: report.io.ignition_source,
            same,
        }
    }

    /// Which times need no column.
    pub(super) const fn same(&self) -> u8 {
        self.same
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.same & flag != 0
    }

    /// All that are stored.
    pub(super) fn all(db: &Connection) -> Result<HashMap<i64, Self>, rusqlite::Error> {
        let mut find = db.prepare_cached(
            "SELECT id, protocol, decoder, dialect, kind, checksum, time_source, zone, fix_source,
                    live, ignition_source, same FROM provenance",
        )?;
        let rows = find.query_map([], |row| {
            let read = Self {
                protocol: name(row, 1)?.ok_or(rusqlite::Error::InvalidQuery)?,
                decoder: name(row, 2)?.ok_or(rusqlite::Error::InvalidQuery)?,
                dialect: name(row, 3)?,
                kind: word(row, 4)?.ok_or(rusqlite::Error::InvalidQuery)?,
                checksum: word(row, 5)?.ok_or(rusqlite::Error::InvalidQuery)?,
                time_source: word(row, 6)?.ok_or(rusqlite::Error::InvalidQuery)?,
                zone: word(row, 7)?,
                fix_source: word(row, 8)?,
                live: row.get(9)?,
                ignition_source: word(row, 10)?,
                same: row.get(11)?,
            };
            Ok((row.get(0)?, read))
        })?;
        rows.collect()
    }

    /// Stores it; its number.
    pub(super) fn insert(&self, db: &Connection) -> Result<i64, rusqlite::Error> {
        db.prepare_cached(
            "INSERT INTO provenance (protocol, decoder, dialect, kind, checksum, time_source, zone,
                                     fix_source, live, ignition_source, same)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id",
        )?
        .query_row(
            params![
                self.protocol.as_str(),
                self.decoder.as_str(),
                self.dialect.map(Name::as_str),
                said(&self.kind),
                said(&self.checksum),
                said(&self.time_source),
                self.zone.map(|zone| said(&zone)),
                self.fix_source.map(|source| said(&source)),
                self.live,
                self.ignition_source.map(|source| said(&source)),
                self.same,
            ],
            |row| row.get(0),
        )
    }
}

/// The word by which a value is named in the public form.
pub(super) fn said<T: Serialize>(value: &T) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

pub(super) fn word<T: DeserializeOwned>(
    row: &Row<'_>,
    at: usize,
) -> Result<Option<T>, rusqlite::Error> {
    let text: Option<String> = row.get(at)?;
    text.map(|text| serde_json::from_value(serde_json::Value::String(text)))
        .transpose()
        .map_err(|error| odd(at, error))
}

fn name(row: &Row<'_>, at: usize) -> Result<Option<Name>, rusqlite::Error> {
    let text: Option<String> = row.get(at)?;
    text.map(|text| Name::intern(&text))
        .transpose()
        .map_err(|error| odd(at, error))
}

fn odd(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
}
