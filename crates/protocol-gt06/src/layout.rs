//! Plain layouts: messages whose fields follow one another in one fixed order.
//!
//! The list of fields in [`layout!`] is the struct, its decoding, its encoding, its explanation and
//! what its fields say in a report. What a field means, its unit included, is its type's
//! ([`Part`]). Layouts with conditions are written by hand.

use bytes::{BufMut, BytesMut};

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

    /// Notes in a report what it says.
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

macro_rules! numbers {
    ($($number:ident $put:ident,)*) => {
        /// Numbers whose meaning is unknown, or the message's: they are only read, by their name.
        $(impl Part for $number {
            type With = &'static str;

            fn read<T: Trace>(r: &mut Reader<'_, T>, name: &'static str) -> Result<Self, DecodeError> {
                r.$number(name)
            }

            fn write(&self, out: &mut BytesMut) {
                out.$put(*self);
            }
        })*
    };
}

numbers! {
    u8 put_u8,
    u16 put_u16,
    u32 put_u32,
    u64 put_u64,
}

impl<const N: usize> Part for [u8; N] {
    type With = &'static str;

    fn read<T: Trace>(r: &mut Reader<'_, T>, name: &'static str) -> Result<Self, DecodeError> {
        r.array(name)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(self);
    }
}

/// Declares a struct by its fields in the order of the bytes. `as` gives what reading a field needs
/// ([`Part::With`]).
macro_rules! layout {
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

            /// Notes in a report what the fields say.
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
    (@with $with:expr) => { $with };
}
pub(crate) use layout;

/// What a plain layout under one number is as a [`Body`](crate::message::Body): reading, writing and
/// its number.
macro_rules! plain {
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
