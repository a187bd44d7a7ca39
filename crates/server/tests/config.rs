//! Configuration: the example file, the order of the sources, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use milepost::config::{self, Config, Loaded, Sources, keys};
use milepost::protocol::BUILT_IN;

const EXAMPLE: &str = include_str!("../../../milepost.example.toml");

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load_file(text: &str) -> Result<Loaded, String> {
    let file = file(text);
    let name = file.path().display().to_string();
    config::load(
        &Sources {
            file: Some(file.path()),
            ..Sources::default()
        },
        BUILT_IN,
    )
    .map_err(|faults| faults.to_string().replace(&name, "FILE"))
}

fn refused(text: &str) -> String {
    load_file(text).unwrap_err()
}

/// The example's lines with the keys that have no default brought to life.
fn example_with_all_keys() -> String {
    EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_setting(line: &str) -> bool {
    line == "[[device]]"
        || line.split_once(" = ").is_some_and(|(key, _)| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
}

#[test]
fn the_example_says_the_defaults() {
    let loaded = load_file(EXAMPLE).unwrap();
    assert_eq!(loaded.config, Config::of(BUILT_IN));
}

#[test]
fn the_example_names_every_key() {
    let loaded = load_file(&example_with_all_keys()).unwrap();
    for key in keys(BUILT_IN) {
        assert!(
            loaded.origins.iter().any(|(name, _)| *name == key.name),
            "{} is missing",
            key.name
        );
        assert!(EXAMPLE.contains(&key.env), "{} is missing", key.env);
    }
    let device = loaded.config.devices.listed.first().unwrap();
    for (key, value) in [
        ("dialect", "jimi"),
        ("zone", "+08:00"),
        ("acknowledge_locations", "always"),
        ("command_language", "english"),
    ] {
        assert_eq!(device.settings.text(key), value);
    }
}

#[test]
fn a_login_s_sixteen_digits_are_a_device_s_id_too() {
    let loaded =
        load_file("[[device]]\nid = '0752533678900242'\n[[device]]\nid = '1752533678900242'\n")
            .unwrap();
    let ids = loaded.config.devices.listed.iter().map(|device| device.id);
    let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    assert_eq!(ids, ["752533678900242", "1752533678900242"]);
}

#[test]
fn an_id_that_no_configured_protocol_can_have_is_refused_with_the_remedy() {
    let said = refused("[[device]]\nid = '12a'\n");
    assert!(
        said.contains("FILE:2: device.id = \"12a\": is an id that no configured protocol can have"),
        "{said}"
    );
    assert!(said.contains("can_port") && said.contains("IMEI"), "{said}");
    load_file("[[device]]\nid = '12a'\ncan_networks = ['10.1.0.0/16']\n").unwrap();
    load_file("[j1939]\nidentify = 'line'\n[[device]]\nid = '12a'\n").unwrap();
    let by_vin = |id: &str| format!("[j1939]\nidentify = 'vin'\n[[device]]\nid = '{id}'\n");
    load_file(&by_vin("1M8GDM9AXKP042788")).unwrap();
    assert!(refused(&by_vin("12a")).contains("vehicle identification number"));
    // An IMEI is an id of trackers, whatever is said of CAN frames.
    load_file(&by_vin("752533678900242")).unwrap();
}

#[test]
fn a_device_s_wrong_id_hides_nothing_else_that_is_wrong_with_it() {
    let faults =
        load_file("[[device]]\nid = 'two words'\nzone = 'x'\ndialect = 'y'\n").unwrap_err();
    for key in ["device.id", "device.zone", "device.dialect"] {
        assert!(faults.contains(key), "{key}: {faults}");
    }
}

#[test]
fn type_words_stand_for_dialects_and_wrong_ones_are_refused() {
    let loaded = load_file("[gt06]\nmodels = [\"8033=jimi\", \"00ff=seeworld\"]\n").unwrap();
    let models = loaded.config.protocols.texts("gt06.models");
    assert_eq!(models, ["8033=jimi", "00ff=seeworld"]);
    for wrong in [
        "\"8033=jimi\"",
        "[\"833=jimi\"]",
        "[\"8033\"]",
        "[\"8033=vl103\"]",
        "[8033]",
    ] {
        let said = refused(&format!("[gt06]\nmodels = {wrong}\n"));
        assert!(
            said.contains("gt06.models") && said.contains("8033=jimi"),
            "{said}"
        );
    }
    let said = refused("[gt06]\nmodels = [\"8033=jimi\", \"8033=r11\"]\n");
    assert!(said.contains("twice"), "{said}");
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let file = file("data_dir = 'a'\n[log]\nlevel = 'warn'\n[http]\nlisten = '127.0.0.1:1'\n");
    let loaded = config::load(
        &Sources {
            file: Some(file.path()),
            environment: vec![
                (
                    OsString::from("MILEPOST_LOG_LEVEL"),
                    OsString::from("debug"),
                ),
                (
                    OsString::from("MILEPOST_HTTP"),
                    OsString::from("127.0.0.1:2"),
                ),
            ],
            flags: vec![("http.listen".into(), "--http".into(), "127.0.0.1:3".into())],
        },
        BUILT_IN,
    )
    .unwrap();
    assert_eq!(loaded.config.data_dir, Path::new("a"));
    assert_eq!(loaded.config.log.level, "debug");
    assert_eq!(loaded.config.http.listen, "127.0.0.1:3".parse().unwrap());
}

#[test]
fn every_key_can_come_from_the_environment_as_it_is_shown() {
    let Loaded { config, .. } = load_file(&example_with_all_keys()).unwrap();
    for key in keys(BUILT_IN).iter().filter(|key| !key.secret) {
        let shown = key.show(&config).unwrap();
        let value = shown.replace(['"', '[', ']'], "");
        let sources = Sources {
            environment: vec![(key.env.clone().into(), value.into())],
            ..Sources::default()
        };
        let loaded = config::load(&sources, BUILT_IN)
            .unwrap_or_else(|faults| panic!("{}: {faults}", key.env));
        assert_eq!(key.show(&loaded.config).unwrap(), shown);
    }
}

#[test]
fn a_wrong_value_is_refused_with_line_key_value_and_remedy() {
    assert_eq!(
        refused("# a comment\n[http]\nlisten = 'here'\n"),
        "the configuration is refused\n  FILE:3: http.listen = \"here\": must be an address and a \
             port, for example \"127.0.0.1:8080\" (0.0.0.0 or [::] for every address of this machine)"
    );
    assert_eq!(
        refused("[limits]\nmax_in_flight = 0\n"),
        "the configuration is refused\n  FILE:2: limits.max_in_flight = 0: must be a whole number \
             from 1 to 10000"
    );
    assert!(
        refused("[limits]\nidle_timeout_s = 1e3\n").contains("= 1e3: must be a whole number of")
    );
    assert!(refused("[devices]\nunknown = 'deny'\n").contains("one of \"accept\", \"quarantine\""));
    assert!(refused("[log]\nlevel = 'loud'\n").contains("must be error, warn, info"));
    assert!(refused("data_dir = 5\n").contains("data_dir = 5: must be a path, in quotes"));
    assert!(refused("[gt06]\nlisten = ['0.0.0.0:70000']\n").contains("or a list of these"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    assert!(
        refused("data_dirr = 'x'\n")
            .contains("FILE:1: data_dirr: unknown key; did you mean `data_dir`?")
    );
    assert!(refused("[http]\nlisten_on = 'x'\n").contains("did you mean `http.listen`?"));
    assert!(refused("[mqtt]\nbroker = 'x'\n").contains("mqtt.broker: unknown key; the keys are"));
    assert!(
        refused("[[device]]\nid = '1'\nacknowledge_location = 'auto'\n")
            .contains("FILE:3: device.acknowledge_location: unknown key; did you mean")
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let said = refused("nonsense = 1\n[http]\nlisten = 1\n[log]\nformat = 'xml'\n");
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let said = refused("data_dir = 'a'\n[http\n");
    assert!(said.contains("FILE:2: not TOML"), "{said}");
    let said = refused("data_dir = 'a'\ndata_dir = 'b'\n");
    assert!(said.contains("FILE:2: not TOML"), "{said}");
}

#[test]
fn zones_of_devices_are_offsets_that_exist() {
    let zone = |text: &str| {
        load_file(&format!("[[device]]\nid = '1'\nzone = '{text}'\n")).map(|loaded| {
            loaded.config.devices.listed[0]
                .settings
                .text("zone")
                .to_owned()
        })
    };
    assert_eq!(zone("+05:45"), Ok("+05:45".to_owned()));
    assert_eq!(zone("-04:00"), Ok("-04:00".to_owned()));
    for wrong in ["8", "+8", "+8:00", "+15:00", "+08:60", "08:00", "UTC", ""] {
        assert!(
            zone(wrong).unwrap_err().contains("east of Greenwich"),
            "{wrong}"
        );
    }
    assert!(
        refused("[[device]]\nid = '1'\ndialect = 'vl103'\n")
            .contains("one of \"concox\", \"jimi\"")
    );
}

#[test]
fn a_dialect_that_nobody_has_is_answered_with_the_names_of_every_protocol() {
    let said = refused("[[device]]\nid = '1'\ndialect = 'vl103'\n");
    assert!(said.contains("\"jimi\""), "{said}");
    assert!(said.contains("roadpoint, wtex"), "{said}");
    let said = refused("[ais140]\nunconfirmed_replies = ['nobody']\n");
    assert!(
        said.contains("roadpoint") && said.contains("\"all\""),
        "{said}"
    );
}

#[test]
fn devices_need_an_id_and_are_listed_once() {
    assert!(
        refused("[[device]]\nacknowledge_locations = 'auto'\n")
            .contains("each [[device]] needs an id")
    );
    assert!(refused("[[device]]\nid = 'two words'\n").contains("must be a device's id"));
    assert!(
        refused("[[device]]\nid = '1'\n[[device]]\nid = '1'\n")
            .contains("FILE:4: device.id = \"1\": is listed twice")
    );
    assert!(refused("device = ['1']\n").contains("must be a table"));
}

#[test]
fn without_a_token_only_loopback_addresses_are_bound() {
    let said = refused("[http]\nlisten = '0.0.0.0:8080'\n");
    assert!(
        said.contains("FILE:2: http.listen = \"0.0.0.0:8080\": without a token"),
        "{said}"
    );
    assert!(said.contains("--api-token"), "{said}");
    assert!(refused("[http]\nlisten = '[::]:8080'\n").contains("without a token"));
    load_file("[http]\nlisten = '[::1]:8080'\n").unwrap();
    load_file("[http]\nlisten = 'localhost:8080'\n").unwrap();
    load_file("[http]\nlisten = '0.0.0.0:8080'\napi_token = '0b9a5f7b2d3c4e61'\n").unwrap();
}

#[test]
fn a_token_that_a_network_can_reach_has_sixteen_characters() {
    let said = refused("[http]\nlisten = '0.0.0.0:8080'\napi_token = '0b9a5f7b2d3c4e6'\n");
    assert!(
        said.contains("FILE:3: http.api_token: must have at least 16 characters"),
        "{said}"
    );
    load_file("[http]\nlisten = '127.0.0.1:8080'\napi_token = 'short'\n").unwrap();
}

#[test]
fn an_id_that_no_protocol_has_is_refused_and_a_wrong_check_digit_is_a_warning() {
    for wrong in ["12 a", "123456789012345678901234", ""] {
        let said = refused(&format!("[[device]]\nid = '{wrong}'\n"));
        assert!(said.contains("FILE:2: device.id"), "{said}");
    }
    let warned = |id: &str| {
        load_file(&format!("[[device]]\nid = '{id}'\n"))
            .unwrap()
            .warnings
    };
    assert_eq!(
        warned("004999010000015").len() + warned("004999010000016").len(),
        1
    );
    assert!(warned("7").is_empty());
}

#[test]
fn a_secret_is_never_shown() {
    let said = refused("[http]\napi_token = 'hush hush'\n");
    assert!(
        said.contains("http.api_token") && !said.contains("hush"),
        "{said}"
    );
    let loaded = load_file("[http]\napi_token = 'hush'\n").unwrap();
    assert!(!format!("{:?}", loaded.config).contains("hush"));
}

#[test]
fn foreign_variables_with_our_prefix_are_a_warning() {
    let loaded = config::load(
        &Sources {
            environment: vec![("MILEPOST_SERVICE_HOST".into(), "10.0.0.1".into())],
            ..Sources::default()
        },
        BUILT_IN,
    )
    .unwrap();
    assert_eq!(loaded.config, Config::of(BUILT_IN));
    assert_eq!(loaded.warnings.len(), 1);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = config::load(
        &Sources {
            file: Some(Path::new("/nowhere/milepost.toml")),
            ..Sources::default()
        },
        BUILT_IN,
    )
    .unwrap_err()
    .to_string();
    assert!(
        said.contains("/nowhere/milepost.toml: cannot be read"),
        "{said}"
    );
}

#[test]
fn two_listeners_cannot_share_an_address() {
    let said = refused("[http]\nlisten = '127.0.0.1:9'\n[gt06]\nlisten = '0.0.0.0:9'\n");
    assert!(
        said.contains(
            "FILE:4: gt06.listen = \"0.0.0.0:9\": overlaps with http.listen = \"127.0.0.1:9\" \
             (FILE:2): choose another port"
        ),
        "{said}"
    );
    // Also when one of them is a default.
    let said = refused("[http]\nlisten = '127.0.0.1:5023'\n");
    assert!(
        said.contains("overlaps with http.listen = \"127.0.0.1:5023\" (FILE:2)"),
        "{said}"
    );

    let gt06 = |one: &str, other: &str| {
        load_file(&format!("[gt06]\nlisten = ['{one}', '{other}']\n")).map(drop)
    };
    for (one, other) in [
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("0.0.0.0:9", "192.0.2.1:9"),
        ("[::]:9", "0.0.0.0:9"),
        ("[::]:9", "192.0.2.1:9"),
        ("[::]:9", "[::1]:9"),
        ("[::ffff:192.0.2.1]:9", "192.0.2.1:9"),
    ] {
        for (a, b) in [(one, other), (other, one)] {
            let said = gt06(a, b).unwrap_err();
            assert!(said.contains("overlaps with gt06.listen"), "{said}");
        }
    }
    for (one, other) in [
        ("127.0.0.1:9", "127.0.0.1:10"),
        ("127.0.0.1:9", "127.0.0.2:9"),
        ("0.0.0.0:9", "[::1]:9"),
        ("0.0.0.0:0", "127.0.0.1:0"),
    ] {
        gt06(one, other).unwrap();
    }
}
