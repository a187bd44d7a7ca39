//! Simulated AIS 140 devices: each in one of the decoder crate's dialects, with positions, alerts,
//! emergencies, health and history, and with a check of every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use milepost_protocol_ais140::simulate::{DIALECTS, Packet, State, Vehicle as Device};
use milepost_protocol_ais140::{Dialects, Imei, Lines, Profile, ReplyPolicy};
use milepost_telemetry::{DeviceId, ReportId, Tenant, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::device::{CONNECT, Network, say_farewell};
use crate::random::Random;
use crate::road::Roads;
use crate::stats::{Kind, Summary, Wrong};
use crate::vehicle::{Parking, Vehicle};
use crate::{Error, Options, TRACKER_STREAM};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// An emergency ends by itself after so many packets, if nobody releases it.
const EMERGENCY_PACKETS: u32 = 6;
/// Positions that a device keeps while it has no network.
const MEMORY: usize = 1_000;
/// Alerts: power cut, power back, low battery, ignition, tamper, harsh braking.
const ALERTS: [u16; 6] = [3, 6, 4, 7, 9, 13];
/// No answer and no command is longer.
const LONGEST: usize = 1_024;

/// Runs the simulation until it is over or `shutdown` is cancelled.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: &Options, shutdown: CancellationToken) -> Result<Summary, Error> {
    let server = SocketAddr::from(([127, 0, 0, 1], 5140));
    crate::run_with(options, shutdown, server, start).await
}

fn start(options: &Options, network: &Arc<Network>) -> Result<JoinSet<()>, Error> {
    let dialects = Dialects::builtin();
    let roads = Roads::built_in();
    let longest = options.parking.as_secs_f64();
    let parking = Parking {
        shortest: longest * 0.4,
        longest,
    };
    let mut devices = JoinSet::new();
    for n in 0..options.devices {
        let id = options.id(n)?;
        let number = u64::from(n);
        // Those that wait for an answer to their login first.
        let dialect = DIALECTS
            .iter()
            .cycle()
            .skip(2 + n as usize % DIALECTS.len());
        let imei = Imei::new(id.as_str().parse().unwrap_or_default());
        let Some(device) = dialect
            .take(DIALECTS.len())
            .find_map(|dialect| Device::new(&dialects, dialect, imei))
        else {
            continue;
        };
        let mut simulated = Simulated {
            id,
            device,
            motion: Vehicle::new(Arc::clone(&roads), options.seed, number, parking),
            random: Random::new(options.seed, TRACKER_STREAM + number),
            options: options.clone(),
            network: Arc::clone(network),
            memory: Vec::new(),
            emergency: None,
            waiting: None,
            next_health: Duration::ZERO,
            next_outage: Duration::MAX,
        };
        if !options.outage_every.is_zero() {
            simulated.next_outage = simulated.after(Duration::ZERO, options.outage_every);
        }
        let share = f64::from(n) / f64::from(options.devices.max(1));
        let connect_at = options.ramp.mul_f64(share);
        devices.spawn(async move { simulated.run(connect_at).await });
    }
    Ok(devices)
}

/// One device. Times are counted from the start of the simulation.
struct Simulated {
    id: DeviceId,
    device: Device,
    motion: Vehicle,
    random: Random,
    options: Options,
    network: Arc<Network>,
    /// What was recorded without a network.
    memory: Vec<State>,
    /// The packets that the emergency still lasts.
    emergency: Option<u32>,
    /// When the packet was sent whose answer is waited for.
    waiting: Option<Duration>,
    next_health: Duration,
    next_outage: Duration,
}

/// How a connection ended.
enum End {
    Over,
    Lost,
}

impl Simulated {
    async fn run(&mut self, mut next: Duration) {
        loop {
            let over = tokio::select! {
                () = sleep_until(self.network.started + next) => false,
                () = self.network.finish.cancelled() => true,
            };
            if over {
                return;
            }
            let stats = &self.network.journal.stats;
            let connecting = TcpStream::connect(self.network.server);
            let Ok(Ok(stream)) = timeout(CONNECT, connecting).await else {
                stats
                    .refused
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.record();
                next = self.network.now() + Duration::from_secs(1);
                continue;
            };
            let count = |counter: &std::sync::atomic::AtomicU64| {
                counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            };
            count(&stats.connects);
            count(&stats.online);
            let end = self.talk(stream).await;
            self.unanswered();
            let stats = &self.network.journal.stats;
            stats
                .online
                .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            if matches!(end, End::Over) {
                return;
            }
            count(&stats.disconnects);
            next = self.network.now() + Duration::from_secs(1);
            if self.next_outage <= self.network.now() {
                self.network.journal.outage();
                let back = self.after(self.network.now(), self.options.outage_for);
                self.next_outage = self.after(back, self.options.outage_every);
                next = self.without_network(back).await;
            }
        }
    }

