// The timeline on the page: follows the call or stays where somebody scrolled to, zooms, and says what is under the pointer.

import { element, foreign, get } from "./dom.js";
import { clockTime } from "./latency.js";
import { heightOf, lanesOf } from "./timeline_lanes.js";
import { paint } from "./timeline_paint.js";
import { paletteOf } from "./timeline_palette.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {{ call: Call, people: readonly { id: string, name: string, colour: number }[], bot: string, botPeer: string, now: number,
 *   levels: ReadonlyMap<string, import("./level_history.js").LevelHistory> }} Shown
 */

const LEAST_SCALE = 6;
const GREATEST_SCALE = 400;
/** Share of the width that is kept for what is to come. */
const AHEAD = 0.14;
/** Width from which the names of the lanes have a column of their own, pixels. */
const WIDE = 640;
const GUTTER = 104;
/** Milliseconds between two pictures: thirty a second are smooth, and a picture a second moves nothing. */
const FRAME = 30;
const STILL_FRAME = 1000;

export class Timeline {
  /** Seconds at the right edge, null while it follows the call. @type {number | null} */
  #right = null;
  #scale = 60;
  #painted = 0;
  /** @type {{ now: number, call: Call | null }} */
  #last = { now: NaN, call: null };
  /** @type {import("./timeline_brush.js").Hit[]} */
  #hits = [];
  #visible = true;
  /** @type {{ x: number, right: number } | null} */
  #drag = null;

  /** @param {() => Shown} source */
  constructor(source) {
    this.source = source;
    this.box = get("timeline", HTMLDivElement);
    this.canvas = get("plot", HTMLCanvasElement);
    this.tip = get("tip", HTMLDivElement);
    this.live = get("live", HTMLButtonElement);
    const context = this.canvas.getContext("2d");
    if (context === null) throw new Error("this browser paints no canvas");
    this.context = context;
    this.palette = paletteOf(this.box);
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.width = this.box.clientWidth;
    if (this.width < WIDE) this.#scale = 36;
    new ResizeObserver(() => this.refresh()).observe(this.box);
    new IntersectionObserver(([entry]) => (this.#visible = entry.isIntersecting)).observe(this.box);
    this.live.addEventListener("click", () => this.follow());
    get("closer", HTMLButtonElement).addEventListener("click", () => this.zoom(1.5));
    get("farther", HTMLButtonElement).addEventListener("click", () => this.zoom(1 / 1.5));
    this.#listen();
  }

  /** Paint anew, whatever has changed: its size or its colours. */
  refresh() {
    this.width = this.box.clientWidth;
    this.palette = paletteOf(this.box);
    this.#painted = 0;
  }

  /** Paint, where it is time to. To be called with every frame of the page. @param {number} time */
  frame(time) {
    const pace = this.still.matches ? STILL_FRAME : FRAME;
    if (!this.#visible || this.width === 0 || (this.#painted > 0 && time - this.#painted < pace)) return;
    const shown = this.source();
    // A call that is over stands still.
    if (this.#painted > 0 && shown.now === this.#last.now && shown.call === this.#last.call) return;
    this.#painted = time;
    this.#last = shown;
    const gutter = this.#gutter;
    const lanes = lanesOf(shown.call, shown.people, shown.bot, gutter > 0);
    const height = heightOf(lanes);
    this.#resize(height);
    const seconds = (this.width - gutter) / this.#scale;
    const from = this.#rightOf(shown.now) - seconds;
    this.live.hidden = this.#right === null;
    this.#hits = paint(this.context, {
      ...{ call: shown.call, lanes, palette: this.palette, levels: shown.levels, botPeer: shown.botPeer },
      ...{ from, perSecond: this.#scale, now: shown.now, gutter, width: this.width, height },
    });
  }

  /** Go on with the call. */
  follow() {
    this.#right = null;
    this.#painted = 0;
  }

  /** @param {number} factor */
  zoom(factor) {
    this.#scale = Math.min(Math.max(this.#scale * factor, LEAST_SCALE), GREATEST_SCALE);
    this.#painted = 0;
  }

  /**
   * Move to earlier or later; past the end it follows the call again.
   * @param {number} seconds
   */
  move(seconds) {
    const { now } = this.source();
    const end = this.#endAt(now);
    const right = (this.#right ?? end) + seconds;
    const least = (this.width - this.#gutter) / this.#scale;
    this.#right = right >= end ? null : Math.max(right, Math.min(least, end));
    this.#painted = 0;
  }

  get #gutter() {
    return this.width >= WIDE ? GUTTER : 0;
  }

  /** @param {number} now */
  #endAt(now) {
    return now + ((this.width - this.#gutter) * AHEAD) / this.#scale;
  }

  /** @param {number} now */
  #rightOf(now) {
    const seconds = (this.width - this.#gutter) / this.#scale;
    // A call that is shorter than the page begins at its left.
    if (this.#right !== null) return this.#right;
    return Math.max(this.#endAt(now), seconds);
  }

  /** @param {number} height */
  #resize(height) {
    const ratio = window.devicePixelRatio || 1;
    const [width, tall] = [Math.round(this.width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== tall) {
      this.canvas.width = width;
      this.canvas.height = tall;
      this.canvas.style.height = `${height}px`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  #listen() {
    const step = () => (this.width / this.#scale) * 0.1;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.move(-step()),
      ArrowRight: () => this.move(step()),
      PageUp: () => this.move(-8 * step()),
      PageDown: () => this.move(8 * step()),
      Home: () => this.move(-Infinity),
      End: () => this.follow(),
    };
    this.box.addEventListener("keydown", (event) => {
      const action = keys[event.key];
      if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      action();
    });
    this.box.addEventListener(
      "wheel",
      (event) => {
        const across = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
        if (!across) return;
        event.preventDefault();
        this.move((event.deltaX || event.deltaY) / this.#scale);
      },
      { passive: false },
    );
    this.box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.#drag = { x: event.clientX, right: this.#right ?? this.#endAt(this.source().now) };
      this.box.setPointerCapture(event.pointerId);
    });
    this.box.addEventListener("pointermove", (event) => {
      if (this.#drag !== null) this.#dragTo(event.clientX, this.#drag);
      else this.#tell(event);
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      this.box.addEventListener(name, () => (this.#drag = null));
    }
    this.box.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  /** @param {number} x @param {{ x: number, right: number }} drag */
  #dragTo(x, drag) {
    if (Math.abs(x - drag.x) < 3 && this.#right === null) return;
    this.tip.hidden = true;
    this.move(drag.right + (drag.x - x) / this.#scale - (this.#right ?? this.#endAt(this.source().now)));
  }

  /** @param {PointerEvent} event */
  #tell(event) {
    if (event.pointerType === "touch") return;
    const bounds = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    const hit = this.#hits.findLast(
      (item) => item.left <= x && x <= item.right && item.top <= y && y <= item.bottom,
    );
    this.tip.hidden = x < this.#gutter;
    if (this.tip.hidden) return;
    const seconds = (this.width - this.#gutter) / this.#scale;
    const at = this.#rightOf(this.source().now) - seconds + (x - this.#gutter) / this.#scale;
    const title = hit === undefined ? "" : hit.title;
    this.tip.replaceChildren(element("b", {}, clockTime(at, 2)), title ? foreign(title) : "");
    const left = Math.min(Math.max(x + 12, 0), Math.max(this.width - this.tip.offsetWidth - 4, 0));
    this.tip.style.transform = `translate(${left}px, ${Math.max(y - this.tip.offsetHeight - 8, 0)}px)`;
  }
}
