// Asks the same again and again: often while there are answers, less and less often while there
// are none, and never while it may not.

const OFTEN_MS = 1500;
const SELDOM_MS = 30000;

export class Poll {
  #hooks;
  #abort = null;
  #timer = 0;
  #next = 0;
  #failures = 0;

  /**
   * `may()`: whether to ask now. `ask(signal)`: asks, and takes the answer. `answered()`: that went
   * well. `failed(error, failures)`: that many times it did not; `false` to wait for `now`.
   */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** Whether an answer is awaited. */
  get asking() {
    return this.#abort !== null;
  }

  /** Seconds until it asks again by itself. */
  get seconds() {
    return Math.max(0, Math.ceil((this.#next - performance.now()) / 1000));
  }

  /** Asks now, if it may and no answer is awaited. */
  async now() {
    clearTimeout(this.#timer);
    if (this.#abort || !this.#hooks.may()) return;
    const abort = new AbortController();
    this.#abort = abort;
    const started = performance.now();
    try {
      await this.#hooks.ask(abort.signal);
      if (abort.signal.aborted) return;
      this.#failures = 0;
      this.#hooks.answered();
      // A slow answer, a large fleet or a thin line: ask less often.
      this.#after(Math.max(OFTEN_MS, 3 * (performance.now() - started)));
    } catch (error) {
      // Put aside; whoever did that says when it goes on.
      if (abort.signal.aborted) return;
      this.#abort = null;
      this.#failed(error);
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
  }

  /** Asks no more, and waits for no answer, until `now`. */
  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  #failed(error) {
    const wait = Math.min(SELDOM_MS, OFTEN_MS * 2 ** this.#failures);
    // Not all pages at once.
    this.#after(wait * (0.85 + 0.3 * Math.random()));
    this.#failures += 1;
    if (this.#hooks.failed(error, this.#failures) === false) {
      clearTimeout(this.#timer);
      this.#failures -= 1;
    }
  }

  #after(ms) {
    const poll = () => this.now();
    clearTimeout(this.#timer);
    this.#next = performance.now() + ms;
    this.#timer = setTimeout(poll, ms);
  }
}
