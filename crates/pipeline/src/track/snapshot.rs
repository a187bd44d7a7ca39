//! The state of a device as bytes.

use super::bank::{Bank, MODELS, Model};
use super::filter::Filter;
use super::frame::Frame;
use super::gate::SpeedGate;
use super::live::Live;
use super::motion::{Motion, Sums};
use super::plausible::{Place, Plausible};
use super::standing::Standing;
use super::tracker::Tracker;
use super::window::{Recent, take};

/// A part of the state that can be written and read. Numbers are big-endian; nothing is rounded,
/// so the output goes on exactly.
trait Part: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($kind:ty)*) => { $(
        impl Part for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self::from_be_bytes)
            }
        }
    )* };
}

numbers!(u8 u16 u32 i32 i64);

/// A state that holds a number that is none would spread it for ever: it is refused.
macro_rules! finite {
    ($($kind:ty)*) => { $(
        impl Part for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(Self::from_be_bytes).filter(|x| x.is_finite())
            }
        }
    )* };
}

finite!(f32 f64);

impl Part for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match take(bytes)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl<T: Part> Part for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        if bool::take(bytes)? {
            Some(Some(T::take(bytes)?))
        } else {
            Some(None)
        }
    }
}

impl<A: Part, B: Part> Part for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::take(bytes)?, B::take(bytes)?))
    }
}

macro_rules! parts {
    ($($kind:ident { $($field:ident)* })*) => { $(
        impl Part for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                $( self.$field.put(out); )*
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                $( let $field = Part::take(bytes)?; )*
                Some(Self { $($field),* })
            }
        }
    )* };
}

parts! {
    Model { x y vx vy pp pv vv likelihood }
    Standing { x y variance probability held far away moved still_s }
    SpeedGate { share tests closed }
    Filter {
        frame bank standing gate time_ms last last_velocity velocity_noise quality interval
    }
    Place { time_ms latitude longitude velocity }
    Plausible { last candidate candidates before leap_ms since_leap trust speed_lies }
    Live { plausible filter recent instrumented drives }
    Sums { distance odometer max_speed idle_ms }
    Motion {
        begun trip from_ms from sums last_ms last last_speed stands running run_ms run run_sums
        odometer ignition idle_ms idle_told
    }
    Tracker { live motion leap_m }
}

impl Part for Frame {
    fn put(&self, out: &mut Vec<u8>) {
        self.anchor().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (latitude, longitude) = Part::take(bytes)?;
        Some(Self::new(latitude, longitude))
    }
}

impl Part for Bank {
    fn put(&self, out: &mut Vec<u8>) {
        for model in &self.models {
            model.put(out);
        }
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut models = [Model::default(); MODELS];
        for model in &mut models {
            *model = Part::take(bytes)?;
        }
        Some(Self { models })
    }
}

impl Part for Recent {
    fn put(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::decode(bytes)
    }
}

impl Tracker {
    /// The version of the snapshot's form.
    pub const VERSION: u32 = 2;

    /// An upper bound of a snapshot, and of the state in memory, bytes.
    pub const MAX_BYTES: usize = 2_048;

    /// Writes the state: at most [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        self.put(out);
    }

    /// Reads what [`snapshot`](Self::snapshot) wrote in this version; `None` if it cannot be read,
    /// and the device starts anew.
    pub fn restore(version: u32, mut bytes: &[u8]) -> Option<Self> {
        if version != Self::VERSION {
            return None;
        }
        let tracker = Part::take(&mut bytes)?;
        bytes.is_empty().then_some(tracker)
    }
}
