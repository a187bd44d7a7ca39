//! What the configuration says to AIS 140 sessions.

use milepost_protocol_ais140::Profile;

use super::keys;
use crate::config::Device;

/// The profile for a device. What the configuration can set is as it says now, not as it said
/// when the profile was kept.
pub(super) fn over(
    configured: Option<&Device>,
    learned: Option<milepost_telemetry::Profile>,
) -> Option<milepost_telemetry::Profile> {
    crate::protocol::overridden(configured, learned, |profile: &mut Profile, settings| {
        profile.configured_zone = settings.and_then(keys::zone);
        profile.configured_dialect = settings.and_then(keys::dialect).map(ToOwned::to_owned);
    })
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::DeviceId;

    use super::*;
    use crate::config::Value;

    fn device(settings: &[(&'static str, &str)]) -> Device {
        let mut device = Device::new(DeviceId::new("123456789012347").unwrap());
        for (key, value) in settings {
            device.settings.set(key, Value::String((*value).to_owned()));
        }
        device
    }

    #[test]
    fn what_is_configured_lies_over_what_was_learned_and_leaves_no_trace() {
        let mut learned = Profile::default();
        learned.detected_zone = Some(60);
        let learned = milepost_telemetry::Profile::from(&learned);
        let device = device(&[("zone", "+05:30"), ("dialect", "file:acme")]);
        let with = over(Some(&device), Some(learned.clone()));
        let read = Profile::try_from(with.as_ref().unwrap()).unwrap();
        assert_eq!(read.zone(), Some((330, true)));
        assert_eq!(read.configured_dialect.as_deref(), Some("acme"));
        // The line is taken out of the file, and what a session kept meanwhile means nothing.
        assert_eq!(over(None, with), Some(learned));
        assert_eq!(over(None, None), None);
    }

    #[test]
    fn a_dialect_of_another_protocol_means_nothing_here() {
        assert_eq!(over(Some(&device(&[("dialect", "jimi")])), None), None);
    }
}
