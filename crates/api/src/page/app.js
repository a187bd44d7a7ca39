// Brings the parts together: asks the server, keeps the fleet, draws when there is something new.

import { Api, Refused } from "./api.js";
import { Camera, steer } from "./camera.js";
import { Detail } from "./detail.js";
import { Fleet, STATES, readFix } from "./fleet.js";
import { positionText, unproject } from "./geo.js";
import { List, element, setText } from "./list.js";
import { MapView } from "./map.js";
import { Poll } from "./poll.js";
import { makeSheet, onPhone } from "./sheet.js";

// Vehicles whose last minutes are asked for at the start, so that there are roads at once.
const SEEDED = 24;
const SEED_S = 300;

const $ = (id) => document.getElementById(id);
const stillQuery = matchMedia("(prefers-reduced-motion: reduce)");

const api = new Api();
const fleet = new Fleet();
const camera = new Camera();
const map = new MapView($("map"), camera);
const list = new List($("list"), $("list-space"), (id) => select(id, { show: true }));
const detail = new Detail(api, {
  id: $("detail-id"), state: $("detail-state"), seen: $("detail-seen"), speed: $("detail-speed"),
  course: $("detail-course"), needle: $("detail-needle"), facts: $("facts"), events: $("events"),
  chart: $("chart"), note: $("trail-note"),
  signalsPart: $("signals-part"), signals: $("signals"), codes: $("codes"),
}, () => redraw());

let selected = null;
let hovered = null;
let following = false;
let filter = null;
let sought = "";
// The map fits itself to the fleet until somebody takes it in hand.
let fitting = true;
let dirty = true;
let frame = 0;
let drawnAt = 0;
let steered = false;
let roughTimer = 0;
let panelSheet = null;
let detailSheet = null;

// ---- drawing ----

const shown = (vehicle) =>
  (filter === null || vehicle.motion === filter || vehicle.state === filter) && (sought === "" || vehicle.id.toLowerCase().includes(sought));

function redraw() {
  dirty = true;
  if (frame === 0 && !document.hidden) frame = requestAnimationFrame(draw);
}

function draw(now) {
  frame = 0;
  // Many small marks move slowly: half the pictures do, for half the work.
  if (!camera.flying && !steered && map.drawn.length > 250 && now - drawnAt < 30) {
    redraw();
    return;
  }
  drawnAt = now;
  steered = false;
  dirty = false;
  const still = stillQuery.matches;
  let moving = false;
  let alarm = false;
  for (const vehicle of fleet.vehicles.values()) {
    if (vehicle.advance(now, still)) moving = true;
    if (vehicle.state === "alarm") alarm = true;
  }
  if (following && selected?.fix && !camera.flying) camera.jumpTo(camera.viewAt(selected.x, selected.y));
  if (camera.advance(now)) moving = true;
  const rough = map.draw(fleet, { selected, hovered, shown, still, trail: selected ? detail.trail : null }, now);
  map.scale($("scale-text"), $("scale-bar"));
  if (moving || (alarm && !still) || dirty) redraw();
  else if (rough) {
    clearTimeout(roughTimer);
    roughTimer = setTimeout(redraw, 160);
  }
}

function fly(view) {
  if (stillQuery.matches) camera.jumpTo(view);
  else camera.flyTo(view, performance.now());
  redraw();
}

function cover() {
  const phone = onPhone();
  const foot = Math.max(panelSheet?.covers() ?? 0, detailSheet?.covers() ?? 0);
  camera.padding = {
    top: phone ? 8 : 16, left: 0,
    right: !phone && selected ? $("detail").offsetWidth + 16 : 0,
    bottom: Math.min(foot, innerHeight * 0.55),
  };
  document.documentElement.style.setProperty("--foot", `${Math.round(foot)}px`);
}

/** Shows all vehicles that the filter lets through. */
function fit(animate) {
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const vehicle of fleet.vehicles.values()) {
    if (!vehicle.fix || !shown(vehicle)) continue;
    bounds.left = Math.min(bounds.left, vehicle.fix.x);
    bounds.right = Math.max(bounds.right, vehicle.fix.x);
    bounds.top = Math.min(bounds.top, vehicle.fix.y);
    bounds.bottom = Math.max(bounds.bottom, vehicle.fix.y);
  }
  if (bounds.left > bounds.right) return;
  cover();
  const view = camera.viewOf(bounds);
  if (animate) fly(view);
  else camera.jumpTo(view);
  redraw();
}

