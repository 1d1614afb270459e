// How loud one microphone or the bot was, on the time of the call: the last minutes, 20 ms a value.

/** Seconds of one value. */
export const STEP = 0.02;
/** Seconds that are kept. */
export const KEPT_SECONDS = 600;

export class LevelHistory {
  constructor() {
    this.values = new Uint8Array(Math.round(KEPT_SECONDS / STEP));
    /** Number of the step after the last that was measured. */
    this.end = 0;
  }

  /**
   * Take a peak, 0 to 1, of the 20 ms that end at a moment of the call.
   * @param {number} at
   * @param {number} peak
   */
  put(at, peak) {
    const size = this.values.length;
    const step = Math.floor(at / STEP);
    if (step < 0 || step < this.end - size) return;
    if (step >= this.end) {
      // What was not measured was silence here; of a long gap only what is kept is cleared.
      for (let empty = Math.max(this.end, step - size + 1); empty <= step; empty++)
        this.values[empty % size] = 0;
      this.end = step + 1;
    }
    const value = Math.round(255 * Math.min(Math.max(peak, 0), 1));
    if (value > this.values[step % size]) this.values[step % size] = value;
  }

  /**
   * The greatest peak in a stretch of the call, 0 to 1; 0 where nothing was measured.
   * @param {number} from
   * @param {number} to
   */
  peak(from, to) {
    const size = this.values.length;
    const first = Math.floor(from / STEP);
    const last = Math.min(Math.max(Math.ceil(to / STEP), first + 1), this.end);
    let peak = 0;
    for (let step = Math.max(first, this.end - size, 0); step < last; step++) {
      const value = this.values[step % size];
      if (value > peak) peak = value;
    }
    return peak / 255;
  }

  /**
   * How loud it is now.
   * @param {number} now
   */
  latest(now) {
    return this.peak(now - 0.08, now);
  }
}
