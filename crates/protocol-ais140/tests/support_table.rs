//! The README's table says what the code does.
#![cfg(feature = "telemetry")]

use milepost_protocol_ais140::{Dialects, Kind};

fn rows() -> Vec<String> {
    let dialects = Dialects::builtin();
    dialects
        .iter()
        .filter(|dialect| dialect.headers().next().is_some())
        .map(|dialect| {
            let headers: Vec<_> = dialect
                .headers()
                .map(|(token, kind)| {
                    let token = String::from_utf8_lossy(token);
                    let kind = if kind == Kind::Unknown {
                        "any"
                    } else {
                        kind.name()
                    };
                    format!("`{token}` {kind}")
                })
                .collect();
            let mut rules: Vec<_> = dialect
                .rules()
                .map(|(kind, rule)| format!("{kind} `{rule}`"))
                .collect();
            if rules.is_empty() {
                rules.push("not known".into());
            }
            let mut replies: Vec<_> = Kind::WITH_LAYOUT
                .iter()
                .filter(|k| dialect.replies_to(**k))
                .map(|k| k.name())
                .collect();
            if replies.is_empty() {
                replies.push("none");
            }
            let mut verbs: Vec<_> = dialect.verbs().collect();
            if verbs.is_empty() {
                verbs.push("none");
            }
            format!(
                "| {} | {} | {} | {} | {} |",
                dialect.name(),
                headers.join(", "),
                rules.join(", "),
                replies.join(", "),
                verbs.join(", ")
            )
        })
        .collect()
}

#[test]
fn every_dialect_has_its_row() {
    let readme = include_str!("../README.md");
    let missing: Vec<_> = rows()
        .into_iter()
        .filter(|row| !readme.contains(row.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "rows that the README lacks:\n{}",
        missing.join("\n")
    );
}
