// Draws the map: grid, roads, trails, vehicles. It knows nothing of the server.

import { clamp, degreesText, gridStep, metresText, project, roundLength, unproject } from "./geo.js";

const MAX_RATIO = 2;
const ROAD_M = 11;
const EQUATOR_M = 40075016.7;
// The layer of roads reaches this far beyond the view, so that panning does not draw it anew.
const LAYER_MARGIN = 160;
const LAYER_AGE_MS = 140;
// With more vehicles than this in view the marks get small and come from a stock of pictures.
const CROWD = 250;
const DIRECTIONS = 72;

const NAMES = [
  "ground", "grid", "grid-fine", "grid-text", "road", "road-edge", "text", "label", "halo", "accent",
  "moving", "idling", "parked", "nofix", "offline", "alarm",
];

/** One vehicle's mark at the origin, pointing north, about `r` pixels in radius. */
function mark(ink, vehicle, r) {
  ink.beginPath();
  if (pointed(vehicle)) {
    ink.moveTo(0, -r * 1.25);
    ink.lineTo(r * 0.85, r);
    ink.lineTo(0, r * 0.5);
    ink.lineTo(-r * 0.85, r);
    ink.closePath();
  } else if (vehicle.state === "parked") {
    ink.roundRect(-r * 0.75, -r * 0.75, r * 1.5, r * 1.5, r * 0.35);
  } else {
    ink.arc(0, 0, r * 0.8, 0, 2 * Math.PI);
  }
}

/** Whether a vehicle is drawn as an arrow. */
export const pointed = (vehicle) =>
  vehicle.state === "moving" || (vehicle.state === "alarm" && vehicle.motion === "moving");

export class MapView {
  #canvas;
  #ink;
  #camera;
  #colours = {};
  #road = document.createElement("canvas").getContext("2d");
  #edge = document.createElement("canvas").getContext("2d");
  #layer = null;
  #stamps = new Map();
  #ratio = 1;
  /** Where each drawn vehicle is on the screen: what a finger can hit. */
  drawn = [];

  /** Where the crosses of rejected positions are, and why. */
  crosses = [];

