// The list of vehicles: only the rows in view exist, so ten thousand cost what ten do.

import { ageText } from "./geo.js";
import { STATES } from "./fleet.js";

const ROW = 56;
const SPARE = 4;

const RANK = new Map(STATES.map(({ key }, i) => [key, i]));
export const STATE_NAMES = new Map(STATES.map(({ key, name }) => [key, name]));

const byId = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const ORDERS = {
  id: byId,
  state: (a, b) => RANK.get(a.state) - RANK.get(b.state) || byId(a, b),
  speed: (a, b) => (b.fix?.speed ?? -1) - (a.fix?.speed ?? -1) || byId(a, b),
  seen: (a, b) => (b.lastSeen ?? 0) - (a.lastSeen ?? 0) || byId(a, b),
};

/** Sets a text only where it differs: the page is asked to do no work for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export class List {
  #root;
  #space;
  #rows = [];
  #shown = [];
  #active = -1;
  #selected = null;
  #pick;
  #now = 0;
  order = "id";

  constructor(root, space, pick) {
    this.#root = root;
    this.#space = space;
    this.#pick = pick;
    root.addEventListener("scroll", () => this.#paint(), { passive: true });
    new ResizeObserver(() => this.#paint()).observe(root);
    root.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.#choose(Number(row.dataset.index));
    });
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("focus", () => {
      if (this.#active < 0 && this.#shown.length > 0) this.#activate(Math.max(0, this.#indexOf(this.#selected)));
    });
  }

  /** The vehicles as they stand in the list. */
  get shown() {
    return this.#shown;
  }

  update(vehicles, selected, now) {
    this.#shown = vehicles.sort(ORDERS[this.order] ?? byId);
    this.#selected = selected;
    this.#now = now;
    if (this.#active >= this.#shown.length) this.#active = this.#shown.length - 1;
    this.#space.style.height = `${this.#shown.length * ROW}px`;
    this.#paint();
  }

  /** Brings a vehicle's row into view. */
  reveal(id) {
    const index = this.#indexOf(id);
    if (index >= 0) this.#activate(index);
  }

  #indexOf(id) {
    return this.#shown.findIndex((vehicle) => vehicle.id === id);
  }

  #choose(index) {
    const vehicle = this.#shown[index];
    if (!vehicle) return;
    this.#active = index;
    this.#pick(vehicle.id);
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.#root.clientHeight / ROW) - 1);
    const last = this.#shown.length - 1;
    const to = {
      ArrowDown: this.#active + 1, ArrowUp: this.#active - 1,
      PageDown: this.#active + page, PageUp: this.#active - page,
      Home: 0, End: last,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#activate(Math.min(last, Math.max(0, to)));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#choose(this.#active);
    }
  }

  #activate(index) {
    this.#active = index;
    const top = index * ROW;
    const { scrollTop, clientHeight } = this.#root;
    if (top < scrollTop) this.#root.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.#root.scrollTop = top + ROW - clientHeight;
    this.#paint();
  }

  #paint() {
    const { scrollTop, clientHeight } = this.#root;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const end = Math.min(this.#shown.length, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
    while (this.#rows.length < end - first) this.#rows.push(this.#makeRow());
    while (this.#rows.length > Math.max(0, end - first)) this.#rows.pop().row.remove();
    for (let i = first; i < end; i += 1) this.#fill(this.#rows[i - first], i);
    const active = this.#active >= first && this.#active < end;
    if (active) this.#root.setAttribute("aria-activedescendant", `row-${this.#active}`);
    else this.#root.removeAttribute("aria-activedescendant");
  }

  #makeRow() {
    const row = element("div", "row");
    row.setAttribute("role", "option");
    const dot = element("span", "dot");
    const name = element("span", "row-name");
    const note = element("span", "row-note");
    const value = element("span", "row-value");
    row.append(dot, name, value, note);
    this.#space.append(row);
    return { row, name, note, value };
  }

  #fill({ row, name, note, value }, index) {
    const vehicle = this.#shown[index];
    const moving = vehicle.motion === "moving";
    row.style.transform = `translateY(${index * ROW}px)`;
    row.id = `row-${index}`;
    row.dataset.index = String(index);
    row.dataset.state = vehicle.state;
    row.classList.toggle("active", index === this.#active);
    row.setAttribute("aria-selected", String(vehicle.id === this.#selected));
    row.setAttribute("aria-setsize", String(this.#shown.length));
    row.setAttribute("aria-posinset", String(index + 1));
    setText(name, vehicle.id);
    setText(value, moving && vehicle.fix?.speed != null ? `${Math.round(vehicle.fix.speed)} km/h` : "");
    const age = vehicle.lastSeen === null ? "never seen" : ageText(this.#now - vehicle.lastSeen);
    setText(note, `${STATE_NAMES.get(vehicle.state)} · ${age}`);
  }
}
