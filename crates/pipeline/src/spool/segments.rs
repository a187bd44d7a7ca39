//! The log without threads: segments, appending, reading, freeing.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::record::{Codec, Found, HEADER_LEN, Header, MAX_PAYLOAD, RECORD_LEN, to_u64};
use super::{Damage, LogId, Record, SpoolOptions, Storage, StorageFile};

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) file: F,
    pub(super) number: u64,
    /// The position of its first record.
    pub(super) first: u64,
    /// One more than its last durable position. Written by the appending thread only.
    pub(super) next: AtomicU64,
    /// How many bytes are durable and count.
    pub(super) len: AtomicU64,
    /// Unreadable ranges.
    pub(super) holes: Mutex<Vec<Range<u64>>>,
}

impl<F> Segment<F> {
    fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Whether it holds nothing that is still wanted.
    fn is_free(&self, free_below: u64) -> bool {
        self.next() <= free_below.max(self.first)
    }
}

/// What the appending thread, readers and whoever frees share.
#[derive(Debug)]
pub(super) struct Index<F> {
    /// Oldest first; the last one is appended to if it is healthy.
    pub(super) segments: VecDeque<Arc<Segment<F>>>,
    /// Positions below this are free.
    pub(super) free_below: u64,
    /// Ranges found damaged since the start.
    pub(super) damage: Vec<Damage>,
}

impl<F> Index<F> {
    /// Bytes on disk that count.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len()).sum()
    }

    /// Records that are not free, about: gaps count.
    pub(super) fn depth(&self) -> u64 {
        self.segments
            .iter()
            .map(|s| s.next().saturating_sub(s.first.max(self.free_below)))
            .sum()
    }

    /// Whether a batch of that many bytes fits, and whether it fits only into a new segment that
    /// takes the place of all others. A single record always fits into an empty log.
    fn room(&self, need: u64, is_single: bool, max_bytes: u64) -> Room {
        // A new segment may be due.
        let need = need.saturating_add(to_u64(HEADER_LEN));
        if self.bytes().saturating_add(need) <= max_bytes {
            Room::Yes
        } else if (need <= max_bytes || is_single)
            && self.segments.iter().all(|s| s.is_free(self.free_below))
        {
            Room::InNew
        } else {
            Room::No
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Room {
    Yes,
    InNew,
    No,
}

/// A log, opened. One thread appends; any number read and free.
#[derive(Debug)]
pub struct Segments<S: Storage> {
    pub(super) storage: Arc<S>,
    pub(super) options: SpoolOptions,
    pub(super) codec: Codec,
    pub(super) index: Arc<Mutex<Index<S::File>>>,
    /// Whether the last segment may be appended to. After a failed write or sync nobody knows what
    /// is in the file: the next attempt goes to a new one.
    pub(super) healthy: bool,
    /// The next segment's number.
    pub(super) number: u64,
    /// The next record's position.
    pub(super) next: u64,
    /// The highest mark that is written.
    pub(super) marked: u64,
    pub(super) buffer: Vec<u8>,
}

pub(super) fn name(number: u64) -> String {
    format!("{number:016x}.log")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Storage> Segments<S> {
    /// The log's id.
    pub fn id(&self) -> LogId {
        LogId(self.codec.log)
    }

    /// The position that the next record gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Positions below this are free.
    pub fn free_below(&self) -> u64 {
        lock(&self.index).free_below
    }

    /// Whether so many records fit below [`SpoolOptions::max_bytes`] now.
    pub fn has_room(&self, records: usize, payload_bytes: usize) -> bool {
        let need = to_u64((records + 1) * RECORD_LEN + payload_bytes);
        lock(&self.index).room(need, records == 1, self.options.max_bytes) != Room::No
    }

    /// Writes records and makes them durable, all or none. Returns the first one's position; the
    /// others follow it.
    ///
    /// # Errors
    /// When they may not be durable. They are not part of the log then, and trying again is right.
    pub fn append(&mut self, payloads: &[Bytes]) -> io::Result<u64> {
        if payloads.iter().any(|payload| payload.len() > MAX_PAYLOAD) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a record longer than 16 MiB",
            ));
        }
        let first = self.next;
        let free_below = self.free_below();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        for (payload, position) in payloads.iter().zip(first..) {
            self.codec.record(&mut buffer, position, payload);
        }
        if free_below > self.marked {
            self.codec.mark(&mut buffer, free_below);
        }
        let bytes = to_u64(buffer.len());
        let room = lock(&self.index).room(bytes, true, self.options.max_bytes);
        let segment = self.current(room == Room::InNew)?;
        let at = segment.len();
        let written = segment
            .file
            .write_all_at(&buffer, at)
            .and_then(|()| segment.file.sync());
        self.buffer = buffer;
        if let Err(error) = written {
            self.healthy = false;
            // Only to get the space back; the next segment's header says what counts.
            drop(segment.file.truncate(at));
            return Err(error);
        }
        self.next += to_u64(payloads.len());
        self.marked = self.marked.max(free_below);
        segment.next.store(self.next, Ordering::Release);
        segment.len.store(at + bytes, Ordering::Release);
        Ok(first)
    }

    /// The segment to append to.
    fn current(&mut self, renew: bool) -> io::Result<Arc<Segment<S::File>>> {
        let last = lock(&self.index).segments.back().cloned();
        if let Some(segment) = &last
            && self.healthy
            && !renew
            && segment.len() < self.options.segment_bytes
        {
            return Ok(Arc::clone(segment));
        }
        let number = self.number;
        let free_below = lock(&self.index).free_below;
        let header = Header {
            log: self.codec.log,
            number,
            first: self.next,
            previous: last.as_ref().map_or(u64::MAX, |last| last.number),
            previous_len: last.as_ref().map_or(0, |last| last.len()),
            free_below,
        };
        let file = self.storage.create(&name(number))?;
        // A number is never used twice, also if what follows fails.
        self.number += 1;
        let made = file
            .write_all_at(&header.encode(), 0)
            .and_then(|()| file.sync())
            .and_then(|()| self.storage.sync_folder());
        if let Err(error) = made {
            drop(file);
            // If it stays, it is a segment without records.
            drop(self.storage.remove(&name(number)));
            return Err(error);
        }
        let segment = Arc::new(Segment {
            file,
            number,
            first: self.next,
            next: AtomicU64::new(self.next),
            len: AtomicU64::new(to_u64(HEADER_LEN)),
            holes: Mutex::default(),
        });
        lock(&self.index).segments.push_back(Arc::clone(&segment));
        self.healthy = true;
        self.marked = self.marked.max(free_below);
        self.delete_free();
        Ok(segment)
    }

    /// Writes down what is free, so that a start does not read it again. Without it a start reads
    /// at most the segments that hold something not free.
    ///
    /// # Errors
    /// When it is not durable.
    pub fn write_mark(&mut self) -> io::Result<()> {
        if self.free_below() > self.marked {
            self.append(&[])?;
        }
        Ok(())
    }

    /// Deletes the segments in which everything is free. The newest stays: it holds the position.
    pub fn delete_free(&self) {
        free(&self.index, &*self.storage, 0);
    }

    /// A reader from the first position that is not free.
    pub fn reader(&self) -> SegmentReader<S> {
        SegmentReader::new(
            Arc::clone(&self.storage),
            Arc::clone(&self.index),
            self.id(),
        )
    }

    /// Frees all positions below `position`.
    pub fn free(&self, position: u64) {
        free(&self.index, &*self.storage, position.min(self.next));
    }
}

