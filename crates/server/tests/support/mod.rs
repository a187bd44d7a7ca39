//! The built binary as a black box: start it, speak HTTP and GT06 to it, end it.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) mod tracker;

/// How long anything may take before a test gives up on it. No test passes by waiting this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary with nothing of this machine's configuration.
pub(crate) fn milepost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MILEPOST_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running `milepost serve`; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) gt06: SocketAddr,
    pub(crate) ais140: SocketAddr,
    /// The second one that is named for it, if its UDP is on.
    pub(crate) ais140_udp: Option<SocketAddr>,
    pub(crate) data_dir: PathBuf,
    token: Option<String>,
    log: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

/// How to start one.
#[derive(Default)]
pub(crate) struct Start {
    data_dir: Option<PathBuf>,
    http: Option<SocketAddr>,
    gt06: Option<SocketAddr>,
    token: Option<String>,
    config: Option<String>,
    environment: Vec<(String, String)>,
    ignoring_file_size_signal: bool,
    stderr: Option<Stdio>,
    open_files: Option<u32>,
}

impl Start {
    /// Where its log goes, if not to a file that [`Server::log`] reads.
    pub(crate) fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.stderr = Some(to.into());
        self
    }

    /// How many files it may have open.
    pub(crate) fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    pub(crate) fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// The addresses of a server that was there before.
    pub(crate) fn at(mut self, http: SocketAddr, gt06: SocketAddr) -> Self {
        (self.http, self.gt06) = (Some(http), Some(gt06));
        self
    }

    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub(crate) fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writing beyond the limit on files then is an error, as on a full disk, not the end.
    pub(crate) fn ignoring_file_size_signal(mut self) -> Self {
        self.ignoring_file_size_signal = true;
        self
    }

    pub(crate) fn start(self) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = self.data_dir.unwrap_or_else(|| folder.path().join("data"));
        let log = folder.path().join("log");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut command = if self.ignoring_file_size_signal {
            // A program inherits which signals are ignored.
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
            shell.arg(env!("CARGO_BIN_EXE_milepost"));
            shell
        } else if let Some(most) = self.open_files {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]);
            shell.arg(env!("CARGO_BIN_EXE_milepost"));
            shell
        } else {
            milepost()
        };
        let stderr = self
            .stderr
            .unwrap_or_else(|| std::fs::File::create(&log).unwrap().into());
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(&data_dir)
            .args(["--http", &self.http.unwrap_or(any).to_string()])
            .args(["--gt06", &self.gt06.unwrap_or(any).to_string()])
            .args(["--ais140", &any.to_string()])
            .envs(self.environment)
            .stdout(Stdio::piped())
            .stderr(stderr);
        if let Some(config) = self.config {
            let path = folder.path().join("milepost.toml");
            std::fs::write(&path, config).unwrap();
            command.arg("--config").arg(path);
        }
        if let Some(token) = &self.token {
            command.env("MILEPOST_API_TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = |what: &str| {
            line.split_once(what)
                .and_then(|(_, rest)| rest.split([',', '\n']).next())
                .and_then(|address| address.parse().ok())
        };
        let found = (address("http://"), address("gt06 "), address("ais140 "));
        let (Some(http), Some(gt06), Some(ais140)) = found else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("the server did not start: {line:?}\n{log}");
        };
        Server {
            child,
            http,
            gt06,
            ais140,
            ais140_udp: line
                .rsplit_once("ais140 ")
                .and_then(|(_, rest)| rest.split(',').next()?.parse().ok())
                .filter(|udp| *udp != ais140),
            data_dir,
            token: self.token,
            log,
            _folder: Some(folder),
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Start::default().start()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    /// A GET that must work.
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// A request with the server's token, if it has one, unless the headers say otherwise.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let named = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !named("host") {
            head += &format!("Host: {}\r\n", self.http);
        }
        if let Some(token) = &self.token
            && !named("authorization")
        {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        read_answer(stream)
    }

    /// Asks until the answer is as wished.
    pub(crate) fn until(&self, path: &str, wished: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if wished(&answer) {
                return answer;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{path} did not become as wished: {answer:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log has a text.
    pub(crate) fn until_log(&self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "no {text:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not end\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and the wait for the end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A refusal in the form that is promised, which nobody keeps.
pub(crate) fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let body = answer.json();
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], "about:blank");
    assert!(!body["title"].as_str().unwrap().is_empty());
    assert!(!body["detail"].as_str().unwrap().is_empty());
}

fn read_answer(stream: TcpStream) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no status in {line:?}"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let chunked = headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked");
    let mut body = Vec::new();
    if chunked {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk, not the end");
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        reader.read_to_end(&mut body).unwrap();
    }
    Answer {
        status,
        headers,
        body: String::from_utf8(body).unwrap(),
    }
}
