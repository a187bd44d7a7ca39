//! Decodes long captures of trucks, where a folder of them lies beside the repository: nothing
//! but what the log itself contains goes wrong, and the number of messages of each kind is known.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::path::Path;

use milepost_protocol_j1939::decoder::{Content, Decoder, Head, Options, Output};
use milepost_protocol_j1939::{CanFrame, CanId, CanTime};

/// `candump` text, plain or with spaces.
fn frames(file: &str) -> Vec<CanFrame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/logs");
    let Ok(text) = std::fs::read_to_string(path.join(file)) else {
        println!("no captures beside the repository: nothing to run");
        return Vec::new();
    };
    text.lines().filter_map(frame).collect()
}

fn frame(line: &str) -> Option<CanFrame> {
    let (time, rest) = line.trim().strip_prefix('(')?.split_once(')')?;
    let mut words = rest.split_whitespace().skip(1);
    let word = words.next()?;
    let (id, data) = match word.split_once('#') {
        Some((id, data)) => (id, data.to_owned()),
        None => (word, words.skip(1).collect()),
    };
    let id = CanId::extended(u32::from_str_radix(id, 16).ok()?)?;
    let micros = (time.parse::<f64>().ok()? * 1e6).round() as u64;
    let frame = CanFrame::new(id, &hex::decode(data).ok()?).ok()?;
    Some(frame.with_time(Some(CanTime(micros))))
}

#[derive(Default, Debug)]
struct Summary {
    frames: usize,
    groups: usize,
    messages: BTreeMap<u32, usize>,
    failures: BTreeMap<String, usize>,
    malformed: usize,
    unknown: usize,
    held: usize,
}

fn decode(file: &str) -> Option<Summary> {
    let frames = frames(file);
    let mut decoder = Decoder::new(Options::default());
    let mut all = Summary::default();
    for frame in &frames {
        decoder.push(frame, CanTime(0));
        all.held = all.held.max(decoder.held_bytes());
        while let Some(output) = decoder.poll() {
            match output {
                Output::Message(message) => {
                    let Head::Group(id) = message.head else {
                        continue;
                    };
                    all.groups += 1;
                    if message.data.len() > 8 {
                        *all.messages.entry(id.pgn.raw()).or_default() += 1;
                    }
                    all.unknown += usize::from(message.content == Content::Unknown);
                }
                Output::Failure(failure) => {
                    let text = format!("{:?}", failure.reason);
                    let name = text.split([' ', '{']).next().unwrap().to_owned();
                    *all.failures.entry(name).or_default() += 1;
                }
                Output::Malformed { .. } => all.malformed += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    all.frames = frames.len();
    (all.frames > 0).then_some(all)
}

fn counts<K: Ord + Copy>(map: &BTreeMap<K, usize>) -> Vec<(K, usize)> {
    map.iter().map(|(k, v)| (*k, *v)).collect()
}

fn failures(all: &Summary) -> Vec<(&str, usize)> {
    all.failures.iter().map(|(k, v)| (k.as_str(), *v)).collect()
}

#[test]
fn a_capture_of_an_emission_test_has_its_messages() {
    let Some(all) = decode("eti_j1939_840.candump.log") else {
        return;
    };
    assert_eq!((all.frames, all.malformed), (2645, 0));
    assert_eq!(counts(&all.messages), [(65251, 1)]);
    assert_eq!(failures(&all), []);
}

#[test]
fn a_capture_of_a_truck_on_the_road_has_its_messages() {
    let Some(all) = decode("systemscyber_normal.log") else {
        return;
    };
    assert_eq!((all.frames, all.malformed), (19_957, 0));
    assert_eq!(counts(&all.messages), [(65226, 32), (65249, 6), (65251, 6)]);
    assert_eq!(failures(&all), []);
}

#[test]
fn a_capture_under_attack_yields_nothing_mixed_and_holds_little() {
    let Some(all) = decode("systemscyber_malicious_CTS_attack.txt") else {
        return;
    };
    assert_eq!((all.frames, all.malformed), (3056, 0));
    assert_eq!(counts(&all.messages), [(65226, 15)]);
    // The request for numbers that the message does not have; its sender goes silent.
    assert_eq!(failures(&all), [("TimedOut", 1)]);
    assert!(all.held < 16 * 1024, "{}", all.held);
}