let fitted = false;

/** Fits again when a vehicle has driven out of the picture. */
function refit() {
  if (!fitting) return;
  const first = !fitted;
  const out = [...fleet.vehicles.values()].some((v) => v.fix && shown(v) && !camera.shows(v.fix.x, v.fix.y, 8));
  if (first || out) fit(!first);
  fitted ||= [...fleet.vehicles.values()].some((v) => v.fix);
}

// ---- selection ----

function select(id, { show = false } = {}) {
  const vehicle = id === null ? null : fleet.vehicles.get(id) ?? null;
  const changed = vehicle !== selected;
  selected = vehicle;
  if (!vehicle) setFollowing(false);
  $("detail").hidden = vehicle === null;
  document.body.classList.toggle("has-detail", vehicle !== null);
  if (changed) {
    detail.show(vehicle);
    if (vehicle) {
      detailSheet.settle(0);
      list.reveal(vehicle.id);
      setText($("announce"), `Vehicle ${vehicle.id} selected`);
      $("detail-body").scrollTop = 0;
      if (onPhone()) panelSheet.settle(0);
    }
  }
  cover();
  if (vehicle?.fix && show) {
    fitting = false;
    const zoom = Math.max(camera.zoom, 14);
    if (zoom !== camera.zoom || !camera.shows(vehicle.x, vehicle.y, 60)) fly(camera.viewAt(vehicle.x, vehicle.y, zoom));
  }
  paintList();
  redraw();
}

function step(by) {
  const { shown: all } = list;
  if (all.length === 0) return;
  const at = all.findIndex((vehicle) => vehicle === selected);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length;
  select(all[next].id, { show: true });
}

function setFollowing(value) {
  following = value;
  $("follow").setAttribute("aria-pressed", String(value));
  if (value && selected?.fix) {
    fitting = false;
    fly(camera.viewAt(selected.x, selected.y, Math.max(camera.zoom, 15)));
  }
}

// ---- list and counts ----

function paintList() {
  list.update([...fleet.vehicles.values()].filter(shown), selected?.id ?? null, api.now());
  $("nothing").hidden = list.shown.length > 0 || fleet.vehicles.size === 0;
}

const chips = new Map();
for (const { key, name } of [{ key: null, name: "All" }, ...STATES]) {
  const chip = element("button", "chip");
  chip.type = "button";
  if (key) chip.dataset.state = key;
  const count = element("span", "chip-count", "0");
  chip.append(element("span", "dot"), element("span", "chip-name", name), count);
  chip.addEventListener("click", () => {
    filter = filter === key ? null : key;
    paintFleet();
    if (fitting) fit(true);
    redraw();
  });
  $("filters").append(chip);
  chips.set(key, { chip, count });
}

function paintFleet() {
  const total = fleet.vehicles.size;
  const moving = fleet.counts.get("moving") ?? 0;
  for (const [key, { chip, count }] of chips) {
    const value = key === null ? total : fleet.counts.get(key) ?? 0;
    setText(count, String(value));
    chip.setAttribute("aria-pressed", String(filter === key));
    // The rare states take no room while nobody is in them.
    chip.hidden = value === 0 && filter !== key && (key === "nofix" || key === "alarm");
  }
  setText($("summary"), total === 0 ? (answered ? "No vehicles yet" : "") : `${moving} of ${total} moving`);
  document.title = total === 0 ? "Milepost" : `${moving} of ${total} moving · Milepost`;
  for (const { key } of STATES) document.body.dataset[key] = String(fleet.counts.get(key) ?? 0);
  document.body.dataset.vehicles = String(total);
  paintList();
}

// ---- asking the server ----

let seeded = false;
let answered = false;

