//! Parameters of the simulated drives and receivers.
//!
//! They were fixed before the filter was written, so that the filter is not tuned to them. The
//! receivers' figures follow published measurements: the error of a good receiver is correlated
//! over about a minute, that of a poor one is nearly white with a few per cent of outliers.

/// Kinematic limits of the simulated car.
pub(crate) struct Car {
    /// Acceleration, m/s².
    pub(crate) accelerate: f64,
    /// Deceleration, m/s².
    pub(crate) brake: f64,
    /// Lateral acceleration in curves, m/s².
    pub(crate) lateral: f64,
}

/// The car of every profile.
pub(crate) const CAR: Car = Car {
    accelerate: 1.8,
    brake: 2.5,
    lateral: 2.5,
};

/// Number of drives per profile and receiver; each has its own seed.
pub(crate) const DRIVES: u64 = 4;

/// The seed of the first drive.
pub(crate) const SEED: u64 = 20_261_121;

/// Report intervals, seconds.
pub(crate) const INTERVALS: [usize; 3] = [1, 10, 30];

/// Length of a drive in seconds, at most (at 30 s a longer drive is used so that there are enough
/// reports).
pub(crate) const SECONDS: [usize; 3] = [1_500, 3_600, 7_200];

/// Where the drives take place: degrees.
pub(crate) const ORIGIN: (f64, f64) = (48.137, 11.575);

/// How a protocol rounds what it carries.
pub(crate) struct Quantization {
    /// Degrees per unit.
    pub(crate) degrees: f64,
    /// km/h per unit.
    pub(crate) speed_kmh: f64,
    /// Degrees of course per unit.
    pub(crate) course_deg: f64,
}

/// GT06: 1/30,000 minute, whole km/h and whole degrees.
pub(crate) const GT06: Quantization = Quantization {
    degrees: 1.0 / 1_800_000.0,
    speed_kmh: 1.0,
    course_deg: 1.0,
};

/// AIS 140: six decimals, 0.1 km/h, 0.01°.
pub(crate) const AIS140: Quantization = Quantization {
    degrees: 1e-6,
    speed_kmh: 0.1,
    course_deg: 0.01,
};

/// The error model of a receiver.
pub(crate) struct Receiver {
    /// Name in the table.
    pub(crate) name: &'static str,
    /// Correlated error per axis: standard deviation in metres (driving, standing).
    pub(crate) slow_m: (f64, f64),
    /// Correlation time of that error, seconds.
    pub(crate) slow_s: f64,
    /// White error per axis, metres (driving, standing).
    pub(crate) white_m: (f64, f64),
    /// Share of outliers and their radius, metres (uniform between both).
    pub(crate) outliers: (f64, f64, f64),
    /// Standard deviation per axis of the velocity, m/s; `None`: no speed and course are reported.
    pub(crate) velocity: Option<f64>,
    /// Share of reports that are missing, singly.
    pub(crate) missing: f64,
    /// Probability per report that the position freezes, and for how many seconds.
    pub(crate) frozen: (f64, f64),
    /// HDOP and satellites that it reports; `None` for none.
    pub(crate) quality: Option<(f64, u8)>,
    /// How its protocol rounds.
    pub(crate) quantization: Quantization,
}

/// A chip that filters inside: what is left wanders over a minute.
pub(crate) const GOOD: Receiver = Receiver {
    name: "good",
    slow_m: (1.7, 0.4),
    slow_s: 60.0,
    white_m: (0.10, 0.02),
    outliers: (0.0, 50.0, 500.0),
    velocity: Some(0.06),
    missing: 0.002,
    frozen: (0.0, 0.0),
    quality: Some((0.9, 12)),
    quantization: AIS140,
};

/// The same chip behind GT06, which rounds speed and course.
pub(crate) const GOOD_GT06: Receiver = Receiver {
    name: "good, GT06",
    quantization: GT06,
    ..GOOD
};

/// Unfiltered single-point solutions with Doppler speed, as of a phone's raw measurements.
pub(crate) const PHONE: Receiver = Receiver {
    name: "phone",
    slow_m: (1.8, 1.8),
    slow_s: 15.0,
    white_m: (2.6, 2.6),
    outliers: (0.01, 20.0, 200.0),
    velocity: Some(0.10),
    missing: 0.01,
    frozen: (0.0, 0.0),
    quality: None,
    quantization: AIS140,
};

/// A poor receiver without speed: nearly white noise and 1 % of outliers.
pub(crate) const POOR: Receiver = Receiver {
    name: "poor",
    slow_m: (3.0, 3.0),
    slow_s: 20.0,
    white_m: (9.0, 9.0),
    outliers: (0.01, 50.0, 500.0),
    velocity: None,
    missing: 0.02,
    frozen: (0.0005, 10.0),
    quality: Some((2.0, 5)),
    quantization: GT06,
};

/// Every receiver of the table.
pub(crate) const RECEIVERS: [&Receiver; 4] = [&GOOD, &GOOD_GT06, &PHONE, &POOR];
