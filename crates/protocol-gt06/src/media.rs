//! Files that arrive in blocks: put together, with bounds.
//!
//! Photos and recordings come in many frames (0x36, 0x41, 0x8D). Each block is data of its own:
//! it is reported, stored and acknowledged as it comes, so that a crash loses nothing that was
//! acknowledged, and an upload that never ends is still there, block by block. An [`Assembler`]
//! puts the blocks of one connection together beside that, and gives the whole file once it is
//! complete.
//!
//! It holds no more than its [`Limits`]
//! ([`Session::with_media_limits`](crate::Session::with_media_limits)): so many files, so many bytes in all, so many blocks a
//! file, and none for longer than a time without a new block. What is given up is counted and
//! named, never silently forgotten. It does no I/O and has no clock.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::checksum::checksum;

/// Which upload of a connection a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId {
    /// The message family, by the number of its blocks: two families may number alike.
    pub number: u8,
    /// What distinguishes the file from others of the family: the device's own number for it, and its kind
    /// if that is beside the number.
    pub file: u64,
}

impl UploadId {
    /// A photo of an X1.
    pub(crate) fn photo(photo: u32) -> Self {
        Self {
            number: 0x36,
            file: photo.into(),
        }
    }
}

/// Where in its file a block belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// At this byte.
    Offset(u64),
    /// It is the part of this number, counted from 0 or 1.
    Part(u16),
}

/// What an assembler may hold. Beside the data itself it needs some 100 bytes for each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Uploads at the same time.
    pub files: usize,
    /// Bytes of all uploads together; also the largest file.
    pub bytes: usize,
    /// Blocks of one upload.
    pub blocks: usize,
    /// Milliseconds without a new block after which an upload is given up.
    pub idle_ms: i64,
}

impl Default for Limits {
    /// Four files, 2 MiB, 8,192 blocks, ten minutes.
    fn default() -> Self {
        Self {
            files: 4,
            bytes: 2 << 20,
            blocks: 8_192,
            idle_ms: 600_000,
        }
    }
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// It is kept; the file is not complete.
    Kept,
    /// It, or all of it, was there already; or it repeats the block with which the file was
    /// complete.
    Repeated,
    /// The file is complete, and no longer held.
    Complete(Bytes),
    /// It does not fit in the limits, or is after the file's end: it is not kept here.
    Refused,
}

/// An upload that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abandoned {
    /// Which.
    pub id: UploadId,
    /// The bytes that had arrived.
    pub held: usize,
    /// The file's size, if it was known.
    pub total: Option<u64>,
}

/// Puts blocks together. One for each connection.
#[derive(Debug, Clone)]
pub struct Assembler {
    limits: Limits,
    // A handful at most: a list is faster than a map, and its order is that of arrival.
    uploads: Vec<Upload>,
    held: usize,
    abandoned: Vec<Abandoned>,
    /// The blocks with which files were complete, the newest last.
    last_blocks: Vec<LastBlock>,
}

/// The block that completed a file. Its acknowledgement may be lost, and it is sent again: it
/// begins no new file, which would then be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastBlock {
    id: UploadId,
    place: Place,
    len: usize,
    checksum: u16,
    came: i64,
}

impl LastBlock {
    fn new(id: UploadId, place: Place, data: &[u8], now: i64) -> Self {
        Self {
            id,
            place,
            len: data.len(),
            checksum: checksum(data),
            came: now,
        }
    }

    fn is_repeated_by(&self, block: &Self) -> bool {
        let came = block.came;
        Self { came, ..*self } == *block
    }
}

#[derive(Debug, Clone)]
struct Upload {
    id: UploadId,
    total: Option<u64>,
    by_part: bool,
    blocks: BTreeMap<u64, Bytes>,
    held: usize,
    touched: i64,
    /// Blocks in a row that brought nothing new.
    in_vain: u8,
    /// From which byte on a block was asked for, and when.
    asked: Option<(u64, i64)>,
}

/// The same block is not asked for again before so many milliseconds. A device that has waited
/// for long repeats its block: two requests would then come for the next one, both be answered,
/// and each block from there on come twice.
const ASK_AGAIN_MS: i64 = 5_000;

