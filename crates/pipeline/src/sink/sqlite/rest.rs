//! What has no column: JSON with the keys of the public form.

use milepost_telemetry::{
    Cell, DeviceId, Dop, Event, Identity, Level, Media, Percent, RawTime, Report, Signal, Switches,
    Tenant, Vehicle, WifiStation,
};
use serde::{Deserialize, Serialize};

use super::encode::json;
use super::provenance::{Provenance, same};
use crate::SinkError;

/// What has no column, with the keys of the public form.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Tenant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) raw_time: Option<RawTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<FixRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) power: Option<PowerRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<NetworkRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) io: Option<IoRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vehicle: Option<Vehicle>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<Identity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<Event>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) signals: Vec<Signal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media: Option<Media>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply_to: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Box<str>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FixRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hdop: Option<Dop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pdop: Option<Dop>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PowerRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) battery_level: Option<Level>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) charging: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IoRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) armed: Option<bool>,
    #[serde(default, skip_serializing_if = "Switches::is_empty")]
    pub(super) inputs: Switches,
    #[serde(default, skip_serializing_if = "Switches::is_empty")]
    pub(super) outputs: Switches,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NetworkRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operator: Option<Box<str>>,
    #[serde(
        default,
        rename = "signal_pct",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) signal: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signal_dbm: Option<i16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cells: Vec<Cell>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) wifi: Vec<WifiStation>,
}

/// What has no column, as JSON; empty if there is nothing.
pub(super) fn rest(
    report: &Report,
    provenance: &Provenance,
    identified: bool,
) -> Result<String, SinkError> {
    let raw_is_known = provenance.has(same::RAW_CIVIL) || provenance.has(same::RAW_UNIX);
    let more = &report.more;
    let network = &report.network;
    let has_network = network.signal.is_some()
        || network.signal_dbm.is_some()
        || network.cell.is_some()
        || !more.is_none()
            && (more.operator.is_some() || !more.cells.is_empty() || !more.wifi.is_empty());
    let mut rest = Rest {
        tenant: report.tenant.filter(|_| !identified),
        device: report.device.filter(|_| !identified),
        raw_time: report.raw_time.filter(|_| !raw_is_known),
        fix: report
            .fix
            .as_ref()
            .filter(|fix| fix.hdop.is_some() || fix.pdop.is_some())
            .map(|fix| FixRest {
                hdop: fix.hdop,
                pdop: fix.pdop,
            }),
        power: Some(&report.power)
            .filter(|power| power.battery_level.is_some() || power.charging.is_some())
            .map(|power| PowerRest {
                battery_level: power.battery_level,
                charging: power.charging,
            }),
        network: has_network.then(|| NetworkRest {
            operator: more.operator.clone(),
            signal: network.signal,
            signal_dbm: network.signal_dbm,
            cells: report.cells().copied().collect(),
            wifi: more.wifi.clone(),
        }),
        io: Some(&report.io)
            .filter(|io| io.armed.is_some() || !io.inputs.is_empty() || !io.outputs.is_empty())
            .map(|io| IoRest {
                armed: io.armed,
                inputs: io.inputs,
                outputs: io.outputs,
            }),
        ..Rest::default()
    };
    if !more.is_none() {
        rest.vehicle.clone_from(&more.vehicle);
        rest.identity.clone_from(&more.identity);
        rest.events.clone_from(&more.events);
        rest.signals.clone_from(&more.signals);
        rest.media.clone_from(&more.media);
        rest.reply_to = more.reply_to;
        rest.text.clone_from(&more.text);
    }
    let text = json(&rest, 128)?;
    Ok(if text == "{}" { String::new() } else { text })
}
