//! What a connection's task and the rest of the process share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use milepost_telemetry::{Name, Timestamp};
use tokio::sync::oneshot;

use super::{NotSent, Sent};
use crate::{Command, Network};

/// Commands that may wait for one connection to take them.
const MAX_WAITING: usize = 16;

/// What others ask of a connection.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Signal {
    /// Stop reading, resolve what is in flight, close.
    Drain = 1,
    /// The device has too many connections: close this one.
    Evicted = 2,
    /// A command waits.
    Command = 4,
    /// Memory is short: give up an upload, or close.
    GiveWay = 8,
}

/// The signals that were set when they were taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signals(u8);

impl Signals {
    pub(crate) const fn has(self, signal: Signal) -> bool {
        self.0 & signal as u8 != 0
    }
}

/// A command, and who waits for it to be sent.
#[derive(Debug)]
pub(crate) struct PendingCommand {
    pub(crate) command: Command,
    pub(crate) verdict: oneshot::Sender<Result<Sent, NotSent>>,
}

/// A connection as the rest of the process sees it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: u64,
    pub(super) server: u64,
    pub(crate) protocol: Name,
    /// Whether its protocol has commands.
    pub(super) commands: bool,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) network: Option<Network>,
    pub(super) since: Timestamp,
    /// Its login was accepted.
    accepted: AtomicBool,
    signals: AtomicU8,
    waker: AtomicWaker,
    waiting: Mutex<VecDeque<PendingCommand>>,
}

impl Link {
    pub(super) fn new(
        id: u64,
        server: u64,
        protocol: Name,
        commands: bool,
        peer: Option<SocketAddr>,
        network: Option<Network>,
        since: Timestamp,
    ) -> Self {
        Self {
            id,
            server,
            protocol,
            commands,
            peer,
            network,
            since,
            accepted: AtomicBool::new(false),
            signals: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            waiting: Mutex::default(),
        }
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn set_accepted(&self, accepted: bool) {
        self.accepted.store(accepted, Ordering::Relaxed);
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Polls the connection's task once more.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.signals.fetch_or(signal as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Takes all signals; none costs one load.
    pub(crate) fn take_signals(&self) -> Option<Signals> {
        if self.signals.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(Signals(self.signals.swap(0, Ordering::AcqRel)))
    }

    pub(super) fn post(&self, command: PendingCommand) -> Result<(), NotSent> {
        {
            let mut waiting = self.waiting();
            if waiting.len() >= MAX_WAITING {
                return Err(NotSent::Busy);
            }
            waiting.push_back(command);
        }
        self.signal(Signal::Command);
        Ok(())
    }

    pub(crate) fn take_commands(&self) -> VecDeque<PendingCommand> {
        std::mem::take(&mut *self.waiting())
    }

    /// Nobody will take what waits: it was certainly not sent.
    pub(crate) fn refuse_commands(&self) {
        for pending in self.take_commands() {
            // The caller may have stopped waiting.
            pending.verdict.send(Err(NotSent::NotConnected)).ok();
        }
    }

    /// Where a command went that was given to this connection.
    pub(crate) const fn sent(&self) -> Sent {
        Sent {
            connection: self.id,
            peer: self.peer,
            network: self.network,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<PendingCommand>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
