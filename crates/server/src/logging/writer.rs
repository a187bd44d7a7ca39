//! Takes lines without ever waiting, and writes them on a thread of its own.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may wait to be written, in bytes. Beyond it lines are dropped and counted.
const QUEUE: usize = 1024 * 1024;
/// How long a write that has failed keeps the thread from trying again.
const PAUSE: Duration = Duration::from_millis(100);
/// The thread's name.
pub(super) const THREAD: &str = "log-writer";

/// The queue and its thread.
#[derive(Debug, Clone)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were dropped and not reported yet.
    dropped: u64,
    /// Whether the thread is writing a line.
    busy: bool,
}

impl Writer {
    /// Starts the thread that writes to `out`. Without a thread all lines are dropped.
    pub(super) fn start(out: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = Arc::clone(&shared);
        let started = std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || thread.run(out));
        drop(started);
        Self(shared)
    }

    /// A line to be filled; it is queued when it is dropped.
    pub(super) fn line(&self) -> Line<'_> {
        Line {
            shared: &self.0,
            text: Vec::new(),
        }
    }

    /// Waits until what is queued is written, at most so long.
    pub(super) fn flush(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let mut queue = self.0.queue();
        while !queue.lines.is_empty() || queue.busy {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self
                .0
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Vec<u8>) {
        let mut queue = self.queue();
        if queue.bytes + line.len() > QUEUE {
            queue.dropped += 1;
            drop(queue);
            metrics::counter!("milepost_log_lines_dropped_total").increment(1);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        drop(queue);
        self.changed.notify_all();
    }

    /// The next line, and how many were dropped before it.
    fn next(&self) -> (Vec<u8>, u64) {
        let mut queue = self.queue();
        queue.busy = false;
        self.changed.notify_all();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.len();
                queue.busy = true;
                return (line, std::mem::take(&mut queue.dropped));
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, mut out: impl Write) {
        let mut unreported = 0;
        loop {
            let (line, dropped) = self.next();
            unreported += dropped;
            if unreported > 0 {
                let note = format!(
                    "{unreported} log lines were dropped: standard error did not take them\n"
                );
                if out.write_all(note.as_bytes()).is_ok() {
                    unreported = 0;
                }
            }
            if write_line(&mut out, &line).is_err() {
                unreported += 1;
                metrics::counter!("milepost_log_lines_dropped_total").increment(1);
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn write_line(out: &mut impl Write, line: &[u8]) -> io::Result<()> {
    out.write_all(line)?;
    out.flush()
}

/// A line in the making.
#[derive(Debug)]
pub(super) struct Line<'w> {
    shared: &'w Shared,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.shared.push(std::mem::take(&mut self.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes nothing until it is told to.
    struct Stuck {
        release: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
        stuck: bool,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.stuck, false) {
                self.release.recv().unwrap();
            }
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_takes_nothing_stops_nobody_and_hears_what_it_missed() {
        let (release, stuck) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer::start(Stuck {
            release: stuck,
            written: Arc::clone(&written),
            stuck: true,
        });
        let line = vec![b'x'; 1023];
        // Twice what may wait.
        for _ in 0..2 * QUEUE / 1024 {
            let mut to = writer.line();
            to.write_all(&line).unwrap();
            to.write_all(b"\n").unwrap();
        }
        writer.flush(Duration::from_millis(1));
        assert!(written.lock().unwrap().is_empty());
        release.send(()).unwrap();
        writer.flush(Duration::from_secs(20));
        // One more, after which the thread has told of those before it.
        writer.line().write_all(b"last\n").unwrap();
        writer.flush(Duration::from_secs(20));
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("last\n"));
        let kept = text.lines().filter(|line| line.starts_with('x')).count();
        let dropped: usize = text
            .lines()
            .filter_map(|line| {
                line.strip_suffix(" log lines were dropped: standard error did not take them")
            })
            .map(|count| count.parse::<usize>().unwrap())
            .sum();
        assert!(dropped > 0);
        assert_eq!(kept + dropped, 2 * QUEUE / 1024);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        struct Broken(u32, Arc<Mutex<Vec<u8>>>);
        impl Write for Broken {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 < 3 {
                    return Err(io::Error::other("broken"));
                }
                self.1.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer::start(Broken(0, Arc::clone(&written)));
        for line in ["one\n", "two\n", "three\n"] {
            writer.line().write_all(line.as_bytes()).unwrap();
            writer.flush(Duration::from_secs(20));
        }
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "two\n1 log lines were dropped: standard error did not take them\nthree\n"
        );
    }
}