/// Frees positions, and deletes the segments that hold nothing else.
pub(super) fn free<S: Storage>(index: &Mutex<Index<S::File>>, storage: &S, position: u64) {
    loop {
        let oldest = {
            let mut index = lock(index);
            index.free_below = index.free_below.max(position);
            let more_than_one = index.segments.len() > 1;
            let free_below = index.free_below;
            match index.segments.front() {
                Some(oldest) if more_than_one && oldest.is_free(free_below) => {
                    let oldest = Arc::clone(oldest);
                    index.segments.pop_front();
                    oldest
                }
                _ => return,
            }
        };
        // One that cannot be deleted now is found, and is free, at the next start.
        if let Err(error) = storage.remove(&name(oldest.number)) {
            tracing::warn!(%error, segment = oldest.number, "cannot delete a segment of the spool");
        }
    }
}

/// Reads a log in order while it is appended to.
#[derive(Debug)]
pub struct SegmentReader<S: Storage> {
    storage: Arc<S>,
    index: Arc<Mutex<Index<S::File>>>,
    codec: Codec,
    /// Positions below this are not wanted (any more).
    next: u64,
    number: u64,
    offset: u64,
    chunk: Vec<u8>,
}

const CHUNK: usize = 256 * 1024;

impl<S: Storage> SegmentReader<S> {
    pub(super) fn new(storage: Arc<S>, index: Arc<Mutex<Index<S::File>>>, log: LogId) -> Self {
        let next = lock(&index).free_below;
        Self {
            storage,
            index,
            codec: Codec { log: log.0 },
            next,
            number: 0,
            offset: 0,
            chunk: Vec::new(),
        }
    }

