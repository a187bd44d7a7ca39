//! Commands on their way to devices.
//!
//! The store knows every command and its state; this decides when one is sent. Per device one is
//! under way at a time: many devices answer without saying to which command (flag 0), and none
//! says in which order it carries them out. The next is sent when the one before is settled, or
//! has not been answered for [`Commands::answer_timeout`](crate::config::Commands). An answer
//! that comes later, on whatever connection and in whatever run of the process, is still matched
//! by its flag where the report of it is stored.
//!
//! A command is sent once at most: that it is sent is durable before its first byte leaves. So a
//! crash, or a connection that ends in the middle, can leave a command that was never carried
//! out, which expires; none is carried out twice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use milepost_listener::{Clock as _, Connections, NotSent, SystemClock};
use milepost_pipeline::command::SentTo;
use milepost_pipeline::sink::sqlite::{Command, CommandState, Store, StoreError};
use milepost_telemetry::{DeviceKey, Timestamp};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often is looked for what has run out of time, and for devices that can be told again.
const TICK: Duration = Duration::from_millis(500);
/// How long a device is left alone after a command could not be sent.
const PAUSE: Duration = Duration::from_secs(1);
/// Commands that are being sent at the same time: each costs the store a commit, and data goes
/// before.
const AT_ONCE: usize = 16;

/// Devices that wait in line for that.
const MAX_TURNED_AWAY: usize = 1_024;

/// Tells the dispatcher of commands that were queued.
#[derive(Debug, Clone)]
pub(crate) struct Bell(mpsc::UnboundedSender<Queued>);

#[derive(Debug)]
struct Queued {
    device: DeviceKey,
    expires_at: Timestamp,
}

impl Bell {
    /// A command was queued: durably, so nothing is lost if nobody hears this.
    pub(crate) fn ring(&self, command: &Command) {
        let queued = Queued {
            device: DeviceKey {
                tenant: command.tenant,
                device: command.device,
            },
            expires_at: command.expires_at,
        };
        // At the end of the server nobody is there: the next run finds it in the store.
        let _gone = self.0.send(queued).is_err();
    }
}

/// What is known of a device with open commands.
#[derive(Debug, Default)]
struct Lane {
    /// Whether commands may wait in the store.
    waiting: bool,
    /// What was sent and not settled, and until when the next one waits for that.
    under_way: Option<(u32, Instant)>,
    /// A job is taking a command to the device.
    busy: bool,
    /// Not before.
    pause: Option<Instant>,
}

/// What became of a device's next command.
enum Done {
    /// There was none.
    Nothing,
    /// It was sent, or may have been.
    Sent(u32),
    /// It can never be sent.
    Refused,
    /// It waits on.
    Later,
}

/// Sends commands when their devices can be told.
pub(crate) struct Dispatcher {
    store: Store,
    connections: Connections,
    epoch: u64,
    answer_timeout: Duration,
    lanes: HashMap<DeviceKey, Lane>,
    /// Whose answer is awaited.
    under_way: HashMap<u32, DeviceKey>,
    jobs: JoinSet<(DeviceKey, Done)>,
    /// What was settled while jobs were running: an answer can be faster than its job.
    settled: HashSet<u32>,
    /// Devices whose turn comes when a job has ended.
    turned_away: VecDeque<DeviceKey>,
    next_expiry: Option<Timestamp>,
    bell: mpsc::UnboundedReceiver<Queued>,
}

impl Dispatcher {
    /// A dispatcher, and how it is told of new commands.
    pub(crate) fn new(
        store: Store,
        connections: Connections,
        epoch: u64,
        answer_timeout: Duration,
    ) -> (Self, Bell) {
        let (ring, bell) = mpsc::unbounded_channel();
        let dispatcher = Self {
            store,
            connections,
            epoch,
            answer_timeout,
            lanes: HashMap::new(),
            under_way: HashMap::new(),
            jobs: JoinSet::new(),
            settled: HashSet::new(),
            turned_away: VecDeque::new(),
            next_expiry: None,
            bell,
        };
        (dispatcher, Bell(ring))
    }

