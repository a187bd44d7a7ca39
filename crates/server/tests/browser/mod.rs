//! A headless chromium, spoken to by its DevTools protocol.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unreachable_pub, reason = "a module of a test has no outside")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// How long anything may take before a test gives up on it. No test passes by waiting this long.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Whether there is to be a browser. Without one a test cannot say that the page works, so it
/// fails, unless somebody says that none is wanted.
pub fn wanted() -> bool {
    std::env::var_os("MILEPOST_NO_BROWSER").is_none()
}

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("MILEPOST_BROWSER") {
        return path.into();
    }
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .map(|folder| folder.join(name))
                .collect::<Vec<_>>()
        })
        .find(|path| path.is_file())
        .expect(
            "this test needs a chromium (Debian: apt install chromium); MILEPOST_BROWSER=path \
             names another, MILEPOST_NO_BROWSER=1 does without the test",
        )
}

/// What a test answers in the server's place.
pub enum Instead {
    /// Let the server answer.
    Server,
    /// This document, with this status.
    Json(u16, Value),
    /// Nobody answers, and the browser is told so.
    Nothing,
    /// It is waited for.
    Silence,
}

type Answers = Box<dyn FnMut(&str) -> Instead>;

/// A browser with one tab; killed when it is dropped.
pub struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: Option<String>,
    last_id: u64,
    answers: Answers,
    /// The address of everything the tab asked for.
    pub requests: Vec<String>,
    /// What the console called an error, and what nobody caught.
    pub errors: Vec<String>,
    /// The address of each request that the browser gave a number.
    asked: HashMap<String, String>,
    /// The status that came over the wire for each.
    statuses: Vec<(String, u64)>,
    _profile: tempfile::TempDir,
}

/// How large the window is, and what it is like.
#[derive(Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub phone: bool,
    pub dark: bool,
}

pub const DESKTOP: Screen = Screen {
    width: 1440,
    height: 900,
    phone: false,
    dark: false,
};

pub const PHONE: Screen = Screen {
    width: 390,
    height: 844,
    phone: true,
    dark: true,
};

/// A phone on its side.
pub const LANDSCAPE: Screen = Screen {
    width: 844,
    height: 390,
    phone: true,
    dark: false,
};

