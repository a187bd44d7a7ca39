//! The bytes of a segment: a header, then records.
//!
//! Header (all numbers little-endian):
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 8 | `MPSPOOL1` |
//! | 8 | 16 | id of the log |
//! | 24 | 8 | number of the segment |
//! | 32 | 8 | position of its first record |
//! | 40 | 8 | number of the segment before it |
//! | 48 | 8 | how many bytes of that one count |
//! | 56 | 8 | positions below this were free when the segment began |
//! | 64 | 4 | CRC-32C of bytes 0..64 |
//!
//! Record:
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 4 | CRC-32C of the log's id and bytes 4.. |
//! | 4 | 3 | length of the payload |
//! | 7 | 1 | kind: 1 a record, 2 a mark without payload (positions below its own are free) |
//! | 8 | 8 | position |
//! | 16 | | payload |
//!
//! The id in the checksum keeps bytes that a device sent from being taken for a record when records
//! are looked for after damage: a device does not know the id.

use std::ops::Range;

use crc::{CRC_32_ISCSI, Crc, Table};

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
const MAGIC: &[u8; 8] = b"MPSPOOL1";

/// Length of a segment's header in bytes.
pub(super) const HEADER_LEN: usize = 68;
/// Length of a record before its payload in bytes.
pub(super) const RECORD_LEN: usize = 16;
/// The longest payload in bytes.
pub(super) const MAX_PAYLOAD: usize = 0xFF_FFFF;

const RECORD: u8 = 1;
const MARK: u8 = 2;

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log: u128,
    pub(super) number: u64,
    pub(super) first: u64,
    pub(super) previous: u64,
    pub(super) previous_len: u64,
    pub(super) free_below: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.log.to_le_bytes());
        for number in [
            self.number,
            self.first,
            self.previous,
            self.previous_len,
            self.free_below,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&CRC.checksum(&out).to_le_bytes());
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&out);
        header
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, rest) = bytes.split_at_checked(HEADER_LEN - 4)?;
        let checksum = u32::from_le_bytes(*rest.first_chunk()?);
        if body.get(..8)? != MAGIC || CRC.checksum(body) != checksum {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(*body.get(at..)?.first_chunk()?));
        Some(Self {
            log: u128::from_le_bytes(*body.get(8..)?.first_chunk()?),
            number: number(24)?,
            first: number(32)?,
            previous: number(40)?,
            previous_len: number(48)?,
            free_below: number(56)?,
        })
    }
}

/// Writes and reads the records of one log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codec {
    pub(super) log: u128,
}

/// What stands at some offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Record { position: u64, payload: &'a [u8] },
    Mark { free_below: u64 },
}

impl Codec {
    pub(super) fn record(self, out: &mut Vec<u8>, position: u64, payload: &[u8]) {
        self.put(out, RECORD, position, payload);
    }

    pub(super) fn mark(self, out: &mut Vec<u8>, free_below: u64) {
        self.put(out, MARK, free_below, &[]);
    }

    fn put(self, out: &mut Vec<u8>, kind: u8, position: u64, payload: &[u8]) {
        debug_assert!(payload.len() <= MAX_PAYLOAD);
        let [a, b, c, ..] = payload.len().to_le_bytes();
        let mut head = [0; RECORD_LEN - 4];
        let (length, rest) = head.split_at_mut(4);
        length.copy_from_slice(&[a, b, c, kind]);
        rest.copy_from_slice(&position.to_le_bytes());
        out.extend_from_slice(&self.checksum(&head, payload).to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(payload);
    }

    fn checksum(self, head: &[u8], payload: &[u8]) -> u32 {
        let mut digest = CRC.digest();
        digest.update(&self.log.to_le_bytes());
        digest.update(head);
        digest.update(payload);
        digest.finalize()
    }

    /// The record at the start of `bytes` and its length, if it is whole and right.
    pub(super) fn read(self, bytes: &[u8]) -> Option<(Found<'_>, usize)> {
        let (checksum, rest) = bytes.split_first_chunk::<4>()?;
        let (head, rest) = rest.split_at_checked(RECORD_LEN - 4)?;
        let [a, b, c, kind, position @ ..] = head else {
            return None;
        };
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).ok()?;
        if !matches!((*kind, length), (RECORD, _) | (MARK, 0)) {
            return None;
        }
        let payload = rest.get(..length)?;
        if u32::from_le_bytes(*checksum) != self.checksum(head, payload) {
            return None;
        }
        let position = u64::from_le_bytes(position.try_into().ok()?);
        let found = if *kind == RECORD {
            Found::Record { position, payload }
        } else {
            Found::Mark {
                free_below: position,
            }
        };
        Some((found, RECORD_LEN + length))
    }