  constructor(canvas, camera) {
    this.#canvas = canvas;
    this.#ink = canvas.getContext("2d", { alpha: false });
    this.#camera = camera;
    this.readColours();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of NAMES) this.#colours[name] = style.getPropertyValue(`--${name}`).trim();
    this.#layer = null;
    this.#stamps.clear();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || height === 0) return;
    const ratio = Math.min(devicePixelRatio || 1, MAX_RATIO);
    if (ratio !== this.#ratio) this.#stamps.clear();
    this.#ratio = ratio;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#camera.width = width;
    this.#camera.height = height;
    for (const { canvas } of [this.#road, this.#edge]) {
      canvas.width = Math.round((width + 2 * LAYER_MARGIN) * ratio);
      canvas.height = Math.round((height + 2 * LAYER_MARGIN) * ratio);
    }
    this.#layer = null;
  }

  /** The nearest vehicle within `reach` pixels. */
  hit(px, py, reach) {
    let best = null;
    let least = reach;
    for (const { vehicle, sx, sy } of this.drawn) {
      const far = Math.hypot(sx - px, sy - py);
      if (far < least) [best, least] = [vehicle, far];
    }
    return best;
  }

  /** Draws everything; answers whether the picture wants to be finer a moment later. */
  draw(fleet, scene, now) {
    const ink = this.#ink;
    ink.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    ink.fillStyle = this.#colours.ground;
    ink.fillRect(0, 0, this.#camera.width, this.#camera.height);
    this.#drawGrid();
    const rough = this.#drawRoads(fleet, now);
    const visible = this.#visible(fleet, scene);
    this.#drawTrails(visible, scene);
    if (scene.trail) this.#drawHistory(scene.trail, scene.selected);
    this.#drawVehicles(visible, scene, now);
    this.#drawLabels(visible, scene);
    this.drawn = visible;
    return rough;
  }

  #drawGrid() {
    const ink = this.#ink;
    const { width, height, scale, padding } = this.#camera;
    const { left, top, right, bottom } = this.#camera.bounds();
    const [north, west] = unproject(left, Math.max(0, top));
    const [south, east] = unproject(right, Math.min(1, bottom));
    const step = gridStep(scale / 360, 130);
    for (const [part, colour] of [[step / 5, "grid-fine"], [step, "grid"]]) {
      ink.strokeStyle = this.#colours[colour];
      ink.lineWidth = 1;
      ink.beginPath();
      for (let i = Math.ceil(Math.max(-180, west) / part); i * part <= Math.min(180, east); i += 1) {
        const x = Math.round(this.#camera.toScreen(i * part / 360 + 0.5, 0)[0]) + 0.5;
        ink.moveTo(x, 0);
        ink.lineTo(x, height);
      }
      for (let i = Math.ceil(south / part); i * part <= north; i += 1) {
        const y = Math.round(this.#camera.toScreen(0, project(i * part, 0)[1])[1]) + 0.5;
        ink.moveTo(0, y);
        ink.lineTo(width, y);
      }
      ink.stroke();
    }
    ink.fillStyle = this.#colours["grid-text"];
    ink.font = "11px system-ui, sans-serif";
    ink.textBaseline = "top";
    ink.textAlign = "left";
    for (let i = Math.ceil(Math.max(-180, west) / step); i * step <= Math.min(180, east); i += 1) {
      const x = this.#camera.toScreen(i * step / 360 + 0.5, 0)[0];
      if (x > 60 && x < width - 90) ink.fillText(degreesText(i * step, step, "E", "W"), x + 5, 8);
    }
    for (let i = Math.ceil(south / step); i * step <= north; i += 1) {
      const y = this.#camera.toScreen(0, project(i * step, 0)[1])[1];
      if (y > 30 && y < height - padding.bottom - 60) ink.fillText(degreesText(i * step, step, "N", "S"), 8, y + 5);
    }
  }

  /** Roads are kept as a picture, moved and stretched with the map, and redrawn when it rests. */
  #drawRoads(fleet, now) {
    const camera = this.#camera;
    const layer = this.#layer;
    let rough = false;
    if (!layer) this.#renderRoads(fleet, now);
    else {
      const same = Math.abs(layer.zoom - camera.zoom) < 1e-6;
      const [dx, dy] = camera.toScreen(layer.x, layer.y);
      const inside =
        Math.abs(dx - camera.width / 2) < LAYER_MARGIN && Math.abs(dy - camera.height / 2) < LAYER_MARGIN;
      if (same && inside) this.#appendRoads(fleet);
      else if (now - layer.at > LAYER_AGE_MS) this.#renderRoads(fleet, now);
      else rough = true;
    }
    const { x, y, zoom } = this.#layer;
    const stretch = 2 ** (camera.zoom - zoom);
    const [cx, cy] = camera.toScreen(x, y);
    const width = (camera.width + 2 * LAYER_MARGIN) * stretch;
    const height = (camera.height + 2 * LAYER_MARGIN) * stretch;
    for (const { canvas } of [this.#edge, this.#road])
      this.#ink.drawImage(canvas, cx - width / 2, cy - height / 2, width, height);
    return rough;
  }

  #renderRoads(fleet, now) {
    const { x, y, zoom } = this.#camera;
    this.#layer = { x, y, zoom, at: now, added: fleet.added };
    for (const ink of [this.#road, this.#edge]) {
      ink.setTransform(1, 0, 0, 1, 0, 0);
      ink.clearRect(0, 0, ink.canvas.width, ink.canvas.height);
    }
    this.#strokeRoads(fleet.segments);
  }

  #appendRoads(fleet) {
    const fresh = fleet.added - this.#layer.added;
    if (fresh === 0) return;
    this.#layer.added = fleet.added;
    this.#strokeRoads(fleet.newest(fresh));
  }

  #strokeRoads(segments) {
    const camera = this.#camera;
    const { x, y } = this.#layer;
    const scale = camera.scale;
    const halfWidth = camera.width / 2 + LAYER_MARGIN;
    const halfHeight = camera.height / 2 + LAYER_MARGIN;
    const width = clamp(ROAD_M / camera.metresPerPixel, 2, 16);
    const path = new Path2D();
    for (const { x1, y1, x2, y2 } of segments) {
      const ax = (x1 - x) * scale + halfWidth;
      const ay = (y1 - y) * scale + halfHeight;
      const bx = (x2 - x) * scale + halfWidth;
      const by = (y2 - y) * scale + halfHeight;
      if (Math.max(ax, bx) < 0 || Math.min(ax, bx) > 2 * halfWidth) continue;
      if (Math.max(ay, by) < 0 || Math.min(ay, by) > 2 * halfHeight) continue;
      path.moveTo(ax, ay);
      path.lineTo(bx, by);
    }
    for (const [ink, colour, extra] of [[this.#edge, "road-edge", 2], [this.#road, "road", 0]]) {
      ink.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
      ink.lineCap = "round";
      ink.strokeStyle = this.#colours[colour];
      ink.lineWidth = width + extra;
      ink.stroke(path);
    }
  }

  #visible(fleet, scene) {
    const { left, top, right, bottom } = this.#camera.bounds(40);
    const visible = [];
    for (const vehicle of fleet.vehicles.values()) {
      if (!vehicle.fix) continue;
      if (!scene.shown(vehicle) && vehicle.id !== scene.selected?.id) continue;
      const { x, y } = vehicle;
      if (x < left || x > right || y < top || y > bottom) continue;
      const [sx, sy] = this.#camera.toScreen(x, y);
      visible.push({ vehicle, sx, sy });
    }
    return visible;
  }

  /** The last stretch of each vehicle, fainter with age. */
  #drawTrails(visible, scene) {
    const ink = this.#ink;
    // In a throng the trails are only blur, and the dearest thing to draw.
    if (visible.length > 6 * CROWD) return;
    const points = visible.length > CROWD ? 6 : 24;
    ink.lineJoin = "round";
    ink.lineCap = "round";
    ink.lineWidth = visible.length > CROWD ? 1.5 : 2.5;
    const paths = new Map();
    for (const { vehicle, sx, sy } of visible) {
      if (vehicle.id === scene.selected?.id && scene.trail) continue;
      const { trail } = vehicle;
      // The newest point is where it is heading to, until it gets there.
      const end = trail.length - (vehicle.gliding ? 2 : 0);
      const start = Math.max(0, end - 2 * points);
      if (end - start < 2) continue;
      let pair = paths.get(vehicle.state);
      if (!pair) paths.set(vehicle.state, (pair = [new Path2D(), new Path2D()]));
      const half = start + 2 * Math.floor((end - start) / 4);
      let [px, py] = this.#camera.toScreen(trail[start], trail[start + 1]);
      pair[0].moveTo(px, py);
      for (let i = start + 2; i < end; i += 2) {
        [px, py] = this.#camera.toScreen(trail[i], trail[i + 1]);
        pair[i <= half ? 0 : 1].lineTo(px, py);
        if (i === half) pair[1].moveTo(px, py);
      }
      if (half === start) pair[1].moveTo(px, py);
      pair[1].lineTo(sx, sy);
    }
    for (const [state, [old, fresh]] of paths) {
      ink.strokeStyle = this.#colours[state];
      ink.globalAlpha = 0.25;
      ink.stroke(old);
      ink.globalAlpha = 0.6;
      ink.stroke(fresh);
    }
    ink.globalAlpha = 1;
  }

  /** The selected vehicle's way, as its history has it. */
  #drawHistory(trail, vehicle) {
    if (trail.length === 0) return;
    const ink = this.#ink;
    // A rejected position is a cross and no part of the way; the first one has no estimate at all.
    const believed = trail.filter((fix) => !fix.smoothed?.rejected);
    const path = this.#pathOf(believed, ({ smoothed, x, y }) => smoothed ?? { x, y });
    const reported = this.#pathOf(believed.filter((fix) => fix.smoothed), (fix) => fix);
    const last = trail.at(-1);
    if (vehicle?.fix && !last.smoothed && believed.length > 0) path.lineTo(...this.#camera.toScreen(vehicle.x, vehicle.y));
    this.#drawAccuracy(last.smoothed);
    ink.lineJoin = "round";
    ink.lineCap = "round";
    ink.strokeStyle = this.#colours.halo;
    ink.lineWidth = 7;
    ink.stroke(path);
    ink.strokeStyle = this.#colours.accent;
    ink.lineWidth = 4;
    ink.stroke(path);
    // As it was reported: thin, above the way that was made of it.
    ink.strokeStyle = this.#colours.text;
    ink.globalAlpha = 0.75;
    ink.lineWidth = 1.25;
    ink.setLineDash([4, 3]);
    ink.stroke(reported);
    ink.setLineDash([]);
    ink.globalAlpha = 1;
    this.#drawRejected(trail);
    if (believed.length === 0) return;
    ink.strokeStyle = this.#colours.accent;
    const begin = believed[0].smoothed ?? believed[0];
    const [sx, sy] = this.#camera.toScreen(begin.x, begin.y);
    ink.beginPath();
    ink.arc(sx, sy, 5, 0, 2 * Math.PI);
    ink.fillStyle = this.#colours.halo;
    ink.lineWidth = 2.5;
    ink.fill();
    ink.stroke();
  }

  #pathOf(trail, place) {
    const path = new Path2D();
    let [lx, ly, lt] = [NaN, NaN, -Infinity];
    let first = true;
    for (const fix of trail) {
      const { x, y } = place(fix);
      const [px, py] = this.#camera.toScreen(x, y);
      // A vehicle silent for long has not driven the straight line between.
      if (first || fix.time - lt > 600000) path.moveTo(px, py);
      else if (Math.abs(px - lx) + Math.abs(py - ly) < 1.5) continue;
      else path.lineTo(px, py);
      [lx, ly, lt] = [px, py, fix.time];
      first = false;
    }
    return path;
  }

  /** The circle that holds the true position in two cases of three. */
  #drawAccuracy(smoothed) {
    if (!smoothed?.accuracy) return;
    const ink = this.#ink;
    const [px, py] = this.#camera.toScreen(smoothed.x, smoothed.y);
    // The map is Mercator's: a metre is longer away from the equator.
    const metre = this.#camera.scale / (EQUATOR_M * Math.max(0.01, Math.cos((smoothed.latitude * Math.PI) / 180)));
    const r = smoothed.accuracy * metre;
    if (r < 3) return;
    ink.beginPath();
    ink.arc(px, py, r, 0, 2 * Math.PI);
    ink.fillStyle = ink.strokeStyle = this.#colours.accent;
    ink.globalAlpha = 0.14;
    ink.fill();
    ink.globalAlpha = 0.6;
    ink.lineWidth = 1;
    ink.stroke();
    ink.globalAlpha = 1;
  }

