//! What happens to a report between its decoder and its store.
//!
//! A stage is pure and synchronous: it is a function of its device's state and the report, reads
//! no clock and does no I/O. So a batch whose commit fails can be run again, and gives the same.
//!
//! To add one: write its file, with a type that implements [`Stage`], and add one line to the
//! list at the foot of this module. The order of the list is the order in which they run.

mod dedup;
mod late;

use milepost_telemetry::{Name, Report};

/// What a stage decides about a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flow {
    /// It goes on to the next stage.
    Pass,
    /// It is known to be durable already: it goes no further, and its device may be told.
    Duplicate,
    /// It is not wanted; why.
    Filter(Name),
}

/// One step of a lane.
pub trait Stage {
    /// What the stage remembers of one device. It is cloned once per device and batch, so it is
    /// small and bounded.
    type State: Clone + Default + Send + 'static;

    /// The name under which its state is kept. Never changes.
    const NAME: &'static str;

    /// The version of the snapshot's form.
    const VERSION: u32;

    /// Does its work on one report.
    fn apply(&self, state: &mut Self::State, report: &mut Report) -> Flow;

    /// Writes the state, to be kept with the batch; nothing if the state may be forgotten.
    fn snapshot(state: &Self::State, out: &mut Vec<u8>);

    /// Reads what [`snapshot`](Self::snapshot) wrote in this version or an earlier one; `None`
    /// when it cannot be read, and the device starts anew.
    fn restore(version: u32, bytes: &[u8]) -> Option<Self::State>;
}

/// Declares the ordered list of stages, and the state that they keep per device.
macro_rules! stages {
    ($($field:ident: $stage:ty,)+) => {
        /// The stages, in the order in which they run.
        #[derive(Debug, Default)]
        pub(crate) struct Stages {
            $($field: $stage,)+
        }

        /// What the stages remember of one device.
        #[derive(Debug, Clone, Default)]
        pub(crate) struct States {
            $($field: <$stage as Stage>::State,)+
        }

        impl Stages {
            /// Runs a report through every stage, until one stops it.
            pub(crate) fn apply(&self, states: &mut States, report: &mut Report) -> Flow {
                $(
                    match self.$field.apply(&mut states.$field, report) {
                        Flow::Pass => {}
                        stop => return stop,
                    }
                )+
                Flow::Pass
            }
        }

        impl States {
            /// Everything that is to be kept, in one piece.
            pub(crate) fn snapshot(&self) -> Vec<u8> {
                let mut out = Vec::new();
                let mut piece = Vec::new();
                $(
                    piece.clear();
                    <$stage as Stage>::snapshot(&self.$field, &mut piece);
                    write_piece(&mut out, <$stage>::NAME, <$stage>::VERSION, &piece);
                )+
                out
            }

            /// Reads a snapshot. Pieces of stages that are gone are passed over; a stage whose
            /// piece is absent or unreadable starts anew.
            pub(crate) fn restore(mut bytes: &[u8]) -> Self {
                let mut states = Self::default();
                while let Some((name, version, piece)) = read_piece(&mut bytes) {
                    $(
                        if name == <$stage>::NAME.as_bytes() && version <= <$stage>::VERSION
                            && let Some(state) = <$stage as Stage>::restore(version, piece)
                        {
                            states.$field = state;
                        }
                    )+
                }
                states
            }
        }
    };
}

/// name length (1), name, version (4), length (4), piece.
fn write_piece(out: &mut Vec<u8>, name: &str, version: u32, piece: &[u8]) {
    let (Ok(name_len), Ok(len)) = (u8::try_from(name.len()), u32::try_from(piece.len())) else {
        return;
    };
    if piece.is_empty() {
        return;
    }
    out.push(name_len);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(piece);
}

fn read_piece<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], u32, &'a [u8])> {
    let (name_len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
    let (version, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (piece, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some((name, u32::from_be_bytes(*version), piece))
}

stages! {
    dedup: dedup::Dedup,
    late: late::Late,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_snapshot_gives_a_fresh_state_and_no_panic() {
        let mut whole = Vec::new();
        write_piece(&mut whole, "gone", 3, b"of a stage that was removed");
        write_piece(&mut whole, "late", 1, &7_i64.to_be_bytes());
        assert_eq!(States::restore(&whole).snapshot(), {
            let mut kept = Vec::new();
            write_piece(&mut kept, "late", 1, &7_i64.to_be_bytes());
            kept
        });
        for cut in 0..whole.len() {
            let (part, _) = whole.split_at(cut);
            assert!(States::restore(part).snapshot().is_empty());
        }
    }

    #[test]
    fn a_snapshot_of_a_newer_version_is_not_guessed_at() {
        let mut newer = Vec::new();
        write_piece(&mut newer, "late", 99, &7_i64.to_be_bytes());
        assert!(States::restore(&newer).snapshot().is_empty());
    }
}
