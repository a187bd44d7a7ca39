//! What the configuration says to GT06 sessions.

use milepost_protocol_gt06::{AckPolicy, Profile, Session};

use super::keys;
use crate::config::{Config, Device};

/// What each connection begins with.
pub(super) fn session(config: &Config) -> Session {
    let models = keys::known_models(&config.protocols).into_iter().collect();
    Session::new(policy(config)).with_models(models)
}

/// What is acknowledged if nothing is known about a device.
fn policy(config: &Config) -> AckPolicy {
    let mut policy = AckPolicy::default();
    if let Some(locations) = keys::acknowledge(&config.protocols, "gt06.acknowledge_locations") {
        policy.locations = locations;
    }
    policy
}

/// The profile for a device. What the configuration can set is as it says now, not as it said
/// when the profile was kept.
pub(super) fn over(
    configured: Option<&Device>,
    learned: Option<milepost_telemetry::Profile>,
) -> Option<milepost_telemetry::Profile> {
    crate::protocol::overridden(configured, learned, |profile: &mut Profile, settings| {
        profile.acknowledge_locations =
            settings.and_then(|set| keys::acknowledge(set, "acknowledge_locations"));
        profile.zones.configured = settings.and_then(keys::zone);
        profile.configured_dialect = settings.and_then(keys::dialect);
        profile.command_language = settings.and_then(keys::command_language);
    })
}

#[cfg(test)]
mod tests {
    use milepost_protocol_gt06::Dialect;
    use milepost_protocol_gt06::command::Language;
    use milepost_telemetry::DeviceId;

    use super::*;
    use crate::config::Value;

    fn device(settings: &[(&'static str, &str)]) -> Device {
        let mut device = Device::new(DeviceId::new("1").unwrap());
        for (key, value) in settings {
            device.settings.set(key, Value::String((*value).to_owned()));
        }
        device
    }

    #[test]
    fn what_is_configured_lies_over_what_was_learned_and_leaves_no_trace() {
        let mut learned = Profile::default();
        learned.model = Some(7);
        let learned = milepost_telemetry::Profile::from(&learned);

        let device = device(&[
            ("zone", "+01:00"),
            ("acknowledge_locations", "always"),
            ("dialect", "jimi"),
            ("command_language", "english"),
        ]);
        let with = over(Some(&device), Some(learned.clone()));
        let read = Profile::try_from(with.as_ref().unwrap()).unwrap();
        assert_eq!(read.model, Some(7));
        assert_eq!(read.zones.configured, Some(60));
        assert_eq!(read.acknowledge_locations, Some(true));
        assert_eq!(read.dialect(), Dialect::Jimi);
        assert_eq!(read.command_language, Some(Language::English));

        // The line is taken out of the file, and what a session kept meanwhile means nothing.
        assert_eq!(over(None, with), Some(learned));
        assert_eq!(over(None, None), None);
    }

    #[test]
    fn a_profile_of_a_newer_version_is_handed_on_as_it_is() {
        let newer = milepost_telemetry::Profile::new(r#"{"version":99}"#);
        let device = device(&[("zone", "+01:00")]);
        assert_eq!(over(Some(&device), Some(newer.clone())), Some(newer));
    }
}
