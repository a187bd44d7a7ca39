// Everything about one vehicle.

import { ageText, positionText, wind } from "./geo.js";
import { isAlarm, readEvents, readFix, readSmoothed } from "./fleet.js";
import { STATE_NAMES, element, setText } from "./list.js";

const HISTORY_REPORTS = 20000;
const EVENTS = 30;
const SIGNALS = 200;
const CODES = 50;
// Reports that one look at the newest part of the history may bring.
const NEWEST = 200;

const yesNo = (value, yes, no) => (value === true ? yes : value === false ? no : null);
const measure = (value, unit, digits) =>
  typeof value === "number" && Number.isFinite(value) ? `${value.toFixed(digits)} ${unit}` : null;
const plain = (value) => (typeof value === "string" && value !== "" ? value.slice(0, 80) : null);

const SPECIAL = new Map([["sos", "SOS"], ["gps_lost", "GPS lost"], ["gps_restored", "GPS restored"],
  ["gps_first_fix", "First GPS fix"], ["gps_antenna_cut", "GPS antenna cut"], ["sim_changed", "SIM changed"]]);

/** `harsh_braking` to `Harsh braking`. */
export function eventText({ kind, code }) {
  const known = SPECIAL.get(kind);
  if (known) return known;
  if (kind === "unknown") return code === null ? "Unknown event" : `Unknown event ${code}`;
  const text = kind.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The facts of a vehicle as name and value; what is not known is not there. */
export function factsOf(vehicle) {
  const { item, fix } = vehicle;
  const power = item.power ?? {};
  const network = item.network ?? {};
  const supply = [yesNo(power.external_connected, "connected", "cut off"), measure(power.external_v, "V", 1)];
  const battery = [measure(power.battery_pct, "%", 0), measure(power.battery_v, "V", 2), yesNo(power.charging, "charging", null)];
  const both = (parts) => parts.filter((part) => part !== null).join(", ") || null;
  const quality = fix && [
    fix.satellites === null ? null : `${fix.satellites} satellites`,
    fix.hdop === null ? null : `HDOP ${fix.hdop.toFixed(1)}`,
  ];
  const validity = fix && (fix.valid === false ? "not valid now" : fix.live === false ? "from the tracker's memory" : "");
  const facts = [
    ["Connection", yesNo(vehicle.connected, "connected", "not connected")],
    ["Ignition", yesNo(vehicle.ignition, "on", "off")],
    ["Supply", both(supply)],
    ["Battery", both(battery)],
    ["Signal", both([measure(network.signal_pct, "%", 0), measure(network.signal_dbm, "dBm", 0), plain(network.operator)])],
    ["Fix", fix && (both(quality) ?? "yes") + (validity ? `, ${validity}` : "")],
    ["Fix time", fix?.time == null ? null : new Date(fix.time).toLocaleString()],
    ["Altitude", measure(fix?.altitude, "m", 0)],
    ["Odometer", typeof item.odometer_m === "number" ? measure(item.odometer_m / 1000, "km", 1) : null],
    ["Fuel", measure(item.vehicle?.fuel_pct, "%", 0)],
    ["Protocol", both([plain(item.protocol), plain(item.dialect)])],
    ["Position", fix && positionText(fix.latitude, fix.longitude)],
  ];
  return facts.filter(([, value]) => value !== null && value !== undefined);
}

/** The newest value of each signal and the newest trouble codes of reports. */
export function readSignals(reports) {
  const signals = new Map();
  let diagnostics = null;
  for (const report of reports) {
    for (const one of Array.isArray(report?.signals) ? report.signals : []) {
      const id = plain(one?.id);
      if (id === null || (signals.size >= SIGNALS && !signals.has(id))) continue;
      const { value } = one;
      let text = plain(one.state)?.replaceAll("_", " ") ?? null;
      if (typeof value === "number") text = `${+value.toFixed(3)} ${plain(one.unit) ?? ""}`.trim();
      else if (typeof value === "boolean") text = value ? "on" : "off";
      else if (plain(value) !== null) text = plain(value);
      if (text !== null) signals.set(id, [plain(one.name)?.replaceAll("_", " ") ?? id, text]);
    }
    if (Array.isArray(report?.diagnostics?.dtcs)) diagnostics = report.diagnostics;
  }
  const codes = (diagnostics?.dtcs ?? []).slice(0, CODES).map((dtc) => {
    const code = plain(dtc?.code);
    const count = typeof dtc?.oc === "number" ? `, ${dtc.oc} times` : "";
    return code ?? `SPN ${Number(dtc?.spn)}, FMI ${Number(dtc?.fmi)}${count}`;
  });
  return { signals: [...signals.values()], codes, known: diagnostics !== null };
}

/** The positions of reports, each with what the server made of it, the oldest first. */
function trailOf(reports) {
  const trail = [];
  for (const report of reports) {
    const fix = readFix(report);
    // A last known position repeated is no place the vehicle went to.
    if (fix && fix.time !== null && fix.valid !== false) trail.push({ ...fix, smoothed: readSmoothed(report) });
  }
  return trail.sort((a, b) => a.time - b.time);
}

export class Detail {
  #api;
  #parts;
  #redraw;
  #vehicle = null;
  #abort = null;
  #asking = false;
  #facts = new Map();
  #events = [];
  #shownEvents = "";
  seconds = 3600;
  /** The way of the selected vehicle, the oldest fix first. */
  trail = null;

  constructor(api, parts, redraw) {
    this.#api = api;
    this.#parts = parts;
    this.#redraw = redraw;
  }

  show(vehicle) {
    this.#vehicle = vehicle;
    this.#events = [];
    this.#shownEvents = "none yet";
    this.trail = null;
    this.#paintSignals([]);
    this.#abort?.abort();
    if (!vehicle) return;
    setText(this.#parts.id, vehicle.id);
    this.update(vehicle);
    this.load();
  }

  /** Asks for the history anew. */
  async load() {
    const vehicle = this.#vehicle;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#parts.chart.dataset.loading = "true";
    setText(this.#parts.note, "Reading the history…");
    try {
      const reports = await this.#api.history(vehicle.id, this.seconds, HISTORY_REPORTS, abort.signal);
      if (this.#vehicle !== vehicle || this.#abort !== abort) return;
      this.#take(reports);
      setText(this.#parts.note, this.#note(reports.length));
    } catch (error) {
      if (abort.signal.aborted) return;
      this.trail = [];
      setText(this.#parts.note, `The history cannot be read: ${error.message}`);
    } finally {
      if (this.#abort === abort) delete this.#parts.chart.dataset.loading;
    }
    this.#paintEvents();
    this.paintChart();
    this.#redraw();
  }

  #take(reports) {
    this.trail = trailOf(reports);
    const events = reports.flatMap(readEvents);
    this.#paintSignals(reports);
    this.#events = events.sort((a, b) => (b.time ?? 0) - (a.time ?? 0)).slice(0, EVENTS);
  }

  /** What the vehicle's own units say, as of the history that was read. */
  #paintSignals(reports) {
    const { signals, codes, known } = readSignals(reports);
    const { signalsPart } = this.#parts;
    signalsPart.hidden = signals.length === 0 && !known;
    const none = known ? "none" : "not reported";
    const items = (codes.length > 0 ? codes : [none]).map((text) => element("li", "", text));
    this.#parts.codes.replaceChildren(...items);
    const rows = signals.flatMap(([name, text]) => [element("dt", "", name), element("dd", "", text)]);
    this.#parts.signals.replaceChildren(...rows);
  }

  #note(count) {
    if (this.trail.length === 0) return "No position in this time.";
    const reasons = new Map();
    for (const { smoothed } of this.trail) {
      const reason = smoothed?.rejected;
      if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    if (reasons.size > 0 && count < HISTORY_REPORTS) {
      const rejected = [...reasons.values()].reduce((sum, n) => sum + n, 0);
      const each = [...reasons].map(([reason, n]) => `${n} ${reason}`).join(", ");
      return `${rejected === 1 ? "1 position was" : `${rejected} positions were`} not believed (×): ${each}.`;
    }
    return count >= HISTORY_REPORTS ? `The first ${HISTORY_REPORTS} reports of this time.` : "";
  }

  /** Takes over what the last poll said of the vehicle. */
  update(vehicle) {
    if (vehicle !== this.#vehicle) return;
    const { trail } = this;
    const { fix } = vehicle;
    const last = trail?.at(-1);
    if (trail && fix && fix.time !== null && fix.valid !== false && (!last || fix.time > last.time)) {
      trail.push(fix);
      while (trail.length > 1 && trail[0].time < fix.time - this.seconds * 1000) trail.shift();
      this.paintChart();
      this.#smoothNewest(vehicle);
    }
    const newest = this.#events[0]?.time ?? 0;
    const fresh = vehicle.events.filter((event) => event.time !== null && event.time > newest);
    if (fresh.length > 0) this.#events = [...fresh, ...this.#events].slice(0, EVENTS);
    this.#paintFacts(vehicle);
    this.#paintEvents();
    this.tick();
  }

  /** The poll has the reported position only: the history says what was made of it. */
  async #smoothNewest(vehicle) {
    if (this.#abort?.signal.aborted || this.#asking) return;
    const { trail } = this;
    const from = trail.findLast((fix) => fix.smoothed)?.time ?? null;
    if (from === null) return;
    this.#asking = true;
    try {
      const seconds = Math.ceil((this.#api.now() - from) / 1000) + 1;
      const reports = await this.#api.history(vehicle.id, seconds, NEWEST, this.#abort?.signal);
      if (this.#vehicle !== vehicle || this.trail !== trail) return;
      for (const fix of trailOf(reports)) {
        const known = trail.findLast((one) => one.time === fix.time);
        if (known) known.smoothed = fix.smoothed;
        else if (fix.time > from) trail.push(fix);
      }
      trail.sort((a, b) => a.time - b.time);
      setText(this.#parts.note, this.#note(trail.length));
      this.#redraw();
    } catch {
      // The reported position is shown; the poll tells when something is wrong.
    } finally {
      this.#asking = false;
    }
  }

  /** What changes with time alone. */
  tick() {
    const vehicle = this.#vehicle;
    if (!vehicle) return;
    const { lastSeen } = vehicle;
    setText(this.#parts.seen, lastSeen === null ? "never seen" : `last seen ${ageText(this.#api.now() - lastSeen)}`);
    setText(this.#parts.state, STATE_NAMES.get(vehicle.state));
    this.#parts.state.dataset.state = vehicle.state;
  }

  #paintFacts(vehicle) {
    const { fix } = vehicle;
    setText(this.#parts.speed, fix?.speed == null ? "–" : String(Math.round(fix.speed)));
    const course = fix?.course ?? null;
    setText(this.#parts.course, course === null ? "–" : `${wind(course)} (${Math.round(course)}°)`);
    this.#parts.needle.setAttribute("transform", `rotate(${course ?? 0} 20 20)`);
    this.#parts.needle.toggleAttribute("hidden", course === null);
    const facts = factsOf(vehicle);
    const names = new Set(facts.map(([name]) => name));
    for (const [name, parts] of this.#facts) {
      if (names.has(name)) continue;
      for (const part of parts) part.remove();
      this.#facts.delete(name);
    }
    for (const [name, value] of facts) {
      let parts = this.#facts.get(name);
      if (!parts) this.#facts.set(name, (parts = [element("dt", "", name), element("dd")]));
      setText(parts[1], value);
    }
    // In the same order whatever came first; nothing moves where nothing changed.
    const wanted = facts.flatMap(([name]) => this.#facts.get(name));
    if (wanted.some((part, i) => this.#parts.facts.children[i] !== part)) this.#parts.facts.replaceChildren(...wanted);
  }

  #paintEvents() {
    const key = this.#events.map((event) => `${event.time} ${event.kind} ${event.code}`).join();
    if (key === this.#shownEvents) return;
    this.#shownEvents = key;
    const lines = this.#events.map((event) => {
      const line = element("li", isAlarm(event) ? "alarming" : "");
      const time = element("time", "", event.time === null ? "" : new Date(event.time).toLocaleTimeString());
      line.append(element("span", "", eventText(event)), time);
      return line;
    });
    if (lines.length === 0) lines.push(element("li", "quiet", "None in this time."));
    this.#parts.events.replaceChildren(...lines);
  }

  /** The speed over the time of the trail. */
  paintChart() {
    const { chart } = this.#parts;
    const { clientWidth: width, clientHeight: height } = chart;
    if (width === 0) return;
    const ratio = devicePixelRatio || 1;
    chart.width = Math.round(width * ratio);
    chart.height = Math.round(height * ratio);
    const ink = chart.getContext("2d");
    ink.scale(ratio, ratio);
    const style = getComputedStyle(chart);
    const trail = this.trail ?? [];
    const end = this.#api.now();
    // As wide as the trail reaches, so that a young one is not a sliver at the edge.
    const start = Math.max(end - this.seconds * 1000, Math.min(trail[0]?.time ?? end, end - 60000));
    const top = Math.max(40, ...trail.map(({ speed }) => speed ?? 0)) * 1.1;
    const base = height - 16;
    const x = (time) => ((time - start) / (end - start)) * width;
    const y = (speed) => base - (speed / top) * (base - 4);
    ink.font = "10.5px system-ui, sans-serif";
    ink.fillStyle = style.getPropertyValue("--grid-text");
    ink.strokeStyle = style.getPropertyValue("--line");
    ink.lineWidth = 1;
    const step = top > 140 ? 50 : top > 70 ? 30 : 20;
    for (let speed = 0; speed < top; speed += step) {
      const py = Math.round(y(speed)) + 0.5;
      ink.beginPath();
      ink.moveTo(0, py);
      ink.lineTo(width, py);
      ink.stroke();
      if (speed > 0) ink.fillText(`${speed} km/h`, 2, py - 3);
    }
    const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    ink.textBaseline = "bottom";
    ink.fillText(clock(start), 2, height);
    ink.textAlign = "right";
    ink.fillText(clock(end), width - 2, height);
    const line = new Path2D();
    const area = new Path2D();
    let last = null;
    for (const { time, speed } of trail) {
      if (speed === null || time < start) continue;
      const [px, py] = [x(time), y(speed)];
      const gap = last !== null && time - last.time > 600000;
      if (last === null || gap) {
        if (gap) area.lineTo(last.px, base);
        line.moveTo(px, py);
        area.moveTo(px, base);
      } else if (px - last.px < 0.7) continue;
      line.lineTo(px, py);
      area.lineTo(px, py);
      last = { time, px };
    }
    if (last === null) return;
    area.lineTo(last.px, base);
    ink.fillStyle = ink.strokeStyle = style.getPropertyValue("--accent");
    ink.globalAlpha = 0.16;
    ink.fill(area);
    ink.globalAlpha = 1;
    ink.lineWidth = 1.75;
    ink.lineJoin = "round";
    ink.stroke(line);
  }
}