/// So many blocks in a row may bring nothing new; then no more are asked for. A device that
/// answers each request with what is known already would never come to an end.
const MAX_IN_VAIN: u8 = 8;

impl Default for Assembler {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Assembler {
    /// An empty one.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            uploads: Vec::new(),
            held: 0,
            abandoned: Vec::new(),
            last_blocks: Vec::new(),
        }
    }

    /// Bytes held for all uploads.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Uploads that are not complete.
    #[must_use]
    pub const fn uploads(&self) -> usize {
        self.uploads.len()
    }

    /// Whether there is nothing to remember, so that an empty assembler would do the same.
    pub(crate) const fn is_empty(&self) -> bool {
        self.uploads.is_empty() && self.abandoned.is_empty() && self.last_blocks.is_empty()
    }

    /// A file is announced. `false` if it is larger than the limits allow: its blocks will not be
    /// put together, and it counts as given up.
    pub fn open(&mut self, id: UploadId, total: u64, now: i64) -> bool {
        self.expire(now);
        if usize::try_from(total).map_or(true, |total| total > self.limits.bytes) {
            let total = Some(total);
            self.note_abandoned(Abandoned { id, held: 0, total });
            return false;
        }
        // Announced again: from the start.
        self.last_blocks.retain(|last| last.id != id);
        if let Some(at) = self.uploads.iter().position(|u| u.id == id) {
            if self.uploads.get(at).is_some_and(|upload| upload.held > 0) {
                self.abandon(at);
            } else {
                self.remove(at);
            }
        }
        // Nothing is missing of an empty one.
        if total > 0 {
            self.upload(id, false, now).total = Some(total);
        }
        true
    }

    /// A block has come; `total` is the file's size where the block has it, in bytes, or for
    /// parts in bytes or parts (makers do not state which: in parts where it is less than the bytes of one).
    pub fn push(
        &mut self,
        id: UploadId,
        place: Place,
        total: Option<u64>,
        data: &[u8],
        now: i64,
    ) -> Taken {
        self.expire(now);
        let taken = self.take(id, place, total, data, now);
        if let Some(upload) = self.find_mut(id) {
            upload.in_vain = match taken {
                Taken::Kept | Taken::Complete(_) => 0,
                Taken::Repeated | Taken::Refused => upload.in_vain.saturating_add(1),
            };
        }
        taken
    }

    fn take(
        &mut self,
        id: UploadId,
        place: Place,
        total: Option<u64>,
        data: &[u8],
        now: i64,
    ) -> Taken {
        let (at, by_part) = match place {
            Place::Offset(at) => (at, false),
            Place::Part(part) => (u64::from(part), true),
        };
        let total = total.or_else(|| self.find(id).and_then(|upload| upload.total));
        let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let end = if by_part {
            size
        } else {
            at.saturating_add(size)
        };
        let limit = u64::try_from(self.limits.bytes).unwrap_or(u64::MAX);
        let is_beyond = !by_part && total.is_some_and(|total| end > total || total > limit);
        if is_beyond || end > limit {
            // Reported once: with the block that the file begins with.
            if total.is_some_and(|total| total > limit) && at == 0 {
                self.note_abandoned(Abandoned { id, held: 0, total });
            }
            return Taken::Refused;
        }
        if data.is_empty() {
            return if total == Some(0) {
                Taken::Complete(Bytes::new())
            } else {
                Taken::Repeated
            };
        }
        if self.find(id).is_some_and(|upload| {
            upload.by_part == by_part
                && upload
                    .blocks
                    .get(&at)
                    .is_some_and(|known| known.len() >= data.len())
        }) {
            return Taken::Repeated;
        }
        let block = || LastBlock::new(id, place, data, now);
        let is_repeated = |last: &LastBlock| last.id == id && last.is_repeated_by(&block());
        if self.find(id).is_none() && self.last_blocks.iter().any(is_repeated) {
            return Taken::Repeated;
        }
        while self.held + data.len() > self.limits.bytes {
            // The one that has waited longest makes room, but not for its own blocks.
            let Some(at) = self.oldest_but(id) else {
                return Taken::Refused;
            };
            self.abandon(at);
        }
        let blocks = self.limits.blocks;
        let upload = self.upload(id, by_part, now);
        if upload.by_part != by_part || upload.blocks.len() >= blocks {
            return Taken::Refused;
        }
        upload.total = total;
        // A copy: a block that shared the frame's storage would keep all of the read buffer alive.
        let known = upload.blocks.insert(at, Bytes::copy_from_slice(data));
        let known = known.map_or(0, |known| known.len());
        upload.held += data.len();
        upload.held = upload.held.saturating_sub(known);
        self.held += data.len();
        self.held = self.held.saturating_sub(known);
        let Some(at) = self.uploads.iter().position(|upload| upload.id == id) else {
            return Taken::Kept;
        };
        match self.uploads.get(at).and_then(Upload::whole) {
            Some(whole) => {
                self.remove(at);
                self.last_blocks.retain(|last| last.id != id);
                let excess = (self.last_blocks.len() + 1).saturating_sub(self.limits.files.max(1));
                self.last_blocks.drain(..excess);
                self.last_blocks.push(block());
                Taken::Complete(whole)
            }
            None => Taken::Kept,
        }
    }

    /// The first bytes that are missing of a file whose size is known: where, and how many, at
    /// most `len`. `None` where nothing is known or nothing is missing, or where the last eight
    /// blocks brought nothing new.
    #[must_use]
    pub fn missing(&self, id: UploadId, len: u16) -> Option<(u64, u16)> {
        let upload = self
            .find(id)
            .filter(|upload| !upload.by_part && upload.in_vain < MAX_IN_VAIN)?;
        let front = upload.front();
        let total = upload.total?;
        let next = upload
            .blocks
            .range(front..)
            .next()
            .map_or(total, |(at, _)| *at);
        let gap = next.saturating_sub(front).min(u64::from(len));
        u16::try_from(gap)
            .ok()
            .filter(|gap| *gap > 0)
            .map(|gap| (front, gap))
    }

    /// What is to be asked for now: the first bytes that are [`missing`](Self::missing), unless
    /// they were asked for just before.
    pub(crate) fn request(&mut self, id: UploadId, len: u16, now: i64) -> Option<(u64, u16)> {
        let (at, len) = self.missing(id, len)?;
        let upload = self.find_mut(id)?;
        let lately = upload.asked.is_some_and(|(asked, when)| {
            asked == at && (0..ASK_AGAIN_MS).contains(&now.saturating_sub(when))
        });
        if lately {
            return None;
        }
        upload.asked = Some((at, now));
        Some((at, len))
    }

    /// Gives up what has seen no new block for too long.
    pub fn expire(&mut self, now: i64) {
        let idle = self.limits.idle_ms;
        while let Some(at) = self
            .uploads
            .iter()
            .position(|u| now.saturating_sub(u.touched) > idle)
        {
            self.abandon(at);
        }
        self.last_blocks
            .retain(|last| now.saturating_sub(last.came) <= idle);
    }

    /// About how many bytes of memory the uploads take: their data and what is kept about each
    /// block.
    #[must_use]
    pub fn footprint(&self) -> usize {
        /// A block's place, its data's handle and its node.
        const PER_BLOCK: usize = 104;
        let blocks = self.uploads.iter().map(|upload| upload.blocks.len());
        blocks
            .fold(0, usize::saturating_add)
            .saturating_mul(PER_BLOCK)
            .saturating_add(self.held)
    }

    /// Gives up the largest upload, because memory is short. Returns how many bytes that freed,
    /// about.
    pub fn shed(&mut self) -> usize {
        let before = self.footprint();
        let largest = self
            .uploads
            .iter()
            .enumerate()
            .max_by_key(|(_, upload)| upload.held)
            .map(|(at, _)| at);
        if let Some(at) = largest {
            self.abandon(at);
        }
        before.saturating_sub(self.footprint())
    }

    /// Gives up everything, as at the end of a connection.
    pub fn clear(&mut self) {
        self.last_blocks.clear();
        while !self.uploads.is_empty() {
            self.abandon(0);
        }
    }

    /// Takes the list of what was given up since the last call.
    pub fn take_abandoned(&mut self) -> Vec<Abandoned> {
        core::mem::take(&mut self.abandoned)
    }

    fn find(&self, id: UploadId) -> Option<&Upload> {
        self.uploads.iter().find(|upload| upload.id == id)
    }

    fn find_mut(&mut self, id: UploadId) -> Option<&mut Upload> {
        self.uploads.iter_mut().find(|upload| upload.id == id)
    }

    fn oldest_but(&self, id: UploadId) -> Option<usize> {
        self.uploads
            .iter()
            .enumerate()
            .filter(|(_, upload)| upload.id != id)
            .min_by_key(|(_, upload)| upload.touched)
            .map(|(at, _)| at)
    }

    /// The upload of that id, made if it is not there; the oldest one makes room for it.
    fn upload(&mut self, id: UploadId, by_part: bool, now: i64) -> &mut Upload {
        let at = match self.uploads.iter().position(|upload| upload.id == id) {
            Some(at) => at,
            None => {
                while self.uploads.len() >= self.limits.files.max(1) {
                    let Some(oldest) = self.oldest_but(id) else {
                        break;
                    };
                    self.abandon(oldest);
                }
                self.uploads.push(Upload {
                    id,
                    total: None,
                    by_part,
                    blocks: BTreeMap::new(),
                    held: 0,
                    touched: now,
                    in_vain: 0,
                    asked: None,
                });
                self.uploads.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "the place was found just above")]
        let upload = &mut self.uploads[at];
        upload.touched = now;
        upload
    }

    fn remove(&mut self, at: usize) -> Upload {
        let upload = self.uploads.remove(at);
        self.held = self.held.saturating_sub(upload.held);
        upload
    }

    fn abandon(&mut self, at: usize) {
        let Upload {
            id, held, total, ..
        } = self.remove(at);
        self.note_abandoned(Abandoned { id, held, total });
    }

    fn note_abandoned(&mut self, given_up: Abandoned) {
        /// As many are named as can be of use, and all that can be held at once; a flood of them
        /// is not worth memory.
        const NAMED: usize = 16;
        if self.abandoned.len() < NAMED.max(self.limits.files) {
            self.abandoned.push(given_up);
        }
    }
}

