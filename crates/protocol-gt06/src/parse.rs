//! Reading fields: each read has a name, each error a name and the byte of the frame.

use alloc::string::String;
use core::ops::Range;

use bytes::Bytes;
use nom::error::{ErrorKind, ParseError};

use crate::error::{DecodeError, DecodeErrorKind};

/// Follows what a decoder reads. `()` follows nothing and costs nothing.
pub trait Trace {
    /// Whether anybody listens; meanings are only worked out if so.
    const ON: bool;

    /// A field was read from this range of the frame.
    fn field(&mut self, range: Range<usize>, name: &'static str, raw: &[u8]);

    /// What the field that was read last means.
    fn meaning(&mut self, text: String);
}

impl Trace for () {
    const ON: bool = false;
    #[inline]
    fn field(&mut self, _: Range<usize>, _: &'static str, _: &[u8]) {}
    #[inline]
    fn meaning(&mut self, _: String) {}
}

/// nom's view of a failure: all that matters is where.
struct Short;

impl<I> ParseError<I> for Short {
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Self
    }
    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Reads a message's body, field by field.
#[derive(Debug)]
pub struct Reader<'a, T: Trace = ()> {
    rest: &'a [u8],
    /// The byte of the frame at which `rest` begins.
    at: usize,
    number: u8,
    message: &'static str,
    /// The frame that `rest` is part of, so that opaque parts can share it.
    owner: Option<&'a Bytes>,
    trace: &'a mut T,
}

impl<'a, T: Trace> Reader<'a, T> {
    /// A reader of `body`, which begins at byte `at` of the frame.
    #[inline]
    pub(crate) const fn new(
        body: &'a [u8],
        at: usize,
        number: u8,
        owner: Option<&'a Bytes>,
        trace: &'a mut T,
    ) -> Self {
        Self {
            rest: body,
            at,
            number,
            message: "",
            owner,
            trace,
        }
    }

    #[inline]
    pub(crate) const fn name(&mut self, message: &'static str) {
        self.message = message;
    }

    /// How many bytes are left.
    #[inline]
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that are left, without reading them.
    #[inline]
    #[must_use]
    pub const fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// The byte of the frame at which the next read begins.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }

    #[inline]
    fn take(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let parsed: Result<_, nom::Err<Short>> = nom::bytes::complete::take(len)(self.rest);
        let Ok((rest, taken)) = parsed else {
            return Err(self.truncated(field, len));
        };
        if T::ON {
            self.trace.field(self.at..self.at + len, field, taken);
        }
        self.rest = rest;
        self.at += len;
        Ok(taken)
    }

    /// A fixed number of bytes.
    ///
    /// # Errors
    /// When fewer are left; so for all reads.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let taken = self.take(field, N)?;
        <[u8; N]>::try_from(taken).map_err(|_| self.truncated(field, N))
    }

