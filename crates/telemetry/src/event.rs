//! Things that happened.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened, in the field's own words. A code that no table knows is
        /// [`EventKind::Unknown`] and keeps its number in [`Event::code`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum EventKind { $($(#[$doc])* $name,)* }

        impl EventKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    /// The panic button.
    Sos,
    /// External power was cut off.
    PowerCut,
    /// External power came back.
    PowerRestored,
    /// The device was switched on.
    PowerOn,
    /// The device was switched off.
    PowerOff,
    /// The device shut itself down for lack of charge.
    LowBatteryShutdown,
    /// The device's own battery is low.
    LowBattery,
    /// The device's own battery is no longer low.
    LowBatteryEnd,
    /// The external supply is low.
    LowExternalPower,
    /// The device protects the vehicle's battery and has switched itself off.
    LowExternalPowerProtection,
    /// A charger was connected.
    ChargerConnected,
    /// Shock or vibration.
    Vibration,
    /// A fence was entered.
    GeofenceEnter,
    /// A fence was left.
    GeofenceExit,
    /// Faster than allowed.
    Overspeed,
    /// Back below the allowed speed.
    OverspeedEnd,
    /// Moved without ignition.
    Tow,
    /// Theft.
    Theft,
    /// Started without permission.
    IllegalStart,
    /// The device was opened, taken off or lit.
    Tamper,
    /// The device was taken off its mount.
    Removed,
    /// The device or its plug was pulled out.
    Unplugged,
    /// Ignition switched on.
    IgnitionOn,
    /// Ignition switched off.
    IgnitionOff,
    /// Harsh acceleration.
    HarshAcceleration,
    /// Harsh braking.
    HarshBraking,
    /// Harsh cornering.
    HarshCornering,
    /// A sharp turn to the left.
    SharpTurnLeft,
    /// A sharp turn to the right.
    SharpTurnRight,
    /// A sudden change of lane.
    LaneChange,
    /// Collision.
    Collision,
    /// The vehicle rolled over.
    Rollover,
    /// The vehicle tilted.
    Tilt,
    /// The vehicle became unstable.
    Stability,
    /// An accident that the device does not say more about.
    Accident,
    /// Something or somebody fell.
    Fall,
    /// Engine on while standing.
    Idling,
    /// Radio jamming.
    Jamming,
    /// A false base station.
    FakeBaseStation,
    /// The satellite fix was lost.
    GpsLost,
    /// The satellite fix came back.
    GpsRestored,
    /// The first fix after power-on.
    GpsFirstFix,
    /// The satellite antenna was cut off.
    GpsAntennaCut,
    /// The SIM card was changed.
    SimChanged,
    /// Radio switched off to protect the supply.
    AirplaneMode,
    /// Deep sleep entered.
    Sleep,
    /// A door opened or closed.
    Door,
    /// Sound above a threshold.
    Sound,
    /// Light where it should be dark.
    Light,
    /// Fuel or the engine's supply was cut.
    FuelCut,
    /// Fuel or the engine's supply was restored.
    FuelRestored,
    /// Fuel leaks or is stolen.
    FuelLeak,
    /// Temperature above a threshold.
    TemperatureHigh,
    /// Temperature below a threshold.
    TemperatureLow,
    /// Temperature outside its thresholds; the device does not say which.
    Temperature,
    /// Locked.
    Lock,
    /// Unlocked.
    Unlock,
    /// Blocked, by whatever the device blocks.
    Blocked,
    /// No longer blocked.
    Unblocked,
    /// Armed.
    Armed,
    /// Disarmed.
    Disarmed,
    /// Somebody got in while armed.
    Intrusion,
    /// A button asked for an upload.
    ButtonUpload,
    /// A card or key was presented.
    CardSwiped,
    /// A driver signed in.
    DriverIn,
    /// A driver signed out.
    DriverOut,
    /// The driver in the vehicle is none that the device knows.
    DriverUnknown,
    /// The camera sees no driver.
    DriverMissing,
    /// The driver is tired.
    Fatigue,
    /// The driver looks away.
    Distraction,
    /// The driver uses a phone.
    PhoneUse,
    /// The driver smokes.
    Smoking,
    /// A seat belt is open.
    SeatBelt,
    /// The vehicle nears another one too fast.
    CollisionWarning,
    /// The vehicle leaves its lane.
    LaneDeparture,
    /// The vehicle follows another one too closely.
    FollowingDistance,
    /// A recording was made.
    Recording,
    /// A wire was cut.
    LineCut,
    /// A fault that the device found in itself.
    Fault,
    /// A control unit reports a trouble code that it did not report before. The event's code is
    /// the SPN times 32 plus the FMI, or the two bytes of an OBD-II code.
    TroubleCodeRaised,
    /// A control unit no longer reports a trouble code.
    TroubleCodeCleared,
    /// A command changed the device's settings, or asked for them.
    SettingsChanged,
    /// A trip started. Raised by the pipeline, dated back.
    TripStart,
    /// A trip ended.
    TripEnd,
    /// A stop started.
    StopStart,
    /// A stop ended.
    StopEnd,
    /// The pipeline found the vehicle standing with the engine on; [`Idling`](Self::Idling) is a
    /// device's own word.
    Idle,
    /// A code that no table knows.
    Unknown,
}

/// Who raised an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaisedBy {
    /// The device said so.
    Device,
    /// The pipeline found it.
    Pipeline,
}

/// Where in an incident an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incident {
    /// It started.
    Begin,
    /// It goes on.
    Repeat,
    /// It is over.
    End,
    /// It began long ago and no end was reported.
    Stuck,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Who says so.
    pub by: RaisedBy,
    /// The device's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Where in an incident it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// The report that began the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<crate::ReportId>,
    /// The incident was learned of from stored data, after the fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<bool>,
}

impl Event {
    /// An event that a device reported with a code of its own.
    pub const fn by_device(kind: EventKind, code: Option<u32>) -> Self {
        Self {
            kind,
            by: RaisedBy::Device,
            code,
            incident: None,
            incident_id: None,
            late: None,
        }
    }

    /// An event that a stage found.
    pub const fn by_pipeline(kind: EventKind) -> Self {
        Self {
            kind,
            by: RaisedBy::Pipeline,
            code: None,
            incident: None,
            incident_id: None,
            late: None,
        }
    }
}
