//! A TOML file, key by key, each with its line.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use milepost_listener::Network;
use milepost_telemetry::DeviceId;

use super::{Device, Fault, Loading, Place, Value, fault};

pub(super) fn read(path: &Path, loading: &mut Loading) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            loading.faults.push(Fault {
                place: Place::File(path.to_owned(), 0),
                key: String::new(),
                value: None,
                remedy: format!("cannot be read: {error}"),
            });
            return;
        }
    };
    let file = File { path, text: &text };
    let table = match DeTable::parse(&text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            loading.faults.push(Fault {
                place: file.place(&error.span().unwrap_or_default()),
                key: String::new(),
                value: None,
                remedy: format!(
                    "not TOML: {}",
                    error.message().trim_end().replace('\n', ", ")
                ),
            });
            return;
        }
    };
    file.table("", &table, loading);
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let newlines = before.split(|byte| *byte == b'\n').count();
        Place::File(self.path.to_owned(), newlines)
    }

    /// `prefix` is empty, or a section's name and a dot.
    fn table(&self, prefix: &str, table: &DeTable<'_>, loading: &mut Loading) {
        // In the order of the file, not of the names, so that faults are read from top to bottom.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, spanned) in entries {
            let name = format!("{prefix}{}", key.get_ref());
            match spanned.get_ref() {
                DeValue::Table(inner) if prefix.is_empty() => {
                    self.table(&format!("{name}."), inner, loading);
                }
                DeValue::Array(array) if name == "device" => {
                    for device in array {
                        self.device(device, loading);
                    }
                }
                _ => loading.set(&name, &self.value(spanned), self.place(&key.span())),
            }
        }
    }

    fn device(&self, spanned: &Spanned<DeValue<'_>>, loading: &mut Loading) {
        let protocols = loading.protocols;
        let mut refuse = |span: &Range<usize>, key: &str, value: Option<String>, remedy: String| {
            loading.faults.push(Fault {
                place: self.place(span),
                key: format!("device.{key}"),
                value,
                remedy,
            });
        };
        let Some(table) = spanned.get_ref().as_table() else {
            let remedy = "must be a table: [[device]], then `id = …`".to_owned();
            refuse(&spanned.span(), "id", None, remedy);
            return;
        };
        let Some((_, id)) = table.iter().find(|(key, _)| key.get_ref() == "id") else {
            let remedy = "is missing: each [[device]] needs an id".to_owned();
            refuse(&spanned.span(), "id", None, remedy);
            return;
        };
        let id_value = self.value(id);
        let named = id_value
            .text("an id such as an IMEI")
            .and_then(|id| protocols.device_id(id));
        if let Err(remedy) = &named {
            let value = Some(id_value.to_string());
            refuse(&id.span(), "id", value, remedy.clone());
        }
        let is_named = named.is_ok();
        // Without a good id the other keys are checked too, so that all that is wrong is reported.
        let Ok(id_or_any) = named.or_else(|_| DeviceId::new("0")) else {
            return;
        };
        let mut device = Device::new(id_or_any);
        device.place = self.place(&id.span());
        for (key, spanned) in table {
            if key.get_ref() == "id" {
                continue;
            }
            let value = self.value(spanned);
            if key.get_ref() == "networks" {
                match networks(&value) {
                    Ok(networks) => device.networks = networks,
                    Err(remedy) => {
                        refuse(&key.span(), "networks", Some(value.to_string()), remedy);
                    }
                }
                continue;
            }
            match protocols.check_device(key.get_ref(), &value) {
                Some(Ok((name, value))) => device.settings.set(name, value),
                Some(Err(remedy)) => {
                    refuse(&key.span(), key.get_ref(), Some(value.to_string()), remedy);
                }
                None => {
                    let names = protocols.device_keys().into_iter();
                    let remedy =
                        fault::did_you_mean(key.get_ref(), names.chain(["id", "networks"]));
                    refuse(&key.span(), key.get_ref(), None, remedy);
                }
            }
        }
        if !is_named {
            return;
        }
        if loading
            .config
            .devices
            .listed
            .iter()
            .any(|d| d.id == device.id)
        {
            let remedy = "is listed twice; keep one".to_owned();
            refuse(&id.span(), "id", Some(id_value.to_string()), remedy);
            return;
        }
        if device.id.is_imei() && !device.id.has_valid_check_digit() {
            loading.warnings.push(format!(
                "{}: device.id = {id_value}: the last digit is not the check digit of an IMEI; is \
                 the id mistyped?",
                self.place(&id.span())
            ));
        }
        loading.config.devices.listed.push(device);
    }

    fn value(&self, spanned: &Spanned<DeValue<'_>>) -> Value {
        match spanned.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Array(array) => {
                Value::List(array.iter().map(|item| self.value(item)).collect())
            }
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| self.written(spanned), Value::Integer),
            _ => self.written(spanned),
        }
    }

    fn written(&self, spanned: &Spanned<DeValue<'_>>) -> Value {
        let text = self.text.get(spanned.span()).unwrap_or_default();
        Value::Other(text.to_owned())
    }
}

/// Networks such as `10.1.0.0/16`: one, or a list.
fn networks(value: &Value) -> Result<Vec<Network>, String> {
    const WHAT: &str = "a network such as 10.1.0.0/16";
    let one = |value: &Value| {
        value
            .text(WHAT)?
            .parse()
            .map_err(|_| format!("must be {WHAT}"))
    };
    match value {
        Value::List(list) => list.iter().map(one).collect(),
        one_alone => Ok(vec![one(one_alone)?]),
    }
}
