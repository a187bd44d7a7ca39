//! Columns of whole numbers as few bytes.
//!
//! The state of a device is written with each batch that changes it, and most of it is the window
//! of recent fixes. Neighbouring fixes are alike, so the differences are kept: zigzag, seven bits
//! per byte, least first, and runs of zeros by their length. Nothing is rounded.

/// A whole number of a column.
pub(crate) trait Number: Copy + Default {
    /// Bytes of a number that is not packed.
    const BYTES: usize;
    fn wide(self) -> i64;
    fn narrow(wide: i64) -> Option<Self>;
    fn put(self, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($kind:ty)*) => { $(
        impl Number for $kind {
            const BYTES: usize = size_of::<$kind>();
            fn wide(self) -> i64 {
                i64::from(self)
            }
            fn narrow(wide: i64) -> Option<Self> {
                Self::try_from(wide).ok()
            }
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                super::window::take(bytes).map(Self::from_be_bytes)
            }
        }
    )* };
}

numbers!(u8 u16 u32 i32);

/// What the next number is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// The number before it.
    Same,
    /// The line through the two before it.
    Line,
}

/// The numbers so far.
#[derive(Clone, Copy, Default)]
struct Before {
    last: i64,
    step: i64,
}

impl Before {
    fn guess(self, by: Guess) -> i64 {
        match by {
            Guess::Same => self.last,
            Guess::Line => self.last.saturating_add(self.step),
        }
    }

    /// No step leads to the first number.
    fn then(self, value: i64, is_first: bool) -> Self {
        Self {
            last: value,
            step: if is_first { 0 } else { value - self.last },
        }
    }
}

const RAW: u8 = 0;
const PACKED: u8 = 1;

/// Writes a column: never more than one byte above its numbers unpacked.
pub(crate) fn write<T: Number>(values: &[T], by: Guess, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(PACKED);
    let (mut before, mut zeros) = (Before::default(), 0_u64);
    for (at, value) in values.iter().enumerate() {
        let value = value.wide();
        let off = value - before.guess(by);
        before = before.then(value, at == 0);
        if off == 0 {
            zeros += 1;
            continue;
        }
        write_zeros(&mut zeros, out);
        write_bits(((off << 1) ^ (off >> 63)).cast_unsigned(), out);
    }
    write_zeros(&mut zeros, out);
    if out.len() - start > 1 + values.len() * T::BYTES {
        out.truncate(start);
        out.push(RAW);
        for value in values {
            value.put(out);
        }
    }
}

/// Reads what [`write`] wrote; `None` if it cannot be what it wrote.
pub(crate) fn read<T: Number>(values: &mut [T], by: Guess, bytes: &mut &[u8]) -> Option<()> {
    match super::window::take(bytes)? {
        [RAW] => {
            for value in values {
                *value = T::take(bytes)?;
            }
            return Some(());
        }
        [PACKED] => {}
        _ => return None,
    }
    let (mut before, mut zeros) = (Before::default(), 0_u64);
    for (at, value) in values.iter_mut().enumerate() {
        let off = if zeros > 0 {
            zeros -= 1;
            0
        } else {
            match read_bits(bytes)? {
                // The length of the run follows, less this one.
                0 => {
                    zeros = read_bits(bytes)?;
                    0
                }
                bits => (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed(),
            }
        };
        *value = T::narrow(before.guess(by).checked_add(off)?)?;
        before = before.then(value.wide(), at == 0);
    }
    (zeros == 0).then_some(())
}

fn write_zeros(zeros: &mut u64, out: &mut Vec<u8>) {
    if let Some(more) = zeros.checked_sub(1) {
        out.push(0);
        write_bits(more, out);
        *zeros = 0;
    }
}

fn write_bits(mut bits: u64, out: &mut Vec<u8>) {
    while bits > 0x7F {
        out.push((bits & 0x7F) as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Of no more bits than a difference of differences of 32-bit numbers takes.
fn read_bits(bytes: &mut &[u8]) -> Option<u64> {
    let mut bits = 0;
    for shift in [0, 7, 14, 21, 28, 35] {
        let [byte] = super::window::take(bytes)?;
        bits |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(bits);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round<T: Number + PartialEq + std::fmt::Debug>(values: &[T], by: Guess) -> usize {
        let mut out = vec![9];
        write(values, by, &mut out);
        out.push(7);
        let mut bytes = &out[1..];
        let mut back = vec![T::default(); values.len()];
        assert_eq!(read(&mut back, by, &mut bytes), Some(()));
        assert_eq!(back, values);
        assert_eq!(bytes, [7], "exactly the column is read");
        out.len() - 2
    }

    proptest! {
        #[test]
        fn any_column_is_read_as_it_was_written_and_is_at_most_a_byte_longer(
            wide in prop::collection::vec(any::<i32>(), 0..70),
            time in prop::collection::vec(any::<u32>(), 0..70),
            small in prop::collection::vec(prop_oneof![Just(0), any::<u16>()], 0..70),
            flags in prop::collection::vec(0..3_u8, 0..70),
        ) {
            for by in [Guess::Same, Guess::Line] {
                prop_assert!(round(&wide, by) <= 1 + 4 * wide.len());
                prop_assert!(round(&time, by) <= 1 + 4 * time.len());
                prop_assert!(round(&small, by) <= 1 + 2 * small.len());
                prop_assert!(round(&flags, by) <= 1 + flags.len());
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for by in [Guess::Same, Guess::Line] {
                let _ = read(&mut [0_i32; 12], by, &mut &bytes[..]);
                let _ = read(&mut [0_u8; 12], by, &mut &bytes[..]);
            }
        }
    }

    #[test]
    fn what_repeats_takes_four_bytes_and_a_steady_way_few_more() {
        assert_eq!(round(&[9_u8; 64], Guess::Same), 4);
        let way: Vec<i32> = (0..64).map(|n| 480_000_000 + n * 9_000).collect();
        assert_eq!(round(&way, Guess::Line), 1 + 5 + 3 + 2);
    }

    #[test]
    fn a_run_beyond_the_end_is_refused() {
        assert_eq!(read(&mut [0_u8; 3], Guess::Same, &mut &[1, 0, 3][..]), None);
        assert_eq!(
            read(&mut [0_u8; 3], Guess::Same, &mut &[1, 0, 2][..]),
            Some(())
        );
    }
}
