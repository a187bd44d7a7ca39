//! `milepost check-config`: what would run, and where each value comes from.

use std::io::{ErrorKind, Write};

use crate::config::{Loaded, Place, keys};
use crate::failure::Failure;
use crate::options::Options;

/// Checks the configuration as `serve` would, and prints it.
///
/// # Errors
/// All that is wrong with it.
pub fn run(options: &Options) -> Result<(), Failure> {
    let loaded = options.load()?;
    for warning in &loaded.warnings {
        crate::complain(warning);
    }
    let mut out = std::io::stdout().lock();
    match print(options, &loaded, &mut out) {
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

fn print(options: &Options, loaded: &Loaded, out: &mut impl Write) -> std::io::Result<()> {
    let Loaded {
        config, origins, ..
    } = loaded;
    for key in keys(options.protocols) {
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
        let set = device
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}"));
        let set: Vec<_> = set.collect();
        writeln!(out, "# device {}: {}", device.id, set.join(", "))?;
    }
    writeln!(out, "# the configuration is good")
}
