//! Rows in PostgreSQL's binary COPY format (PostgreSQL 17, chapter "COPY", "Binary Format"): a
//! header, then for each row the number of its fields, and each field as its length and bytes.

use std::fmt;
use std::io::Write as _;

use bytes::Bytes;
use futures_util::SinkExt as _;
use milepost_telemetry::{Switches, Timestamp};
use serde::Serialize;
use tokio_postgres::Transaction;

/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Instead of a number of fields: the end.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// Seconds from 1970 to PostgreSQL's own zero, 2000-01-01.
const EPOCH_MILLIS: i64 = 946_684_800_000;
/// How much is handed to the connection at once.
const CHUNK: usize = 256 * 1024;

/// Writes fields one after the other.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a mut Vec<u8>);

impl Fields<'_> {
    pub(super) fn null(&mut self) {
        self.0.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        // A field of 2 GiB does not occur: frames are bounded.
        let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn opt<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    /// PostgreSQL's text cannot hold a zero byte: it is left out.
    pub(super) fn text(&mut self, text: &str) {
        if text.contains('\0') {
            self.bytes(text.replace('\0', "").as_bytes());
        } else {
            self.bytes(text.as_bytes());
        }
    }

    pub(super) fn opt_text(&mut self, text: Option<&str>) {
        self.opt(text, Self::text);
    }

    /// The word of a unit variant in the JSON form.
    pub(super) fn word(&mut self, word: impl Serialize) {
        struct Shown<T>(T);
        impl<T: Serialize> fmt::Display for Shown<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.serialize(f)
            }
        }
        self.shown(Shown(word));
    }

    pub(super) fn opt_word(&mut self, word: Option<impl Serialize>) {
        self.opt(word, Self::word);
    }

    /// Plain ASCII, written in place.
    pub(super) fn shown(&mut self, value: impl fmt::Display) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        // A Vec takes everything, and no Display of ours fails.
        if write!(self.0, "{value}").is_err() {
            self.0.truncate(start + 4);
        }
        self.set_len(start);
    }

    /// Fills in the length of a field that began at `start` and has been written.
    fn set_len(&mut self, start: usize) {
        let len = i32::try_from(self.0.len() - start - 4).unwrap_or(i32::MAX);
        if let Some(field) = self.0.get_mut(start..start + 4) {
            field.copy_from_slice(&len.to_be_bytes());
        }
    }

    pub(super) fn opt_bytes(&mut self, bytes: Option<&[u8]>) {
        self.opt(bytes, Self::bytes);
    }

    pub(super) fn opt_bool(&mut self, value: Option<bool>) {
        self.opt(value, |fields, value| fields.bytes(&[u8::from(value)]));
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn opt_i16(&mut self, value: Option<i16>) {
        self.opt(value, Self::i16);
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn opt_i64(&mut self, value: Option<i64>) {
        self.opt(value, Self::i64);
    }

    pub(super) fn opt_f32(&mut self, value: Option<f32>) {
        self.opt(value, |fields, value| fields.bytes(&value.to_be_bytes()));
    }

    pub(super) fn opt_f64(&mut self, value: Option<f64>) {
        self.opt(value, |fields, value| fields.bytes(&value.to_be_bytes()));
    }

    pub(super) fn time(&mut self, time: Timestamp) {
        let micros = (time.as_millis() - EPOCH_MILLIS).saturating_mul(1_000);
        self.i64(micros);
    }

    pub(super) fn opt_time(&mut self, time: Option<Timestamp>) {
        self.opt(time, Self::time);
    }

    /// `bit varying`: the number of bits, then the bits, the first one highest.
    pub(super) fn switches(&mut self, switches: Switches) {
        if switches.is_empty() {
            return self.null();
        }
        let len = switches.iter().count();
        let mut field = i32::try_from(len).unwrap_or(0).to_be_bytes().to_vec();
        field.resize(4 + len.div_ceil(8), 0);
        for (i, on) in switches.iter().enumerate() {
            if let Some(byte) = field.get_mut(4 + i / 8) {
                *byte |= u8::from(on) << (7 - i % 8);
            }
        }
        self.bytes(&field);
    }

    /// `jsonb`: version 1, then the text.
    pub(super) fn json(&mut self, value: &impl Serialize) -> serde_json::Result<()> {
        let start = self.0.len();
        self.0.extend_from_slice(&[0, 0, 0, 0, 1]);
        serde_json::to_writer(&mut *self.0, value)?;
        // jsonb refuses this escape; the character cannot be in PostgreSQL's text.
        const ZERO: &[u8] = b"\\u0000";
        let body = self.0.get(start + 5..).unwrap_or_default();
        if body.windows(ZERO.len()).any(|window| window == ZERO) {
            let cleaned = without_zero_escapes(body);
            self.0.truncate(start + 5);
            self.0.extend_from_slice(&cleaned);
        }
        self.set_len(start);
        Ok(())
    }
}

/// Removes `\u0000`, but not the end of `\\u0000`, which is a backslash and text.
fn without_zero_escapes(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\u0000") {
            rest = after;
        } else if *first == b'\\' {
            let (escape, after) = rest.split_at(rest.len().min(2));
            out.extend_from_slice(escape);
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

/// Copies rows into a table. Each row is its fields; the closure adds fields to it.
pub(super) async fn copy_in<'r>(
    transaction: &Transaction<'_>,
    statement: &str,
    fields: i16,
    rows: impl Iterator<Item = (&'r [u8], Option<i64>)>,
) -> Result<u64, tokio_postgres::Error> {
    let sink = transaction.copy_in::<_, Bytes>(statement).await?;
    let mut sink = std::pin::pin!(sink);
    let mut chunk = Vec::with_capacity(CHUNK + 4_096);
    chunk.extend_from_slice(HEADER);
    for (row, last) in rows {
        let count = fields + i16::from(last.is_some());
        chunk.extend_from_slice(&count.to_be_bytes());
        chunk.extend_from_slice(row);
        if let Some(last) = last {
            Fields(&mut chunk).i64(last);
        }
        if chunk.len() >= CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK + 4_096));
            sink.feed(full.into()).await?;
        }
    }
    chunk.extend_from_slice(&TRAILER);
    sink.feed(chunk.into()).await?;
    sink.as_mut().finish().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_character_is_left_out_of_json() {
        let mut out = Vec::new();
        Fields(&mut out).json(&["a\0b", "\\u0000"]).unwrap();
        assert_eq!(&out[5..], br#"["ab","\\u0000"]"#);
        assert_eq!(out[..5], [0, 0, 0, (out.len() - 4) as u8, 1]);
    }

    #[test]
    fn switches_are_bits_from_the_left() {
        let mut out = Vec::new();
        Fields(&mut out).switches(Switches::from_bits(0b1_0000_0001, 9));
        assert_eq!(out, [0, 0, 0, 6, 0, 0, 0, 9, 0x80, 0x80]);
    }
}
