// Paints the timeline: the look of report.html, while the call goes on.

import { sounding, unheard, words } from "./call_replies.js";
import { clockTime, milliseconds, moment, responseTo, silence, verdict } from "./latency.js";
import { STEP } from "./level_history.js";
import { Brush } from "./timeline_brush.js";
import { openTurns, TROUBLE } from "./call_model.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./call_replies.js").Span} Span
 * @typedef {import("./timeline_lanes.js").Lane} Lane
 * @typedef {import("./timeline_brush.js").Hit} Hit
 * @typedef {{
 *   call: Call, lanes: readonly Lane[], palette: import("./timeline_palette.js").Palette,
 *   levels: ReadonlyMap<string, import("./level_history.js").LevelHistory>, botPeer: string,
 *   from: number, perSecond: number, now: number, gutter: number, width: number, height: number
 * }} Scene
 */

/** How high the waveforms are. What more a lane has is for its name, where that has no column. */
const WAVES = { person: 41, bot: 56 };
/** Distances of the ruler's labels, seconds. */
const RULER = [1, 2, 5, 10, 30, 60, 300];
const LEAST_LABEL = 56;
/** Seconds after the end of a turn in which its answer is looked for. */
const LONGEST_ANSWER = 120;
/** Width of one bar of a waveform with its gap, at least, pixels. */
const BAR = 2.4;

/**
 * Paint a scene, and tell what is where.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @returns {Hit[]}
 */
export function paint(context, scene) {
  const brush = new Brush(context, scene);
  brush.clear();
  const ruler = scene.lanes[0];
  brush.inPlot(() => {
    brush.future(ruler.height);
    paintBands(brush, scene, ruler.height);
    for (const lane of scene.lanes) painters[lane.kind](brush, scene, lane);
    brush.cursor(scene.now, ruler.height);
  });
  for (const lane of scene.lanes) paintLabel(brush, scene, lane);
  return brush.hits;
}

