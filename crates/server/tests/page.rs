//! The live page, in a real browser without a network.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod browser;
mod support;

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::rc::Rc;
use std::time::Instant;

use browser::{Browser, DESKTOP, Instead, LANDSCAPE, PATIENCE, PHONE, Screen, wanted};
use serde_json::{Value, json};
use support::{Server, Start, milepost};

/// A running `milepost demo`; killed when it is dropped.
struct Demo {
    child: Child,
    address: String,
    // Held open, or the demo could not print its next line.
    _stdout: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = milepost()
            .args(["demo", "--http", "127.0.0.1:0", "--gt06", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(read > 0, "the demo prints the page's address");
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().unwrap().to_owned();
            }
        };
        Self {
            child,
            address,
            _stdout: stdout,
            _folder: folder,
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Opens the page on a screen.
fn open(screen: Screen, address: &str) -> Browser {
    let mut browser = Browser::open(screen);
    browser.go(address);
    browser
}

/// The page asked nobody but its own server, and nothing went wrong.
fn assert_clean(browser: &Browser, address: &str) {
    assert!(!browser.requests.is_empty());
    for request in &browser.requests {
        assert!(request.starts_with(address), "asked {request}");
    }
    assert_eq!(browser.errors, Vec::<String>::new());
}

/// Where each vehicle is on the screen.
fn drawn(browser: &mut Browser) -> Vec<(String, f64, f64)> {
    let drawn = browser.eval("milepost.drawn()");
    let vehicle = |v: &Value| {
        let id = v["id"].as_str().unwrap().to_owned();
        (id, v["x"].as_f64().unwrap(), v["y"].as_f64().unwrap())
    };
    drawn.as_array().unwrap().iter().map(vehicle).collect()
}

#[test]
fn the_demo_shows_fifty_vehicles_that_move() {
    if !wanted() {
        return;
    }
    let demo = Demo::start();
    let mut page = open(DESKTOP, &demo.address);
    page.until("document.body.dataset.connection === 'live'");
    page.until("document.body.dataset.vehicles === '50' && milepost.drawn().length === 50");
    // Eight of ten drive at any time.
    page.until("Number(document.body.dataset.moving) >= 40");

    // The counts are those of the API, and each vehicle does one thing; an alarm comes on top.
    page.until(
        "fetch('v1/devices?limit=1000').then((r) => r.json()).then(({ devices }) => {
            const data = document.body.dataset;
            const counts = ['moving', 'idling', 'parked', 'nofix', 'offline'].map((k) => Number(data[k]));
            return devices.length === Number(data.vehicles)
                && counts.reduce((a, b) => a + b) === devices.length
                && devices.every((d) => milepost.drawn().some((v) => v.id === d.device));
        })",
    );