    /// One byte.
    ///
    /// # Errors
    /// When none is left.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Two bytes, signed.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn i16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        self.array(field).map(i16::from_be_bytes)
    }

    /// Three bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn u24(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Opaque bytes that share the frame's storage.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn bytes(&mut self, field: &'static str, len: usize) -> Result<Bytes, DecodeError> {
        let taken = self.take(field, len)?;
        Ok(self.share(taken))
    }

    /// All bytes that are left, perhaps none.
    #[inline]
    pub fn take_rest(&mut self, field: &'static str) -> Bytes {
        if self.rest.is_empty() {
            return Bytes::new();
        }
        self.take_some_rest(field)
    }

    fn take_some_rest(&mut self, field: &'static str) -> Bytes {
        let taken = self.take(field, self.rest.len()).unwrap_or_default();
        self.share(taken)
    }

    /// As [`Self::bytes`], where each piece has a meaning of its own, which may depend on the byte
    /// of the frame at which it begins: a field after each byte `ends`.
    ///
    /// # Errors
    /// When fewer are left.
    pub fn pieces(
        &mut self,
        field: &'static str,
        len: usize,
        ends: u8,
        meaning: impl Fn(usize, &[u8]) -> String,
    ) -> Result<Bytes, DecodeError> {
        let Some((all, _)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, len));
        };
        if !T::ON {
            return self.bytes(field, len);
        }
        for piece in all.split_inclusive(|byte| *byte == ends) {
            let at = self.at;
            self.take(field, piece.len())?;
            self.trace.meaning(meaning(at, piece));
        }
        Ok(self.share(all))
    }

    fn share(&self, part: &[u8]) -> Bytes {
        match self.owner {
            Some(frame) if !part.is_empty() => frame.slice_ref(part),
            _ => Bytes::copy_from_slice(part),
        }
    }

    /// Reads fields up to the first that is cut short.
    pub(crate) const fn whole_fields(&mut self) -> WholeFields<'_, 'a, T> {
        WholeFields {
            reader: self,
            ended: false,
        }
    }

    /// Reads the next `len` bytes by `read`, which cannot run past them. What it leaves is an
    /// error.
    ///
    /// # Errors
    /// When fewer bytes are left, `read` fails, or it leaves some.
    pub fn sub<V>(
        &mut self,
        field: &'static str,
        len: usize,
        read: impl FnOnce(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        let Some((inside, after)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, len));
        };
        self.rest = inside;
        let value = read(self)?;
        self.finish(field)?;
        self.rest = after;
        Ok(value)
    }

    /// Refuses bytes that are left over.
    ///
    /// # Errors
    /// When there are any.
    pub fn finish(&self, field: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let len = u32::try_from(self.rest.len()).unwrap_or(u32::MAX);
        Err(self.error(field, self.at, DecodeErrorKind::Trailing { len }))
    }

    /// Gives the meaning of the field that was read last; only computed if it is traced.
    #[inline]
    pub fn note(&mut self, meaning: impl FnOnce() -> String) {
        if T::ON {
            self.trace.meaning(meaning());
        }
    }

    /// An error in the field of `size` bytes that was read last: its number cannot be.
    #[cold]
    #[must_use]
    pub fn out_of_range(&self, field: &'static str, size: usize, value: u64) -> DecodeError {
        let at = self.at.saturating_sub(size);
        self.error(field, at, DecodeErrorKind::OutOfRange { value })
    }

    /// An error in the field of `size` bytes that was read last: it means nothing.
    #[cold]
    #[must_use]
    pub fn malformed(&self, field: &'static str, size: usize) -> DecodeError {
        let at = self.at.saturating_sub(size);
        self.error(field, at, DecodeErrorKind::Malformed)
    }

    #[cold]
    fn truncated(&self, field: &'static str, len: usize) -> DecodeError {
        let needed = u32::try_from(len.saturating_sub(self.rest.len())).unwrap_or(u32::MAX);
        self.error(field, self.at, DecodeErrorKind::Truncated { needed })
    }

    fn error(&self, field: &'static str, at: usize, kind: DecodeErrorKind) -> DecodeError {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        DecodeError::new(self.number, self.message, field, at, kind)
    }
}

/// What `read` reads at the start of these bytes, if it can.
pub(crate) fn read_start<V>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<V, DecodeError>,
) -> Option<V> {
    read(&mut Reader::new(bytes, 0, 0, None, &mut ())).ok()
}

/// Whether `read` reads all of a body, and no more.
pub(crate) fn is_whole<V>(
    body: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<V, DecodeError>,
) -> bool {
    let mut untraced = ();
    let mut r = Reader::new(body, 0, 0, None, &mut untraced);
    read(&mut r).is_ok() && r.remaining() == 0
}

/// Reads fields as long as they are whole. From the first that is cut short on all are `None`, and
/// their bytes are left: no field is read from the beginning of another.
#[derive(Debug)]
pub(crate) struct WholeFields<'r, 'a, T: Trace> {
    reader: &'r mut Reader<'a, T>,
    ended: bool,
}

impl<'a, T: Trace> WholeFields<'_, 'a, T> {
    /// Reads no more if `sane` is false: what follows is not what it should be.
    pub(crate) const fn only_if(&mut self, sane: bool) {
        self.ended |= !sane;
    }

    /// The next field, of `len` bytes.
    pub(crate) fn read<V>(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Reader<'a, T>) -> Result<V, DecodeError>,
    ) -> Result<Option<V>, DecodeError> {
        self.ended |= self.reader.remaining() < len;
        if self.ended {
            return Ok(None);
        }
        read(self.reader).map(Some)
    }
}
