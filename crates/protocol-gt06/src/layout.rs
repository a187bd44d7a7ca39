//! Plain layouts: messages whose fields follow one another in one fixed order.
//!
//! The list of fields in [`layout!`] is the struct, its decoding, its encoding, its explanation and
//! what its fields add to a report. What a field means, its unit included, is its type's
//! ([`Part`]). Layouts with conditions are written by hand.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// A field of a plain layout.
pub(crate) trait Part: Sized {
    /// What reading it needs: the name of a plain number, the form of a cell; else nothing.
    type With;

    /// Reads it.
    fn read<T: Trace>(r: &mut Reader<'_, T>, with: Self::With) -> Result<Self, DecodeError>;

    /// Writes it.
    fn write(&self, out: &mut BytesMut);

    /// Adds its value to a report.
    #[cfg(feature = "telemetry")]
    #[inline]
    fn note(&self, _: &crate::normalize::Context<'_>, _: &mut milepost_telemetry::Report) {}
}

/// A field that is there if any bytes are left.
impl<P: Part> Part for Option<P> {
    type With = P::With;

    fn read<T: Trace>(r: &mut Reader<'_, T>, with: P::With) -> Result<Self, DecodeError> {
        match r.remaining() {
            0 => Ok(None),
            _ => P::read(r, with).map(Some),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        if let Some(part) = self {
            part.write(out);
        }
    }

    #[cfg(feature = "telemetry")]
    fn note(&self, cx: &crate::normalize::Context<'_>, report: &mut milepost_telemetry::Report) {
        if let Some(part) = self {
            part.note(cx, report);
        }
    }
}

/// The name of a number, and what its bytes mean for people if that is more than a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    name: &'static str,
    meaning: Option<fn(&[u8]) -> String>,
}

impl From<&'static str> for Named {
    fn from(name: &'static str) -> Self {
        Self {
            name,
            meaning: None,
        }
    }
}

/// A name and a meaning.
pub(crate) const fn meant(name: &'static str, meaning: fn(&[u8]) -> String) -> Named {
    Named {
        name,
        meaning: Some(meaning),
    }
}

impl Named {
    fn note<T: Trace>(self, r: &mut Reader<'_, T>, raw: &[u8]) {
        if let Some(meaning) = self.meaning {
            r.note(|| meaning(raw));
        }
    }
}

macro_rules! numbers {
    ($($number:ident $put:ident,)*) => {
        /// Numbers whose meaning is unknown, or the message's: they are only read, by their name.
        $(impl Part for $number {
            type With = Named;

            fn read<T: Trace>(r: &mut Reader<'_, T>, named: Named) -> Result<Self, DecodeError> {
                let number = r.array(named.name).map(Self::from_be_bytes)?;
                named.note(r, &number.to_be_bytes());
                Ok(number)
            }

            fn write(&self, out: &mut BytesMut) {
                out.$put(*self);
            }
        })*
    };
}

numbers! {
    u8 put_u8,
    i8 put_i8,
    u16 put_u16,
    u32 put_u32,
    u64 put_u64,
}

impl<const N: usize> Part for [u8; N] {
    type With = Named;

    fn read<T: Trace>(r: &mut Reader<'_, T>, named: Named) -> Result<Self, DecodeError> {
        let bytes = r.array(named.name)?;
        named.note(r, &bytes);
        Ok(bytes)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(self);
    }
}

impl<const N: usize> Part for [u16; N] {
    type With = Named;

    fn read<T: Trace>(r: &mut Reader<'_, T>, named: Named) -> Result<Self, DecodeError> {
        let mut words = [0; N];
        for word in &mut words {
            *word = u16::read(r, named)?;
        }
        Ok(words)
    }

    fn write(&self, out: &mut BytesMut) {
        for word in self {
            out.put_u16(*word);
        }
    }
}

/// A list after its count in one byte; no more than 255 can be written.
impl<P: Part<With: Copy>> Part for Vec<P> {
    /// The name of the count, and what reading each needs.
    type With = (&'static str, P::With);

    fn read<T: Trace>(
        r: &mut Reader<'_, T>,
        (count, with): Self::With,
    ) -> Result<Self, DecodeError> {
        (0..r.u8(count)?).map(|_| P::read(r, with)).collect()
    }

    fn write(&self, out: &mut BytesMut) {
        crate::field::encode_counted(self, out, P::write);
    }
}

/// All that is left: bytes that no manual describes, perhaps none.
impl Part for Bytes {
    type With = &'static str;