    // They move on the screen, and none is outside of it.
    let before = drawn(&mut page);
    let begun = Instant::now();
    loop {
        let now = drawn(&mut page);
        let moved = now.iter().filter(|(id, x, y)| {
            before
                .iter()
                .any(|(other, ox, oy)| other == id && (x - ox).hypot(y - oy) > 1.0)
        });
        if moved.count() >= 40 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{before:?}\n{now:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let size = page.eval("[map.clientWidth, map.clientHeight]");
    for (id, x, y) in drawn(&mut page) {
        let inside = (0.0..=size[0].as_f64().unwrap()).contains(&x)
            && (0.0..=size[1].as_f64().unwrap()).contains(&y);
        assert!(inside, "{id} is at {x}, {y} of {size}");
    }
    // By driving they draw the roads; and the picture itself changes.
    page.until("milepost.roads() > 50");
    page.eval("globalThis.picture = map.toDataURL()");
    page.until("map.toDataURL() !== picture");
    assert_clean(&page, &demo.address);
}

#[test]
fn on_a_phone_a_finger_picks_a_vehicle_and_reads_about_it() {
    if !wanted() {
        return;
    }
    let demo = Demo::start();
    let mut page = open(PHONE, &demo.address);
    page.until("document.body.dataset.vehicles === '50' && milepost.drawn().length === 50");
    assert_eq!(page.eval("document.documentElement.scrollWidth"), 390);
    // The panel is a sheet at the foot, and leaves most of the page to the map.
    let top = page.eval("panel.getBoundingClientRect().top");
    assert!(top.as_f64().unwrap() > 844.0 * 0.6, "{top}");
    // What a finger has to hit is large enough to be hit.
    page.until(
        "[...document.querySelectorAll('.controls button, .chip')].filter((b) => b.offsetWidth)
            .every((b) => b.offsetWidth >= 36 && b.offsetHeight >= 36)",
    );

    let (_, x, y) = drawn(&mut page)
        .into_iter()
        .find(|(_, x, y)| (20.0..300.0).contains(x) && (20.0..600.0).contains(y))
        .unwrap();
    page.tap(x, y);
    page.until("!detail.hidden && milepost.trail() > 0");
    let picked = page.eval("document.getElementById('detail-id').textContent");
    assert!(
        drawn(&mut page).iter().any(|(id, ..)| picked == **id),
        "{picked}"
    );
    page.until("document.getElementById('facts').innerText.includes('satellites')");
    // The handle pulls the sheet up, the cross closes it.
    let small = page.eval("detail.offsetHeight").as_f64().unwrap();
    page.eval("document.getElementById('detail-handle').click()");
    page.until(&format!("detail.offsetHeight > {small} + 100"));
    page.eval("document.getElementById('close').click()");
    page.until("detail.hidden");
    assert_clean(&page, &demo.address);
}

#[test]
fn with_a_token_the_page_asks_for_it_and_keeps_it_for_the_session() {
    if !wanted() {
        return;
    }
    let server = Start::default().token("open-sesame").start();
    let address = format!("http://{}/", server.http);
    let mut page = open(DESKTOP, &address);
    let enter = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}';
             document.querySelector('#token-form button').click()"
        )
    };
    page.until("document.getElementById('token-dialog').open");
    page.eval(&enter("wrong"));
    page.until("!document.getElementById('token-wrong').hidden");
    assert_eq!(page.eval("sessionStorage.length"), 0);
    page.eval(&enter("open-sesame"));
    page.until("document.body.dataset.connection === 'live'");
    assert_eq!(
        page.eval("document.getElementById('token-dialog').open"),
        false
    );
    assert_eq!(page.eval("localStorage.length + document.cookie.length"), 0);
    // Looked at anew, it is not asked for again.
    page.go(&address);
    page.until("document.body.dataset.connection === 'live'");
}

#[test]
fn without_vehicles_the_page_says_how_to_connect_one() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    let mut page = open(DESKTOP, &address);
    page.until("!document.getElementById('empty').hidden");
    // The port is the one that this server has.
    let port = server.gt06.port();
    page.until(&format!(
        "document.getElementById('empty').innerText.includes('SERVER,1,your.server,{port},0#')"
    ));
    assert_clean(&page, &address);
}

#[test]
fn what_devices_say_is_only_ever_text() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    let evil = "<img src=x onerror=alert(1)>";
    let mut page = Browser::open(DESKTOP);
    page.answer(move |path| {
        let fix = json!({ "latitude": 1.0, "longitude": 1.0, "speed_kmh": 50.0, "time": "2026-01-01T00:00:00Z" });
        let events = json!([{ "kind": evil, "by": "device" }, { "kind": 7 }, null]);
        Instead::Json(
            200,
            if path.contains("/history") {
                json!({ "reports": [{ "time": "2026-01-01T00:00:00Z", "events": events, "fix": fix }, null, 7] })
            } else {
                json!({ "devices": [
                    { "device": evil, "connected": true, "last_seen": "2026-01-01T00:00:00Z",
                      "fix": fix, "protocol": evil, "network": { "operator": evil }, "events": events },
                    { "device": "__proto__", "connected": "yes", "fix": { "latitude": 1e300, "longitude": null } },
                    { "device": "numbers", "fix": { "latitude": "1", "longitude": [] }, "power": 3, "io": null },
                    { "device": 5 }, { "device": "" }, null, "text",
                ] })
            },
        )
    });
    page.go(&address);
    page.until("document.body.dataset.vehicles === '3'");
    page.eval("document.querySelectorAll('.row').forEach((row) => row.click())");
    page.eval("[...document.querySelectorAll('.row')].find((row) => row.textContent.includes('<img')).click()");
    page.until("document.getElementById('events').textContent.includes('<img')");
    page.until("document.getElementById('facts').textContent.includes('<img')");
    assert_eq!(page.eval("document.images.length"), 0);
    assert_eq!(page.eval("({}).connected === undefined"), true);
    assert_clean(&page, &address);
}

