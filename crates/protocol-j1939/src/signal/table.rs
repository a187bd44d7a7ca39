//! The tables of `data/`, read when the crate is compiled: a row that cannot be read does not
//! build.

use super::pid::{Part, Pid};
use super::{Coding, Group, Spn};

const SIGNALS: &str = include_str!("../../data/signals.txt");
const PIDS: &str = include_str!("../../data/pids.txt");

/// Groups and signals of a table, by their number of rows.
const SIZE: (usize, usize) = Rows::size(SIGNALS);
const PID_SIZE: (usize, usize) = Rows::size(PIDS);

static ALL_SIGNALS: [Spn; SIZE.1] = signals();
static ALL_PARTS: [Part; PID_SIZE.1] = parts();

/// Groups by ascending number.
pub(super) static GROUPS: [Group; SIZE.0] = groups();

/// Parameters by ascending number.
pub(super) static PARAMETERS: [Pid; PID_SIZE.0] = parameters();

const fn signals() -> [Spn; SIZE.1] {
    let none = Spn {
        number: 0,
        name: "",
        start: 0,
        bits: 0,
        coding: Coding::Plain,
        signed: false,
        big_endian: false,
        scale: 1.0,
        offset: 0.0,
        unit: "",
        multiplexed: None,
        agree: 0,
        listed: 0,
    };
    let mut all = [none; SIZE.1];
    let (mut rows, mut count) = (Rows::of(SIGNALS), 0);
    while let Some(mut row) = rows.next() {
        if !row.is_indented() {
            continue;
        }
        let number = row.word().whole(10);
        let name = row.word().text();
        let (byte, bit) = row.word().pair(b'.');
        let bits = row.word().whole(10);
        let coding = row.word().coding();
        let scale = row.word().number();
        let offset = row.word().number();
        let (agree, listed) = row.word().pair(b'/');
        all[count] = Spn {
            number,
            name,
            start: (byte as u16 - 1) * 8 + bit as u16 - 1,
            bits: bits as u8,
            coding,
            scale,
            offset,
            unit: row.rest(),
            agree: agree as u8,
            listed: listed as u8,
            ..none
        };
        count += 1;
    }
    all
}

const fn groups() -> [Group; SIZE.0] {
    let none = Group {
        pgn: 0,
        acronym: "",
        signals: &[],
    };
    let mut all = [none; SIZE.0];
    let (mut rows, mut count) = (Rows::of(SIGNALS), 0);
    let mut left: &'static [Spn] = &ALL_SIGNALS;
    while let Some(mut row) = rows.next() {
        let (signals, others) = left.split_at(rows.indented());
        all[count] = Group {
            pgn: row.word().whole(10),
            acronym: row.rest(),
            signals,
        };
        (left, count) = (others, count + 1);
        rows.skip(signals.len());
    }
    all
}

const fn parts() -> [Part; PID_SIZE.1] {
    let none = Part {
        name: "",
        at: 0,
        len: 0,
        scale: 1.0,
        offset: 0.0,
        unit: "",
    };
    let mut all = [none; PID_SIZE.1];
    let (mut rows, mut count) = (Rows::of(PIDS), 0);
    while let Some(mut row) = rows.next() {
        if !row.is_indented() {
            continue;
        }
        let name = row.word().text();
        all[count] = Part {
            name,
            at: row.word().whole(10) as u8,
            len: row.word().whole(10) as u8,
            scale: row.word().number(),
            offset: row.word().number(),
            unit: row.rest(),
        };
        count += 1;
    }
    all
}

const fn parameters() -> [Pid; PID_SIZE.0] {
    let none = Pid {
        number: 0,
        len: 0,
        parts: &[],
    };
    let mut all = [none; PID_SIZE.0];
    let (mut rows, mut count) = (Rows::of(PIDS), 0);
    let mut left: &'static [Part] = &ALL_PARTS;
    while let Some(mut row) = rows.next() {
        let (parts, others) = left.split_at(rows.indented());
        all[count] = Pid {
            number: row.word().whole(16) as u8,
            len: row.word().whole(10) as u8,
            parts,
        };
        (left, count) = (others, count + 1);
        rows.skip(parts.len());
    }
    all
}

