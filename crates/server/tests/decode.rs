//! `milepost decode` as its users see it: lines in, objects out, in order.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const LOGIN: &str = "78781101075253367890024270003201000512790d0a";
const LOCATION: &str =
    "787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000001000820860d0a";
const ALARM: &str =
    "787825160b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f726506040101003656a40d0a";

fn decode(flags: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args([
            "decode",
            "--protocol",
            "gt06",
            "--received-at",
            "2026-11-20T07:00:00.123Z",
        ])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // Failure means that there were messages and none could be read.
    let read = |line: &str| !line.contains(r#""error":"#);
    let failed = !said.is_empty() && !said.lines().any(read);
    if !flags.contains(&"--explain") {
        assert_eq!(output.status.success(), !failed, "{said}");
    }
    said
}

fn objects(input: &str) -> Vec<Value> {
    decode(&[], input)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_manuals_examples_give_the_manuals_values() {
    let objects = objects(&[LOGIN, LOCATION, ALARM].join("\n"));
    assert_eq!(objects.len(), 3);
    let [login, location, alarm] = &objects[..] else {
        panic!("{objects:?}")
    };

    assert_eq!(
        login["frame"],
        json!({"kind": "0x01", "checksum": "valid", "direction": "device"})
    );
    assert_eq!(login["reply"], "7878050100059ff80d0a");
    assert_eq!(login["reports"][0]["kind"], "login");

    let report = &location["reports"][0];
    assert_eq!(report["device"], "752533678900242");
    assert_eq!(report["time"], "2015-12-29T02:51:05Z");
    assert_eq!(report["zone"], "utc");
    assert_eq!(report["sequence"], 8);
    assert_eq!(report["received_at"], "2026-11-20T07:00:00.123Z");
    assert_eq!(
        report["fix"],
        json!({
            "time": "2015-12-29T02:51:05Z", "latitude": 23.1116933, "longitude": 114.4092978,
            "speed_kmh": 0.0, "course_deg": 0.0, "satellites": 9, "valid": true, "live": false,
            "source": "gnss"
        })
    );
    assert_eq!(
        report["io"],
        json!({"ignition": false, "ignition_source": "field"})
    );
    assert_eq!(
        report["network"]["cells"],
        json!([{"radio": "gsm", "serving": true, "mcc": 460, "mnc": 0, "lac": 10365, "cell_id": 8049}])
    );
    assert_eq!(
        location.get("reply"),
        None,
        "the manuals acknowledge no 0x22"
    );

    let report = &alarm["reports"][0];
    assert_eq!(report["kind"], "alarm");
    assert_eq!(
        report["events"],
        json!([{"kind": "sos", "by": "device", "code": 1}])
    );
    assert_eq!(
        report["zone"], "login",
        "0x16 does not say its zone, the login named +8:00"
    );
    assert_eq!(report["time"], "2011-11-15T06:36:29Z");
    assert_eq!(report["raw_time"], "2011-11-15 14:36:29");
    assert_eq!(alarm["reply"], "78780516003695700d0a");
}

#[test]
fn dialect_and_zone_are_those_that_are_given() {
    // 0x26 with alarm 28, behind a login of +8:00.
    let alarm =
        "787825260b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f72450604280100363fb60d0a";
    let events = |flags: &[&str]| -> Value {
        let said = decode(flags, &format!("{alarm}\n{LOGIN}\n{alarm}\n\n{ALARM}"));
        let objects: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        [0, 2]
            .map(|at| objects[at]["reports"][0]["events"][0]["kind"].clone())
            .into_iter()
            .chain(["time", "zone"].map(|key| objects[3]["reports"][0][key].clone()))
            .collect()
    };
    assert_eq!(
        events(&[]),
        json!([
            "harsh_braking",
            "harsh_braking",
            "2011-11-15T14:36:29Z",
            "assumed"
        ])
    );
    assert_eq!(
        events(&["--dialect", "jimi", "--zone", "-04:30"]),
        json!([
            "power_off",
            "power_off",
            "2011-11-15T19:06:29Z",
            "configured"
        ])
    );
}

#[test]
fn an_empty_line_starts_a_connection_that_nobody_has_logged_in_on() {
    let objects = objects(&format!("{LOGIN}\n{LOCATION}\n\n{LOCATION}\n"));
    assert_eq!(objects[1]["reports"][0]["device"], "752533678900242");
    assert_eq!(objects[2]["line"], 4);
    assert_eq!(objects[2]["reports"][0].get("device"), None);
    assert_ne!(
        objects[1]["reports"][0]["id"],
        objects[2]["reports"][0]["id"]
    );
}

#[test]
fn the_same_fact_has_the_same_id_however_often_it_is_sent() {
    // Another serial number and another re-upload flag: the same position at the same time.
    let again = "787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000000ffff5b9f0d0a";
    let objects = objects(&format!("{LOCATION}\n{again}\n{LOCATION}"));
    assert_eq!(objects[1]["frame"]["checksum"], "mismatch");
    assert_eq!(
        objects[0]["reports"][0]["id"],
        objects[1]["reports"][0]["id"]
    );
    assert_eq!(
        objects[0]["reports"][0]["id"],
        objects[2]["reports"][0]["id"]
    );
}

#[test]
fn what_cannot_be_read_gives_an_object_with_an_error_and_no_reports() {
    let lines = [
        ("zz", "line", 0),
        ("787", "line", 1),
        ("474554202f20485454502f312e310d0a0d0a", "frame", 0),
        ("78780d01", "frame", 0),
    ];
    let input: Vec<&str> = lines.iter().map(|(line, ..)| *line).collect();
    let objects = objects(&input.join("\n"));
    assert_eq!(objects.len(), lines.len());
    for (object, (line, field, offset)) in objects.iter().zip(lines) {
        assert_eq!(object["reports"], json!([]), "{line}");
        assert_eq!(object["error"]["field"], field, "{line}");
        assert_eq!(object["error"]["offset"], offset, "{line}");
    }
    assert!(
        objects[2]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("looks like http")
    );
}

#[test]
fn hex_is_read_however_it_was_written_and_a_fault_in_it_is_named() {
    let plain = objects(LOGIN);
    let spaced = LOGIN
        .as_bytes()
        .chunks(2)
        .map(|pair| str::from_utf8(pair).unwrap());
    let spaced = spaced.collect::<Vec<_>>().join(" ");
    for other in [
        format!("0x{LOGIN}"),
        format!("0X{}", LOGIN.to_ascii_uppercase()),
        // As editors on Windows write files.
        format!("\u{feff}{spaced}\r\n"),
    ] {
        assert_eq!(objects(&other), plain, "{other}");
    }
    let error = |line: &str| objects(line)[0]["error"].clone();
    assert_eq!(
        error("78 7g 0"),
        json!({"field": "line", "offset": 1, "message": "not hexadecimal: 'g' at digit 4"})
    );
    assert_eq!(
        error("78 78 0"),
        json!({
            "field": "line",
            "offset": 2,
            "message": "half a byte: an odd number of hexadecimal digits"
        })
    );
}

#[test]
fn several_frames_on_a_line_are_several_objects_and_noise_between_them_is_named() {
    let objects = objects(&format!("{LOGIN} 00ff {LOCATION}"));
    assert_eq!(objects.len(), 3);
    assert!(objects.iter().all(|object| object["line"] == 1));
    assert_eq!(objects[1]["error"]["offset"], 22);
    assert_eq!(objects[2]["reports"][0]["kind"], "location");
}

#[test]
fn an_unknown_number_is_a_report_and_a_server_s_message_is_none() {
    let unknown = "7878074203e8000122d20d0a";
    let command = "787812800c0000000152454c41592c312300017edc0d0a";
    let objects = objects(&format!("{unknown}\n{command}"));
    let report = &objects[0]["reports"][0];
    assert_eq!(report["kind"], "unknown");
    assert!(report["raw"].as_str().unwrap().contains("03e8"));
    assert_eq!(objects[0].get("error"), None);
    assert_eq!(objects[1]["frame"]["direction"], "server");
    assert_eq!(objects[1]["reports"], json!([]));
}

#[test]
fn raw_frames_come_when_asked_for() {
    let plain = decode(&[], LOCATION);
    assert!(!plain.contains(LOCATION));
    assert!(decode(&["--raw"], LOCATION).contains(LOCATION));
}

#[test]
fn explain_shows_every_byte_once() {
    let text = decode(&["--explain"], ALARM);
    let mut bytes = String::new();
    for line in text.lines().filter(|line| line.starts_with("     ")) {
        // range, name (several words), raw, meaning: the raw value is the first word of hex
        // behind column 34.
        bytes.push_str(line.get(35..).unwrap().split_whitespace().next().unwrap());
    }
    assert_eq!(bytes, ALARM, "{text}");
    assert!(
        text.contains("SOS") && text.contains("reply: 78780516003695700d0a"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_its_name() {
    let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args(["decode", "--protocol", "gt06", "no-such-file"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file"));
}

#[test]
fn an_unknown_protocol_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args(["decode", "--protocol", "gt07"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("gt06"),
        "it names what there is"
    );
}

#[test]
fn a_prefix_without_digits_is_an_error_of_its_line() {
    let objects = objects(&[LOGIN, "0x", " 0X \t", LOCATION].join("\n"));
    assert_eq!(objects.len(), 4);
    for (object, line) in objects[1..3].iter().zip(2..) {
        let message = "no hexadecimal digits after 0x";
        assert_eq!(
            *object,
            json!({
                "line": line, "reports": [],
                "error": { "field": "line", "offset": 0, "message": message }
            })
        );
    }
    // It is no empty line: the connection goes on.
    assert_eq!(objects[3]["reports"][0]["device"], "752533678900242");
    let explained = decode(&["--explain"], "0x\n");
    assert!(
        explained.starts_with("line 1: no frame\n  error: no hex"),
        "{explained}"
    );
}

#[test]
fn a_capture_without_a_login_gives_the_files_in_it() {
    // A recording of six bytes in two blocks, as an alarm made it.
    let block = |offset: u8, data: &[u8]| {
        let mut checked = vec![0, 0, 0x8d, 1, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, offset, 0];
        checked.push(u8::try_from(data.len()).unwrap());
        checked.extend_from_slice(data);
        checked.extend_from_slice(&[0, 9, 0, 1]);
        checked[1] = u8::try_from(checked.len()).unwrap();
        let crc = milepost_protocol_gt06::checksum(&checked).to_be_bytes();
        hex::encode([b"yy", &checked[..], &crc, b"\r\n"].concat())
    };
    let lines = [block(0, b"abc"), block(3, b"def")].join("\n");
    let objects = objects(&lines);
    assert_eq!(objects[0]["reports"].as_array().unwrap().len(), 1);
    let whole = &objects[1]["reports"][1]["media"];
    assert_eq!(
        (&whole["id"], &whole["complete"], &whole["data"]),
        (&json!("sos-0009"), &json!(true), &json!("YWJjZGVm"))
    );
}

#[test]
fn messages_are_taken_as_arguments_and_at_names_the_time() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
            .args([
                "decode",
                "--protocol",
                "gt06",
                "--at",
                "2026-11-20T07:00:00Z",
            ])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), said)
    };
    let (worked, said) = run(&[LOGIN, LOCATION]);
    assert!(worked);
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["reports"][0]["device"], "752533678900242");
    assert_eq!(
        lines[1]["reports"][0]["received_at"],
        "2026-11-20T07:00:00Z"
    );
    // One that is damaged, alone and beside one that is good.
    assert!(!run(&["78780d01"]).0);
    assert!(run(&["78780d01", LOGIN]).0);
}

fn j1939(flags: &[&str], input: &str) -> (Vec<Value>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args(["decode", "--protocol", "j1939"])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (objects.collect(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_frame_is_read_in_the_form_that_is_named() {
    for (form, line) in [
        (
            "candump",
            "(1543509533.000838) can0 0CF00400#F07D859B0FFFFF85",
        ),
        ("thirteen-byte", "88 0CF00400 F07D859B0FFFFF85"),
        ("slcan", "T0CF004008F07D859B0FFFFF85"),
        ("socketcan-le", "0004F08C 08000000 F07D859B0FFFFF85"),
        ("socketcan-be", "8CF00400 08000000 F07D859B0FFFFF85"),
        (
            "cannelloni",
            "43414E4E454C4C4F4E497631 8CF00400 08 F07D859B0FFFFF85",
        ),
        (
            "cannelloni-udp",
            "02 00 00 0001 8CF00400 08 F07D859B0FFFFF85",
        ),
        (
            "socketcand",
            "< frame 0CF00400 1543509533.000838 F07D859B0FFFFF85 >",
        ),
        ("elm327", "0C F0 04 00 F0 7D 85 9B 0F FF FF 85"),
    ] {
        // Forms without delimiters want several records that agree.
        let lines = format!("{line}\n").repeat(4);
        let (objects, said) = j1939(&["--form", form], &lines);
        let speeds = objects.iter().filter_map(|object| {
            let signals = object["reports"][0]["signals"].as_array()?;
            signals.iter().find(|signal| signal["id"] == "spn.190")
        });
        let speeds: Vec<_> = speeds.map(|signal| signal["value"].as_f64()).collect();
        assert!(!speeds.is_empty(), "{form}: {objects:?} {said}");
        assert!(speeds.iter().all(|speed| *speed == Some(499.375)), "{form}");
    }
}

#[test]
fn a_dbc_file_and_a_conversion_version_are_those_that_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vehicle.dbc");
    std::fs::write(
        &file,
        "VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_: EV\n\n\
         BO_ 2364540158 EEC1: 8 EV\n SG_ EngSpeed : 24|16@1+ (0.25,0) [0|16063.75] \"rpm\" EV\n",
    )
    .unwrap();
    let engine = "(1.0) can0 0CF00400#F07D859B0FFFFF85\n";
    let (objects, said) = j1939(&["--dbc", file.to_str().unwrap()], engine);
    let signals = objects[0]["reports"][0]["signals"].as_array().unwrap();
    let own = signals
        .iter()
        .find(|signal| signal["name"] == "dbc.eng_speed");
    assert_eq!(own.unwrap()["value"], 998.75);
    assert!(said.contains("scale 0.25 instead of 0.125"), "{said}");
    let (_, said) = j1939(&["--dbc", "no-such.dbc"], engine);
    assert!(said.contains("no-such.dbc"), "{said}");
    // SPN 1208 in version 2, and what version 3 makes of the same bytes.
    let codes = "(1.0) can0 18FECA00#00FF9700038AFFFF\n";
    let spn = |flags: &[&str]| {
        j1939(flags, codes).0[0]["reports"][0]["diagnostics"]["dtcs"][0]["spn"].clone()
    };
    assert_eq!(spn(&["--spn-conversion", "2"]), 1208);
    assert_eq!(spn(&[]), 151);
}

#[test]
fn flags_of_can_frames_mean_nothing_for_other_protocols() {
    let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args([
            "decode",
            "--protocol",
            "gt06",
            "--spn-conversion",
            "2",
            LOGIN,
        ])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--spn-conversion"));
}