#[test]
fn a_large_fleet_is_read_page_by_page_and_listed_without_a_row_for_each() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    let asked = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&asked);
    let mut page = Browser::open(DESKTOP);
    page.answer(move |path| {
        noted.borrow_mut().push(path.to_owned());
        let part: usize = path
            .split_once("cursor=")
            .map_or(0, |(_, cursor)| cursor.parse().unwrap());
        let devices: Vec<_> = (0..1000)
            .map(|i| {
                json!({ "device": format!("{part}-{i:04}"), "connected": true, "fix": {
                    "latitude": 40.0 + f64::from(i) * 1e-4, "longitude": 10.0 + part as f64 * 1e-2,
                    "speed_kmh": 30.0, "time": "2026-01-01T00:00:00Z" } })
            })
            .collect();
        let mut answer = json!({ "devices": devices });
        if part < 2 {
            answer["next"] = json!((part + 1).to_string());
        }
        Instead::Json(
            200,
            if path.contains("/history") {
                json!({ "reports": [] })
            } else {
                answer
            },
        )
    });
    page.go(&address);
    page.until("document.body.dataset.vehicles === '3000'");
    page.until("milepost.drawn().length === 3000");
    assert!(
        asked.borrow().iter().all(|p| p.contains("limit=")),
        "{asked:?}"
    );
    page.until("document.querySelectorAll('.row').length < 60");
    // The keyboard goes to the last one, and the search finds one.
    page.eval("document.getElementById('list').focus()");
    page.press("End");
    page.until("[...document.querySelectorAll('.row.active')].some((row) => row.textContent.includes('2-0999'))");
    page.eval("document.getElementById('search').focus()");
    for key in ["1", "-", "0", "5", "5", "5"] {
        page.press(key);
    }
    page.until("document.querySelectorAll('.row').length === 1");
    page.until("milepost.drawn().length === 1");
    assert_clean(&page, &address);
}

#[test]
fn when_the_server_is_gone_the_page_says_so_and_comes_back_by_itself() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    let state = Rc::new(RefCell::new((0_u32, 0_u32)));
    let counted = Rc::clone(&state);
    let mut page = Browser::open(DESKTOP);
    // Two answers, three refused connections, one problem, and then it is there again.
    page.answer(move |_| {
        let (asked, _) = &mut *counted.borrow_mut();
        *asked += 1;
        match *asked {
            3..=5 => Instead::Nothing,
            6 => Instead::Json(
                503,
                json!({ "title": "Service Unavailable", "detail": "the store is stalled" }),
            ),
            _ => Instead::Json(200, json!({ "devices": [] })),
        }
    });
    page.go(&address);
    page.until("document.body.dataset.connection === 'live'");
    page.until("document.getElementById('banner').innerText.includes('cannot be reached')");
    page.until("document.body.dataset.connection === 'down'");
    page.until("document.getElementById('banner').innerText.includes('the store is stalled')");
    // Whoever does not want to wait presses the button.
    page.eval("document.getElementById('retry').click()");
    page.until("document.body.dataset.connection === 'live'");
    assert_eq!(page.eval("document.getElementById('banner').hidden"), true);
}

/// A server with one vehicle, which can go away, in the server's place.
fn one_vehicle(page: &mut Browser, gone: &Rc<Cell<bool>>) {
    let gone = Rc::clone(gone);
    page.answer(move |path| {
        if gone.get() {
            return Instead::Nothing;
        }
        let fix = json!({ "latitude": 48.0, "longitude": 11.0, "speed_kmh": 108.0, "course_deg": 315.0,
            "valid": true, "time": "2026-01-01T00:00:00Z" });
        let seen = "2026-01-01T00:00:00Z";
        Instead::Json(
            200,
            if path.contains("/history") {
                json!({ "reports": [{ "time": seen, "fix": fix }] })
            } else if path.contains("/trips") {
                json!({ "trips": [] })
            } else {
                json!({ "devices": [{ "device": "752533678900242", "connected": true, "last_seen": seen, "fix": fix }] })
            },
        )
    });
}

