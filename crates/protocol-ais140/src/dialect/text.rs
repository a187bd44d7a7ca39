//! Dialects from TOML text.

use serde::Deserialize;

use super::{Dialect, DialectError, Source, TABLE};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    dialect: Vec<Row>,
}

macro_rules! rows {
    (text: $($text:ident)*; lists: $($list:ident)*) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Row {
            name: String,
            version: Option<u16>,
            like: Option<String>,
            $($text: Option<String>,)*
            $($list: Option<Vec<String>>,)*
        }

        impl Row {
            fn compile(&self, base: &Source<'_>) -> Result<Dialect, DialectError> {
                $(let $list: Option<Vec<&str>> =
                    self.$list.as_ref().map(|list| list.iter().map(String::as_str).collect());)*
                Source {
                    name: &self.name,
                    version: self.version.unwrap_or(1),
                    $($text: self.$text.as_deref().unwrap_or(base.$text),)*
                    $($list: $list.as_deref().unwrap_or(base.$list),)*
                }
                .compile()
            }
        }
    };
}

rows! {
    text: about neighbours bits ending bare_ending;
    lists: headers vendors login tracking tail emergency health heartbeat ota activation checksums
        alerts replies commands
}

/// Reads and checks the dialects of a text.
pub(super) fn read(toml: &str) -> Result<Vec<Dialect>, DialectError> {
    let file: File = toml::from_str(toml).map_err(|e| DialectError {
        dialect: String::new(),
        key: "file",
        value: String::new(),
        reason: e.to_string(),
    })?;
    let mut all: Vec<Dialect> = Vec::new();
    for row in &file.dialect {
        let like = row.like.as_deref().unwrap_or(super::GENERIC);
        let base = TABLE.iter().find(|source| source.name == like);
        let Some(base) = base else {
            let known: Vec<_> = TABLE.iter().map(|source| source.name).collect();
            return Err(DialectError {
                dialect: row.name.clone(),
                key: "like",
                value: like.into(),
                reason: format!("expected one of {}", known.join(", ")),
            });
        };
        // Headers and vendors of another dialect are its own.
        let base = Source {
            headers: &[],
            vendors: &[],
            ..*base
        };
        let dialect = row.compile(&base)?;
        if all.iter().any(|other| other.name == dialect.name) {
            return Err(DialectError {
                dialect: row.name.clone(),
                key: "name",
                value: row.name.clone(),
                reason: "two dialects have this name".into(),
            });
        }
        all.push(dialect);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::Dialects;

    fn wrong(row: &str) -> String {
        let text = format!("[[dialect]]\nname = \"acme\"\n{row}\n");
        Dialects::from_toml(&text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_named_with_dialect_key_and_value() {
        for (row, part) in [
            (
                "tracking = [\"vendor,colour\"]",
                r#"dialect "acme", tracking: "colour": no field"#,
            ),
            ("headers = [\"ACME\"]", "expected `$TOKEN KIND`"),
            (
                "checksums = [\"tracking md5 $ comma hex\"]",
                "not a checksum rule",
            ),
            ("ending = \"#\"", "expected an ending"),
            ("alerts = [\"17 party\"]", "expected an id and one of"),
            (
                "replies = [\"emergency now $OK\"]",
                "emergencies are answered when durable",
            ),
            ("commands = [\"dance\"]", "expected a verb"),
            ("neighbours = \"lac\"", "expected one of"),
            ("like = \"nobody\"", "expected one of"),
            ("colour = 1", "unknown field `colour`"),
            ("tail = [\"inputs\"]", "a tail needs `frame`"),
        ] {
            let found = wrong(row);
            assert!(found.contains(part), "{row}: {found}");
        }
        assert!(Dialects::from_toml("[[dialect]]\nname = \"A B\"").is_err());
        assert!(Dialects::from_toml("]").is_err());
    }
}
