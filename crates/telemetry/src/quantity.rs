//! One unit per quantity, checked when it is made.

use core::cmp::Ordering;
use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::OutOfRange;

/// A number that is one, held so that an `Option` takes no more room: the bits that are never
/// all set in such a number, inverted. There is one zero.
#[derive(Clone, Copy, PartialEq)]
struct Held(NonZeroU32);

impl Held {
    #[inline(always)]
    fn new(value: f32) -> Self {
        let positive_zero = value + 0.0;
        Self(NonZeroU32::new(!positive_zero.to_bits()).unwrap_or(NonZeroU32::MIN))
    }

    /// A whole number: the lowest bit of its fraction is never set, so that it is after being inverted.
    #[inline(always)]
    fn whole(value: u16) -> Self {
        let inverted = !f32::from(value).to_bits() | 1;
        Self(NonZeroU32::new(inverted).unwrap_or(NonZeroU32::MIN))
    }

    #[inline(always)]
    const fn get(self) -> f32 {
        f32::from_bits(!self.0.get())
    }
}

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident($what:literal, $range:expr, $make:ident, $read:ident);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq)]
        pub struct $name(Held);

        impl $name {
            #[doc = concat!("Makes a checked value.\n\n# Errors\nWhen it is outside ", stringify!($range), " or not a number.")]
            #[inline]
            pub fn $make(value: f32) -> Result<Self, OutOfRange> {
                if ($range).contains(&value) {
                    Ok(Self(Held::new(value)))
                } else {
                    Err(OutOfRange::new($what, f64::from(value)))
                }
            }

            /// The number, in the unit that the name says.
            #[inline]
            pub const fn $read(self) -> f32 {
                self.0.get()
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                self.$read().partial_cmp(&other.$read())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.$read()).finish()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_f32(self.$read())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::$make(f32::deserialize(d)?).map_err(de::Error::custom)
            }
        }
    )*};
}

quantities! {
    /// A speed over ground, in kilometres per hour.
    Speed("speed", 0.0..=2_000.0, from_kmh, as_kmh);
    /// A direction of travel, degrees clockwise from true north; 360 is written as sent.
    Course("course", 0.0..=360.0, from_degrees, as_degrees);
    /// Metres above mean sea level.
    Altitude("altitude", -12_000.0..=100_000.0, from_metres, as_metres);
    /// An electric potential in volts.
    Voltage("voltage", -1_000.0..=1_000.0, from_volts, as_volts);
    /// A share in percent, 0 to 100.
    Percent("percentage", 0.0..=100.0, new, value);
    /// A dilution of precision (HDOP, PDOP), without unit.
    Dop("dilution of precision", 0.0..=1_000.0, new, value);
}

impl Speed {
    /// Makes a value of what devices say in one byte.
    #[inline]
    pub fn from_whole_kmh(kmh: u8) -> Self {
        Self(Held::whole(kmh.into()))
    }
}

impl Course {
    /// Makes a checked value of what devices say in whole degrees.
    ///
    /// # Errors
    /// When it is more than 360.
    #[inline]
    pub fn from_whole_degrees(degrees: u16) -> Result<Self, OutOfRange> {
        if degrees <= 360 {
            Ok(Self(Held::whole(degrees)))
        } else {
            Err(OutOfRange::new("course", f64::from(degrees)))
        }
    }
}

/// A distance travelled, in metres.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Odometer(
    // One more than the bits of a number that is not negative, which are in its order.
    NonZeroU64,
);

impl Odometer {
    /// Makes a checked value.
    ///
    /// # Errors
    /// When it is negative, more than 10¹² (a million times round the Earth is less), or no number.
    pub fn from_metres(metres: f64) -> Result<Self, OutOfRange> {
        let positive_zero = metres + 0.0;
        NonZeroU64::MIN
            .checked_add(positive_zero.to_bits())
            .filter(|_| (0.0..=1e12).contains(&metres))
            .map(Self)
            .ok_or_else(|| OutOfRange::new("odometer", metres))
    }

    /// The number, in metres.
    pub const fn as_metres(self) -> f64 {
        f64::from_bits(self.0.get() - 1)
    }
}

/// From whole metres, as devices count them: none of 32 bits is out of range.
impl From<u32> for Odometer {
    fn from(metres: u32) -> Self {
        let bits = f64::from(metres).to_bits();
        Self(NonZeroU64::MIN.saturating_add(bits))
    }
}

impl fmt::Debug for Odometer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Odometer").field(&self.as_metres()).finish()
    }
}

impl Serialize for Odometer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.as_metres())
    }
}

impl<'de> Deserialize<'de> for Odometer {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_metres(f64::deserialize(d)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odometer_is_a_number_that_is_not_negative() {
        for metres in [0.0, 0.5, 23_000.0, 4_294_967_295.0, 1e12] {
            assert_eq!(Odometer::from_metres(metres).unwrap().as_metres(), metres);
        }
        assert_eq!(Odometer::from_metres(-0.0), Ok(Odometer::from(0)));
        assert_eq!(Odometer::from_metres(7.0), Ok(Odometer::from(7)));
        assert!(Odometer::from(7) < Odometer::from(8));
        for wrong in [-0.1, 1.1e12, f64::NAN, f64::INFINITY] {
            assert!(Odometer::from_metres(wrong).is_err());
        }
        assert_eq!(size_of::<Option<Odometer>>(), 8);
    }

    #[test]
    fn limits_are_inclusive_and_nothing_is_clamped() {
        assert_eq!(Percent::new(100.0).unwrap().value(), 100.0);
        assert_eq!(Percent::new(100.1).unwrap_err().what(), "percentage");
        assert!(Speed::from_kmh(-0.1).is_err());
        assert_eq!(Speed::from_kmh(-0.0), Speed::from_kmh(0.0));
        assert!(Altitude::from_metres(-1.0).ok() < Altitude::from_metres(1.0).ok());
        assert_eq!(size_of::<Option<Speed>>(), 4);
        for whole in 0..=360 {
            let course = Course::from_whole_degrees(whole).unwrap();
            assert_eq!(course.as_degrees(), f32::from(whole));
            assert_eq!(Ok(course), Course::from_degrees(f32::from(whole)));
        }
        assert!(Course::from_whole_degrees(361).is_err());
        for whole in 0..=255 {
            let speed = Speed::from_whole_kmh(whole);
            assert_eq!(Ok(speed), Speed::from_kmh(f32::from(whole)));
        }
        assert!(Course::from_degrees(f32::NAN).is_err());
        assert!(serde_json::from_str::<Course>("361").is_err());
    }

    #[test]
    fn a_float_is_written_as_short_as_it_can_be() {
        assert_eq!(
            serde_json::to_string(&Voltage::from_volts(12.6).unwrap()).unwrap(),
            "12.6"
        );
    }
}
