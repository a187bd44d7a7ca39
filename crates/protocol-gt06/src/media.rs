//! Files that arrive in blocks: put together, with bounds.
//!
//! Photos and recordings come in many frames (0x36, 0x41, 0x8D). Each block is data of its own:
//! it is reported, stored and acknowledged as it comes, so that a crash loses nothing that was
//! acknowledged, and an upload that never ends is still there, block by block. An [`Assembler`]
//! puts the blocks of one connection together beside that, and gives the whole file once it is
//! complete.
//!
//! It holds no more than its [`Limits`] say
//! ([`Session::with_media_limits`](crate::Session::with_media_limits)): so many files, so many bytes in all, so many blocks a
//! file, and none for longer than a time without a new block. What is given up is counted and
//! named, never silently forgotten. It does no I/O and has no clock.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::Message;
use crate::checksum::checksum;
use crate::message::{FileBlock, PhotoPart};

/// Which upload of a connection a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId {
    /// The message family, by the number of its blocks: two families may number alike.
    pub number: u8,
    /// What tells the file from others of the family: the device's own number for it, and its kind
    /// where that stands beside the number.
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

    /// What the reports of its blocks call it, in `media.id`.
    pub(crate) fn media_id(self) -> String {
        match self.number {
            0x41 => alloc::format!("{}", PhotoPart::number_of(self)),
            0x8d => FileBlock::id_of(self),
            _ => alloc::format!("{}", self.file),
        }
    }

    /// And in `media.type`.
    pub(crate) const fn media_type(self) -> &'static str {
        match self.number {
            0x41 if !PhotoPart::is_image(self) => "file",
            0x8d => "audio",
            _ => "image",
        }
    }

    /// The file, without any of its bytes.
    #[cfg(feature = "telemetry")]
    pub(crate) fn media(self) -> milepost_telemetry::Media {
        milepost_telemetry::Media::new(self.media_id(), self.media_type())
    }
}

/// Type and name, as in the reports of its blocks.
impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.media_type(), self.media_id())
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
    /// It does not fit in the limits, or lies behind the file's end: it is not kept here.
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
            self.tell(Abandoned { id, held: 0, total });
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

    /// A block has come; `total` is the file's size where the block says so, in bytes, or for
    /// parts in bytes or parts (makers do not say which: in parts where it is less than the bytes of one).
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
            // Told once: with the block that the file begins with.
            if total.is_some_and(|total| total > limit) && at == 0 {
                self.tell(Abandoned { id, held: 0, total });
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
        self.tell(Abandoned { id, held, total });
    }

    fn tell(&mut self, given_up: Abandoned) {
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
        // No manual says whether the total is one of bytes or of parts: it is of parts where one
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

/// A block of a file, as its message has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) id: UploadId,
    pub(crate) place: Place,
    pub(crate) total: Option<u64>,
    /// The block alone is the whole file, and its report says so.
    pub(crate) is_whole: bool,
    pub(crate) data: &'a [u8],
}

impl Message {
    /// The block of a file that the message carries.
    pub(crate) fn block(&self) -> Option<Block<'_>> {
        match self {
            Self::PhotoBlock(block) => Some(Block {
                id: UploadId::photo(block.photo),
                place: Place::Offset(block.offset.into()),
                total: None,
                is_whole: false,
                data: &block.data,
            }),
            Self::PhotoPart(part) => Some(Block {
                id: part.upload(),
                place: Place::Part(part.part),
                total: Some(part.total.into()),
                is_whole: part.is_whole(),
                data: &part.data,
            }),
            Self::FileBlock(block) => Some(Block {
                id: block.upload(),
                place: Place::Offset(block.offset.into()),
                total: Some(block.size.into()),
                is_whole: block.is_whole(),
                data: &block.data,
            }),
            _ => None,
        }
    }

    /// The report of a file that the block of this message completed.
    #[cfg(feature = "telemetry")]
    pub(crate) fn normalize_whole(
        &self,
        cx: &crate::normalize::Context<'_>,
        whole: &Bytes,
        out: &mut crate::normalize::Reports,
    ) {
        match self {
            Self::PhotoBlock(block) => block.normalize_whole(cx, whole, out),
            Self::PhotoPart(part) => part.normalize_whole(cx, whole, out),
            Self::FileBlock(block) => block.normalize_whole(cx, whole, out),
            _ => {}
        }
    }
}