    /// How long the record at the start of `bytes` claims to be, with its head.
    pub(super) fn claimed_len(bytes: &[u8]) -> Option<usize> {
        let [a, b, c] = bytes.get(4..7)?.first_chunk::<3>()?;
        Some(RECORD_LEN + usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).ok()?)
    }

    /// Reads all records of `bytes`, which start at `offset` of their segment. Positions below
    /// `next` are not expected.
    pub(super) fn scan(self, bytes: &[u8], offset: u64, next: u64) -> Scan {
        let mut scan = Scan {
            next,
            free_below: 0,
            end: offset,
            holes: Vec::new(),
        };
        let mut at = 0;
        // Where unreadable bytes begin, if the ones before `at` are.
        let mut bad: Option<usize> = None;
        while let Some(rest) = bytes.get(at..)
            && !rest.is_empty()
        {
            // After damage a position is believed only if so many records fit in what was skipped:
            // this refuses nearly every false candidate before its checksum is computed.
            let most = bad.map(|bad| scan.next + to_u64(at - bad) / to_u64(RECORD_LEN) + 1);
            let plausible = most.is_none_or(|most| {
                rest.get(8..16)
                    .and_then(|p| p.first_chunk())
                    .is_some_and(|p| u64::from_le_bytes(*p) <= most)
            });
            match if plausible { self.read(rest) } else { None } {
                Some((found, len)) => {
                    match found {
                        Found::Record { position, .. } if position >= scan.next => {
                            scan.next = position + 1;
                        }
                        Found::Record { .. } => {}
                        Found::Mark { free_below } => {
                            scan.free_below = scan.free_below.max(free_below);
                        }
                    }
                    if let Some(bad) = bad.take() {
                        scan.holes.push(offset + to_u64(bad)..offset + to_u64(at));
                    }
                    at += len;
                    scan.end = offset + to_u64(at);
                }
                None => {
                    bad.get_or_insert(at);
                    at += 1;
                }
            }
        }
        scan
    }
}

/// What [`Codec::scan`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// One more than the highest position.
    pub(super) next: u64,
    /// The highest mark, or 0.
    pub(super) free_below: u64,
    /// Where the last whole record ends.
    pub(super) end: u64,
    /// Unreadable ranges that are followed by a whole record.
    pub(super) holes: Vec<Range<u64>>,
}

pub(super) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODEC: Codec = Codec { log: 7 };

    #[test]
    fn a_header_reads_back_and_a_changed_bit_is_seen() {
        let header = Header {
            log: 1 << 100,
            number: 3,
            first: 4,
            previous: 2,
            previous_len: 99,
            free_below: 1,
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_reads_back_and_a_changed_bit_is_seen() {
        let mut bytes = Vec::new();
        CODEC.record(&mut bytes, 5, b"some payload");
        let found = Found::Record {
            position: 5,
            payload: b"some payload",
        };
        assert_eq!(CODEC.read(&bytes), Some((found, bytes.len())));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(CODEC.read(&bytes), None, "bit {bit}");
        }
        assert_eq!(Codec { log: 8 }.read(&bytes), None, "of another log");
    }

    #[test]
    fn a_scan_cuts_a_torn_tail_and_names_a_damaged_middle() {
        let mut bytes = Vec::new();
        CODEC.record(&mut bytes, 0, b"first");
        let second = bytes.len();
        CODEC.record(&mut bytes, 1, b"second");
        let third = bytes.len();
        CODEC.mark(&mut bytes, 1);
        CODEC.record(&mut bytes, 2, b"third");
        let end = bytes.len();
        bytes.extend_from_slice(&[0; 40]);
        bytes[second + RECORD_LEN] ^= 1;

        let scan = CODEC.scan(&bytes, 100, 0);
        assert_eq!(scan.next, 3);
        assert_eq!(scan.free_below, 1);
        assert_eq!(scan.end, 100 + to_u64(end));
        let damaged = 100 + to_u64(second)..100 + to_u64(third);
        assert_eq!(scan.holes, vec![damaged]);
    }
}
