//! Every key of the JSON form is documented, and everything documented is a key.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use milepost_telemetry::{EventKind, Report};
use serde_json::{Map, Value, json};

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/integrating.md");
    let text = std::fs::read_to_string(path).unwrap();
    let form = text.split("\n## ").find(|s| s.starts_with("The JSON form"));
    form.unwrap().to_owned()
}

/// Keys and examples of the table.
fn documented() -> Vec<(String, Value)> {
    let mut rows = Vec::new();
    for line in document().lines() {
        let Some((key, rest)) = line.strip_prefix("| `").and_then(|l| l.split_once("` | `")) else {
            continue;
        };
        let (example, _) = rest.split_once("` | ").unwrap();
        let example = serde_json::from_str(example).unwrap_or_else(|e| panic!("{key}: {e}"));
        rows.push((key.to_owned(), example));
    }
    rows
}

fn put(into: &mut Map<String, Value>, key: &str, example: Value) {
    let Some((group, rest)) = key.split_once('.') else {
        into.insert(key.to_owned(), example);
        return;
    };
    let inner = match group.strip_suffix("[]") {
        Some(list) => {
            let list = into.entry(list).or_insert_with(|| json!([{}]));
            list.get_mut(0).unwrap()
        }
        None => into.entry(group).or_insert_with(|| json!({})),
    };
    put(inner.as_object_mut().unwrap(), rest, example);
}

fn keys(value: &Value, before: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let dot = if before.is_empty() { "" } else { "." };
            for (key, value) in map {
                keys(value, &format!("{before}{dot}{key}"), into);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for item in list {
                keys(item, &format!("{before}[]"), into);
            }
        }
        _ => {
            into.insert(before.to_owned());
        }
    }
}

#[test]
fn what_is_documented_is_read_and_written() {
    let mut form = Map::new();
    let mut listed = BTreeSet::new();
    for (key, example) in documented() {
        put(&mut form, &key, example);
        listed.insert(key);
    }
    let report: Report = serde_json::from_value(Value::Object(form)).unwrap();
    let mut written = BTreeSet::new();
    keys(&serde_json::to_value(&report).unwrap(), "", &mut written);
    assert_eq!(listed, written);
}

#[test]
fn what_is_written_is_documented() {
    let listed: BTreeSet<String> = documented().into_iter().map(|row| row.0).collect();
    let full = serde_json::from_str(include_str!("snapshots/full.json")).unwrap();
    let mut written = BTreeSet::new();
    keys(&full, "", &mut written);
    let missing: Vec<_> = written.difference(&listed).collect();
    assert!(
        missing.is_empty(),
        "not in docs/integrating.md: {missing:?}"
    );
}

#[test]
fn the_kinds_of_events_are_documented() {
    let text = document();
    let (_, list) = text.split_once("Kinds of events: ").unwrap();
    let listed: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();
    let kinds: Vec<_> = EventKind::ALL.iter().map(|kind| json!(kind)).collect();
    let kinds: BTreeSet<&str> = kinds.iter().filter_map(Value::as_str).collect();
    assert_eq!(listed, kinds);
}
