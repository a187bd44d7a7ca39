//! The flags of `milepost simulate`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use milepost_telemetry::{DeviceId, Tenant};

use crate::Error;

/// Flags of `milepost simulate`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The protocol of the devices; without it, the first one that can be simulated.
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// The form of their frames, for a protocol that comes in several.
    #[arg(long, value_name = "NAME")]
    pub form: Option<String>,
    /// How CAN vehicles name themselves: a first line with the id, their number on the bus, or not at
    /// all.
    #[arg(long, value_name = "HOW", value_parser = ["line", "vin", "none"])]
    pub identify: Option<String>,
    /// Where the server listens for the devices: a name or an address, and a port [default: this
    /// machine, the protocol's port].
    #[arg(long, value_name = "ADDR")]
    pub server: Option<String>,
    /// How many trackers.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub devices: u32,
    /// For how long; without it, until a signal.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How often a tracker reports its location.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub interval: Duration,
    /// How often a tracker sends a heartbeat.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub heartbeat: Duration,
    /// How often a tracker raises an alarm, on average; 0 for never.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub alarm_every: Duration,
    /// The share of trackers that keep a location until it is acknowledged and send it again
    /// otherwise. They use message 0x12, the others 0x22; the server must be configured to
    /// acknowledge (gt06.acknowledge_locations).
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub ack_locations: f64,
    /// How often a tracker loses its network, on average; 0 for never. What it records meanwhile
    /// is uploaded afterwards.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration)]
    pub outage_every: Duration,
    /// How long such an outage lasts, on average.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub outage_for: Duration,
    /// The share of locations that are followed by damaged bytes.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub bad: f64,
    /// The first tracker's id: 15 digits; the others count up from it. The last digit is replaced
    /// by the right check digit.
    #[arg(long, value_name = "IMEI", default_value_t = first_id(), value_parser = imei)]
    pub first_id: DeviceId,
    /// Makes the trips repeatable.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How much faster than real time the vehicles live; the trackers' clocks then begin so far
    /// back that they never are in the future (with --duration), or an hour per step of speed.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speedup)]
    pub speedup: f64,
    /// Over how long the first connections are spread.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub ramp: Duration,
    /// How long to wait for the last acknowledgements at the end.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub grace: Duration,
    /// How long vehicles park between two trips, at most.
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = duration)]
    pub parking: Duration,
    /// Whose devices these are for the server: it is part of the reports' ids in the ledger.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub tenant: Tenant,
    /// Records every frame sent and every acknowledgement seen.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Prints the summary as JSON.
    #[arg(long)]
    pub json: bool,
    /// Shows no progress.
    #[arg(long, short)]
    pub quiet: bool,
}

impl Default for Options {
    /// What the flags say when none is given; a test holds that it is the same.
    fn default() -> Self {
        Self {
            protocol: None,
            form: None,
            identify: None,
            server: None,
            devices: 50,
            duration: None,
            interval: Duration::from_secs(10),
            heartbeat: Duration::from_mins(1),
            alarm_every: Duration::from_mins(10),
            ack_locations: 0.0,
            outage_every: Duration::ZERO,
            outage_for: Duration::from_secs(30),
            bad: 0.0,
            first_id: first_id(),
            seed: 1,
            speedup: 1.0,
            ramp: Duration::from_secs(3),
            grace: Duration::from_secs(20),
            parking: Duration::from_secs(90),
            tenant: Tenant::default(),
            ledger: None,
            json: false,
            quiet: false,
        }
    }
}

impl Options {
    /// What `milepost demo` shows: 50 vehicles, nearly always moving, that report every two
    /// seconds.
    pub fn demo(server: SocketAddr) -> Self {
        Self {
            server: Some(server.to_string()),
            interval: Duration::from_secs(2),
            heartbeat: Duration::from_secs(30),
            alarm_every: Duration::from_mins(15),
            parking: Duration::from_secs(20),
            ramp: Duration::from_secs(1),
            grace: Duration::from_secs(2),
            quiet: true,
            ..Self::default()
        }
    }

    /// The `n`-th tracker's id.
    ///
    /// # Errors
    /// When there are not enough ids from the first on.
    pub fn id(&self, n: u32) -> Result<DeviceId, Error> {
        let digits = self.first_id.as_str();
        let first: u64 = digits
            .get(..14)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        let body = format!("{:014}", first + u64::from(n));
        (0..10)
            .filter_map(|check| DeviceId::new(&format!("{body}{check}")).ok())
            .find(DeviceId::has_valid_check_digit)
            .ok_or_else(|| Error::TooFewIds {
                devices: self.devices,
                first: digits.to_owned(),
            })
    }
}

/// In the range that is set apart for test equipment.
fn first_id() -> DeviceId {
    // Fifteen digits are an id.
    DeviceId::new("004999010000000").unwrap_or_else(|_| unreachable!())
}

/// A time such as `500ms`, `5s`, `2m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time such as 500ms, 5s, 2m or 1h".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share from 0 to 1".to_owned()),
    }
}

fn speedup(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (1.0..=1_000.0).contains(&factor) => Ok(factor),
        _ => Err("a factor from 1 to 1000".to_owned()),
    }
}

fn imei(text: &str) -> Result<DeviceId, String> {
    match DeviceId::new(text) {
        Ok(id) if id.is_imei() => Ok(id),
        _ => Err("15 digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(flags: &[&str]) -> Options {
        let flags = std::iter::once("simulate").chain(flags.iter().copied());
        Cli::try_parse_from(flags)
            .map_err(|e| e.to_string())
            .unwrap()
            .options
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        assert_eq!(
            format!("{:?}", options(&[])),
            format!("{:?}", Options::default())
        );
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [
            ("250ms", 250),
            ("3", 3_000),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "s", "5 parsecs", "-3s", "1.2.3", "1e400h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_tracker_has_its_own_valid_imei() {
        let options = options(&["--first-id", "004999010000000"]);
        let ids: Vec<_> = (0..1_000).map(|n| options.id(n).unwrap()).collect();
        assert!(ids.iter().all(DeviceId::has_valid_check_digit));
        assert!(ids.iter().collect::<std::collections::HashSet<_>>().len() == 1_000);
        assert!(ids[999].as_str().starts_with("00499901000999"));
    }

    #[test]
    fn ids_do_not_run_over() {
        let options = options(&["--first-id", "999999999999990"]);
        assert!(options.id(0).is_ok());
        assert!(options.id(1).is_err());
    }
}
