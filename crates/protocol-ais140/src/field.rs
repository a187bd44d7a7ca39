//! The vocabulary: every field that a dialect's layout can name.

use core::fmt;
use core::str::FromStr;

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// A field of a packet. Layouts of dialects name fields by [`Field::name`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Field { $($(#[$doc])* $variant,)* }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as layouts, errors and explanations write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for Field {
            type Err = UnknownField;

            fn from_str(name: &str) -> Result<Self, UnknownField> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(UnknownField),
                }
            }
        }
    };
}

/// A name that no field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such field")]
pub struct UnknownField;

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fields! {
    /// Vendor id, a text given by the maker.
    Vendor "vendor",
    /// Firmware version.
    Firmware "firmware",
    /// Packet type: two to four letters, `NR` for a normal position.
    Type "type",
    /// Alert id, one to three digits.
    Alert "alert",
    /// `L` live, `H` history.
    Status "status",
    /// The device's IMEI, 15 digits.
    Imei "imei",
    /// Vehicle registration.
    Registration "registration",
    /// GNSS fix: `1`, `0`; `A`, `V` in emergency packets.
    Fix "fix",
    /// Date: `DDMMYYYY`; read also as `DDMMYY`, in three items, or with the time in one item.
    Date "date",
    /// Time: `hhmmss`, or three items.
    Time "time",
    /// Date in three items: day, month, year.
    DateItems "date_items",
    /// Time in three items: hour, minute, second.
    TimeItems "time_items",
    /// Date and time in one item of 14 digits; read in the other forms too.
    DateTime "datetime",
    /// Latitude in degrees, or in degrees and minutes (`ddmm.mmmm`) where it exceeds 90.
    Latitude "lat",
    /// `N` or `S`.
    NorthSouth "ns",
    /// Longitude, like the latitude.
    Longitude "lon",
    /// `E` or `W`.
    EastWest "ew",
    /// Latitude and longitude with their letters in one item (`12.97N77.54E`).
    Place "place",
    /// Speed over ground in km/h.
    Speed "speed",
    /// Direction of travel in degrees.
    Heading "heading",
    /// Satellites used.
    Satellites "satellites",
    /// Height in metres.
    Altitude "altitude",
    /// Position dilution of precision.
    Pdop "pdop",
    /// Horizontal dilution of precision.
    Hdop "hdop",
    /// Name of the mobile network operator.
    Operator "operator",
    /// Ignition: `1` on.
    Ignition "ignition",
    /// Vehicle battery: `1` connected.
    MainPower "main_power",
    /// Voltage of the vehicle battery.
    MainVolts "main_volts",
    /// Voltage of the device's own battery.
    BatteryVolts "battery_volts",
    /// Emergency state: `1` on.
    Emergency "emergency",
    /// Tamper: `C` closed, `O` open, other letters by maker, may be empty.
    Tamper "tamper",
    /// Geofence word (`GEO-IN`, `GEO-NA`) or number.
    Geofence "geofence",
    /// Mobile signal, 0 to 31 (CSQ scale), 99 unknown.
    Gsm "gsm",
    /// Mobile country code.
    Mcc "mcc",
    /// Mobile network code.
    Mnc "mnc",
    /// Location or tracking area code, hexadecimal.
    Lac "lac",
    /// Cell id, hexadecimal.
    Cell "cell",
    /// Cell id in decimal.
    CellDecimal "cell_dec",
    /// Everything between the serving cell and the digital inputs.
    Neighbours "neighbours",
    /// MCC, MNC, LAC and cell, or LAC and cell, after an emergency packet's reply number.
    ServingCell "serving_cell",
    /// Digital inputs as a string of `0` and `1`.
    Inputs "inputs",
    /// A second block of switches between inputs and outputs.
    Block "block",
    /// Digital outputs as a string of `0` and `1`.
    Outputs "outputs",
    /// Inputs (four) and outputs (two) in one string.
    InputsOutputs "inputs_outputs",
    /// Frame number.
    Frame "frame",
    /// Analog input, volts unless the maker says otherwise.
    Analog "analog",
    /// Odometer in metres.
    OdometerMetres "odometer_m",
    /// Odometer in kilometres.
    OdometerKm "odometer_km",
    /// Distance since the packet before, metres.
    Delta "delta",
    /// Acceleration of one axis, in g.
    Acceleration "acceleration",
    /// A number without known meaning.
    Value "value",
    /// Anything without known meaning.
    Text "text",
    /// OTA answer in brackets.
    Ota "ota",
    /// Checksum.
    Checksum "checksum",
    /// `EMR` emergency, `SEM` end of emergency.
    Message "message",
    /// `NM` live, `SP` stored.
    PacketStatus "packet_status",
    /// Distance since the previous fix; its unit is not stated.
    Distance "distance",
    /// Provider of the position: `G` satellites, `N` network.
    Provider "provider",
    /// Number that wants the answer.
    Reply "reply",
    /// Version of the protocol (`AIS140`, `0100`).
    Protocol "protocol",
    /// Number of the SIM card, 18 to 22 characters.
    Iccid "iccid",
    /// Number of the subscriber, 15 digits.
    Imsi "imsi",
    /// A word that the maker's own form puts in front.
    Token "token",
    /// Charge of the device's battery in percent.
    BatteryPercent "battery_pct",
    /// Threshold of the low battery alert in percent.
    LowPercent "low_pct",
    /// Memory used in percent.
    MemoryPercent "memory_pct",
    /// Another memory used in percent.
    Memory2Percent "memory2_pct",
    /// Interval with ignition on, seconds.
    IntervalOn "interval_on",
    /// Interval with ignition off, seconds.
    IntervalOff "interval_off",
    /// `M` moving, `H` halted, `S` sleeping.
    Mode "mode",
    /// Where a command came from: `0` SMS, `1` server.
    Source "source",
    /// Telephone number or address that sent a command.
    Sender "sender",
    /// Everything to the end: what a command changed or asked.
    Parameters "parameters",
    /// Activation code.
    Activation "activation",
}
