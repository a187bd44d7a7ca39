//! What is counted, in Prometheus's text format.
//!
//! Libraries count through the `metrics` facade; this is the recorder behind it. Counters and
//! gauges are one atomic number each, histograms have fixed buckets, so that those of several
//! servers can be added.

mod help;
mod histogram;
mod process;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit};

pub use help::HELP;
use histogram::Histogram;

/// The recorder of this process.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Families>);

#[derive(Debug, Default)]
struct Families(Mutex<BTreeMap<String, Family>>);

/// All series of one name, by their labels as they are printed.
#[derive(Debug)]
enum Family {
    Counter(BTreeMap<String, Arc<AtomicU64>>),
    Gauge(BTreeMap<String, Arc<AtomicU64>>),
    Histogram(BTreeMap<String, Arc<Histogram>>),
}

impl Metrics {
    /// The recorder that everything in this process counts with. There is one.
    pub(crate) fn global() -> Self {
        static RECORDER: OnceLock<Metrics> = OnceLock::new();
        let metrics = RECORDER.get_or_init(|| Self(Arc::default())).clone();
        // The second time it is there already.
        let _installed = metrics::set_global_recorder(metrics.clone()).is_ok();
        metrics
    }

    /// All series, with those of the process and of the embedded store, if there is one.
    pub(crate) fn render(&self, store: Option<&Path>) -> String {
        let mut text = String::with_capacity(16 * 1024);
        for (name, family) in self.0.families().iter() {
            match family {
                Family::Counter(series) => {
                    head(&mut text, name, "counter");
                    for (labels, value) in series {
                        sample(&mut text, name, labels, value.load(Ordering::Relaxed));
                    }
                }
                Family::Gauge(series) => {
                    head(&mut text, name, "gauge");
                    for (labels, value) in series {
                        let value = f64::from_bits(value.load(Ordering::Relaxed));
                        sample(&mut text, name, labels, value);
                    }
                }
                Family::Histogram(series) => {
                    head(&mut text, name, "histogram");
                    for (labels, histogram) in series {
                        histogram.render(&mut text, name, labels);
                    }
                }
            }
        }
        process::render(&mut text, store);
        text
    }
}

impl Families {
    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines before a family's samples.
fn head(text: &mut String, name: &str, kind: &str) {
    if let Some((_, help)) = HELP.iter().find(|(known, _)| *known == name) {
        let _infallible = writeln!(text, "# HELP {name} {help}").is_ok();
    }
    let _infallible = writeln!(text, "# TYPE {name} {kind}").is_ok();
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _infallible = if labels.is_empty() {
        writeln!(text, "{name} {value}")
    } else {
        writeln!(text, "{name}{{{labels}}} {value}")
    }
    .is_ok();
}

/// `name="value"` for each label, the values escaped.
fn labels(key: &Key) -> String {
    let mut text = String::new();
    for label in key.labels() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(label.key());
        text.push_str("=\"");
        for c in label.value().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut families = self.0.families();
        let family = families
            .entry(key.name().to_owned())
            .or_insert_with(|| Family::Counter(BTreeMap::new()));
        match family {
            Family::Counter(series) => {
                Counter::from_arc(Arc::clone(series.entry(labels(key)).or_default()))
            }
            // The same name for two kinds: the second counts nothing.
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut families = self.0.families();
        let family = families
            .entry(key.name().to_owned())
            .or_insert_with(|| Family::Gauge(BTreeMap::new()));
        match family {
            Family::Gauge(series) => {
                Gauge::from_arc(Arc::clone(series.entry(labels(key)).or_default()))
            }
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let mut families = self.0.families();
        let family = families
            .entry(key.name().to_owned())
            .or_insert_with(|| Family::Histogram(BTreeMap::new()));
        match family {
            Family::Histogram(series) => {
                let histogram = series
                    .entry(labels(key))
                    .or_insert_with(|| Arc::new(Histogram::of(key.name())));
                metrics::Histogram::from_arc(Arc::clone(histogram))
            }
            _ => metrics::Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_printed_in_the_format_of_prometheus() {
        let recorder = Metrics(Arc::default());
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..2 {
                metrics::counter!("milepost_frames_total", "bucket" => "stored").increment(3);
            }
            metrics::counter!("a_total", "b" => "say \"hi\"\\\n").increment(1);
            metrics::gauge!("c").set(1.5);
            metrics::histogram!("d_seconds").record(0.003);
            metrics::histogram!("d_seconds").record(99.0);
            metrics::histogram!("e_rows").record(700.0);
        });
        let text = recorder.render(Some(Path::new("/nowhere")));
        for lines in [
            "# TYPE a_total counter\na_total{b=\"say \\\"hi\\\"\\\\\\n\"} 1\n",
            "# TYPE c gauge\nc 1.5\n",
            "# TYPE milepost_frames_total counter\nmilepost_frames_total{bucket=\"stored\"} 6\n",
            "# HELP milepost_frames_total ",
            "d_seconds_bucket{le=\"0.0025\"} 0\nd_seconds_bucket{le=\"0.005\"} 1\n",
            "d_seconds_bucket{le=\"10\"} 1\nd_seconds_bucket{le=\"+Inf\"} 2\nd_seconds_sum 99.003\nd_seconds_count 2\n",
            "e_rows_bucket{le=\"500\"} 0\ne_rows_bucket{le=\"1000\"} 1\n",
            "milepost_build_info{version=",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(lines), "{lines}\nin\n{text}");
        }
    }
}