const poll = new Poll({
  may: () => !document.hidden && !$("token-dialog").open,
  ask: async (signal) => take(await api.devices(signal)),
  answered: () => {
    setConnection("live", "Live");
    $("banner").hidden = true;
    $("token-wrong").hidden = true;
  },
  failed,
});

function setConnection(state, text) {
  document.body.dataset.connection = state;
  setText($("status-text"), text);
}

function take(items) {
  answered = true;
  fleet.update(items, api.now(), performance.now());
  // Who is gone from the list cannot stay selected; who came back is another object.
  if (selected && fleet.vehicles.get(selected.id) !== selected) select(null);
  if (selected) detail.update(selected);
  paintFleet();
  $("empty").hidden = fleet.vehicles.size > 0;
  if (!$("empty").hidden) {
    // Without it the rest of the card still helps; the next look tries again.
    paintGettingStarted().catch(() => {});
  }
  refit();
  redraw();
  if (!seeded && fleet.vehicles.size > 0) {
    seeded = true;
    seedRoads();
  }
}

function failed(error, failures) {
  if (error instanceof Refused && error.status === 401) {
    askForToken();
    return false;
  }
  // One lost answer is not worth a word.
  if (failures < 2 && fitted) return true;
  const refused = error instanceof Refused;
  setText($("banner-title"), refused ? "The server cannot answer" : "The server cannot be reached");
  $("banner").dataset.reason = refused ? error.message : fleet.vehicles.size > 0 ? "The map shows what was known last." : "";
  $("banner").hidden = false;
  paintBanner();
  return true;
}

function paintBanner() {
  if ($("banner").hidden) return;
  setConnection("down", poll.asking ? "Trying again" : `Again in ${poll.seconds} s`);
  setText($("banner-text"), $("banner").dataset.reason);
}

function askForToken() {
  setConnection("locked", "Token needed");
  // A token that was sent and refused is of no more use.
  $("token-wrong").hidden = api.token === null;
  api.token = null;
  if (!$("token-dialog").open) $("token-dialog").showModal();
  $("token").focus();
}

/** Reads the last minutes of some vehicles: they draw the roads until the others have. */
async function seedRoads() {
  if (navigator.connection?.saveData) return;
  const some = [...fleet.vehicles.values()].filter((v) => v.fix && v.state === "moving").slice(0, SEEDED);
  for (const vehicle of some) {
    try {
      const fixes = (await api.history(vehicle.id, SEED_S, 300)).map(readFix).filter((fix) => fix && fix.valid !== false);
      for (let i = 1; i < fixes.length; i += 1) fleet.addRoad(fixes[i - 1], fixes[i]);
      redraw();
    } catch {
      // The roads are an extra; the poll tells when something is wrong.
      return;
    }
  }
}

// ---- hands ----

panelSheet = makeSheet($("panel"), $("panel-handle"), () => [176, innerHeight * 0.52, innerHeight - 72], () => { cover(); redraw(); });
detailSheet = makeSheet($("detail"), $("detail-handle"), () => [246, innerHeight * 0.6, innerHeight - 72], () => { cover(); redraw(); });

steer($("map"), camera, {
  moved: (how) => {
    fitting = false;
    steered = true;
    if (following && how === "pan") setFollowing(false);
    redraw();
  },
  tap: (px, py, finger) => {
    const vehicle = map.hit(px, py, finger ? 26 : 16);
    if (vehicle || selected) select(vehicle?.id ?? null);
  },
  hover: (px, py) => {
    const id = px === null ? null : map.hit(px, py, 14)?.id ?? null;
    if (id !== hovered) {
      hovered = id;
      $("map").classList.toggle("pointing", id !== null);
      redraw();
    }
    setText($("cursor"), px === null ? "" : positionText(...unproject(...camera.toWorld(px, py))));
  },
});

const zoom = (steps) => {
  fitting = false;
  const at = following && selected ? [selected.x, selected.y] : camera.toWorld(camera.width / 2, camera.height / 2);
  if (following) fly(camera.viewAt(...at, camera.zoom + steps));
  else fly({ x: at[0], y: at[1], zoom: camera.zoom + steps });
};

function fitAll() {
  setFollowing(false);
  fitting = true;
  fit(true);
}

