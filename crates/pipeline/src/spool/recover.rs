//! Opening a log that was closed, killed or damaged.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::record::{Codec, HEADER_LEN, Header, RECORD_LEN, to_u64};
use super::segments::{Index, Segment, Segments, name, set_aside};
use super::{Damage, Recovery, SpoolOptions, Storage, StorageFile};

struct Candidate<F> {
    number: u64,
    file: F,
    size: u64,
    header: Option<Header>,
}

impl<S: Storage> Segments<S> {
    /// Opens the log in `storage`, or makes one.
    ///
    /// # Errors
    /// When a file cannot be read. Damaged contents are not an error: see [`Recovery`].
    pub fn open(storage: S, options: SpoolOptions) -> io::Result<(Self, Recovery)> {
        let candidates = candidates(&storage)?;
        let newest = candidates.iter().rev().find_map(|c| c.header);
        let log = newest.map_or_else(rand::random, |header| header.log);
        let codec = Codec { log };
        let mut recovery = Recovery::default();
        let mut index = Index {
            segments: VecDeque::new(),
            free_below: 0,
            damage: Vec::new(),
        };
        let number = candidates.last().map_or(0, |last| last.number + 1);
        let mut next = 0;
        let headers: Vec<Header> = candidates.iter().filter_map(|c| c.header).collect();
        let last = candidates.len().saturating_sub(1);
        for (place, candidate) in candidates.into_iter().enumerate() {
            if candidate.header.is_none() && place == last && candidate.size <= to_u64(HEADER_LEN) {
                // A segment takes records only after its header is durable: this one has none.
                recovery.cut_bytes += candidate.size;
                storage.remove(&name(candidate.number))?;
                continue;
            }
            // What counts of it is written in the segment after it, if there is one: later bytes
            // belong to an append that failed.
            let limit = headers
                .iter()
                .find(|header| header.previous == candidate.number)
                .map(|header| header.previous_len.min(candidate.size));
            let start = to_u64(HEADER_LEN).min(candidate.size);
            let end = limit.unwrap_or(candidate.size).max(start);
            let bytes = read(&candidate.file, start, end)?;
            let mut first = next;
            if let Some(header) = candidate.header {
                first = first.max(header.first);
                index.free_below = index.free_below.max(header.free_below);
            }
            let mut scan = codec.scan(&bytes, start, first);
            index.free_below = index.free_below.max(scan.free_below);
            let mut skipped = 0;
            let tail = scan.end..end;
            if !tail.is_empty() {
                if limit.is_some() || place != last {
                    // All of this was durable once.
                    scan.holes.push(tail);
                } else {
                    // The last append did not end. What is cut may have been more: its positions
                    // are not given again, so that no two records ever share one.
                    let cut = tail.end - tail.start;
                    skipped = cut.div_ceil(to_u64(RECORD_LEN));
                    recovery.cut_bytes += cut;
                }
            }
            if candidate.header.is_none() {
                scan.holes.insert(0, 0..start);
            }
            let mut damage: Vec<Damage> = Vec::new();
            for hole in &scan.holes {
                let bytes = read(&candidate.file, hole.start, hole.end)?;
                damage.extend(set_aside(&storage, candidate.number, hole.clone(), &bytes));
            }
            let len = scan
                .holes
                .last()
                .map_or(scan.end, |hole| hole.end.max(scan.end));
            next = scan.next + skipped;
            recovery.damage.extend(damage);
            index.segments.push_back(Arc::new(Segment {
                file: candidate.file,
                number: candidate.number,
                first,
                next: AtomicU64::new(scan.next),
                len: AtomicU64::new(len),
                holes: Mutex::new(scan.holes),
            }));
        }
        index.free_below = index.free_below.min(next);
        recovery.waiting = index.depth();
        let segments = Self {
            storage: Arc::new(storage),
            options,
            codec,
            // The first append begins a segment of its own, whose header records how much of the
            // last one counts.
            healthy: false,
            number,
            next,
            marked: index.free_below,
            index: Arc::new(Mutex::new(index)),
            buffer: Vec::new(),
        };
        Ok((segments, recovery))
    }
}

/// All segments, oldest first.
fn candidates<S: Storage>(storage: &S) -> io::Result<Vec<Candidate<S::File>>> {
    let mut numbers: Vec<u64> = storage
        .list()?
        .iter()
        .filter_map(|name| u64::from_str_radix(name.strip_suffix(".log")?, 16).ok())
        .collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .map(|number| {
            let file = storage.open(&name(number))?;
            let size = file.size()?;
            let head = read(&file, 0, size.min(to_u64(HEADER_LEN)))?;
            let header = Header::decode(&head).filter(|header| header.number == number);
            Ok(Candidate {
                number,
                file,
                size,
                header,
            })
        })
        .collect()
}

fn read(file: &impl StorageFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(rest, from + to_u64(filled))? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
