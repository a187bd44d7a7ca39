//! `milepost check-config`: what would run, and where each value comes from.

use std::io::Write;

use crate::config::{DEVICE_KEYS, KEYS, Loaded, Place};
use crate::failure::Failure;
use crate::options::Options;

/// Checks the configuration as `serve` would, and prints it.
///
/// # Errors
/// All that is wrong with it.
pub fn run(options: &Options) -> Result<(), Failure> {
    let loaded = options.load()?;
    for warning in &loaded.warnings {
        eprintln!("milepost: {warning}");
    }
    let mut out = std::io::stdout().lock();
    print(&loaded, &mut out)?;
    Ok(())
}

fn print(loaded: &Loaded, out: &mut impl Write) -> std::io::Result<()> {
    let Loaded {
        config, origins, ..
    } = loaded;
    for key in KEYS {
        let place = origins
            .iter()
            .find(|(name, _)| *name == key.name)
            .map_or(&Place::Default, |(_, place)| place);
        match key.show(config) {
            Some(value) => writeln!(out, "{} = {value}  # {place}", key.name)?,
            None => writeln!(out, "# {} is not set", key.name)?,
        }
    }
    let listed = &config.devices.listed;
    writeln!(out, "# {} listed devices", listed.len())?;
    for device in listed {
        let set = DEVICE_KEYS.iter().filter_map(|key| {
            let value = (key.show)(device)?;
            Some(format!("{} = {value}", key.name))
        });
        let set: Vec<_> = set.collect();
        writeln!(out, "# device {}: {}", device.id, set.join(", "))?;
    }
    writeln!(out, "# the configuration is good")
}
