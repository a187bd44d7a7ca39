//! Text from devices: bytes, mostly ASCII.

use core::fmt;

use bytes::Bytes;

/// A text as a device sent it, without the blanks around it. A long one shares the packet's memory.
#[derive(Clone)]
pub struct Text(Held);

/// Short texts are copied, which costs less than counting references to the packet.
#[derive(Clone)]
enum Held {
    Short(u8, [u8; SHORT]),
    Long(Bytes),
}

/// What fits into the place of a `Bytes`.
const SHORT: usize = 22;

impl Text {
    /// No text.
    pub const EMPTY: Self = Self(Held::Short(0, [0; SHORT]));

    /// A text that the program gives.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Held::Long(Bytes::from_static(text.as_bytes())))
    }

    /// The part `item` of `raw`, without copying.
    #[inline]
    pub(crate) fn part(raw: &Bytes, item: &[u8]) -> Self {
        Self::short(item).unwrap_or_else(|| Self(Held::Long(raw.slice_ref(item))))
    }

    #[inline]
    fn short(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self(Held::Short(u8::try_from(text.len()).ok()?, bytes)))
    }

    /// The bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Held::Long(bytes) => bytes,
        }
    }

    /// Whether the device said nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// As a string; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn to_boxed_str(&self) -> Box<str> {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(self.as_bytes()).into(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::short(text.as_bytes())
            .unwrap_or_else(|| Self(Held::Long(Bytes::copy_from_slice(text.as_bytes()))))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

/// Up to four characters held inline: a packet type.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Code([u8; 4]);

impl Code {
    /// One to four characters.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut code = [0; 4];
        code.get_mut(..text.len())?.copy_from_slice(text);
        (!text.is_empty()).then_some(Self(code))
    }

    /// The characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(4);
        self.0.get(..len).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.0, [0, ..])
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

/// A row of digital inputs or outputs as printed, at most 16 characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Bits {
    len: u8,
    /// The first character is the lowest bit.
    bits: u16,
}

impl Bits {
    /// Reads a string of `0` and `1`; blanks inside are passed over, since one maker pads so.
    #[must_use]
    pub fn read(item: &[u8]) -> Option<Self> {
        let mut bits = Self::default();
        for byte in item {
            let on = match byte {
                b'0' => 0,
                b'1' => 1,
                b' ' => continue,
                _ => return None,
            };
            if bits.len >= 16 {
                return None;
            }
            bits.bits |= on << bits.len;
            bits.len += 1;
        }
        (bits.len > 0).then_some(bits)
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The bits, the first printed character lowest.
    #[must_use]
    pub const fn printed(self) -> u16 {
        self.bits
    }

    /// The bits, the last printed character lowest.
    #[must_use]
    pub const fn reversed(self) -> u16 {
        match self.len {
            0 => 0,
            len => self.bits.reverse_bits() >> (16 - len as u32),
        }
    }

    /// The first `len` characters, and the others.
    #[must_use]
    pub const fn split(self, len: u8) -> (Self, Self) {
        if len >= self.len {
            return (self, Self { len: 0, bits: 0 });
        }
        let first = Self {
            len,
            bits: self.bits & ((1 << len) - 1),
        };
        let rest = Self {
            len: self.len - len,
            bits: self.bits >> len,
        };
        (first, rest)
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in 0..self.len {
            f.write_str(if self.bits >> at & 1 == 1 { "1" } else { "0" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
