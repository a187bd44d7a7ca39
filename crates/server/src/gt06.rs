//! GT06 as this server speaks it: what the configuration says to its sessions.

use std::collections::HashMap;

use milepost_protocol_gt06::{AckPolicy, Profile, Session};
use milepost_telemetry::{DeviceId, Name};

use crate::config::{AcknowledgeLocations, Config, Device};

/// The protocol's name in envelopes and stores.
pub(crate) const PROTOCOL: Name = Name::new("gt06");

/// What each connection begins with.
pub(crate) fn session(config: &Config) -> Session {
    let models = config.gt06.models.iter().copied().collect();
    Session::new(policy(config)).with_models(models)
}

/// What is acknowledged where nothing is known about a device.
fn policy(config: &Config) -> AckPolicy {
    let mut policy = AckPolicy::default();
    if let Some(locations) = wish(config.gt06.acknowledge_locations) {
        policy.locations = locations;
    }
    policy
}

const fn wish(acknowledge: AcknowledgeLocations) -> Option<bool> {
    match acknowledge {
        AcknowledgeLocations::Auto => None,
        AcknowledgeLocations::Always => Some(true),
        AcknowledgeLocations::Never => Some(false),
    }
}

/// What is configured about single devices, laid over what has been learned.
#[derive(Debug)]
pub(crate) struct Configured(HashMap<DeviceId, Device>);

impl Configured {
    pub(crate) fn new(config: &Config) -> Self {
        let listed = config.devices.listed.iter();
        Self(listed.map(|device| (device.id, device.clone())).collect())
    }

    /// Whether the device is listed.
    pub(crate) fn lists(&self, device: DeviceId) -> bool {
        self.0.contains_key(&device)
    }

    /// The profile for a device. What the configuration can set is as it says now, not as it said
    /// when the profile was kept.
    pub(crate) fn over(
        &self,
        device: DeviceId,
        learned: Option<milepost_telemetry::Profile>,
    ) -> Option<milepost_telemetry::Profile> {
        let configured = self.0.get(&device);
        let mut profile = match &learned {
            None if configured.is_none() => return None,
            None => Profile::default(),
            Some(learned) => match Profile::try_from(learned) {
                Ok(profile) => profile,
                Err(error) => {
                    // Of a newer version, perhaps: the session knows how to live with it.
                    tracing::warn!(%device, %error, "a kept profile cannot be read");
                    return Some(learned.clone());
                }
            },
        };
        let before = profile.clone();
        profile.acknowledge_locations = configured
            .and_then(|device| device.acknowledge_locations)
            .and_then(wish);
        profile.zones.configured = configured.and_then(|device| device.zone);
        profile.configured_dialect = configured.and_then(|device| device.dialect);
        profile.command_language = configured.and_then(|device| device.command_language);
        if profile == before {
            learned
        } else {
            Some((&profile).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use milepost_protocol_gt06::Dialect;
    use milepost_protocol_gt06::command::Language;

    fn configured(device: Device) -> Configured {
        Configured(HashMap::from([(device.id, device)]))
    }

    #[test]
    fn what_is_configured_lies_over_what_was_learned_and_leaves_no_trace() {
        let id = DeviceId::new("1").unwrap();
        let mut learned = Profile::default();
        learned.model = Some(7);
        let learned = milepost_telemetry::Profile::from(&learned);

        let mut device = Device::new(id);
        device.zone = Some(60);
        device.acknowledge_locations = Some(AcknowledgeLocations::Always);
        device.dialect = Some(Dialect::Jimi);
        device.command_language = Some(Language::English);
        let with = configured(device).over(id, Some(learned.clone()));
        let read = Profile::try_from(with.as_ref().unwrap()).unwrap();
        assert_eq!(read.model, Some(7));
        assert_eq!(read.zones.configured, Some(60));
        assert_eq!(read.acknowledge_locations, Some(true));
        assert_eq!(read.dialect(), Dialect::Jimi);
        assert_eq!(read.command_language, Some(Language::English));

        // The line is taken out of the file, and what a session kept meanwhile means nothing.
        assert_eq!(Configured(HashMap::new()).over(id, with), Some(learned));
        assert_eq!(Configured(HashMap::new()).over(id, None), None);
    }

    #[test]
    fn a_profile_of_a_newer_version_is_handed_on_as_it_is() {
        let id = DeviceId::new("1").unwrap();
        let newer = milepost_telemetry::Profile::new(r#"{"version":99}"#);
        let mut device = Device::new(id);
        device.zone = Some(60);
        assert_eq!(
            configured(device).over(id, Some(newer.clone())),
            Some(newer)
        );
    }
}
