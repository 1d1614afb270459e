// What the timeline is painted with: boxes, bars and words at moments of the call.

/**
 * @typedef {import("./timeline_paint.js").Scene} Scene
 * @typedef {import("./timeline_lanes.js").Lane} Lane
 * @typedef {{ start: number, end: number }} Span
 * @typedef {{ left: number, right: number, top: number, bottom: number, title: string, detail?: string }} Hit
 *
 * How a box looks: `soft` is a tint, `ghost` a dashed outline, `open` fades out to the right, `spill` lets its text
 * stand beside it where it is too narrow, `short` stands for a text there is no room for.
 * @typedef {{ radius?: number, soft?: boolean, ghost?: boolean, open?: boolean, spill?: boolean, text?: string, short?: string,
 *   title?: string }} Look
 */

const LEAST_TEXT = 26;

export class Brush {
  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Scene} scene
   */
  constructor(context, scene) {
    this.context = context;
    this.scene = scene;
    this.from = scene.from;
    this.to = scene.from + (scene.width - scene.gutter) / scene.perSecond;
    /** @type {Hit[]} */
    this.hits = [];
  }

  /** @param {number} at */
  x(at) {
    return this.scene.gutter + (at - this.from) * this.scene.perSecond;
  }

  /** @param {number} start @param {number} end */
  shows(start, end) {
    return start < this.to && end >= this.from;
  }

  clear() {
    this.context.clearRect(0, 0, this.scene.width, this.scene.height);
    this.context.textBaseline = "middle";
  }

  /** @param {() => void} painted */
  inPlot(painted) {
    const { context, scene } = this;
    context.save();
    context.beginPath();
    context.rect(scene.gutter, 0, scene.width - scene.gutter, scene.height);
    context.clip();
    painted();
    context.restore();
  }

  /** @param {number} top */
  future(top) {
    const { context, scene } = this;
    const left = this.x(scene.now);
    if (left >= scene.width) return;
    const shade = context.createLinearGradient(left, 0, left + 90, 0);
    shade.addColorStop(0, scene.palette.soft);
    shade.addColorStop(1, scene.palette.card);
    context.fillStyle = shade;
    context.fillRect(left, top, scene.width - left, scene.height - top);
  }

  /** @param {number} at @param {number} top */
  cursor(at, top) {
    const { context, scene } = this;
    const x = this.x(at);
    context.fillStyle = scene.palette.ink;
    context.fillRect(x - 0.75, top - 4, 1.5, scene.height);
    context.beginPath();
    context.moveTo(x - 4.5, top - 6);
    context.lineTo(x + 4.5, top - 6);
    context.lineTo(x, top);
    context.fill();
  }

  /** @param {number} at @param {number} height @param {string} label */
  tick(at, height, label) {
    const { context, scene } = this;
    context.fillStyle = scene.palette.quiet;
    context.fillRect(this.x(at), height - 5, 1, 5);
    if (at === 0) this.text(at, height / 2 - 3, label, scene.palette.muted);
    else this.whole(at, height / 2 - 3, label, scene.palette.muted);
  }

  /** @param {number} y */
  axis(y) {
    this.context.fillStyle = this.scene.palette.line;
    this.context.fillRect(
      this.scene.gutter,
      y - 0.5,
      Math.min(this.x(this.scene.now), this.scene.width) - this.scene.gutter,
      1,
    );
  }

  /** @param {number} at @param {number} seconds @param {number} middle @param {number} half @param {string} colour */
  bar(at, seconds, middle, half, colour) {
    const width = Math.max(seconds * this.scene.perSecond - 0.8, 0.8);
    this.context.fillStyle = colour;
    this.context.fillRect(this.x(at), middle - half, width, Math.max(2 * half, 1));
  }

  /** @param {Span} span @param {number} top @param {string} colour @param {number} alpha */
  shade(span, top, colour, alpha) {
    const { context, scene } = this;
    context.globalAlpha = alpha;
    context.fillStyle = colour;
    context.fillRect(
      this.x(span.start),
      top,
      Math.max((span.end - span.start) * scene.perSecond, 2),
      scene.height - top,
    );
    context.globalAlpha = 1;
  }

  /** @param {Span} span @param {number} top @param {string} colour @param {boolean} solid */
  band(span, top, colour, solid) {
    const { context, scene } = this;
    this.shade(span, top, colour, 0.13);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash(solid ? [] : [3, 3]);
    context.beginPath();
    context.moveTo(this.x(span.start), top);
    context.lineTo(this.x(span.start), scene.height);
    context.stroke();
    context.setLineDash([]);
  }

  /**
   * @param {Span} span @param {number} top @param {number} height @param {string} colour @param {Look} look
   * @returns {Hit | undefined} Where a title is shown.
   */
  box(span, top, height, colour, look) {
    if (!this.shows(span.start, span.end + (look.spill ? 3 : 0))) return undefined;
    const { context } = this;
    const left = this.x(span.start);
    const width = Math.max(this.x(span.end) - left, 2);
    context.beginPath();
    context.roundRect(left, top, width, height, Math.min(look.radius ?? 4, width / 2, height / 2));
    if (look.ghost) {
      context.strokeStyle = colour;
      context.globalAlpha = 0.7;
      context.setLineDash([3, 3]);
      context.lineWidth = 1;
      context.stroke();
      context.setLineDash([]);
    } else {
      context.fillStyle = look.open ? this.#fading(left, width, colour) : colour;
      context.globalAlpha = look.soft ? 0.18 : 1;
      context.fill();
    }
    context.globalAlpha = 1;
    if (look.text) this.#inside(look, left, width, top + height / 2 + 0.5, colour);
    return look.title ? this.hit(span, top, height, look.title) : undefined;
  }

  /** @param {number} left @param {number} width @param {string} colour */
  #fading(left, width, colour) {
    const gradient = this.context.createLinearGradient(left, 0, left + width, 0);
    gradient.addColorStop(0, colour);
    gradient.addColorStop(Math.max(0, 1 - 40 / Math.max(width, 40)), colour);
    gradient.addColorStop(1, "transparent");
    return gradient;
  }

  /**
   * Words of a box, kept in sight while its beginning has left the page.
   * @param {Look} look @param {number} left @param {number} width @param {number} y @param {string} colour
   */
  #inside({ text = "", short = "", spill = false }, left, width, y, colour) {
    const start = Math.max(left, this.scene.gutter) + 6;
    const room = (spill ? this.scene.width : Math.min(left + width, this.scene.width)) - start - 4;
    if (room < LEAST_TEXT) return;
    const shown = !short || this.#width(text, 550) <= room ? text : short;
    // Of a short one nothing can be spared.
    if (shown !== short || this.#width(short, 550) <= room) this.#write(start, y, shown, colour, "left", room, 550);
  }

  /** @param {string} text @param {number} weight */
  #width(text, weight) {
    this.context.font = `${weight} 11.5px ${this.scene.palette.font}`;
    return this.context.measureText(text).width;
  }

  /**
   * @param {number} at @param {number} y @param {string} text @param {string} colour
   * @param {CanvasTextAlign} [align] @param {number} [room] Pixels it may take.
   */
  text(at, y, text, colour, align = "left", room = Infinity) {
    if (room >= LEAST_TEXT) this.#write(this.x(at), y, text, colour, align, room, 500);
  }

  /**
   * A text around a moment, where all of it fits into the picture: half a number would be another number.
   * @param {number} at @param {number} y @param {string} text @param {string} colour
   */
  whole(at, y, text, colour) {
    const [x, half] = [this.x(at), this.#width(text, 500) / 2];
    if (x - half >= this.scene.gutter && x + half <= this.scene.width) this.#write(x, y, text, colour, "center", Infinity, 500);
  }

  /**
   * @param {number} x @param {number} y @param {string} text @param {string} colour @param {CanvasTextAlign} align
   * @param {number} room @param {number} weight
   */
  #write(x, y, text, colour, align, room, weight) {
    const { context, scene } = this;
    context.font = `${weight} 11.5px ${scene.palette.font}`;
    context.textAlign = align;
    context.fillStyle = colour;
    context.fillText(fitted(context, text, room), x, y);
  }

  /** @param {Span} span @param {number} top @param {number} height @param {string} title @returns {Hit} */
  hit(span, top, height, title) {
    const left = this.x(span.start);
    const hit = {
      left: left - 2,
      right: Math.max(this.x(span.end), left + 4) + 2,
      top,
      bottom: top + height,
      title,
    };
    this.hits.push(hit);
    return hit;
  }

  /** @param {Lane} lane @param {string} colour @param {boolean} strong */
  label(lane, colour, strong) {
    const { context, scene } = this;
    const column = scene.gutter > 0;
    context.font = `${strong ? 600 : 400} 12.5px ${scene.palette.font}`;
    context.textAlign = "left";
    context.fillStyle = colour;
    const y = column ? lane.top + lane.height / 2 : lane.top + lane.height - 9;
    context.fillText(
      fitted(context, lane.label, column ? scene.gutter - 12 : scene.width / 2),
      column ? 0 : 2,
      y,
    );
  }
}

/**
 * A text as far as there is room for it.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} room
 */
function fitted(context, text, room) {
  const line = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  if (room === Infinity || context.measureText(line).width <= room) return line;
  let [low, high] = [0, line.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${line.slice(0, middle)}…`).width <= room) low = middle;
    else high = middle - 1;
  }
  return low > 0 ? `${line.slice(0, low)}…` : "";
}