impl Upload {
    /// How many bytes there are from the start without a gap.
    fn front(&self) -> u64 {
        let mut front = 0_u64;
        for (at, data) in &self.blocks {
            if *at > front {
                break;
            }
            let end = at.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            front = front.max(end);
        }
        front
    }

    fn whole(&self) -> Option<Bytes> {
        if self.by_part {
            self.whole_of_parts()
        } else {
            self.whole_of_offsets()
        }
    }

    fn whole_of_offsets(&self) -> Option<Bytes> {
        let total = self.total?;
        let held = u64::try_from(self.held).unwrap_or(u64::MAX);
        if held < total || self.front() < total {
            return None;
        }
        let mut whole = BytesMut::with_capacity(usize::try_from(total).ok()?);
        for (at, data) in &self.blocks {
            // Blocks may overlap: what is there already stays.
            let known = u64::try_from(whole.len()).ok()?.checked_sub(*at)?;
            let new = data.get(usize::try_from(known).ok()?..).unwrap_or_default();
            whole.extend_from_slice(new);
        }
        Some(whole.freeze())
    }

    fn whole_of_parts(&self) -> Option<Bytes> {
        let total = self.total?;
        let first = self
            .blocks
            .keys()
            .next()
            .copied()
            .filter(|first| *first <= 1)?;
        let count = u64::try_from(self.blocks.len()).ok()?;
        let without_gap = self.blocks.keys().next_back().copied() == Some(first + count - 1);
        // No manual states whether the total is one of bytes or of parts: it is of parts where one
        // part has more bytes than that.
        let longest = self.blocks.values().map(Bytes::len).max().unwrap_or(0);
        let is_there = if u64::try_from(longest).is_ok_and(|longest| total < longest) {
            count == total
        } else {
            u64::try_from(self.held).is_ok_and(|held| held >= total)
        };
        if !without_gap || !is_there {
            return None;
        }
        let mut whole = BytesMut::with_capacity(self.held);
        for data in self.blocks.values() {
            whole.extend_from_slice(data);
        }
        Some(whole.freeze())
    }
}

#[cfg(test)]
mod tests;