#[cfg(feature = "telemetry")]
impl Abandoned {
    /// The file, without any of its bytes: those are in the reports of its blocks.
    pub(crate) fn media(&self) -> milepost_telemetry::Media {
        let mut media = self.id.media();
        media.size = self.total;
        media
    }
}

/// A file with all its bytes.
#[cfg(feature = "telemetry")]
pub(crate) fn completed(
    mut media: milepost_telemetry::Media,
    whole: &Bytes,
) -> milepost_telemetry::Media {
    media.size = u64::try_from(whole.len()).ok();
    media.complete = true;
    media.data = whole.clone();
    media
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHOTO: UploadId = UploadId {
        number: 0x36,
        file: 7,
    };

    fn other(file: u64) -> UploadId {
        UploadId { file, ..PHOTO }
    }

    fn small(files: usize, bytes: usize, blocks: usize) -> Assembler {
        Assembler::new(Limits {
            files,
            bytes,
            blocks,
            idle_ms: 1_000,
        })
    }

    #[test]
    fn blocks_in_any_order_and_overlapping_give_the_file() {
        let mut a = Assembler::default();
        assert!(a.open(PHOTO, 10, 0));
        assert_eq!(a.missing(PHOTO, 1_024), Some((0, 10)));
        assert_eq!(
            a.push(PHOTO, Place::Offset(6), None, b"6789", 0),
            Taken::Kept
        );
        assert_eq!(a.missing(PHOTO, 1_024), Some((0, 6)));
        assert_eq!(
            a.push(PHOTO, Place::Offset(0), None, b"0123", 0),
            Taken::Kept
        );
        assert_eq!(a.missing(PHOTO, 1), Some((4, 1)));
        assert_eq!(
            a.push(PHOTO, Place::Offset(0), None, b"0123", 0),
            Taken::Repeated
        );
        let whole = Taken::Complete(Bytes::from_static(b"0123456789"));
        assert_eq!(a.push(PHOTO, Place::Offset(2), None, b"23456", 0), whole);
        assert_eq!(
            (a.held(), a.uploads()),
            (0, 0),
            "a complete file is no longer held"
        );
        assert_eq!(a.missing(PHOTO, 1_024), None);
    }

    #[test]
    fn parts_complete_by_bytes_or_by_count_from_0_or_1() {
        for (first, total) in [(0, 10), (1, 10), (0, 3), (1, 3)] {
            let parts: [&[u8]; 3] = [b"abcd", b"efgh", b"ij"];
            // In order, and the one in the middle last.
            for order in [[0, 1, 2], [0, 2, 1]] {
                let mut a = Assembler::default();
                let mut push = |n: usize| {
                    let place = Place::Part(first + u16::try_from(n).unwrap());
                    a.push(PHOTO, place, Some(total), parts[n], 0)
                };
                let [one, two, three] = order.map(&mut push);
                assert_eq!((one, two), (Taken::Kept, Taken::Kept), "{first} {total}");
                let whole = Taken::Complete(Bytes::from_static(b"abcdefghij"));
                assert_eq!(three, whole, "{first} {total}");
            }
        }
    }

    #[test]
    fn a_part_that_is_missing_in_front_is_waited_for() {
        let mut a = Assembler::default();
        assert_eq!(a.push(PHOTO, Place::Part(2), Some(2), b"b", 0), Taken::Kept);
        assert_eq!(a.push(PHOTO, Place::Part(3), Some(2), b"c", 0), Taken::Kept);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_upload_makes_room() {
        let mut a = small(4, 100, 8);
        a.push(other(1), Place::Offset(0), None, &[1; 60], 0);
        assert_eq!(
            a.push(other(2), Place::Offset(0), None, &[2; 60], 1),
            Taken::Kept
        );
        assert_eq!((a.held(), a.uploads()), (60, 1));
        let gone = Abandoned {
            id: other(1),
            held: 60,
            total: None,
        };
        assert_eq!(a.take_abandoned(), [gone]);
        assert_eq!(a.take_abandoned(), []);
        // Its own blocks never make room for each other.
        assert_eq!(
            a.push(other(2), Place::Offset(60), None, &[2; 60], 1),
            Taken::Refused
        );
        assert_eq!(a.held(), 60);
        assert!(!a.open(other(3), 101, 1), "larger than the limit");
        assert_eq!(
            a.push(other(3), Place::Offset(0), Some(101), b"x", 1),
            Taken::Refused
        );
        assert_eq!(
            a.push(other(3), Place::Offset(u64::MAX), None, b"x", 1),
            Taken::Refused
        );
    }

    #[test]
    fn files_and_blocks_are_counted() {
        let mut a = small(2, 100, 3);
        for n in 0..5 {
            a.push(other(n), Place::Offset(0), None, b"x", 0);
        }
        assert_eq!(a.uploads(), 2);
        assert_eq!(a.take_abandoned().len(), 3);
        for n in 0..3 {
            a.push(PHOTO, Place::Offset(2 * n), None, b"x", 0);
        }
        assert_eq!(
            a.push(PHOTO, Place::Offset(50), None, b"x", 0),
            Taken::Refused
        );
    }

    #[test]
    fn what_stands_still_is_given_up_by_the_callers_clock() {
        let mut a = small(4, 100, 8);
        assert!(a.open(PHOTO, 10, 0));
        a.push(PHOTO, Place::Offset(0), None, b"01", 900);
        a.expire(1_900);
        assert_eq!(a.uploads(), 1, "a new block starts the time again");
        a.expire(1_901);
        assert_eq!((a.uploads(), a.held()), (0, 0));
        assert_eq!(
            a.take_abandoned(),
            [Abandoned {
                id: PHOTO,
                held: 2,
                total: Some(10)
            }]
        );
        assert!(a.open(PHOTO, 10, 1_902));
        a.clear();
        assert_eq!(a.take_abandoned().len(), 1);
    }

    #[test]
    fn what_lies_behind_the_end_is_refused_and_nothing_is_kept_of_it() {
        let mut a = Assembler::default();
        assert!(a.open(PHOTO, 4, 0));
        assert_eq!(
            a.push(PHOTO, Place::Offset(2), None, b"234", 0),
            Taken::Refused
        );
        assert_eq!(a.held(), 0);
        assert_eq!(
            a.push(PHOTO, Place::Part(0), None, b"23", 0),
            Taken::Refused,
            "parts of a file by offsets"
        );
    }

    #[test]
    fn the_last_block_sent_again_begins_no_new_file() {
        let whole = Taken::Complete(Bytes::from_static(b"abcd"));
        let places = [Place::Offset(0), Place::Offset(2)];
        for [first, last] in [places, [Place::Part(1), Place::Part(2)]] {
            let mut a = small(4, 100, 8);
            let mut push = |place, data: &[u8], now| a.push(PHOTO, place, Some(4), data, now);
            assert_eq!(push(first, b"ab", 0), Taken::Kept);
            assert_eq!(push(last, b"cd", 0), whole);
            assert_eq!(push(last, b"cd", 1_000), Taken::Repeated);
            // Another file by the same number, which devices that count from 1 again send.
            assert_eq!(push(first, b"ef", 1_000), Taken::Kept);
            let other = Taken::Complete(Bytes::from_static(b"efcd"));
            assert_eq!(push(last, b"cd", 1_000), other);
            assert_eq!((a.held(), a.uploads()), (0, 0));
            assert!(!a.is_empty());
            a.expire(2_001);
            assert!(a.is_empty(), "no longer than an upload may stand still");
        }
    }

    #[test]
    fn of_as_many_files_as_may_be_held_the_last_blocks_are_remembered() {
        let mut a = small(2, 100, 8);
        for n in 0..50 {
            let taken = a.push(other(n), Place::Offset(0), Some(1), b"x", 0);
            assert!(matches!(taken, Taken::Complete(_)), "{n}");
        }
        assert_eq!(a.last_blocks.len(), 2);
        assert!(a.open(other(49), 1, 0));
        let taken = a.push(other(49), Place::Offset(0), None, b"x", 0);
        assert!(matches!(taken, Taken::Complete(_)), "announced again");
    }

    #[test]
    fn a_file_announced_again_starts_again() {
        let mut a = Assembler::default();
        assert!(a.open(PHOTO, 4, 0));
        a.push(PHOTO, Place::Offset(0), None, b"ab", 0);
        assert!(a.open(PHOTO, 4, 1));
        assert_eq!(a.held(), 0);
        assert_eq!(a.missing(PHOTO, 9), Some((0, 4)));
    }

    #[test]
    fn an_empty_file_is_complete_at_once() {
        let mut a = Assembler::default();
        assert_eq!(
            a.push(PHOTO, Place::Offset(0), Some(0), b"", 0),
            Taken::Complete(Bytes::new())
        );
        assert_eq!(
            a.push(PHOTO, Place::Offset(0), None, b"", 0),
            Taken::Repeated
        );
        assert!(a.open(PHOTO, 0, 0));
        assert_eq!(a.uploads(), 0);
    }

    #[test]
    fn a_file_that_is_too_large_is_told_with_its_first_block_and_one_begun_anew_too() {
        let mut a = small(4, 100, 8);
        for at in [0, 40, 80] {
            let taken = a.push(other(1), Place::Offset(at), Some(120), &[1; 40], 0);
            assert_eq!(taken, Taken::Refused);
        }
        let given_up = |id, held, total| Abandoned { id, held, total };
        assert_eq!(a.take_abandoned(), [given_up(other(1), 0, Some(120))]);

        assert!(a.open(other(2), 80, 0));
        assert!(a.open(other(2), 80, 0));
        assert_eq!(a.take_abandoned(), []);
        a.push(other(2), Place::Offset(0), None, &[2; 40], 0);
        assert!(a.open(other(2), 80, 0));
        assert_eq!(a.take_abandoned(), [given_up(other(2), 40, Some(80))]);
    }

    #[test]
    fn all_that_is_held_is_named_at_the_end_however_much_that_may_be() {
        let mut a = small(40, 100, 8);
        for n in 0..40 {
            a.push(other(n), Place::Offset(0), None, b"x", 0);
        }
        a.clear();
        assert_eq!(a.take_abandoned().len(), 40);
    }

    #[test]
    fn when_memory_is_short_the_largest_upload_is_given_up_and_named() {
        let mut a = Assembler::new(Limits::default());
        assert_eq!((a.footprint(), a.shed()), (0, 0));
        let data = [7; 300];
        for (id, blocks) in [(1, 1), (2, 3), (3, 2)] {
            for n in 0..blocks {
                let id = UploadId {
                    number: 0x8d,
                    file: id,
                };
                a.push(id, Place::Offset(n * 300), Some(10_000), &data, 0);
            }
        }
        assert_eq!(a.footprint(), 6 * 404);
        assert_eq!(a.shed(), 3 * 404);
        assert_eq!((a.held(), a.uploads()), (900, 2));
        assert_eq!(a.take_abandoned().len(), 1);
    }

    #[test]
    fn an_upload_is_called_what_its_reports_call_it() {
        let recording = |file| UploadId { number: 0x8d, file };
        for (id, name) in [
            (PHOTO, "image 7"),
            (
                UploadId {
                    number: 0x41,
                    file: 5,
                },
                "image 5",
            ),
            (recording(0), "audio monitoring"),
            (recording(0x0101_0000_0000_0009), "audio sos-0009"),
        ] {
            assert_eq!(alloc::format!("{id}"), name);
        }
    }
}