/// Opens the panel of the one vehicle.
fn open_panel(page: &mut Browser, address: &str) {
    page.go(address);
    page.until("document.body.dataset.vehicles === '1'");
    page.eval("document.querySelector('.row').click()");
    page.until("!detail.hidden && document.getElementById('detail-course').textContent !== '–'");
}

#[test]
fn the_panel_of_a_vehicle_leaves_the_banner_in_sight() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    for screen in [DESKTOP, LANDSCAPE, PHONE] {
        let gone = Rc::new(Cell::new(false));
        let mut page = Browser::open(screen);
        one_vehicle(&mut page, &gone);
        open_panel(&mut page, &address);
        gone.set(true);
        page.until("document.getElementById('banner').innerText.includes('cannot be reached')");
        // Each corner and the middle of it is what a finger there would touch.
        page.until(
            "(() => {
                const banner = document.getElementById('banner');
                const { left, top, right, bottom } = banner.getBoundingClientRect();
                const inset = 14;
                return [[left + inset, top + inset], [right - inset, top + inset], [left + inset, bottom - inset],
                    [right - inset, bottom - inset], [(left + right) / 2, (top + bottom) / 2]]
                    .every(([x, y]) => banner.contains(document.elementFromPoint(x, y)));
            })()",
        );
    }
}

#[test]
fn a_number_stays_in_one_line_and_a_course_is_no_longitude() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    for screen in [DESKTOP, LANDSCAPE, PHONE] {
        let mut page = Browser::open(screen);
        one_vehicle(&mut page, &Rc::new(Cell::new(false)));
        open_panel(&mut page, &address);
        assert_eq!(
            page.eval("document.getElementById('detail-course').textContent"),
            "NW (315°)"
        );
        // A line of text is lower than twice its font.
        let lines = page.eval(
            "[...document.querySelectorAll('.gauge-value, .gauge-text, .chip, .row-value')]
                .filter((part) => part.offsetWidth && part.textContent)
                .filter((part) => {
                    const range = document.createRange();
                    range.selectNodeContents(part);
                    return range.getBoundingClientRect().height >= 2 * parseFloat(getComputedStyle(part).fontSize);
                })
                .map((part) => part.textContent)",
        );
        assert_eq!(lines, json!([]));
        assert_eq!(
            page.eval("document.documentElement.scrollWidth <= innerWidth"),
            true
        );
    }
}

/// Makes the page's waits a hundred times shorter, and notes how long they would have been.
const IN_NO_TIME: &str = "
    globalThis.waits = [];
    const setTimeoutAsItIs = setTimeout;
    globalThis.setTimeout = (call, ms, ...rest) => {
        if (call.name !== 'poll') return setTimeoutAsItIs(call, ms, ...rest);
        waits.push(ms);
        return setTimeoutAsItIs(call, ms / 100, ...rest);
    };";

#[test]
fn the_page_asks_less_and_less_often_while_the_server_fails_and_then_as_before() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let asked = Rc::new(RefCell::new(0_u32));
    let counted = Rc::clone(&asked);
    let mut page = Browser::open(DESKTOP);
    page.before(IN_NO_TIME);
    page.answer(move |_| {
        *counted.borrow_mut() += 1;
        match *counted.borrow() {
            3..=6 => Instead::Nothing,
            7..=10 | 14 => Instead::Json(503, json!({ "detail": "the store is stalled" })),
            _ => Instead::Json(200, json!({ "devices": [] })),
        }
    });
    page.go(&format!("http://{}/", server.http));
    // By itself: nobody presses a button.
    page.until("waits.length >= 15 && document.body.dataset.connection === 'live'");
    assert_eq!(page.eval("document.getElementById('banner').hidden"), true);
    let waits = page.eval("waits");
    let waits: Vec<f64> = waits.as_array().unwrap()[..15]
        .iter()
        .map(|wait| wait.as_f64().unwrap())
        .collect();
    // Two answers, eight failures, three answers, a failure that is the first again. Each wait has its share of chance, so that the
    // pages of a room full of people do not all come back at once.
    let often = 1_500.0;
    for (n, wait) in (0..).zip(waits.iter().copied()) {
        let failures_before = match n {
            2..=9 => Some(n - 2),
            13 => Some(0),
            _ => None,
        };
        if let Some(before) = failures_before {
            let share = wait / f64::min(30_000.0, often * 2_f64.powi(before));
            assert!((0.849..1.151).contains(&share), "{n}: {waits:?}");
        } else {
            // A slow machine is asked less often, but not as seldom as one that fails.
            assert!((often..25_000.0).contains(&wait), "{n}: {waits:?}");
        }
    }
}

