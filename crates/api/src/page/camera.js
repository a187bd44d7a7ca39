// Where the map looks, and the hands that move it.

import { clamp, metresPerUnit, project } from "./geo.js";

const TILE = 256;
const MIN_ZOOM = 1;
const MAX_ZOOM = 20;
// Fitting a single vehicle must not end at the paint on its roof.
const MAX_FIT_ZOOM = 16;
const WORLD = [project(84, 0)[1], project(-84, 0)[1]];

export class Camera {
  x = 0.5;
  y = 0.5;
  zoom = 2;
  width = 1;
  height = 1;
  /** Pixels at each side that something covers. */
  padding = { top: 0, right: 0, bottom: 0, left: 0 };
  #flight = null;

  get scale() {
    return TILE * 2 ** this.zoom;
  }

  get flying() {
    return this.#flight !== null;
  }

  /** Metres that one pixel shows in the middle. */
  get metresPerPixel() {
    return metresPerUnit(this.y) / this.scale;
  }

  toScreen(x, y) {
    const scale = this.scale;
    return [(x - this.x) * scale + this.width / 2, (y - this.y) * scale + this.height / 2];
  }

  toWorld(px, py) {
    const scale = this.scale;
    return [(px - this.width / 2) / scale + this.x, (py - this.height / 2) / scale + this.y];
  }

  /** The part of the plane in view, with `margin` pixels around. */
  bounds(margin = 0) {
    const [left, top] = this.toWorld(-margin, -margin);
    const [right, bottom] = this.toWorld(this.width + margin, this.height + margin);
    return { left, top, right, bottom };
  }

  stop() {
    this.#flight = null;
  }

  pan(dx, dy) {
    this.stop();
    this.#set(this.x - dx / this.scale, this.y - dy / this.scale, this.zoom);
  }

  /** Zooms by `steps` so that what is under the point stays there. */
  zoomAt(px, py, steps) {
    this.stop();
    const [x, y] = this.toWorld(px, py);
    const zoom = clamp(this.zoom + steps, MIN_ZOOM, MAX_ZOOM);
    const scale = TILE * 2 ** zoom;
    this.#set(x - (px - this.width / 2) / scale, y - (py - this.height / 2) / scale, zoom);
  }

  #set(x, y, zoom) {
    this.x = clamp(x, 0, 1);
    this.y = clamp(y, WORLD[0], WORLD[1]);
    this.zoom = clamp(zoom, MIN_ZOOM, MAX_ZOOM);
  }

  /** The middle of the uncovered part, as a shift from the middle of the whole. */
  #shift() {
    const { top, right, bottom, left } = this.padding;
    return [(left - right) / 2, (top - bottom) / 2];
  }

  /** The view that shows these bounds. */
  viewOf({ left, top, right, bottom }) {
    const { padding } = this;
    const room = 48;
    const width = Math.max(80, this.width - padding.left - padding.right - 2 * room);
    const height = Math.max(80, this.height - padding.top - padding.bottom - 2 * room);
    const scale = Math.min(width / Math.max(right - left, 1e-9), height / Math.max(bottom - top, 1e-9));
    const zoom = clamp(Math.log2(scale / TILE), MIN_ZOOM, MAX_FIT_ZOOM);
    return this.viewAt((left + right) / 2, (top + bottom) / 2, zoom);
  }

  /** The view that has this point in the middle of the uncovered part. */
  viewAt(x, y, zoom = this.zoom) {
    const [sx, sy] = this.#shift();
    const scale = TILE * 2 ** zoom;
    return { x: x - sx / scale, y: y - sy / scale, zoom };
  }

  /** Whether a point of the plane is where nothing covers it. */
  shows(x, y, margin = 0) {
    const [px, py] = this.toScreen(x, y);
    const { top, right, bottom, left } = this.padding;
    return (
      px >= left + margin && px <= this.width - right - margin &&
      py >= top + margin && py <= this.height - bottom - margin
    );
  }

  jumpTo(view) {
    this.stop();
    this.#set(view.x, view.y, view.zoom);
  }

  flyTo(view, now, duration = 450) {
    this.#flight = { from: { x: this.x, y: this.y, zoom: this.zoom }, to: view, start: now, duration };
  }

  /** Goes on with a flight; answers whether it is still under way. */
  advance(now) {
    const flight = this.#flight;
    if (!flight) return false;
    const t = clamp((now - flight.start) / flight.duration, 0, 1);
    const ease = t * t * (3 - 2 * t);
    const zoom = flight.from.zoom + (flight.to.zoom - flight.from.zoom) * ease;
    // The middle moves with the scale, so that a zoom in does not swing out first.
    const a = 2 ** flight.from.zoom;
    const b = 2 ** flight.to.zoom;
    const part = Math.abs(b - a) < a * 1e-3 ? ease : (b * (1 - a / 2 ** zoom)) / (b - a);
    this.#set(
      flight.from.x + (flight.to.x - flight.from.x) * part,
      flight.from.y + (flight.to.y - flight.from.y) * part,
      zoom,
    );
    if (t === 1) this.#flight = null;
    return t < 1;
  }
}

/** Mouse, wheel, fingers and keys on the map. */
export function steer(canvas, camera, on) {
  const pointers = new Map();
  let moved = 0;
  let pinch = 0;

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) moved = 0;
    pinch = spread(pointers);
    camera.stop();
  });

  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = at(event);
    const last = pointers.get(event.pointerId);
    if (!last) {
      if (event.pointerType === "mouse") on.hover(px, py);
      return;
    }
    const [cx, cy] = middle(pointers);
    pointers.set(event.pointerId, [px, py]);
    const [nx, ny] = middle(pointers);
    moved += Math.hypot(nx - cx, ny - cy);
    if (pointers.size > 1) {
      const now = spread(pointers);
      // Around where the fingers were; then the map goes with them to where they are.
      if (pinch > 0 && now > 0) camera.zoomAt(cx, cy, Math.log2(now / pinch));
      pinch = now;
      moved += 10;
    }
    if (moved > 4) {
      camera.pan(nx - cx, ny - cy);
      canvas.classList.add("dragging");
      on.moved(pointers.size > 1 ? "zoom" : "pan");
    }
  });

  const up = (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    pointers.delete(event.pointerId);
    pinch = spread(pointers);
    if (pointers.size > 0) return;
    canvas.classList.remove("dragging");
    if (event.type === "pointerup" && moved <= 4) on.tap(...last, event.pointerType !== "mouse");
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => on.hover(null, null));

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    // A pinch on a touchpad arrives as a fine wheel with the control key.
    const rate = event.ctrlKey ? 100 : 360;
    camera.zoomAt(...at(event), clamp(-pixels / rate, -1, 1));
    on.moved("zoom");
  }, { passive: false });

  canvas.addEventListener("dblclick", (event) => {
    const [px, py] = at(event);
    camera.zoomAt(px, py, event.shiftKey ? -1 : 1);
    on.moved("zoom");
  });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 240 : 80;
    const pans = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const pan = pans[event.key];
    if (!pan) return;
    event.preventDefault();
    camera.pan(...pan);
    on.moved("pan");
  });
}

const middle = (pointers) => {
  let [x, y] = [0, 0];
  for (const [px, py] of pointers.values()) [x, y] = [x + px, y + py];
  return [x / pointers.size, y / pointers.size];
};

const spread = (pointers) => {
  if (pointers.size < 2) return 0;
  const [[ax, ay], [bx, by]] = pointers.values();
  return Math.hypot(ax - bx, ay - by);
};