/** @type {Record<Lane["kind"], (brush: Brush, scene: Scene, lane: Lane) => void>} */
const painters = {
  ruler: paintRuler,
  person: paintPerson,
  responses: paintResponses,
  bargeIns: paintBargeIns,
  bot: paintBot,
  replies: paintReplies,
  tools: paintTools,
  notices: paintNotices,
};

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintLabel(brush, scene, lane) {
  const { palette } = scene;
  if (lane.kind === "person") brush.label(lane, palette.people[lane.colour % palette.people.length], true);
  else if (lane.kind === "bot") brush.label(lane, palette.bot, true);
  else if (scene.gutter > 0) brush.label(lane, palette.muted, false);
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintRuler(brush, scene, lane) {
  const step = RULER.find((seconds) => seconds * scene.perSecond >= LEAST_LABEL) ?? RULER[RULER.length - 1];
  for (let tick = Math.max(0, Math.ceil(brush.from / step)); tick * step <= brush.to; tick++) {
    const at = tick * step;
    brush.tick(at, lane.height, at < 60 ? `${at} s` : moment(at, 0));
  }
}

/** @param {Brush} brush @param {Scene} scene @param {number} top */
function paintBands(brush, scene, top) {
  const { palette, now } = scene;
  for (const item of scene.call.bargeIns) {
    const end = item.settled ?? (item.pending ? now : (item.suspected ?? item.onset));
    if (!brush.shows(item.onset, end)) continue;
    const colour =
      item.verdict === "confirmed" ? palette.confirmed : item.pending ? palette.suspected : palette.withdrawn;
    brush.band({ start: item.onset, end }, top, colour, item.verdict === "confirmed" || item.pending);
    if (item.suspected !== null) {
      brush.shade({ start: item.onset, end: Math.min(item.suspected, end) }, top, palette.suspected, 0.34);
    }
  }
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintPerson(brush, scene, lane) {
  const { call, palette, now } = scene;
  const colour = palette.people[lane.colour % palette.people.length];
  const wave = { top: lane.top + 25, height: WAVES.person };
  /** @param {{ peer: string }} item */
  const own = (item) => item.peer === lane.peer;
  const spoken = call.speech
    .filter(own)
    .map(({ start, end }) => ({ start, end: end ?? now }))
    .filter(({ start, end }) => brush.shows(start, end));
  paintWave(brush, scene, lane.peer, wave, spoken, colour);
  for (const span of spoken) brush.box(span, lane.top + 21, 2.5, colour, { radius: 1 });
  for (const turn of call.turns.filter(own)) {
    const seconds = turn.end - turn.start;
    const hit = brush.box(turn, lane.top + 2, 17, colour, {
      soft: true,
      text: `${turn.id} · ${seconds.toFixed(1)} s`,
      short: turn.id,
      title: `${turn.id}: ${moment(turn.start, 2)} to ${clockTime(turn.end, 2)}${turn.said ? `\n${turn.said}` : ""}`,
    });
    if (hit) hit.detail = turn.said;
  }
  for (const turn of openTurns(call, now)) {
    if (own(turn))
      brush.box({ start: turn.start, end: now }, lane.top + 2, 17, colour, {
        soft: true,
        open: true,
        text: "speaking",
      });
  }
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintBot(brush, scene, lane) {
  const spans = scene.call.replies
    .flatMap((reply) => (mayShow(brush, reply, scene.now) ? sounding(scene.call, reply, scene.now) : []))
    .filter(({ start, end }) => brush.shows(start, end));
  paintWave(brush, scene, scene.botPeer, { top: lane.top + 3, height: WAVES.bot }, spans, scene.palette.bot);
}

/**
 * @param {Brush} brush
 * @param {import("./call_model.js").Reply} reply
 * @param {number} now
 */
function mayShow(brush, reply, now) {
  if (reply.firstAudio === null) return false;
  return brush.shows(
    reply.firstAudio,
    (reply.ended ?? now) + unheard(reply) + (reply.ended === null ? (reply.seconds ?? 0) : 0),
  );
}

/**
 * @param {Brush} brush @param {Scene} scene @param {string} peer
 * @param {{ top: number, height: number }} box @param {readonly Span[]} spans Where it counts as speech. @param {string} colour
 */
function paintWave(brush, scene, peer, box, spans, colour) {
  const middle = box.top + box.height / 2;
  brush.axis(middle);
  const history = scene.levels.get(peer);
  if (history === undefined) return;
  // Bars stand on the time of the call, so that they keep their shape while the page moves under them.
  const steps = Math.max(1, Math.ceil(BAR / (STEP * scene.perSecond)));
  const each = steps * STEP;
  const last = Math.floor(Math.min(brush.to, scene.now) / each);
  for (let bar = Math.max(0, Math.floor(brush.from / each)); bar < last; bar++) {
    const [start, end] = [bar * each, (bar + 1) * each];
    const peak = history.peak(start + STEP / 4, end - STEP / 4);
    if (peak < 0.004) continue;
    const on = spans.some((span) => span.start < end && span.end > start);
    brush.bar(start, each, middle, (box.height / 2) * peak ** 0.65, on ? colour : scene.palette.quiet);
  }
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintResponses(brush, scene, lane) {
  const { call, palette, now } = scene;
  for (const turn of call.turns) {
    if (!brush.shows(turn.end, Math.min(turn.end + LONGEST_ANSWER, now))) continue;
    const response = responseTo(call, turn);
    if (response === undefined) {
      if (turn.waiting || (turn.reply !== null && now - turn.decided < 30))
        paintWaiting(brush, scene, lane, turn);
      continue;
    }
    const first = turn.end + response.response;
    if (!brush.shows(turn.end, first + 1)) continue;
    if (response.waited) {
      brush.text(
        first + 3 / scene.perSecond,
        lane.top + 11,
        `waited ${response.response.toFixed(1)} s`,
        palette.muted,
      );
      continue;
    }
    brush.box({ start: turn.end, end: first }, lane.top + 15, 4, palette.bot, { radius: 2 });
    brush.box({ start: turn.end, end: Math.min(turn.decided, first) }, lane.top + 15, 4, palette.people[0], {
      radius: 2,
    });
    brush.whole((turn.end + first) / 2, lane.top + 8, milliseconds(response.response), palette.ink);
    const parts = response.parts.map(([name, seconds]) => `\n${name} ${milliseconds(seconds)}`).join("");
    const sum = `end of turn ${milliseconds(response.endOfTurn)} + model ${milliseconds(response.model)}`;
    brush.hit(
      { start: turn.end, end: first },
      lane.top,
      lane.height,
      `Response ${milliseconds(response.response)}: ${sum}${parts}`,
    );
  }
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane @param {import("./call_model.js").Turn} turn */
function paintWaiting(brush, scene, lane, turn) {
  const { palette, now } = scene;
  if (turn.reason === "cancelled" || now - turn.end > 30) return;
  brush.box({ start: turn.end, end: now }, lane.top + 15, 4, palette.bot, { radius: 2, soft: true });
  brush.box({ start: turn.end, end: Math.min(turn.decided, now) }, lane.top + 15, 4, palette.people[0], {
    radius: 2,
  });
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintBargeIns(brush, scene, lane) {
  const { bargeIns } = scene.call;
  bargeIns.forEach((item, index) => {
    const start = item.settled ?? item.suspected ?? item.onset;
    const next = bargeIns[index + 1]?.onset ?? Infinity;
    if (!brush.shows(item.onset, Math.min(next, start + 8))) return;
    const noticed = silence(item);
    let text = noticed === null ? "silent already" : `suspected ${milliseconds(noticed)}`;
    if (item.settled !== null) text += `, ${item.verdict} ${milliseconds(verdict(item))}`;
    const colour = item.verdict === "open" ? scene.palette.suspected : scene.palette[item.verdict];
    brush.text(
      start + 4 / scene.perSecond,
      lane.top + lane.height / 2,
      text,
      colour,
      "left",
      (next - start) * scene.perSecond - 8,
    );
    brush.hit(
      { start: item.onset, end: start },
      lane.top,
      lane.height,
      `Over the bot at ${clockTime(item.onset, 2)}: ${text}`,
    );
  });
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintReplies(brush, scene, lane) {
  const { call, palette, now } = scene;
  call.replies.forEach((reply, index) => {
    if (!mayShow(brush, reply, now) || reply.firstAudio === null) return;
    const pieces = sounding(call, reply, now);
    const end = pieces.at(-1)?.end ?? reply.firstAudio;
    const lost = unheard(reply);
    if (lost > 0) {
      const next =
        call.replies.find((other, place) => place > index && other.firstAudio !== null)?.firstAudio ??
        Infinity;
      brush.box({ start: end, end: Math.min(end + lost, next) }, lane.top + 4, 18, palette.confirmed, {
        ghost: true,
        text: `${lost.toFixed(2)} s unheard`,
        short: `${lost.toFixed(2)} s`,
      });
    } else if (reply.ended === null && reply.seconds !== null) {
      const played = pieces.reduce((sum, piece) => sum + piece.end - piece.start, 0);
      const rest = Math.max(reply.seconds - played, 0);
      brush.box(
        { start: Math.max(now, end), end: Math.max(now, end) + rest },
        lane.top + 4,
        18,
        palette.bot,
        { ghost: true },
      );
    }
    brush.box({ start: reply.firstAudio, end }, lane.top + 12, 2, palette.bot, { soft: true });
    const said = words(reply);
    const shown = reply.heard === null ? "playing" : `${reply.heard.toFixed(2)} s heard`;
    const whole = reply.seconds === null ? "" : ` of ${reply.seconds.toFixed(2)} s`;
    pieces.forEach((piece, number) => {
      brush.box(piece, lane.top + 4, 18, palette.bot, {
        soft: true,
        text: number === 0 ? shown : "",
        short: number === 0 && reply.heard !== null ? `${reply.heard.toFixed(2)} s` : "",
        title: `${reply.id}: ${shown}${whole}${said.heard ? `\n${said.heard.slice(0, 300)}` : ""}`,
      });
    });
  });
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintTools(brush, scene, lane) {
  const { palette, now } = scene;
  for (const tool of scene.call.tools) {
    const end = tool.ended ?? now;
    if (!brush.shows(tool.started, end + 2)) continue;
    const failed = tool.outcome !== null && !["ok", "repeated", "elsewhere"].includes(tool.outcome);
    const took = `${(end - tool.started).toFixed(2)} s`;
    brush.box(
      { start: tool.started, end },
      lane.top + 3,
      17,
      failed ? palette.confirmed : palette.people[2],
      {
        soft: true,
        open: tool.ended === null,
        text: tool.tool,
        spill: true,
        title: `${tool.tool}: ${tool.outcome ?? "running"}, ${took}`,
      },
    );
  }
}

/** @param {Brush} brush @param {Scene} scene @param {Lane} lane */
function paintNotices(brush, scene, lane) {
  const { notices } = scene.call;
  notices.forEach((notice, index) => {
    const next = notices[index + 1]?.at ?? Infinity;
    if (!brush.shows(notice.at, Math.min(next, notice.at + 12))) return;
    const colour = TROUBLE.has(notice.kind) ? scene.palette.suspected : scene.palette.muted;
    brush.box({ start: notice.at, end: notice.at }, lane.top + 2, 16, colour, {});
    brush.text(
      notice.at + 5 / scene.perSecond,
      lane.top + 10,
      notice.text,
      colour,
      "left",
      (next - notice.at) * scene.perSecond - 8,
    );
    brush.hit(
      { start: notice.at, end: notice.at + 60 / scene.perSecond },
      lane.top,
      lane.height,
      `${clockTime(notice.at, 2)}: ${notice.text}`,
    );
  });
}
