//! Whether a command was carried out, as far as the words of its answer state it.
//!
//! Only what is about the command counts: a sentence, or the value after the command's own
//! name (`DYD=Success!`). Lists of values report the state of the device, in which `fail`, `invalid`
//! and `OK` are about its receiver or its card; and a sentence about one of those is no outcome
//! either. What fits nothing here gives no outcome.
//!
//! Texts have no grammar: the words decide, and only what is split at marks is parsed.

use nom::bytes::complete::take_till;
use nom::character::complete::anychar;
use nom::{IResult, Parser};

use super::{Outcome, contains};

/// The outcome of the words, and the name of the command if they begin with it.
pub(super) fn read(text: &str) -> Option<(Outcome, Option<&str>)> {
    for sentence in sentences(text) {
        // What comes after a list is about what is in it.
        if is_list(sentence) {
            return None;
        }
        if let Some(outcome) = of_sentence(sentence) {
            return Some((outcome, verb(sentence)));
        }
    }
    None
}

const DEFERRED: &[&str] = &[
    "will be executed",
    "will execute",
    "execution deferred",
    "deferred execution",
    "delay execut",
    "delayed execut",
];
const REFUSED: &[&str] = &[
    "already in the state",
    "command is not running",
    "unknown command",
    "unknow command",
    "command unknown",
    "invalid command",
    "unsupported command",
    "command not support",
    "command is not support",
    "not executed",
    "not execute the command",
    "no permission",
];
/// Values after a command's name, whole.
const WAITS: &[&str] = &[
    "speed limit",
    "unvalue fix",
    "unvalued fix",
    "invalid fix",
    "deferred",
];
const SUCCESS: &[&str] = &[
    "ok",
    "success",
    "successed",
    "successful",
    "successfully",
    "succeed",
    "succeeded",
];
const FAILURE: &[&str] = &[
    "fail",
    "failed",
    "failure",
    "error",
    "unsuccessful",
    "invalid",
    "illegal",
    "incorrect",
    "wrong",
    "denied",
    "refused",
    "rejected",
    "unauthorized",
    "unsupported",
];
/// `t` is what is left of "isn't".
const NEGATION: &[&str] = &["no", "not", "none", "without", "t"];
/// What a device reports the state of, whatever the command was.
const PARTS: &[&str] = &[
    "acc",
    "battery",
    "gprs",
    "gps",
    "gsm",
    "lbs",
    "link",
    "location",
    "network",
    "position",
    "positioning",
    "satellite",
    "satellites",
    "sensor",
    "signal",
    "sim",
    "temperature",
    "voltage",
    "wifi",
];

fn of_sentence(sentence: &str) -> Option<Outcome> {
    if contains(sentence, DEFERRED) {
        return Some(Outcome::Deferred);
    }
    if contains(sentence, REFUSED) {
        return Some(Outcome::Refused);
    }
    let first = parts(sentence).next()?;
    let Some((key, mark, value)) = pair(first) else {
        // In "GMT,E,0,0 OK!" the last word counts, in "OK, SOS1:1" what is before the pair.
        let prose = || parts(sentence).take_while(|part| pair(part).is_none());
        if prose().any(|part| has(part, PARTS)) {
            return None;
        }
        return prose().last().and_then(verdict).or_else(|| verdict(first));
    };
    if has(key, PARTS) {
        return None;
    }
    if mark == '=' && WAITS.iter().any(|words| value.eq_ignore_ascii_case(words)) {
        return Some(Outcome::Deferred);
    }
    match verdict(key) {
        None => verdict(value),
        // "Fail: too fast", "失败: …"; but "Error: none" and "Error: 0".
        Some(Outcome::Refused) => {
            let has_reason = value.starts_with(char::is_alphabetic) && !has(value, NEGATION);
            (has_reason && words(key).count() == 1).then_some(Outcome::Refused)
        }
        Some(_) => None,
    }
}

/// The outcome of a few words that are only about the command.
fn verdict(phrase: &str) -> Option<Outcome> {
    let phrase = phrase.trim();
    if has(phrase, PARTS) || phrase.contains("定位") {
        return None;
    }
    if phrase.ends_with("成功") {
        let is_negated = ["不", "未", "没", "没有"]
            .iter()
            .any(|no| phrase.trim_end_matches("成功").ends_with(no));
        return Some(if is_negated {
            Outcome::Refused
        } else {
            Outcome::Success
        });
    }
    if phrase.starts_with("失败") || phrase.ends_with("失败") {
        return Some(Outcome::Refused);
    }
    let first = words(phrase).next()?;
    let mut backwards = words(phrase).rev();
    let last = backwards.next()?;
    if is_one(last, SUCCESS) {
        let negated = backwards.next().is_some_and(|word| is_one(word, NEGATION));
        return match (negated, has(phrase, FAILURE)) {
            (true, _) => Some(Outcome::Refused),
            (false, true) => None,
            (false, false) => Some(Outcome::Success),
        };
    }
    let fails = is_one(first, FAILURE) || is_one(last, FAILURE);
    (fails && !has(phrase, NEGATION)).then_some(Outcome::Refused)
}

/// The command's name at the front: `DYD=Success!`, `GMT,E,0,0 OK!`. Names are capitals.
fn verb(sentence: &str) -> Option<&str> {
    let (_, (name, _)) = until(",:=：", sentence).ok()?;
    let name = name.trim();
    let is_name = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    (is_name && !is_one(name, SUCCESS) && !is_one(name, FAILURE)).then_some(name)
}

