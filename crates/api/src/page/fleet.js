// What is known of the vehicles. Everything that comes in here is a stranger's word: numbers are
// checked, texts are only ever shown as text.

import { clamp, distance, project, turn } from "./geo.js";

/** What a vehicle can be shown as, the most urgent first. An alarm comes on top of the others: a
    vehicle in alarm is still moving, or parked, and counts there too. */
export const STATES = [
  { key: "alarm", name: "Alarm" },
  { key: "moving", name: "Moving" },
  { key: "idling", name: "Idling" },
  { key: "parked", name: "Parked" },
  { key: "nofix", name: "No position" },
  { key: "offline", name: "Offline" },
];

const MOVING_KMH = 2;
const OFFLINE_MS = 10 * 60 * 1000;
const ALARM_MS = 2 * 60 * 1000;
const TRAIL_POINTS = 60;
const MAX_SEGMENTS = 40000;
// Two fixes further apart than this say nothing about the road between them.
const GAP_MS = 120 * 1000;
const GAP_M = 3000;

// What a device tells in passing; all other kinds want somebody's attention.
const NOTICES = new Set([
  "ignition_on", "ignition_off", "power_on", "power_off", "power_restored", "charger_connected",
  "geofence_enter", "geofence_exit", "overspeed_end", "idling", "gps_restored", "gps_first_fix",
  "sleep", "door", "lock", "unlock", "unblocked", "armed", "disarmed", "button_upload", "card_swiped",
  "trip_start", "trip_end", "stop_start", "stop_end", "idle", "driver_in", "driver_out", "recording", "fuel_restored", "airplane_mode",
]);

const number = (value, low, high) =>
  typeof value === "number" && value >= low && value <= high ? value : null;
const flag = (value) => (typeof value === "boolean" ? value : null);
const words = (value) => (typeof value === "string" ? value.slice(0, 200) : null);

/** Milliseconds of an RFC 3339 time, or null. */
export function instant(value) {
  const ms = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

export const isAlarm = (event) => !NOTICES.has(event.kind) && event.incident !== "end";

/** The events of a report or a device, with the report's time. */
export function readEvents(item) {
  if (!Array.isArray(item?.events)) return [];
  const time = instant(item.events_time) ?? instant(item.time) ?? instant(item.last_seen);
  return item.events
    .filter((event) => typeof event?.kind === "string")
    .map((event) => ({
      kind: words(event.kind),
      code: number(event.code, 0, 2 ** 32),
      incident: words(event.incident),
      time: instant(event.time) ?? time,
    }));
}

/** A position that can be drawn, or null. */
export function readFix(item) {
  const fix = item?.fix;
  const latitude = number(fix?.latitude, -90, 90);
  const longitude = number(fix?.longitude, -180, 180);
  if (latitude === null || longitude === null) return null;
  const [x, y] = project(latitude, longitude);
  return {
    x, y, latitude, longitude,
    time: instant(fix.time) ?? instant(item.time) ?? instant(item.last_seen),
    speed: number(fix.speed_kmh, 0, 2000),
    course: number(fix.course_deg, 0, 360),
    altitude: number(fix.altitude_m, -1000, 100000),
    satellites: number(fix.satellites, 0, 255),
    hdop: number(fix.hdop, 0, 1000),
    valid: flag(fix.valid),
    live: flag(fix.live),
    source: words(fix.source),
  };
}

/** What the server made of the position: where it thinks the vehicle was, or null. */
export function readSmoothed(item) {
  const smoothed = item?.smoothed;
  const latitude = number(smoothed?.latitude, -90, 90);
  const longitude = number(smoothed?.longitude, -180, 180);
  if (latitude === null || longitude === null) return null;
  const [x, y] = project(latitude, longitude);
  return {
    x, y, latitude,
    accuracy: number(smoothed.accuracy_m, 0, 100000),
    rejected: words(smoothed.rejected),
  };
}

/** Whether something happened lately that wants somebody's attention. */
export const alarmed = (vehicle, now) =>
  vehicle.events.some((event) => isAlarm(event) && event.time !== null && now - event.time < ALARM_MS);

/** What a vehicle does, apart from alarms. */
export function motionOf(vehicle, now) {
  if (vehicle.connected === false) return "offline";
  if (vehicle.lastSeen !== null && now - vehicle.lastSeen > OFFLINE_MS) return "offline";
  if (!vehicle.fix) return "nofix";
  const { speed, valid } = vehicle.fix;
  if (speed !== null && speed >= MOVING_KMH && valid !== false) return "moving";
  return vehicle.ignition === true ? "idling" : "parked";
}

class Vehicle {
  /** What it does, and what it is shown as: the same, but for an alarm. */
  motion = "nofix";
  state = "nofix";
  fix = null;
  events = [];
  /** The last fixes as x, y pairs in one flat array, the newest last. */
  trail = [];
  /** Where it is drawn now, and which way it points. */
  x = 0;
  y = 0;
  course = 0;
  #glide = null;

  constructor(id) {
    this.id = id;
    this.short = id.length > 8 ? `…${id.slice(-6)}` : id;
  }

  /** Takes what the server last said; answers whether the position is a new one. */
  update(item, now) {
    this.connected = flag(item.connected);
    this.lastSeen = instant(item.last_seen);
    this.ignition = flag(item.io?.ignition);
    this.events = readEvents(item);
    this.item = item;
    const before = this.fix;
    const fix = readFix(item);
    const fresh = fix !== null && (!before || fix.time !== before.time || fix.x !== before.x || fix.y !== before.y);
    if (fix) this.fix = fix;
    if (fresh) this.#moveTo(before, fix, now);
    return fresh;
  }

  #moveTo(before, fix, now) {
    const length = this.trail.length;
    if (before && !joined(before, fix)) this.trail.length = 0;
    else if (length >= 2 * TRAIL_POINTS) this.trail.splice(0, length - 2 * TRAIL_POINTS + 2);
    this.trail.push(fix.x, fix.y);
    const course = fix.course ?? this.course;
    if (!before || !joined(before, fix)) {
      this.#glide = null;
      [this.x, this.y, this.course] = [fix.x, fix.y, course];
      return;
    }
    // It takes as long to get there as it took in the world, give or take the polling.
    const span = clamp((fix.time ?? 0) - (before.time ?? 0), 500, 8000) * 1.1;
    this.#glide = {
      x: this.x, y: this.y, dx: fix.x - this.x, dy: fix.y - this.y,
      course: this.course, turn: turn(this.course, course), from: now, span,
    };
  }

  /** Moves it along to this moment of the page's clock; answers whether it is still on its way. */
  advance(now, still) {
    const glide = this.#glide;
    if (!glide) return false;
    const part = still ? 1 : clamp((now - glide.from) / glide.span, 0, 1);
    this.x = glide.x + glide.dx * part;
    this.y = glide.y + glide.dy * part;
    // It turns early in the stretch, the way a car does at a corner.
    this.course = glide.course + glide.turn * Math.min(1, part * 3);
    if (part === 1) this.#glide = null;
    return part < 1;
  }

  get gliding() {
    return this.#glide !== null;
  }
}

