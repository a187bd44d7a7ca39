// Asks the server. Addresses are relative, so the page also works behind a proxy's prefix.

const TOKEN = "milepost.token";
const PAGE = 1000;
// A server that hands out cursors for ever must not hold the page for ever.
const MAX_PAGES = 500;

/** The server answered, and not with what was asked for. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `The server answered ${status}`);
    this.status = status;
  }
}

export class Api {
  /** Server time minus local time in milliseconds, so that ages are right on a wrong clock. */
  skew = 0;

  get token() {
    return sessionStorage.getItem(TOKEN);
  }

  set token(value) {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  }

  now() {
    return Date.now() + this.skew;
  }

  async get(path, signal) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const deadline = AbortSignal.timeout(15000);
    const answer = await fetch(path, {
      headers,
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      cache: "no-store",
      credentials: "same-origin",
    });
    this.#setSkew(answer.headers.get("Date"));
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
    return answer.json();
  }

  #setSkew(date) {
    const server = Date.parse(date ?? "");
    if (Number.isNaN(server)) return;
    // The header counts whole seconds; a small difference is noise.
    const skew = server + 500 - Date.now();
    this.skew = Math.abs(skew) < 2000 ? 0 : skew;
  }

  /** Calls `each` with every page of a list; it stops when `each` answers false. */
  async pages(path, key, signal, each) {
    let cursor = null;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const at = cursor === null ? path : `${path}&cursor=${encodeURIComponent(cursor)}`;
      const answer = await this.get(at, signal);
      const items = answer?.[key];
      if (!Array.isArray(items)) throw new Error(`The answer of ${path} has no ${key}`);
      if (each(items) === false) return;
      const next = answer.next;
      if (typeof next !== "string" || next === "" || next === cursor) return;
      cursor = next;
    }
  }

  /** All devices as last known. */
  async devices(signal) {
    const all = [];
    await this.pages(`v1/devices?limit=${PAGE}`, "devices", signal, (items) => {
      for (const item of items) all.push(item);
    });
    return all;
  }

  /** The reports of one device in the last `seconds`, the oldest first. */
  async history(id, seconds, limit, signal) {
    const from = Math.floor(this.now() / 1000) - seconds;
    const all = [];
    const path = `v1/devices/${encodeURIComponent(id)}/history?from=${from}&limit=${Math.min(limit, PAGE)}`;
    await this.pages(path, "reports", signal, (items) => {
      for (const item of items) all.push(item);
      return all.length < limit;
    });
    return all;
  }
}