$("zoom-in").addEventListener("click", () => zoom(1));
$("zoom-out").addEventListener("click", () => zoom(-1));
$("fit").addEventListener("click", fitAll);
$("close").addEventListener("click", () => {
  select(null);
  $("list").focus();
});
$("follow").addEventListener("click", () => setFollowing(!following));
$("retry").addEventListener("click", () => poll.now());
$("window").addEventListener("change", (event) => {
  detail.seconds = Number(event.target.value);
  if (selected) detail.load();
});
$("sort").addEventListener("change", (event) => {
  list.order = event.target.value;
  paintList();
});
$("search").addEventListener("input", (event) => {
  sought = event.target.value.trim().toLowerCase();
  paintList();
  redraw();
});
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && list.shown.length > 0) select(list.shown[0].id, { show: true });
  if (event.key === "ArrowDown") {
    event.preventDefault();
    $("list").focus();
  }
});
$("search").addEventListener("focus", () => {
  if (onPhone()) panelSheet.settle(2);
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("token-dialog").open) return;
  if (event.key === "Escape") {
    if (selected) select(null);
    return;
  }
  if (event.target.closest("input, select")) return;
  const act = {
    "/": () => $("search").focus(), f: fitAll, 0: fitAll, n: () => step(1), p: () => step(-1),
    "+": () => zoom(1), "=": () => zoom(1), "-": () => zoom(-1),
  }[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.token = $("token").value.trim();
  $("token").value = "";
  $("token-dialog").close();
  setConnection("connecting", "Connecting");
  poll.now();
});
// Without a token there is nothing to see: it cannot be waved away.
$("token-dialog").addEventListener("cancel", (event) => event.preventDefault());

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    poll.stop();
    cancelAnimationFrame(frame);
    frame = 0;
    setConnection("paused", "Paused");
  } else {
    setConnection("connecting", "Connecting");
    poll.now();
    redraw();
  }
});
addEventListener("online", () => poll.now());

new ResizeObserver(() => {
  map.resize();
  cover();
  if (fitting && fitted) fit(false);
  detail.paintChart();
  redraw();
}).observe($("stage"));
const darkQuery = matchMedia("(prefers-color-scheme: dark)");
darkQuery.addEventListener("change", () => {
  map.readColours();
  detail.paintChart();
  redraw();
});

setInterval(() => {
  if (document.hidden) return;
  fleet.classify(api.now());
  paintFleet();
  detail.tick();
  paintBanner();
}, 1000);

let gettingStarted = false;
// How to connect a tracker, from each protocol. A tracker cannot reach this machine by the name
// that it has for itself.
async function paintGettingStarted() {
  if (gettingStarted) return;
  const local = /^(localhost|127\.|\[)/.test(location.hostname);
  const host = local ? "your.server" : location.hostname;
  const named = /[a-z]/i.test(host) ? 1 : 0;
  const answer = await api.get("page/getting-started.json");
  if (gettingStarted) return;
  gettingStarted = true;
  for (const { protocol, port, lines } of answer.protocols) {
    const title = document.createElement("h3");
    title.textContent = `${protocol}, port ${port}`;
    const list = document.createElement("ol");
    for (const line of lines) {
      const item = document.createElement("li");
      const words = line.replaceAll("{host}", host).replaceAll("{port}", port).replaceAll("{named}", named);
      // Texts between backquotes are code.
      for (const [index, part] of words.split("`").entries()) {
        const node = index % 2 === 1 ? document.createElement("code") : document.createTextNode(part);
        if (index % 2 === 1) {
          node.className = "block";
          node.textContent = part;
        }
        item.append(node);
      }
      list.append(item);
    }
    $("empty-protocols").append(title, list);
  }
}
/** What is on the map at this moment: for tests and for the curious in the console. */
globalThis.milepost = {
  drawn: () => map.drawn.map(({ vehicle, sx, sy }) => ({ id: vehicle.id, state: vehicle.state, x: sx, y: sy })),
  roads: () => fleet.segments.length,
  crosses: () => map.crosses,
  trail: () => detail.trail?.length ?? 0,
};

map.resize();
cover();
poll.now();
redraw();