    /// Records positions until the network is back.
    async fn without_network(&mut self, back: Duration) -> Duration {
        let network = Arc::clone(&self.network);
        while network.now() < back {
            let until = (network.now() + self.interval()).min(back);
            tokio::select! {
                () = sleep_until(network.started + until) => self.record(),
                () = network.finish.cancelled() => break,
            }
        }
        network.now()
    }

    /// One connection: who it is, what was recorded meanwhile, then a packet for each interval.
    async fn talk(&mut self, mut stream: TcpStream) -> End {
        let network = Arc::clone(&self.network);
        let mut input = Vec::new();
        let mut part = [0; 512];
        let state = self.state();
        if self.send(&mut stream, Packet::Login, &state).await.is_err() {
            return End::Lost;
        }
        for state in std::mem::take(&mut self.memory) {
            if self
                .send(&mut stream, Packet::History, &state)
                .await
                .is_err()
            {
                return End::Lost;
            }
        }
        let mut next = network.now() + self.interval();
        let mut finishing = false;
        loop {
            if finishing && self.waiting.is_none() {
                say_farewell(&mut stream).await;
                return End::Over;
            }
            tokio::select! {
                read = stream.read(&mut part) => match read {
                    Ok(len @ 1..) => {
                        input.extend_from_slice(part.get(..len).unwrap_or_default());
                        self.hear(&mut input);
                    }
                    Ok(0) | Err(_) => return End::Lost,
                },
                () = sleep_until(network.started + next), if !finishing => {
                    if self.next_outage <= network.now() {
                        return End::Lost;
                    }
                    if self.report(&mut stream).await.is_err() {
                        return End::Lost;
                    }
                    next += self.interval();
                }
                () = network.finish.cancelled(), if !finishing => {
                    finishing = true;
                    let state = self.state();
                    if self.emergency.take().is_some()
                        && self.send(&mut stream, Packet::EmergencyEnd, &state).await.is_err()
                    {
                        return End::Lost;
                    }
                }
                () = network.stop.cancelled() => return End::Over,
            }
            let is_late = |sent: Duration| sent + PATIENCE < network.now();
            if self.waiting.is_some_and(is_late) {
                self.unanswered();
            }
        }
    }