#[test]
fn a_page_that_nobody_looks_at_asks_nothing_until_somebody_does() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let (asked, silent) = (Rc::new(Cell::new(0_u32)), Rc::new(Cell::new(false)));
    let (counted, is_silent) = (Rc::clone(&asked), Rc::clone(&silent));
    let mut page = Browser::open(DESKTOP);
    page.before(IN_NO_TIME);
    // Without the deadline that would end the wait too, later.
    page.before("AbortSignal.timeout = () => new AbortController().signal");
    page.answer(move |_| {
        counted.set(counted.get() + 1);
        if is_silent.get() {
            return Instead::Silence;
        }
        Instead::Json(200, json!({ "devices": [] }))
    });
    page.go(&format!("http://{}/", server.http));
    page.until("waits.length >= 3 && document.body.dataset.connection === 'live'");
    let look = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }});
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    // An answer is awaited, and it does not come.
    silent.set(true);
    let before = asked.get();
    while asked.get() == before {
        page.settle();
    }
    page.eval(&look(true));
    assert_eq!(page.eval("document.body.dataset.connection"), "paused");
    silent.set(false);
    let before = (asked.get(), page.eval("waits.length"));
    // Some twenty times as long as it waits otherwise; and being online again changes nothing.
    page.eval("dispatchEvent(new Event('online'))");
    page.eval("new Promise((done) => setTimeout(done, 300))");
    assert_eq!((asked.get(), page.eval("waits.length")), before);

    // Then it does not wait for the old answer any more.
    page.eval(&look(false));
    page.until(&format!("waits.length > {}", before.1));
    page.until("document.body.dataset.connection === 'live'");
    assert!(asked.get() > before.0);
    assert_eq!(page.eval("document.getElementById('banner').hidden"), true);
}

#[test]
fn what_the_browser_has_already_is_not_sent_again() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let address = format!("http://{}/", server.http);
    let mut page = open(DESKTOP, &address);
    let parts =
        ["", "page/app.js", "page/api.js", "page/map.js"].map(|part| address.clone() + part);
    for status in [200, 304] {
        page.until("document.body.dataset.connection === 'live'");
        let answered = page.answered();
        for part in &parts {
            assert!(
                answered.contains(&(part.clone(), status)),
                "{part}: {answered:?}"
            );
        }
        // The browser fetches the icon in its own time, perhaps after the page was left.
        let is_file = |asked: &str| {
            !asked.contains("/v1/") && !asked.ends_with(".json") && !asked.ends_with("icon.svg")
        };
        let other = answered
            .iter()
            .find(|(asked, s)| is_file(asked) && *s != status);
        assert_eq!(other, None, "{answered:?}");
        page.go(&address);
    }
    assert_clean(&page, &address);
}