    fn read<T: Trace>(r: &mut Reader<'_, T>, name: &'static str) -> Result<Self, DecodeError> {
        Ok(r.take_rest(name))
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(self);
    }

    #[cfg(feature = "telemetry")]
    fn note(&self, cx: &crate::normalize::Context<'_>, report: &mut milepost_telemetry::Report) {
        cx.note_tail(report, self);
    }
}

/// Declares a struct by its fields in the order of the bytes. `as` gives what reading a field needs
/// ([`Part::With`]). Fields that come from the frame's head are given before, after `of`.
macro_rules! layout {
    (
        $(#[$meta:meta])*
        pub struct $name:ident of |$cx:ident| {
            $($(#[$head_meta:meta])* $head:ident: $head_type:ty = $head_value:expr,)*
        } {
            $($(#[$field_meta:meta])* $field:ident: $part:ty $(as $with:expr)?,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$head_meta])* pub $head: $head_type,)*
            $($(#[$field_meta])* pub $field: $part,)*
        }

        impl $name {
            fn read_headed<T: $crate::parse::Trace>(
                r: &mut $crate::parse::Reader<'_, T>,
                $cx: &Context<'_>,
            ) -> Result<Self, $crate::DecodeError> {
                Ok(Self {
                    $($head: $head_value,)*
                    $($field: <$part as $crate::layout::Part>::read(r, layout!(@with $($with)?))?,)*
                })
            }

            fn write_fields(&self, out: &mut bytes::BytesMut) {
                $($crate::layout::Part::write(&self.$field, out);)*
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $part:ty $(as $with:expr)?,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $part,)*
        }

        impl $name {
            #[inline]
            pub(crate) fn read_fields<T: $crate::parse::Trace>(
                r: &mut $crate::parse::Reader<'_, T>,
            ) -> Result<Self, $crate::DecodeError> {
                Ok(Self {
                    $($field: <$part as $crate::layout::Part>::read(r, layout!(@with $($with)?))?,)*
                })
            }

            #[inline]
            pub(crate) fn write_fields(&self, out: &mut bytes::BytesMut) {
                $($crate::layout::Part::write(&self.$field, out);)*
            }

            /// Whether a body is these fields and nothing else.
            #[allow(dead_code, reason = "part of a message that knows its lengths")]
            pub(crate) fn is_whole(body: &[u8]) -> bool {
                $crate::parse::is_whole(body, Self::read_fields)
            }

            /// Adds the values of the fields to a report.
            #[cfg(feature = "telemetry")]
            #[inline]
            pub(crate) fn note_fields(
                &self,
                cx: &$crate::normalize::Context<'_>,
                report: &mut milepost_telemetry::Report,
            ) {
                $($crate::layout::Part::note(&self.$field, cx, report);)*
            }
        }

        impl $crate::layout::Part for $name {
            type With = ();

            #[inline]
            fn read<T: $crate::parse::Trace>(
                r: &mut $crate::parse::Reader<'_, T>,
                (): (),
            ) -> Result<Self, $crate::DecodeError> {
                Self::read_fields(r)
            }

            #[inline]
            fn write(&self, out: &mut bytes::BytesMut) {
                self.write_fields(out);
            }

            #[cfg(feature = "telemetry")]
            #[inline]
            fn note(
                &self,
                cx: &$crate::normalize::Context<'_>,
                report: &mut milepost_telemetry::Report,
            ) {
                self.note_fields(cx, report);
            }
        }
    };
    (@with) => { () };
    (@with $with:expr) => { $with.into() };
}
pub(crate) use layout;

/// What a plain layout is as a [`Body`](crate::message::Body): reading, writing and, under one number,
/// that.
macro_rules! plain {
    (of head) => {
        fn decode<T: $crate::parse::Trace>(
            r: &mut $crate::parse::Reader<'_, T>,
            cx: &Context<'_>,
        ) -> Result<Self, $crate::DecodeError> {
            Self::read_headed(r, cx)
        }

        fn encode(&self, out: &mut bytes::BytesMut) {
            self.write_fields(out);
        }
    };
    ($number:literal) => {
        fn decode<T: $crate::parse::Trace>(
            r: &mut $crate::parse::Reader<'_, T>,
            _: &Context<'_>,
        ) -> Result<Self, $crate::DecodeError> {
            Self::read_fields(r)
        }

        fn encode(&self, out: &mut bytes::BytesMut) {
            self.write_fields(out);
        }

        fn number(&self) -> u8 {
            $number
        }
    };
}
pub(crate) use plain;