impl Browser {
    pub fn open(screen: Screen) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(program())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--disable-sync", "--disable-dev-shm-usage", "--mute-audio"])
            // A page that asks another host gets nowhere, even where there is a network.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = debugger(child.stderr.take().unwrap());
        let (socket, _) = tungstenite::connect(&address).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut browser = Self {
            child,
            socket,
            session: None,
            last_id: 0,
            answers: Box::new(|_| Instead::Server),
            requests: Vec::new(),
            errors: Vec::new(),
            asked: HashMap::new(),
            statuses: Vec::new(),
            _profile: profile,
        };
        browser.open_tab(screen);
        browser
    }

    fn open_tab(&mut self, screen: Screen) {
        let tab = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = self.call(
            "Target.attachToTarget",
            json!({ "targetId": tab["targetId"], "flatten": true }),
        );
        self.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": screen.width, "height": screen.height, "mobile": screen.phone,
                "deviceScaleFactor": if screen.phone { 2 } else { 1 },
            }),
        );
        self.call(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": screen.phone }),
        );
        let scheme = if screen.dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// From now on the test answers for `/v1`, as `answers` says for each path with its query.
    pub fn answer(&mut self, answers: impl FnMut(&str) -> Instead + 'static) {
        self.answers = Box::new(answers);
        self.call(
            "Fetch.enable",
            json!({ "patterns": [{ "urlPattern": "*/v1/*" }] }),
        );
    }

    /// Runs a script in every page before the page's own.
    pub fn before(&mut self, script: &str) {
        self.call(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": script }),
        );
    }

    pub fn go(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address }));
        self.until("document.readyState === 'complete' && 'milepost' in globalThis");
    }

    /// What was answered since this was asked last, as it came over the wire: the page itself
    /// sees 200 where the browser had the body already.
    pub fn answered(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.statuses)
            .into_iter()
            .filter_map(|(id, status)| Some((self.asked.get(&id)?.clone(), status)))
            .collect()
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression in the page holds.
    pub fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        while !self
            .eval(&format!("Boolean({expression})"))
            .as_bool()
            .unwrap()
        {
            assert!(
                begun.elapsed() < PATIENCE,
                "{expression} did not come true\n{}\n{:?}",
                self.eval("JSON.stringify(document.body.dataset) + document.body.innerText"),
                self.errors
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A finger touches the page at this point.
    pub fn tap(&mut self, x: f64, y: f64) {
        self.touch("touchStart", &[(x, y)]);
        self.touch("touchEnd", &[]);
    }

    /// A finger goes down at one point and up at another.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
        self.touch("touchStart", &[from]);
        for at in [middle, to] {
            self.touch("touchMove", &[at]);
        }
        self.touch("touchEnd", &[]);
    }

    /// Two fingers to the left and right of a point change their distance from it.
    pub fn pinch(&mut self, around: (f64, f64), from: f64, to: f64) {
        let fingers = |d: f64| [(around.0 - d, around.1), (around.0 + d, around.1)];
        self.touch("touchStart", &fingers(from));
        for d in [f64::midpoint(from, to), to] {
            self.touch("touchMove", &fingers(d));
        }
        self.touch("touchEnd", &[]);
    }

    fn touch(&mut self, kind: &str, points: &[(f64, f64)]) {
        let points: Vec<_> = points
            .iter()
            .enumerate()
            .map(|(id, (x, y))| json!({ "x": x, "y": y, "id": id }))
            .collect();
        self.call(
            "Input.dispatchTouchEvent",
            json!({ "type": kind, "touchPoints": points }),
        );
    }

    /// Waits until the page has drawn what it was told to draw.
    pub fn settle(&mut self) {
        self.eval(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
    }

    /// A key goes down and up.
    pub fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        self.call(
            "Input.dispatchKeyEvent",
            json!({ "type": "keyDown", "key": key, "text": text }),
        );
        self.call(
            "Input.dispatchKeyEvent",
            json!({ "type": "keyUp", "key": key }),
        );
    }

    /// The wheel turns at this point.
    pub fn wheel(&mut self, x: f64, y: f64, by: f64) {
        self.call(
            "Input.dispatchMouseEvent",
            json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by }),
        );
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, &parameters);
        loop {
            let message = self.read();
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.heard(&message);
        }
    }

    fn send(&mut self, method: &str, parameters: &Value) -> u64 {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .unwrap();
        self.last_id
    }

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    fn heard(&mut self, event: &Value) {
        let said = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let address = said["request"]["url"].as_str().unwrap();
                self.requests.push(address.to_owned());
                let id = said["requestId"].as_str().unwrap();
                self.asked.insert(id.to_owned(), address.to_owned());
            }
            "Network.responseReceivedExtraInfo" => {
                let id = said["requestId"].as_str().unwrap();
                let status = said["statusCode"].as_u64().unwrap();
                self.statuses.push((id.to_owned(), status));
            }
            "Runtime.exceptionThrown" => self.errors.push(said.to_string()),
            "Runtime.consoleAPICalled" if said["type"] != "log" => {
                self.errors.push(said.to_string());
            }
            "Log.entryAdded" if said["entry"]["level"] == "error" => {
                self.errors.push(said.to_string());
            }
            "Fetch.requestPaused" => self.answer_for(said),
            _ => {}
        }
    }

    fn answer_for(&mut self, paused: &Value) {
        let address = paused["request"]["url"].as_str().unwrap();
        let path = address.splitn(4, '/').nth(3).unwrap();
        let id = &paused["requestId"];
        match (self.answers)(&format!("/{path}")) {
            Instead::Server => self.send("Fetch.continueRequest", &json!({ "requestId": id })),
            Instead::Silence => 0,
            Instead::Nothing => self.send(
                "Fetch.failRequest",
                &json!({ "requestId": id, "errorReason": "ConnectionRefused" }),
            ),
            Instead::Json(status, body) => self.send(
                "Fetch.fulfillRequest",
                &json!({
                    "requestId": id, "responseCode": status,
                    "responseHeaders": [{ "name": "Content-Type", "value": "application/json" }],
                    "body": BASE64_STANDARD.encode(body.to_string()),
                }),
            ),
        };
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it ends its helpers too; killed, it might leave some.
        self.last_id += 1;
        let close = json!({ "id": self.last_id, "method": "Browser.close" });
        drop(self.socket.send(Message::text(close.to_string())));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads the debugger's address, and goes on reading so that the browser can go on writing.
fn debugger(stderr: impl Read + Send + 'static) -> String {
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(at) = line.find("ws://") {
                drop(found.send(line[at..].to_owned()));
            }
        }
    });
    address
        .recv_timeout(PATIENCE)
        .expect("the browser did not start")
}