  /** A cross where a position was reported that is not believed, with its reason. */
  #drawRejected(trail) {
    const ink = this.#ink;
    ink.font = "11px system-ui, sans-serif";
    ink.textAlign = "left";
    ink.textBaseline = "middle";
    ink.fillStyle = this.#colours.alarm;
    this.crosses = [];
    const written = [];
    ink.beginPath();
    for (const { x, y, smoothed } of trail) {
      if (!smoothed?.rejected) continue;
      const [px, py] = this.#camera.toScreen(x, y);
      ink.moveTo(px - 4, py - 4);
      ink.lineTo(px + 4, py + 4);
      ink.moveTo(px + 4, py - 4);
      ink.lineTo(px - 4, py + 4);
      this.crosses.push({ x: px, y: py, reason: smoothed.rejected });
      // Of crosses that lie close together one has the reason.
      if (written.some(([x0, y0]) => Math.abs(px - x0) < 70 && Math.abs(py - y0) < 14)) continue;
      written.push([px, py]);
      ink.fillText(smoothed.rejected, px + 8, py);
    }
    ink.strokeStyle = this.#colours.alarm;
    ink.lineWidth = 2;
    ink.stroke();
  }

  #drawVehicles(visible, scene, now) {
    const ink = this.#ink;
    const crowd = visible.length > CROWD;
    const r = crowd ? clamp(this.#camera.zoom - 6, 3.5, 7) : clamp(this.#camera.zoom - 3.5, 6, 10.5);
    const order = { offline: 0, nofix: 0, parked: 1, idling: 2, moving: 3, alarm: 4 };
    const rank = ({ vehicle }) => (vehicle.id === scene.selected?.id ? 9 : order[vehicle.state]);
    visible.sort((a, b) => rank(a) - rank(b));
    for (const { vehicle, sx, sy } of visible) {
      const chosen = vehicle.id === scene.selected?.id;
      const size = chosen ? Math.max(r, 9) : r;
      if (chosen || vehicle.id === scene.hovered) this.#ring(sx, sy, size + 8, "accent", chosen ? 0.22 : 0.14);
      if (vehicle.state === "alarm") {
        const beat = scene.still ? 0.5 : (now % 1600) / 1600;
        this.#ring(sx, sy, size + 3 + 11 * beat, "alarm", 0.35 * (1 - beat));
      }
      if (crowd && !chosen) {
        const stamp = this.#stamp(vehicle, size);
        const side = stamp.width / this.#ratio;
        ink.drawImage(stamp, sx - side / 2, sy - side / 2, side, side);
        continue;
      }
      ink.translate(sx, sy);
      if (pointed(vehicle)) ink.rotate((vehicle.course * Math.PI) / 180);
      this.#paintMark(ink, vehicle, size, 3);
      ink.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
      this.#sign(vehicle, sx, sy, size);
    }
  }

  #paintMark(ink, vehicle, size, halo) {
    mark(ink, vehicle, size);
    ink.lineJoin = "round";
    ink.lineWidth = halo;
    ink.strokeStyle = this.#colours.halo;
    ink.stroke();
    ink.fillStyle = this.#colours[vehicle.state === "offline" ? "halo" : vehicle.state];
    ink.fill();
    if (vehicle.state !== "offline") return;
    ink.lineWidth = halo * 0.8;
    ink.strokeStyle = this.#colours.offline;
    ink.stroke();
  }

  /** A small mark as a picture, turned to the nearest of a few directions. */
  #stamp(vehicle, size) {
    const arrow = pointed(vehicle);
    const direction = arrow ? Math.round((vehicle.course / 360) * DIRECTIONS) % DIRECTIONS : 0;
    const r = Math.round(size * 2) / 2;
    const key = `${vehicle.state} ${arrow} ${direction} ${r}`;
    let stamp = this.#stamps.get(key);
    if (stamp) return stamp;
    // Zooming makes new sizes; the old ones are not worth keeping.
    if (this.#stamps.size > 2000) this.#stamps.clear();
    stamp = document.createElement("canvas");
    stamp.width = stamp.height = Math.ceil((2.6 * r + 4) * this.#ratio);
    const ink = stamp.getContext("2d");
    ink.translate(stamp.width / 2, stamp.height / 2);
    ink.scale(this.#ratio, this.#ratio);
    ink.rotate((direction / DIRECTIONS) * 2 * Math.PI);
    this.#paintMark(ink, vehicle, r, 2);
    this.#stamps.set(key, stamp);
    return stamp;
  }

  #ring(x, y, r, colour, alpha) {
    const ink = this.#ink;
    ink.globalAlpha = alpha;
    ink.fillStyle = this.#colours[colour];
    ink.beginPath();
    ink.arc(x, y, r, 0, 2 * Math.PI);
    ink.fill();
    ink.globalAlpha = 1;
  }

  /** The sign inside a mark, so that colour is not the only difference. */
  #sign(vehicle, x, y, r) {
    const ink = this.#ink;
    if (pointed(vehicle) || vehicle.state === "offline") return;
    ink.fillStyle = this.#colours.halo;
    if (vehicle.state === "idling") {
      ink.fillRect(x - r * 0.36, y - r * 0.35, r * 0.24, r * 0.7);
      ink.fillRect(x + r * 0.12, y - r * 0.35, r * 0.24, r * 0.7);
      return;
    }
    ink.font = `700 ${Math.round(r * 1.15)}px system-ui, sans-serif`;
    ink.textAlign = "center";
    ink.textBaseline = "middle";
    ink.fillText(vehicle.state === "parked" ? "P" : "!", x, y + r * 0.07);
  }

  /** Numbers beside the vehicles, as far as there is room. */
  #drawLabels(visible, scene) {
    const ink = this.#ink;
    const all = visible.length <= 60 && this.#camera.zoom >= 14;
    const taken = [];
    ink.font = "500 11.5px system-ui, sans-serif";
    ink.textAlign = "left";
    ink.textBaseline = "middle";
    for (let i = visible.length - 1; i >= 0; i -= 1) {
      const { vehicle, sx, sy } = visible[i];
      const asked = vehicle.id === scene.selected?.id || vehicle.id === scene.hovered;
      if (!asked && !all) continue;
      const text = asked ? vehicle.id : vehicle.short;
      const width = ink.measureText(text).width;
      const box = [sx + 15, sy - 9, sx + 25 + width, sy + 9];
      if (!asked && taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box);
      if (asked) {
        ink.fillStyle = this.#colours.halo;
        ink.beginPath();
        ink.roundRect(box[0], box[1] - 1, width + 10, 20, 5);
        ink.fill();
      } else {
        ink.lineJoin = "round";
        ink.lineWidth = 3;
        ink.strokeStyle = this.#colours.ground;
        ink.strokeText(text, sx + 20, sy + 0.5);
      }
      ink.fillStyle = this.#colours[asked ? "text" : "label"];
      ink.fillText(text, sx + 20, sy + 0.5);
    }
  }

  /** Sets the scale bar. */
  scale(text, bar) {
    const metres = roundLength(110 * this.#camera.metresPerPixel);
    const label = metresText(metres);
    if (text.textContent !== label) text.textContent = label;
    bar.style.width = `${(metres / this.#camera.metresPerPixel).toFixed(1)}px`;
  }
}