#[test]
fn wheel_keys_and_fingers_steer_the_map() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let mut page = Browser::open(PHONE);
    page.answer(|_| {
        let at = |device, latitude, longitude| {
            json!({ "device": device, "connected": true,
                    "fix": { "latitude": latitude, "longitude": longitude, "time": "2026-01-01T00:00:00Z" } })
        };
        let devices = [at("a", -33.0, 151.0), at("b", -33.1, 151.1)];
        Instead::Json(200, json!({ "devices": devices, "reports": [] }))
    });
    page.go(&format!("http://{}/", server.http));
    page.until("milepost.drawn().length === 2");
    let places = |page: &mut Browser| {
        let mut drawn = drawn(page);
        drawn.sort_by(|a, b| a.0.cmp(&b.0));
        [(drawn[0].1, drawn[0].2), (drawn[1].1, drawn[1].2)]
    };
    let far = |[a, b]: [(f64, f64); 2]| (a.0 - b.0).hypot(a.1 - b.1);
    let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1) < 0.3;
    // South is below, east is right, and the sheet covers neither.
    let start = places(&mut page);
    assert!(
        start[0].0 < start[1].0 && start[0].1 < start[1].1,
        "{start:?}"
    );
    let foot = page
        .eval("panel.getBoundingClientRect().top")
        .as_f64()
        .unwrap();
    assert!(start.iter().all(|&(_, y)| y > 0.0 && y < foot), "{start:?}");

    // The wheel keeps what is under it.
    page.wheel(start[0].0, start[0].1, -180.0);
    page.until(&format!(
        "((a, b) => Math.hypot(a.x - b.x, a.y - b.y))(...milepost.drawn()) > {}",
        far(start) * 1.1
    ));
    let wheeled = places(&mut page);
    assert!(near(wheeled[0], start[0]), "{start:?} {wheeled:?}");

    // So do two fingers: half as far from each other, half as large.
    page.pinch(wheeled[0], 40.0, 20.0);
    page.settle();
    let after = places(&mut page);
    assert!(near(after[0], start[0]), "{wheeled:?} {after:?}");
    let ratio = far(after) / far(wheeled);
    assert!((0.49..0.51).contains(&ratio), "{wheeled:?} {after:?}");

    // A finger takes the map along.
    page.drag((200.0, 300.0), (150.0, 340.0));
    page.settle();
    let dragged = places(&mut page);
    assert!(
        near(dragged[0], (after[0].0 - 50.0, after[0].1 + 40.0)),
        "{after:?} {dragged:?}"
    );

    // Keys: to the left, and back to everything.
    page.eval("map.focus()");
    page.press("ArrowLeft");
    page.settle();
    let keyed = places(&mut page);
    assert!(
        near(keyed[0], (dragged[0].0 + 80.0, dragged[0].1)),
        "{dragged:?} {keyed:?}"
    );
    page.press("f");
    page.until(&format!(
        "Math.abs(milepost.drawn().find((v) => v.id === 'a').x - {}) < 1",
        start[0].0
    ));
    // And from vehicle to vehicle.
    page.press("n");
    page.until("document.getElementById('detail-id').textContent === 'a'");
    page.press("n");
    page.until("document.getElementById('detail-id').textContent === 'b'");
    page.press("Escape");
    page.until("detail.hidden");
}

#[test]
fn the_state_of_a_vehicle_is_the_one_that_matters_most() {
    if !wanted() {
        return;
    }
    let server = Server::start();
    let mut page = open(DESKTOP, &format!("http://{}/", server.http));
    let cases = json!([
        ["moving", { "connected": true, "fix": { "speed_kmh": 30 } }],
        ["moving", { "connected": true, "fix": { "speed_kmh": 2 }, "io": { "ignition": false } }],
        ["idling", { "connected": true, "fix": { "speed_kmh": 1.9 }, "io": { "ignition": true } }],
        ["parked", { "connected": true, "fix": { "speed_kmh": 0 }, "io": { "ignition": false } }],
        ["parked", { "connected": true, "fix": {} }],
        ["idling", { "connected": true, "fix": { "speed_kmh": 30, "valid": false }, "io": { "ignition": true } }],
        ["nofix", { "connected": true, "fix": null }],
        ["offline", { "connected": false, "fix": { "speed_kmh": 30 } }],
        ["offline", { "connected": true, "fix": { "speed_kmh": 30 }, "last_seen": "2026-01-01T00:49:00Z" }],
        ["alarm", { "connected": false, "events": [{ "kind": "sos" }], "events_time": "2026-01-01T00:59:00Z" }],
        ["moving", { "connected": true, "fix": { "speed_kmh": 30 }, "events": [{ "kind": "sos" }], "events_time": "2026-01-01T00:57:00Z" }],
        ["parked", { "connected": true, "fix": {}, "events": [{ "kind": "ignition_off" }], "events_time": "2026-01-01T00:59:59Z" }],
    ]);
    let wrong = page.eval(&format!(
        "import('/page/fleet.js').then(({{ Fleet }}) => {cases}.filter(([state, item]) => {{
            const now = Date.parse('2026-01-01T01:00:00Z');
            const fleet = new Fleet();
            const fix = item.fix && {{ latitude: 1, longitude: 1, ...item.fix }};
            fleet.update([{{ device: 'a', last_seen: '2026-01-01T00:59:59Z', ...item, fix }}], now, 0);
            return fleet.vehicles.get('a').state !== state
                || (state === 'alarm' && fleet.counts.get('offline') !== 1);
        }}))"
    ));
    assert_eq!(wrong, json!([]));
}
