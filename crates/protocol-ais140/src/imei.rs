//! The device's number.

use core::fmt;

/// An IMEI as a device states it: 15 digits. Its check digit is not required to be right, since
/// devices with wrong ones are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Imei(u64);

impl Imei {
    /// By its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number % 1_000_000_000_000_000)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// As the id of reports.
    #[cfg(feature = "telemetry")]
    #[must_use]
    pub fn device_id(self) -> Option<milepost_telemetry::DeviceId> {
        let mut digits = [b'0'; 15];
        let mut left = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
        }
        let text = core::str::from_utf8(&digits).ok()?;
        milepost_telemetry::DeviceId::new(text).ok()
    }
}

impl fmt::Display for Imei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}", self.0)
    }
}
