//! The README's table of support says what the tables and the decoder have.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use milepost_protocol_j1939::Pgn;
use milepost_protocol_j1939::diagnostics;
use milepost_protocol_j1939::signal::{groups, pid};

const README: &str = include_str!("../README.md");

fn row(start: &str) -> Vec<&'static str> {
    let line = README.lines().find(|line| line.starts_with(start)).unwrap();
    line.split('|').map(str::trim).collect()
}

#[test]
fn the_number_of_signals_is_right() {
    let signals: usize = groups().map(|group| group.signals.len()).sum();
    let expected = format!("{signals} in {} groups", groups().count());
    assert_eq!(row("| signals |")[2], expected);
    let parameters = format!("{} parameters", pid::pids().count());
    assert!(row("| OBD-II")[4].ends_with(&parameters), "{parameters}");
}

#[test]
fn every_diagnostic_message_is_listed_and_no_other() {
    let listed: Vec<&str> = README
        .lines()
        .filter(|line| line.starts_with("| DM"))
        .flat_map(|line| line.split('|').nth(1).unwrap().split(','))
        .map(str::trim)
        .collect();
    let mut known: Vec<String> = (0..=0xFFFF)
        .filter_map(Pgn::new)
        .filter_map(diagnostics::message)
        .map(|(number, _)| format!("DM{number}"))
        .collect();
    known.sort();
    known.dedup();
    let mut listed: Vec<String> = listed.into_iter().map(Into::into).collect();
    listed.sort();
    assert_eq!(listed, known);
}