    /// Works until `shutdown`, and then until what is being sent is sent.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        // Before the store is read, so that nothing happens in between.
        let mut arrivals = self.connections.arrivals();
        let mut changes = self.store.command_changes();
        let mut loaded = self.load().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(queued) = self.bell.recv() => {
                    let sooner = self.next_expiry.map_or(queued.expires_at, |at| at.min(queued.expires_at));
                    self.next_expiry = Some(sooner);
                    self.lanes.entry(queued.device).or_default().waiting = true;
                    self.look_after(&queued.device);
                }
                arrived = arrivals.recv() => match arrived {
                    Ok(device) => self.look_after(&device),
                    Err(RecvError::Lagged(_)) => self.look_after_all(),
                    Err(RecvError::Closed) => break,
                },
                changed = changes.recv() => match changed {
                    Ok((id, state)) => self.changed(id, state),
                    Err(RecvError::Lagged(_)) => loaded = self.load().await,
                    Err(RecvError::Closed) => break,
                },
                Some(done) = self.jobs.join_next() => self.done(done),
                _ = tick.tick() => {
                    if !loaded {
                        loaded = self.load().await;
                    }
                    self.expire().await;
                    self.look_after_all();
                }
            }
        }
        while let Some(done) = self.jobs.join_next().await {
            self.done(done);
        }
    }

    /// Learns from the store what is open. Whether that worked.
    async fn load(&mut self) -> bool {
        let read = self.store.read(|reader| {
            let next = reader.next_command_expiry()?;
            Ok::<_, StoreError>((reader.open_commands()?, next))
        });
        let (open, next) = match read.await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "open commands cannot be read; they wait");
                return false;
            }
        };
        self.next_expiry = next;
        self.under_way.clear();
        for lane in self.lanes.values_mut() {
            lane.under_way = None;
        }
        let (now, wall) = (Instant::now(), SystemClock.now());
        for command in open {
            let device = DeviceKey {
                tenant: command.tenant,
                device: command.device,
            };
            let lane = self.lanes.entry(device).or_default();
            match (command.status, command.sent_at) {
                (CommandState::Sent, Some(sent_at)) => {
                    let gone = wall.as_millis().saturating_sub(sent_at.as_millis());
                    let gone = Duration::from_millis(u64::try_from(gone).unwrap_or(0));
                    let until = now + self.answer_timeout.saturating_sub(gone);
                    // The one that was sent last is the one that is awaited.
                    if lane.under_way.is_none_or(|(_, known)| known <= until) {
                        if let Some((before, _)) = lane.under_way.replace((command.id, until)) {
                            self.under_way.remove(&before);
                        }
                        self.under_way.insert(command.id, device);
                    }
                }
                _ => lane.waiting = true,
            }
        }
        self.look_after_all();
        true
    }

    /// Sends a device its next command, if there is one and it can be told.
    fn look_after(&mut self, device: &DeviceKey) {
        let Some(lane) = self.lanes.get_mut(device) else {
            return;
        };
        let now = Instant::now();
        if let Some((id, until)) = lane.under_way
            && until <= now
        {
            tracing::info!(command = id, device = %device.device, "no answer yet; the next may go");
            lane.under_way = None;
            self.under_way.remove(&id);
        }
        if lane.busy || lane.under_way.is_some() {
            return;
        }
        if !lane.waiting {
            self.lanes.remove(device);
            return;
        }
        if lane.pause.is_some_and(|until| until > now)
            || self.connections.takes_commands(device).is_err()
        {
            return;
        }
        if self.jobs.len() >= AT_ONCE {
            // Who does not fit in here is found by the next tick.
            if self.turned_away.len() < MAX_TURNED_AWAY {
                self.turned_away.push_back(*device);
            }
            return;
        }
        lane.busy = true;
        // One that is queued from here on says so.
        lane.waiting = false;
        let (store, connections) = (self.store.clone(), self.connections.clone());
        let (device, epoch) = (*device, self.epoch);
        self.jobs.spawn(async move {
            let done = send_next(&store, &connections, epoch, &device).await;
            (device, done)
        });
    }

    fn look_after_all(&mut self) {
        let devices: Vec<_> = self.lanes.keys().cloned().collect();
        for device in devices {
            self.look_after(&device);
        }
    }

    fn done(&mut self, done: Result<(DeviceKey, Done), JoinError>) {
        let (device, done) = match done {
            Ok(done) => done,
            Err(error) => return tracing::error!(%error, "sending a command broke"),
        };
        let lane = self.lanes.entry(device).or_default();
        lane.busy = false;
        match done {
            Done::Nothing => {}
            Done::Sent(id) => {
                // More may wait behind it.
                lane.waiting = true;
                if !self.settled.contains(&id) {
                    lane.under_way = Some((id, Instant::now() + self.answer_timeout));
                    self.under_way.insert(id, device);
                }
            }
            Done::Refused => lane.waiting = true,
            Done::Later => {
                lane.waiting = true;
                lane.pause = Some(Instant::now() + PAUSE);
            }
        }
        if self.jobs.is_empty() {
            self.settled.clear();
        }
        self.look_after(&device);
        while self.jobs.len() < AT_ONCE
            && let Some(device) = self.turned_away.pop_front()
        {
            self.look_after(&device);
        }
    }

    fn changed(&mut self, id: u32, state: CommandState) {
        if state == CommandState::Sent {
            return;
        }
        if !state.is_open() && !self.jobs.is_empty() {
            self.settled.insert(id);
        }
        if let Some(device) = self.under_way.remove(&id) {
            if let Some(lane) = self.lanes.get_mut(&device) {
                lane.under_way = None;
            }
            self.look_after(&device);
        }
    }

    async fn expire(&mut self) {
        let now = SystemClock.now();
        if self.next_expiry.is_none_or(|at| at > now) {
            return;
        }
        let expired = match self.store.expire_commands(now).await {
            Ok(expired) => expired,
            // It is tried again with the next tick.
            Err(error) => return tracing::debug!(%error, "commands could not be ended"),
        };
        for id in expired {
            tracing::info!(command = id, "a command has expired");
        }
        match self.store.read(|reader| reader.next_command_expiry()).await {
            Ok(next) => self.next_expiry = next,
            Err(error) => tracing::debug!(%error, "open commands cannot be read"),
        }
    }
}