/// Up to the marks that end one; a point only where no digit follows.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |(at, c): (usize, char)| match c {
            '!' | '?' | '！' | '？' | '。' => true,
            '.' => rest
                .get(at + 1..)
                .and_then(|after| after.chars().next())
                .is_none_or(char::is_whitespace),
            _ => false,
        };
        let (at, mark) = rest
            .char_indices()
            .find(|found| ends(*found))
            .unwrap_or((rest.len(), '.'));
        let sentence = rest.get(..at)?;
        rest = rest.get(at + mark.len_utf8()..).unwrap_or_default();
        Some(sentence.trim())
    })
}

fn parts(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split([',', ';', '\n', '\r', '，', '；'])
}

/// `key: value` or `key=value`; an address of the web is none.
fn pair(part: &str) -> Option<(&str, char, &str)> {
    let (value, (key, mark)) = until(":=：", part).ok()?;
    let (key, value) = (key.trim(), value.trim());
    (key.starts_with(char::is_alphabetic) && !value.starts_with("//")).then_some((key, mark, value))
}

/// What comes before the first of these marks, and the mark.
fn until<'a>(marks: &str, text: &'a str) -> IResult<&'a str, (&'a str, char)> {
    (take_till(|c| marks.contains(c)), anychar).parse(text)
}

/// Whether there are several pairs of one kind, or one within another.
fn is_list(sentence: &str) -> bool {
    let (mut points, mut equals) = (0, 0);
    for (_, mark, value) in parts(sentence).filter_map(pair) {
        let count = if mark == '=' {
            &mut equals
        } else {
            &mut points
        };
        *count += 1;
        if value.contains([':', '=', '：']) {
            return true;
        }
    }
    points > 1 || equals > 1
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn is_one(word: &str, of: &[&str]) -> bool {
    of.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn has(text: &str, any: &[&str]) -> bool {
    words(text).any(|word| is_one(word, any))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_refusal_and_deferral_are_read_from_words_about_the_command() {
        use Outcome::{Deferred, Refused, Success};
        for (text, outcome, verb) in [
            ("DYD=Success!", Success, Some("DYD")),
            ("HFYD=Success!", Success, Some("HFYD")),
            ("RELAY:OK", Success, Some("RELAY")),
            ("PARAM: ok", Success, Some("PARAM")),
            ("Restore fuel supply: Success!", Success, None),
            (
                "Cut off the fuel supply: Success! Speed:15 Km/h",
                Success,
                None,
            ),
            ("DYD=Success!\r\nSpeed:0, GPS:OK", Success, Some("DYD")),
            ("OK!", Success, None),
            ("OK, SOS1:1", Success, None),
            ("SERVER OK", Success, None),
            ("GMT,E,0,0 OK!", Success, Some("GMT")),
            ("Set successfully.", Success, None),
            ("继电器断开成功", Success, None),
            ("断油电：成功！", Success, None),
            ("HFYD=Fail!", Refused, Some("HFYD")),
            ("Fail! Speed over 20km/h", Refused, None),
            ("Fail: too fast", Refused, None),
            ("Command error", Refused, None),
            ("Invalid command!", Refused, None),
            ("Password error!", Refused, None),
            ("not successful", Refused, None),
            ("Not OK", Refused, None),
            ("SOS=Invalid parameter", Refused, Some("SOS")),
            (
                "The command was not executed because of the speed",
                Refused,
                None,
            ),
            (
                "Already in the state of fuel supply to resume,the command is not running!",
                Refused,
                None,
            ),
            ("失败: 速度超过20km/h", Refused, None),
            ("执行失败，速度过快", Refused, None),
            ("设置不成功", Refused, None),
            ("DYD=Speed Limit, Speed 40km/h", Deferred, Some("DYD")),
            ("DYD=Speed Limit, Speed: 40km/h", Deferred, Some("DYD")),
            ("DYD=Unvalue Fix", Deferred, Some("DYD")),
            (
                "The GPS has no fix. The command will be executed later.",
                Deferred,
                None,
            ),
        ] {
            assert_eq!(read(text), Some((outcome, verb)), "{text}");
        }
    }

    #[test]
    fn the_state_of_the_device_is_no_outcome() {
        for text in [
            "",
            "TOKYO",
            "Battery:4.16V,NORMAL; GPRS:Link Up; GPS:Invalid; ACC:OFF; Defense:OFF",
            "Battery:3.60V,LOW; External Battery:12.3V; GPS: fail to position; ACC:OFF",
            "Battery:4.16V,NORMAL; GPRS:Link Up; GPS:Successful positioning; ACC:OFF",
            "IMEI:123456789012345; TIMER:10,10; Sense alarm:ON; Speed limit:ON,20,100; GMT:E8",
            "Speed limit:ON",
            "Speed limit:OK; Center number:",
            "No error, SOS1:1",
            "SIM Error:none",
            "Error: none",
            "Error: 0",
            "no failure",
            "GPS:OK",
            "GPS OK",
            "GPS:Invalid",
            "SIM: error",
            "Battery OK",
            "Fail to position",
            "GPS=OK;RELAY=OK",
            "GPS:OK\nRELAY:OK",
            "SOS1:138 RELAY:OK",
            "电池:正常；GPS:定位成功；ACC:关",
            "定位成功",
            "定位失败",
            "Current position! Lat:N23.1,Lon:E114.4,Status:OK",
            "http://maps.example/maps?q=N1.5,E2.5",
            "[VERSION]GT06D_20[BUILD]2013/12/28 15:24",
            "Waiting for GPS",
            "unbroken",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn any_text_is_read_without_trouble() {
        for text in [
            "!",
            ".",
            "é:",
            ":",
            "=",
            "，",
            "a,é:b",
            "不",
            "成功。!?",
            ",,:=;",
        ] {
            let _whatever = read(text);
        }
    }
}