    /// The lowest position that [`read`](Self::read) can return next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Durable records in order, about `max_bytes` of them and at least one if there is one. Empty
    /// when all was read.
    ///
    /// # Errors
    /// When a file cannot be read now.
    pub fn read(&mut self, max_bytes: usize) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        let mut bytes = 0;
        loop {
            let (segment, is_last) = {
                let index = lock(&self.index);
                let mut after = index
                    .segments
                    .iter()
                    .skip_while(|segment| segment.number < self.number);
                let Some(segment) = after.next() else {
                    return Ok(records);
                };
                (Arc::clone(segment), after.next().is_none())
            };
            if segment.number != self.number {
                self.number = segment.number;
                self.offset = to_u64(HEADER_LEN);
            }
            let end = segment.len();
            if segment.next() > self.next {
                self.read_segment(&segment, end, max_bytes, &mut records, &mut bytes)?;
            } else {
                self.offset = end;
            }
            if bytes >= max_bytes || is_last {
                return Ok(records);
            }
            if self.offset >= end {
                self.number += 1;
                self.offset = to_u64(HEADER_LEN);
            }
        }
    }

    fn read_segment(
        &mut self,
        segment: &Segment<S::File>,
        end: u64,
        max_bytes: usize,
        records: &mut Vec<Record>,
        bytes: &mut usize,
    ) -> io::Result<()> {
        while self.offset < end && *bytes < max_bytes {
            self.skip_holes(segment);
            let left = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            let mut want = left.min(CHUNK);
            self.fill(segment, want)?;
            if let Some(claimed) = Codec::claimed_len(&self.chunk)
                && claimed > want
                && claimed <= left
            {
                want = claimed;
                self.fill(segment, want)?;
            }
            let mut at = 0;
            while let Some((found, len)) = self.chunk.get(at..).and_then(|c| self.codec.read(c)) {
                if let Found::Record { position, payload } = found
                    && position >= self.next
                {
                    *bytes += payload.len() + RECORD_LEN;
                    self.next = position + 1;
                    records.push(Record {
                        position,
                        payload: Bytes::copy_from_slice(payload),
                    });
                }
                at += len;
                self.offset += to_u64(len);
                if *bytes >= max_bytes || self.in_hole(segment) {
                    break;
                }
            }
            // At least one whole record was in the chunk, unless it is damaged.
            if at == 0 && self.offset < end {
                self.find_damage(segment, end)?;
            }
        }
        Ok(())
    }

    fn in_hole(&self, segment: &Segment<S::File>) -> bool {
        lock(&segment.holes)
            .iter()
            .any(|hole| hole.contains(&self.offset))
    }

    fn skip_holes(&mut self, segment: &Segment<S::File>) {
        for hole in &*lock(&segment.holes) {
            if hole.contains(&self.offset) {
                self.offset = hole.end;
            }
        }
    }

    fn fill(&mut self, segment: &Segment<S::File>, want: usize) -> io::Result<()> {
        self.chunk.resize(want, 0);
        let mut filled = 0;
        while filled < want {
            let Some(rest) = self.chunk.get_mut(filled..) else {
                break;
            };
            match segment.file.read_at(rest, self.offset + to_u64(filled))? {
                0 => break,
                read => filled += read,
            }
        }
        self.chunk.truncate(filled);
        Ok(())
    }

    /// Bytes that were right once no longer are: sets them aside and goes on after them.
    fn find_damage(&mut self, segment: &Segment<S::File>, end: u64) -> io::Result<()> {
        let left = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
        self.fill(segment, left)?;
        let scan = self.codec.scan(&self.chunk, self.offset, self.next);
        let until = scan.holes.first().map_or(end, |hole| hole.end);
        let hole = self.offset..until;
        let damage = set_aside(
            &*self.storage,
            segment.number,
            hole.clone(),
            self.chunk
                .get(..usize::try_from(until - self.offset).unwrap_or(usize::MAX))
                .unwrap_or_default(),
        );
        lock(&segment.holes).push(hole);
        lock(&self.index).damage.extend(damage);
        Ok(())
    }
}

/// Keeps a copy of damaged bytes; `None` if that was done in an earlier run.
pub(super) fn set_aside<S: Storage>(
    storage: &S,
    segment: u64,
    range: Range<u64>,
    bytes: &[u8],
) -> Option<Damage> {
    let name = format!("{segment:016x}-{}-{}.damaged", range.start, range.end);
    let copied = match storage.create(&name) {
        Ok(file) => file.write_all_at(bytes, 0).and_then(|()| file.sync()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return None,
        Err(error) => Err(error),
    };
    if let Err(error) = copied {
        tracing::warn!(%error, %name, "cannot keep a copy of damaged bytes of the spool");
    }
    Some(Damage {
        segment,
        range,
        file: name,
    })
}