/// The rows of a table that are left.
#[derive(Clone, Copy)]
struct Rows(&'static [u8]);

impl Rows {
    const fn of(text: &'static str) -> Self {
        Self(text.as_bytes())
    }

    /// How many rows start a group, and how many belong to one.
    const fn size(text: &'static str) -> (usize, usize) {
        let (mut rows, mut groups, mut members) = (Self::of(text), 0, 0);
        while rows.next().is_some() {
            let inner = rows.indented();
            groups += 1;
            members += inner;
            rows.skip(inner);
        }
        (groups, members)
    }

    /// The next row; comments are passed over.
    const fn next(&mut self) -> Option<Row> {
        while !self.0.is_empty() {
            let (row, rest) = until(self.0, b'\n');
            self.0 = rest;
            if !matches!(row, [] | [b'#', ..]) {
                return Some(Row(row));
            }
        }
        None
    }

    /// How many of the next rows belong to the group before them.
    const fn indented(self) -> usize {
        let (mut rows, mut count) = (self, 0);
        while let Some(row) = rows.next() {
            if !row.is_indented() {
                break;
            }
            count += 1;
        }
        count
    }

    const fn skip(&mut self, mut rows: usize) {
        while rows > 0 {
            self.next();
            rows -= 1;
        }
    }
}

/// What is left of a row.
#[derive(Clone, Copy)]
struct Row(&'static [u8]);

impl Row {
    const fn is_indented(self) -> bool {
        matches!(self.0, [b' ', ..])
    }

    /// The next word.
    const fn word(&mut self) -> Word {
        let (word, rest) = until(self.0.trim_ascii_start(), b' ');
        self.0 = rest;
        Word(word)
    }

    const fn rest(self) -> &'static str {
        Word(self.0.trim_ascii()).text()
    }
}

#[derive(Clone, Copy)]
struct Word(&'static [u8]);

impl Word {
    const fn text(self) -> &'static str {
        match str::from_utf8(self.0) {
            Ok(text) => text,
            Err(_) => panic!("a table is not UTF-8"),
        }
    }

    const fn whole(self, radix: u32) -> u32 {
        match u32::from_str_radix(self.text(), radix) {
            Ok(number) => number,
            Err(_) => panic!("not a whole number"),
        }
    }

    const fn pair(self, between: u8) -> (u32, u32) {
        let (first, second) = until(self.0, between);
        (Self(first).whole(10), Self(second).whole(10))
    }

    /// A decimal number, or a fraction of two. Digits and powers of ten are exact in a double, so
    /// that one division rounds as the compiler rounds a literal.
    const fn number(self) -> f64 {
        let (digits, divisor) = until(self.0, b'/');
        let (mut rest, mut value, mut power, mut is_fraction) = (digits, 0_i64, 1_i64, false);
        while let [byte, others @ ..] = rest {
            match byte {
                b'-' if rest.len() == digits.len() => {}
                b'.' if !is_fraction => is_fraction = true,
                b'0'..=b'9' => {
                    value = value * 10 + (*byte - b'0') as i64;
                    power *= if is_fraction { 10 } else { 1 };
                }
                _ => panic!("not a number"),
            }
            rest = others;
        }
        assert!(value < 1 << 53 && !digits.is_empty());
        let sign = if matches!(digits, [b'-', ..]) { -1 } else { 1 };
        let number = (sign * value) as f64 / power as f64;
        if divisor.is_empty() {
            number
        } else {
            number / Self(divisor).number()
        }
    }

    const fn coding(self) -> Coding {
        match self.0 {
            b"number" => Coding::Number,
            b"plain" => Coding::Plain,
            b"switch" => Coding::Switch,
            b"state" => Coding::State,
            b"state_or_error" => Coding::StateOrError,
            b"address" => Coding::Address,
            b"gear" => Coding::Gear,
            b"fraction" => Coding::Fraction,
            _ => panic!("no coding has this name"),
        }
    }
}

/// What is before the first such byte, and what follows it.
const fn until(bytes: &'static [u8], end: u8) -> (&'static [u8], &'static [u8]) {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != end {
        at += 1;
    }
    let (before, rest) = bytes.split_at(at);
    match rest {
        [_, after @ ..] => (before, after),
        [] => (before, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_table_are_those_of_the_compiler() {
        for (text, value) in [
            ("0.0000001", 1e-7),
            ("-1600", -1600.0),
            ("0.000514", 0.000_514),
            ("0.001953125", 0.001_953_125),
            ("2/65536", 2.0 / 65536.0),
            ("100/255", 100.0 / 255.0),
        ] {
            assert_eq!(
                Word(text.as_bytes()).number().to_bits(),
                f64::to_bits(value)
            );
        }
    }
}