    /// What an interval brings.
    async fn report(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        let share = if self.options.alarm_every.is_zero() {
            0.0
        } else {
            self.options.interval.as_secs_f64() / self.options.alarm_every.as_secs_f64()
        };
        let packet = match self.emergency {
            Some(0) => {
                self.emergency = None;
                Packet::EmergencyEnd
            }
            Some(left) => {
                self.emergency = Some(left - 1);
                Packet::Emergency
            }
            None if self.random.chance(share.min(1.0)) => {
                if self.random.chance(0.5) {
                    self.emergency = Some(EMERGENCY_PACKETS);
                    Packet::Emergency
                } else {
                    let at = self.random.index(ALERTS.len());
                    Packet::Alert(ALERTS.get(at).copied().unwrap_or(3))
                }
            }
            None => Packet::Position,
        };
        let state = self.state();
        self.send(stream, packet, &state).await?;
        if self.next_health <= self.network.now() {
            let every = self.options.heartbeat.div_f64(self.options.speedup);
            self.next_health = self.network.now() + every;
            self.send(stream, Packet::Health, &state).await?;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        stream: &mut TcpStream,
        packet: Packet,
        state: &State,
    ) -> std::io::Result<()> {
        // Not every dialect has every packet.
        let Ok(bytes) = self.device.packet(packet, state) else {
            return Ok(());
        };
        let now = self.network.now();
        let key = self.key(packet, &bytes);
        let frame = bytes.trim_ascii_end();
        let kind = kind(packet);
        self.network
            .journal
            .sent(now, self.id, kind, key, frame, false);
        if packet == Packet::Login && self.device.expects_reply(packet) {
            self.waiting = Some(now);
        }
        stream.write_all(&bytes).await
    }

    /// The id that the packet's report has in the store, if it depends on nothing but the packet.
    fn key(&self, packet: Packet, bytes: &[u8]) -> Option<ReportId> {
        let has_time = !matches!(packet, Packet::Login | Packet::Health);
        if !self.network.journal.keeps_keys() || !has_time {
            return None;
        }
        key(self.options.tenant, bytes)
    }

    /// Takes answers and commands off what was received.
    fn hear(&mut self, input: &mut Vec<u8>) {
        loop {
            let journal = &self.network.journal;
            let is_answer = self.device.understand(input).is_some();
            let end = if is_answer { b'*' } else { b'\n' };
            let Some(end) = input.iter().position(|byte| *byte == end) else {
                if input.len() > LONGEST {
                    journal.wrong(Wrong::Garbage);
                    input.clear();
                }
                return;
            };
            let heard: Vec<u8> = input.drain(..=end).collect();
            if !is_answer {
                journal.command();
                if self.device.is_release(&heard) && self.emergency.is_some() {
                    self.emergency = Some(0);
                }
                continue;
            }
            match self.waiting.take() {
                Some(sent) => {
                    let now = self.network.now();
                    let waited = now.saturating_sub(sent);
                    journal.acknowledged(now, self.id, Kind::Login, None, waited);
                }
                None => journal.wrong(Wrong::Unasked),
            }
        }
    }

    fn unanswered(&mut self) {
        if self.waiting.take().is_some() {
            self.network.journal.unanswered(Kind::Login);
        }
    }

    fn record(&mut self) {
        if self.memory.len() < MEMORY {
            let state = self.state();
            self.memory.push(state);
        } else {
            self.network.journal.forgotten();
        }
    }

    fn state(&mut self) -> State {
        let own = self.network.now().mul_f64(self.options.speedup);
        self.motion
            .advance_to(u64::try_from(own.as_millis()).unwrap_or(u64::MAX));
        let seen = self.motion.observe();
        State {
            unix: self.network.journal.device_time(own).as_unix(),
            latitude: seen.latitude,
            longitude: seen.longitude,
            speed: seen.speed_kmh,
            course: seen.course,
            ignition: seen.ignition,
            emergency: self.emergency.is_some(),
        }
    }

    fn interval(&self) -> Duration {
        self.options.interval.div_f64(self.options.speedup)
    }

    /// A time after `from`, so much later on average.
    fn after(&mut self, from: Duration, mean: Duration) -> Duration {
        let wait = self.random.waiting_time(mean.as_secs_f64());
        from + Duration::try_from_secs_f64(wait).unwrap_or_default()
    }
}

const fn kind(packet: Packet) -> Kind {
    match packet {
        Packet::Login => Kind::Login,
        Packet::Position | Packet::History => Kind::Location,
        Packet::Health => Kind::Heartbeat,
        Packet::Alert(_) | Packet::Emergency | Packet::EmergencyEnd => Kind::Alarm,
    }
}

/// The id of the one report that a packet becomes.
fn key(tenant: Tenant, packet: &[u8]) -> Option<ReportId> {
    let mut lines = Lines::new(
        Dialects::builtin(),
        ReplyPolicy::default(),
        Some(tenant),
        Profile::default(),
    );
    let read = lines.line(packet, Timestamp::UNIX_EPOCH, false);
    match read
        .iter()
        .map(|line| line.reports.as_slice())
        .collect::<Vec<_>>()[..]
    {
        [[report]] => Some(report.id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_from_the_buffer_has_the_same_key_and_another_second_another() {
        let imei = Imei::new(4_999_010_000_015);
        let mut device = Device::new(&Dialects::builtin(), "nic", imei).unwrap();
        let mut key_of = |packet, unix| {
            let state = State {
                unix,
                latitude: 12.9,
                longitude: 77.5,
                speed: 30.0,
                course: 90.0,
                ignition: true,
                emergency: false,
            };
            key(Tenant::default(), &device.packet(packet, &state).unwrap()).unwrap()
        };
        let live = key_of(Packet::Position, 1_709_619_330);
        assert_eq!(key_of(Packet::History, 1_709_619_330), live);
        assert_ne!(key_of(Packet::Position, 1_709_619_331), live);
    }
}
