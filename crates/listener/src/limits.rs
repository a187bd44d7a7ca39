//! Sizes, counts and deadlines.

use std::time::Duration;

use crate::Rate;

/// What one server allows its peers. The defaults suit trackers on mobile networks.
///
/// A server takes a count of zero as one, and a time beyond a year as a year.
///
/// ```
/// let mut limits = milepost_listener::Limits::default();
/// limits.connections = 50_000;
/// limits.idle = std::time::Duration::from_secs(600);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. At the limit nothing is accepted: the kernel's queue fills, and
    /// then peers are refused. A connection counts until its socket is closed.
    pub connections: usize,
    /// Connections at once from one IP address; `None`: no limit. Mobile operators put thousands
    /// of devices behind one address.
    pub connections_per_ip: Option<usize>,
    /// Connections that the kernel holds until they are accepted.
    pub backlog: u32,
    /// File descriptors that are left to the rest of the process (its store, its HTTP): a
    /// connection that would take one of the last so many is not accepted.
    pub descriptor_reserve: u64,
    /// Datagram conversations at once. Beyond it one without an accepted login ends, else one that
    /// has been silent for long.
    pub datagram_peers: usize,
    /// Frames of one connection that may wait for their verdict. At the bound the socket is read
    /// only as far as 16 frames ahead, and nothing is answered, heartbeats included. Urgent frames
    /// have a reserve of 16 more.
    pub in_flight: usize,
    /// Bytes of one connection's frames that may wait for their verdict; as for `in_flight`.
    pub in_flight_bytes: usize,
    /// Frames of one connection that its session may hold. At the bound the session is woken; if
    /// it reports none, the connection is closed.
    pub held: usize,
    /// Bytes of one connection's frames that its session may hold; as for `held`.
    pub held_bytes: usize,
    /// Envelopes of one connection; at the limit the socket is not read. `None`: no limit.
    pub rate: Option<Rate>,
    /// Frames of one connection before an accepted login. The next one closes it unread. A login
    /// counts only if it is refused.
    pub stranger_frames: u32,
    /// Bytes of one connection before an accepted login; more close it.
    pub stranger_bytes: usize,
    /// Frames of all connections without an accepted login; more close their connection unread.
    pub stranger_rate: Rate,
    /// Frames of one connection whose device is in quarantine; at the limit it is not read.
    pub quarantine_rate: Rate,
    /// Replies that may wait for a peer that does not read them, in bytes. Above it the
    /// connection's frames are not handled until the peer reads.
    pub unwritten: usize,
    /// What a session may leave in the buffer as the beginning of a frame, in bytes.
    pub partial_frame: usize,
    /// Unreadable frames and runs of foreign bytes in a row that a connection survives.
    pub bad_in_row: u32,
    /// Time to log in.
    pub login: Duration,
    /// Silence after which a connection is closed. Several times the devices' heartbeat.
    pub idle: Duration,
    /// Time for a frame that has begun to be complete.
    pub frame: Duration,
    /// Time for a peer to take some of what it is sent.
    pub write: Duration,
    /// Time for the registry to answer.
    pub resolve: Duration,
    /// Silence after which a session is told that the sender has paused, when bytes are left.
    pub pause: Duration,
    /// How long a socket that is being closed is held open for acknowledgements that still wait
    /// for their verdict.
    pub settle: Duration,
    /// How long the peer's own end is awaited after ours, so that what it has not read yet is not
    /// lost to a reset.
    pub linger: Duration,
    /// How long a drain may take before what is not resolved is abandoned.
    pub drain: Duration,
    /// Silence after which the kernel probes a peer; `None`: never.
    pub keepalive: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_ip: None,
            backlog: 4_096,
            descriptor_reserve: 256,
            datagram_peers: 10_000,
            in_flight: 64,
            in_flight_bytes: 256 * 1_024,
            held: 4_096,
            held_bytes: 256 * 1_024,
            rate: Some(Rate::new(500, 5_000)),
            stranger_frames: 16,
            stranger_bytes: 64 * 1_024,
            stranger_rate: Rate::new(1_000, 1_000),
            quarantine_rate: Rate::new(1, 16),
            unwritten: 64 * 1_024,
            partial_frame: 128 * 1_024,
            bad_in_row: 64,
            login: Duration::from_secs(60),
            idle: Duration::from_secs(15 * 60),
            frame: Duration::from_secs(30),
            write: Duration::from_secs(30),
            resolve: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            settle: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            drain: Duration::from_secs(20),
            keepalive: Some(Duration::from_secs(60)),
        }
    }
}

impl Limits {
    /// Without values that would stop everything, or that no clock can add.
    pub(crate) fn workable(mut self) -> Self {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        for count in [
            &mut self.connections,
            &mut self.datagram_peers,
            &mut self.in_flight,
            &mut self.in_flight_bytes,
            &mut self.held,
            &mut self.held_bytes,
            &mut self.unwritten,
            &mut self.partial_frame,
        ] {
            *count = (*count).max(1);
        }
        if let Some(per_ip) = &mut self.connections_per_ip {
            *per_ip = (*per_ip).max(1);
        }
        for time in [
            &mut self.login,
            &mut self.idle,
            &mut self.frame,
            &mut self.write,
            &mut self.resolve,
            &mut self.pause,
            &mut self.settle,
            &mut self.linger,
            &mut self.drain,
        ] {
            *time = (*time).min(YEAR);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_shuts_everybody_out_and_no_time_is_beyond_a_clock() {
        let limits = Limits {
            connections: 0,
            connections_per_ip: Some(0),
            in_flight: 0,
            idle: Duration::MAX,
            ..Limits::default()
        };
        let workable = limits.workable();
        assert_eq!(workable.connections, 1);
        assert_eq!(workable.connections_per_ip, Some(1));
        assert_eq!(workable.in_flight, 1);
        assert!(workable.idle < Duration::MAX);
        assert_eq!(Limits::default().workable(), Limits::default());
    }
}