const joined = (a, b) =>
  a.time !== null && b.time !== null && b.time >= a.time && b.time - a.time < GAP_MS &&
  distance(a.x, a.y, b.x, b.y) < GAP_M;

/** All vehicles, and the roads they have drawn by driving on them. */
export class Fleet {
  vehicles = new Map();
  counts = new Map();
  /** Stretches driven, as x1, y1, x2, y2; `added` counts all that were ever added. */
  segments = [];
  added = 0;
  #known = new Set();
  #oldest = 0;

  /** Takes a whole sweep: who is not in it any more is gone. */
  update(items, serverNow, pageNow) {
    const seen = new Set();
    for (const item of items) {
      const id = item?.device;
      if (typeof id !== "string" || id === "" || id.length > 64) continue;
      seen.add(id);
      let vehicle = this.vehicles.get(id);
      if (!vehicle) this.vehicles.set(id, (vehicle = new Vehicle(id)));
      const before = vehicle.fix;
      if (vehicle.update(item, pageNow) && before) this.addRoad(before, vehicle.fix);
    }
    for (const id of this.vehicles.keys()) if (!seen.has(id)) this.vehicles.delete(id);
    this.classify(serverNow);
  }

  classify(serverNow) {
    this.counts = new Map(STATES.map(({ key }) => [key, 0]));
    for (const vehicle of this.vehicles.values()) {
      vehicle.motion = motionOf(vehicle, serverNow);
      vehicle.state = alarmed(vehicle, serverNow) ? "alarm" : vehicle.motion;
      this.counts.set(vehicle.motion, this.counts.get(vehicle.motion) + 1);
      if (vehicle.state === "alarm") this.counts.set("alarm", this.counts.get("alarm") + 1);
    }
  }

  /** Remembers that somebody drove from one fix to the next. */
  addRoad(a, b) {
    if (!joined(a, b)) return;
    // About eight metres at the equator: finer differences are the same lane.
    const grid = 5e6;
    const p = `${Math.round(a.x * grid)},${Math.round(a.y * grid)}`;
    const q = `${Math.round(b.x * grid)},${Math.round(b.y * grid)}`;
    if (p === q) return;
    const key = p < q ? `${p};${q}` : `${q};${p}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    const segment = { key, x1: a.x, y1: a.y, x2: b.x, y2: b.y };
    if (this.segments.length < MAX_SEGMENTS) {
      this.segments.push(segment);
    } else {
      this.#known.delete(this.segments[this.#oldest].key);
      this.segments[this.#oldest] = segment;
      this.#oldest = (this.#oldest + 1) % MAX_SEGMENTS;
    }
    this.added += 1;
  }

  /** The last `count` stretches that were added, as far as they are still there. */
  newest(count) {
    const { segments } = this;
    if (count >= segments.length) return segments;
    const end = segments.length < MAX_SEGMENTS ? segments.length : this.#oldest;
    if (count <= end) return segments.slice(end - count, end);
    return [...segments.slice(end - count), ...segments.slice(0, end)];
  }
}
