// The time of the call on this page: seconds since it began, from what the server says it is.

/** Messages whose delay is compared; the most punctual of them counts. */
const COMPARED = 30;

export class CallClock {
  constructor() {
    /** @type {number[]} */
    this.offsets = [];
    this.offset = NaN;
    /** @type {number | null} */
    this.stopped = null;
  }

  /**
   * Take what the server says. Zero is said until the call has begun.
   * @param {unknown} now Seconds of the call.
   * @param {number} [at] When it came, `performance.now()`.
   */
  set(now, at = performance.now()) {
    if (typeof now !== "number" || !Number.isFinite(now) || now <= 0) return;
    this.offsets.push(now - at / 1000);
    if (this.offsets.length > COMPARED) this.offsets.shift();
    this.offset = Math.max(...this.offsets);
  }

  /** Forget a server that is gone: the next one has a clock of its own. */
  forget() {
    this.offsets = [];
  }

  /** Stand still: the call is over. */
  stop() {
    this.stopped ??= this.now();
  }

  /**
   * Seconds of the call, 0 until it has begun.
   * @param {number} [at] `performance.now()`
   */
  now(at = performance.now()) {
    if (this.stopped !== null) return this.stopped;
    return Number.isNaN(this.offset) ? 0 : Math.max(this.offset + at / 1000, 0);
  }
}
