//! What is counted is documented under its name, and nothing else is.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of metrics in a text, each between `mark`s.
fn names(text: &str, mark: char, into: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices(&format!("{mark}milepost_")) {
        let name: String = text[at + 1..]
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || *c == '_')
            .collect();
        // A metric has a subject and a quantity; `milepost_api` is a schema of a database.
        let is_metric = name.matches('_').count() > 1;
        if is_metric && text[at + 1 + name.len()..].starts_with(mark) {
            into.insert(name);
        }
    }
}

fn in_sources(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            // It names what others count.
            && !path.ends_with("metrics/help.rs")
        {
            names(&fs::read_to_string(path).unwrap(), '"', into);
        }
    }
}

#[test]
fn the_names_of_metrics_are_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut counted = BTreeSet::new();
    for library in ["listener", "pipeline", "api", "server"] {
        in_sources(&root.join("crates").join(library).join("src"), &mut counted);
    }
    assert!(counted.len() > 10, "{counted:?}");
    let mut documented = BTreeSet::new();
    let text = fs::read_to_string(root.join("docs/operating.md")).unwrap();
    names(&text, '`', &mut documented);
    assert_eq!(counted, documented);
}

#[test]
fn every_documented_metric_has_a_line_of_help() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documented = BTreeSet::new();
    let text = fs::read_to_string(root.join("docs/operating.md")).unwrap();
    names(&text, '`', &mut documented);
    for name in documented {
        let helped = milepost::metrics::HELP
            .iter()
            .any(|(known, _)| *known == name);
        assert!(
            helped,
            "{name} has no line in crates/server/src/metrics/help.rs"
        );
    }
}