/// Takes a device's oldest waiting command to its connection.
async fn send_next(
    store: &Store,
    connections: &Connections,
    epoch: u64,
    device: &DeviceKey,
) -> Done {
    // Its answer is to come from there.
    let of_device = connections.of(device);
    let Some(takes) = of_device.into_iter().find(|one| one.takes_commands) else {
        return Done::Later;
    };
    let connection = takes.connection;
    let to = SentTo {
        epoch,
        connection,
        network: takes.network.map(|network| network.to_string().into()),
    };
    let command = match store.take_command(device, takes.protocol, Some(to)).await {
        Ok(Some(command)) => command,
        Ok(None) => return Done::Nothing,
        Err(error) => {
            tracing::warn!(%error, device = %device.device, "a command waits for the store");
            return Done::Later;
        }
    };
    let id = command.id;
    let command = milepost_listener::Command::new(command.flag, command.text);
    // To the connection that is on record as the one whose answer counts, or to none.
    match connections
        .send_command_to(device, connection, command)
        .await
    {
        Ok(_) => {
            tracing::info!(command = id, device = %device.device, "a command was sent");
            Done::Sent(id)
        }
        Err(NotSent::Interrupted(_)) => {
            tracing::warn!(
                command = id,
                device = %device.device,
                "the connection ended while a command was being written: it may have arrived, and \
                 is not sent again"
            );
            Done::Sent(id)
        }
        Err(error) if error.may_retry() => {
            tracing::info!(command = id, device = %device.device, %error, "a command waits on");
            give_back(store, id).await;
            Done::Later
        }
        Err(error) => {
            tracing::warn!(command = id, device = %device.device, %error, "a command was refused");
            if let Err(error) = store.command_refused(id, &error.to_string()).await {
                tracing::error!(command = id, %error, "that it was refused could not be stored");
            }
            Done::Refused
        }
    }
}

/// Notes that a command was not sent. If the store takes nothing for long, the command is left
/// as sent and expires: it must not be sent twice.
async fn give_back(store: &Store, id: u32) {
    for wait in [1, 4, 15] {
        match store.command_unsent(id).await {
            Ok(_) => return,
            Err(error) => tracing::warn!(command = id, %error, "the store does not take it back"),
        }
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    tracing::error!(
        command = id,
        "a command that was not sent will expire as if it were"
    );
}
