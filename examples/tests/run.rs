//! The examples run, and do what they say.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use support::run;

#[test]
fn decode_hex_prints_a_position() {
    let text = run(env!("CARGO_BIN_EXE_decode_hex"), &[]);
    assert!(text.contains(r#""latitude": 23.1116933"#), "{text}");
    let login = "78781101075253367890024270003201000512790d0a";
    let text = run(env!("CARGO_BIN_EXE_decode_hex"), &[login]);
    assert!(text.contains(r#""kind": "login""#), "{text}");
}

#[test]
fn embed_decoder_answers_its_device() {
    let text = run(env!("CARGO_BIN_EXE_embed_decoder"), &[]);
    assert!(text.contains("login of 752533678900242"), "{text}");
    assert!(
        text.contains("the device is told 7878050100059ff80d0a"),
        "{text}"
    );
    assert!(text.contains("Location"), "{text}");
}

#[test]
fn custom_protocol_acknowledges_after_delivery() {
    let text = run(env!("CARGO_BIN_EXE_custom_protocol"), &[]);
    assert!(text.contains("I,boat-7 -> OK"), "{text}");
    let stored = text.find(r#""latitude":54.3213"#).unwrap();
    let told = text.find("-> A,1763622000").unwrap();
    assert!(stored < told, "{text}");
}

#[test]
fn ingest_embedded_stores_before_it_acknowledges() {
    let text = run(env!("CARGO_BIN_EXE_ingest_embedded"), &[]);
    assert!(
        text.contains("the tracker is told 78780516003695700d0a"),
        "{text}"
    );
    assert!(text.contains(r#""kind":"sos""#), "{text}");
    assert!(text.contains("nothing vanished"), "{text}");
}
