//! Parts that several messages share.

mod alarm;
mod cell;
mod course_status;
mod datetime;
mod gps;
mod items;
mod meters;
mod neighbour;
mod plmn;
mod quantity;
mod radio_cell;
mod reading;
mod status;
mod terminal_id;
mod terminal_info;
mod topin;
mod trailer;
mod wifi;

#[cfg(feature = "telemetry")]
pub(crate) use alarm::alarm_key;
pub(crate) use alarm::is_known_alarm;
pub use alarm::{Alarm, alarm_meaning};
pub use cell::{Cell, CellForm};
pub use course_status::CourseStatus;
pub use datetime::DateTime;
pub use gps::{Gps, Position};
#[cfg(feature = "telemetry")]
pub(crate) use items::note_raw_item;
pub use items::{Item, Items};
pub use meters::Meters;
pub use neighbour::{Neighbour, NeighbourForm, dbm};
pub use plmn::Plmn;
pub use quantity::{
    AlarmCode, Altitude, Battery, BatteryDecivolts, BatteryVoltage, Card, Celsius, DriverKey,
    ExtendedStatus, Ignition, IgnitionSeconds, Language, Mileage, MileageTens, MobileSignal,
    MobileSignalPercent, RawMileage, ReplyLanguage, Reupload, Supply, SupplyVolts, UploadMode,
    WorkingMinutes, WorkingSeconds,
};
pub use radio_cell::RadioCell;
pub use status::Status;
pub use terminal_id::TerminalId;
pub use terminal_info::TerminalInfo;
pub use trailer::{Trailer, upload_mode_name};
pub use wifi::Station;

pub(crate) use reading::{
    card, centivolts, is_cell, is_digits, is_gps, is_gps_and_cell, is_mcc, is_mileage, is_time,
    is_timed_place, language, mac,
};
#[cfg(feature = "telemetry")]
pub(crate) use reading::{note_battery_voltage, note_mileage, note_supply};
pub(crate) use status::{ONLY_PERCENT, battery, describe_alarm, signal};
#[cfg(feature = "telemetry")]
pub(crate) use status::{note_battery, note_signal};
pub(crate) use topin::{answer as topin_answer, bcd_time, time_answer as topin_time_answer};
pub(crate) use wifi::encode_counted;
