//! What alert ids mean.

macro_rules! meanings {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// What an alert id means.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Meaning { $($(#[$doc])* $variant,)* }

        impl Meaning {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in a dialect's table.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

meanings! {
    /// A position, nothing else.
    Position "position",
    /// A command changed or asked parameters.
    ParametersChanged "parameters_changed",
    /// Vehicle battery disconnected.
    PowerCut "power_cut",
    /// Vehicle battery connected again.
    PowerRestored "power_restored",
    /// Device's battery low.
    LowBattery "low_battery",
    /// Device's battery no longer low.
    LowBatteryEnd "low_battery_end",
    /// Ignition on.
    IgnitionOn "ignition_on",
    /// Ignition off.
    IgnitionOff "ignition_off",
    /// Box opened, or tampered with.
    Tamper "tamper",
    /// Emergency button pressed.
    EmergencyOn "emergency_on",
    /// Emergency cleared.
    EmergencyOff "emergency_off",
    /// Harsh braking.
    HarshBraking "harsh_braking",
    /// Harsh acceleration.
    HarshAcceleration "harsh_acceleration",
    /// Rash turning.
    HarshCornering "harsh_cornering",
    /// Faster than allowed.
    Overspeed "overspeed",
    /// Fence entered.
    GeofenceEnter "geofence_enter",
    /// Fence left.
    GeofenceExit "geofence_exit",
    /// Faster than allowed while entering a fence.
    OverspeedEnter "overspeed_geofence_enter",
    /// Faster than allowed while leaving a fence.
    OverspeedExit "overspeed_geofence_exit",
    /// The vehicle tilted.
    Tilt "tilt",
    /// Impact.
    Collision "collision",
    /// Towing.
    Tow "tow",
    /// A card was presented.
    CardSwiped "card_swiped",
    /// Engine on while standing.
    Idling "idling",
    /// No table knows it.
    Unknown "unknown",
}

impl Meaning {
    /// By the standard's list: 1 to 16.
    #[must_use]
    pub const fn of_standard(alert: u16) -> Self {
        match alert {
            0..=2 => Self::Position,
            3 => Self::PowerCut,
            4 => Self::LowBattery,
            5 => Self::LowBatteryEnd,
            6 => Self::PowerRestored,
            7 => Self::IgnitionOn,
            8 => Self::IgnitionOff,
            9 | 16 => Self::Tamper,
            10 => Self::EmergencyOn,
            11 => Self::EmergencyOff,
            12 => Self::ParametersChanged,
            13 => Self::HarshBraking,
            14 => Self::HarshAcceleration,
            15 => Self::HarshCornering,
            _ => Self::Unknown,
        }
    }

    /// By the packet type, for packets without an alert id.
    ///
    /// `EA` is not an emergency by itself: devices send it with alert id 1.
    #[must_use]
    pub fn of_type(packet_type: &[u8]) -> Self {
        match packet_type {
            b"NR" | b"HP" | b"FD" => Self::Position,
            b"TA" | b"DT" | b"CO" => Self::Tamper,
            b"IN" => Self::IgnitionOn,
            b"IF" => Self::IgnitionOff,
            b"BD" | b"BPD" => Self::PowerCut,
            b"BR" | b"BPR" => Self::PowerRestored,
            b"BL" => Self::LowBattery,
            b"BC" | b"BH" => Self::LowBatteryEnd,
            b"EO" => Self::EmergencyOff,
            b"OA" | b"OT" | b"PC" | b"CC" | b"CFG" | b"OC" => Self::ParametersChanged,
            b"HB" => Self::HarshBraking,
            b"HA" => Self::HarshAcceleration,
            b"RT" => Self::HarshCornering,
            b"OS" => Self::Overspeed,
            b"GI" | b"GE" => Self::GeofenceEnter,
            b"GO" | b"GX" => Self::GeofenceExit,
            b"TL" | b"TILT" => Self::Tilt,
            _ => Self::Unknown,
        }
    }
}
