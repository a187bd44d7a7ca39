//! How much may be in flight on all connections together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use milepost_telemetry::Envelope;

/// What following a frame takes, beside its envelope: its future, its places in lists.
const ASIDE: usize = 768;

/// Room for the frames of all connections that wait for their verdict. Cheap to clone; all clones
/// are one, so that several servers can share it.
///
/// Where it is used up, a connection that has [`SHARE`](Self::SHARE) frames in flight is not read
/// until one of these is settled; one that has fewer is. So everybody's login and heartbeat are
/// answered, however much others have in flight, and the bound is this room and the shares of the
/// connections that are open.
#[derive(Debug, Clone)]
pub struct Room {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bytes: usize,
    taken: AtomicUsize,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(256 * 1_024 * 1_024)
    }
}

impl Room {
    /// What a connection may always have in flight: its login, and a heartbeat behind it.
    pub const SHARE: usize = 2;

    /// Room for so many bytes of memory, about ([`Envelope::footprint`]).
    pub fn new(bytes: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                bytes,
                taken: AtomicUsize::new(0),
            }),
        }
    }

    /// About how many bytes are taken.
    pub fn taken(&self) -> usize {
        self.inner.taken.load(Ordering::Relaxed)
    }

    /// Whether it is used up.
    pub fn is_full(&self) -> bool {
        self.taken() >= self.inner.bytes
    }

    /// Takes what a frame needs, whether it is there or not: who calls has looked before.
    pub(crate) fn take(&self, envelope: &Envelope) -> Place {
        let bytes = envelope.footprint().saturating_add(ASIDE);
        let before = self.inner.taken.fetch_add(bytes, Ordering::Relaxed);
        Place {
            room: self.clone(),
            bytes,
            beyond: before >= self.inner.bytes,
        }
    }
}

/// What a frame takes of the room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Room,
    bytes: usize,
    beyond: bool,
}

impl Place {
    /// Whether the room was used up already when this was taken, and is so still.
    pub(crate) fn is_beyond(&self) -> bool {
        self.beyond && self.room.is_full()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room
            .inner
            .taken
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
