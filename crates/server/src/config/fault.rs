//! What is wrong with a configuration, and what would be right.

use std::fmt;
use std::path::PathBuf;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the default.
    Default,
    /// A line of a file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            // Not one of its lines is at fault.
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was said.
    pub place: Place,
    /// The key; empty when a whole file is meant.
    pub key: String,
    /// The value as it was given; absent for secrets.
    pub value: Option<String>,
    /// What would be right.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.remedy)
    }
}

/// All that is wrong; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused")?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for crate::failure::Failure {
    fn from(faults: Faults) -> Self {
        Self::new(faults.to_string())
    }
}

/// The remedy for a name that nobody knows.
pub(super) fn did_you_mean(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let known: Vec<_> = known.collect();
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 1 + name.len() / 4 => {
            format!("unknown key; did you mean `{candidate}`?")
        }
        _ => format!("unknown key; the keys are {}", known.join(", ")),
    }
}

/// How many letters must be added, removed or changed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            left = (above + 1)
                .min(left + 1)
                .min(diagonal + usize::from(x != y));
            *cell = left;
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = || ["http.listen", "data_dir"].into_iter();
        assert_eq!(
            did_you_mean("http.lisen", known()),
            "unknown key; did you mean `http.listen`?"
        );
        assert_eq!(
            did_you_mean("colour", known()),
            "unknown key; the keys are http.listen, data_dir"
        );
    }
}
