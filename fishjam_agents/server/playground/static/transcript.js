// Who said what: turns and replies in their order, the unheard rest struck through, tool calls between them.

import { element, foreign, get, write } from "./dom.js";
import { clockTime, moment } from "./latency.js";
import { unheard, words } from "./call_replies.js";
import { openTurns, TROUBLE } from "./call_model.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./call_model.js").Turn} Turn
 * @typedef {import("./call_model.js").Reply} Reply
 * @typedef {import("./call_model.js").ToolCall} ToolCall
 * @typedef {{ at: number, key: string, source: unknown, fill: (row: HTMLElement) => void }} Entry
 */

/** Rows that are shown: what is older is in the report. */
export const ROWS = 200;
/** Distance from the end below which the list follows it, pixels. */
const NEAR = 60;
const REASONS = new Map([
  ["missing", "packets ceased"],
  ["left", "left the room"],
  ["outage", "connection lost"],
  ["limit", "reached the maximum turn"],
  ["app", "ended by the app"],
  ["cancelled", "taken back"],
]);

export class Transcript {
  /** @type {Map<string, { row: HTMLElement, entry: Entry, name: string }>} */
  #rows = new Map();
  #said = new Set();

  /**
   * @param {(peer: string) => string} nameOf
   * @param {(peer: string) => number} colourOf
   */
  constructor(nameOf, colourOf) {
    this.nameOf = nameOf;
    this.colourOf = colourOf;
    this.list = get("lines", HTMLOListElement);
    this.empty = get("nothing-said", HTMLParagraphElement);
    this.latest = get("latest", HTMLButtonElement);
    this.announcer = get("said", HTMLParagraphElement);
    this.latest.addEventListener("click", () => this.#toEnd());
    this.list.addEventListener("scroll", () => (this.latest.hidden = this.#follows), { passive: true });
  }

  /** @param {Call} call @param {number} now @param {string} names Changes when somebody is called otherwise. */
  show(call, now, names) {
    const follows = this.#follows;
    const entries = this.#entries(call, now);
    const wanted = new Set(entries.map(({ key }) => key));
    for (const [key, { row }] of this.#rows) {
      if (!wanted.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    }
    let place = this.list.firstElementChild;
    for (const entry of entries) {
      const row = this.#row(entry, names);
      if (place === row) place = row.nextElementSibling;
      else this.list.insertBefore(row, place);
    }
    this.empty.hidden = entries.length > 0;
    if (follows) this.#toEnd();
    this.latest.hidden = this.#follows;
    this.#announce(call);
  }

  get #follows() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR;
  }

  #toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {Call} call @param {number} now @returns {Entry[]} */
  #entries(call, now) {
    /** @type {Entry[]} */
    const entries = [];
    for (const turn of call.turns.slice(-ROWS)) {
      entries.push({
        at: turn.start,
        key: `turn ${turn.id}`,
        source: turn,
        fill: (row) => this.#turn(row, turn),
      });
    }
    for (const open of openTurns(call, now)) {
      const text = `${call.finals.get(open.peer) ?? ""} ${call.partials.get(open.peer) ?? ""}`.trim();
      const source = `${open.peer} ${text}`;
      entries.push({
        at: open.start,
        key: `open ${open.track}`,
        source,
        fill: (row) => this.#open(row, open.peer, open.start, text),
      });
    }
    for (const reply of call.replies.slice(-ROWS)) {
      entries.push({
        at: reply.started,
        key: `reply ${reply.id}`,
        source: reply,
        fill: (row) => this.#reply(row, reply),
      });
    }
    for (const line of call.lines.slice(-ROWS)) {
      const fill = (/** @type {HTMLElement} */ row) => {
        this.#head(row, line.at, this.nameOf(line.peer), this.colourOf(line.peer), "wrote");
        row.append(element("p", { class: "words" }, foreign(line.text)));
      };
      entries.push({ at: line.at, key: `line ${line.at}`, source: line, fill });
    }
    for (const tool of call.tools.slice(-ROWS)) {
      entries.push({
        at: tool.started,
        key: `tool ${tool.call} ${tool.started}`,
        source: tool,
        fill: (row) => this.#tool(row, tool),
      });
    }
    call.notices.slice(-ROWS).forEach((notice, index) => {
      const fill = (/** @type {HTMLElement} */ row) => {
        row.className = TROUBLE.has(notice.kind) ? "note trouble" : "note";
        row.append(element("time", {}, moment(notice.at)), element("p", {}, foreign(notice.text)));
      };
      entries.push({
        at: notice.at,
        key: `notice ${notice.at} ${notice.kind} ${index && notice.text}`,
        source: notice,
        fill,
      });
    });
    return entries.sort((one, other) => one.at - other.at).slice(-ROWS);
  }

  /** @param {Entry} entry @param {string} name @returns {HTMLElement} */
  #row(entry, name) {
    const known = this.#rows.get(entry.key);
    if (known !== undefined && known.entry.source === entry.source && known.name === name) return known.row;
    const row = known?.row ?? element("li");
    const open = row.querySelector("details")?.open === true;
    row.replaceChildren();
    entry.fill(row);
    const details = row.querySelector("details");
    if (details !== null) details.open = open;
    this.#rows.set(entry.key, { row, entry, name });
    return row;
  }

  /** @param {HTMLElement} row @param {number} at @param {string} name @param {number | null} colour @param {string} note */
  #head(row, at, name, colour, note) {
    row.className = colour === null ? "line bot" : `line c${colour}`;
    const head = element("p", { class: "head" }, element("b", {}, foreign(name)), element("time", {}, clockTime(at)));
    if (note) head.append(element("small", {}, note));
    row.append(head);
  }

  /** @param {HTMLElement} row @param {Turn} turn */
  #turn(row, turn) {
    const seconds = `${(turn.end - turn.start).toFixed(1)} s of speech`;
    const reason = REASONS.get(turn.reason);
    this.#head(
      row,
      turn.start,
      this.nameOf(turn.peer),
      this.colourOf(turn.peer),
      reason ? `${seconds}, ${reason}` : seconds,
    );
    const text = `${turn.said} ${turn.partial}`.trim();
    if (text) row.append(element("p", { class: "words" }, foreign(text)));
  }

  /** @param {HTMLElement} row @param {string} peer @param {number} start @param {string} text */
  #open(row, peer, start, text) {
    this.#head(row, start, this.nameOf(peer), this.colourOf(peer), "speaking");
    if (text) row.append(element("p", { class: "words coming" }, foreign(text)));
  }

  /** @param {HTMLElement} row @param {Reply} reply */
  #reply(row, reply) {
    const said = words(reply);
    this.#head(row, reply.started, this.nameOf("bot"), null, heardOf(reply));
    const text = element("p", { class: "words" });
    if (said.heard) text.append(element("bdi", { class: reply.heard === null ? "coming" : "" }, said.heard));
    if (said.unheard) {
      text.append(
        element("span", { class: "hidden" }, " Not heard: "),
        element("s", {}, foreign(said.unheard)),
      );
    }
    if (said.heard || said.unheard) row.append(text);
    if (reply.seconds !== null && reply.heard !== null && (unheard(reply) > 0 || !reply.text)) {
      const share = element("i");
      share.style.width = `${Math.min((100 * reply.heard) / reply.seconds, 100)}%`;
      row.append(element("span", { class: "heard-share", "aria-hidden": "true" }, share));
    }
  }

  /** @param {HTMLElement} row @param {ToolCall} tool */
  #tool(row, tool) {
    const took =
      tool.ended === null ? "running" : `${tool.outcome}, ${(tool.ended - tool.started).toFixed(2)} s`;
    const failed = tool.outcome !== null && !["ok", "repeated", "elsewhere"].includes(tool.outcome);
    row.className = failed ? "note tool trouble" : "note tool";
    row.append(element("time", {}, moment(tool.started)));
    const title = element("span", {}, "tool ", element("b", {}, foreign(tool.tool)), ` · ${took}`);
    if (!tool.arguments && !tool.result) {
      row.append(element("p", {}, title));
      return;
    }
    const content = element("dl");
    if (tool.arguments)
      content.append(element("dt", {}, "arguments"), element("dd", {}, foreign(tool.arguments)));
    if (tool.result) content.append(element("dt", {}, "result"), element("dd", {}, foreign(tool.result)));
    row.append(element("details", {}, element("summary", {}, title), content));
  }

  /** Say what was finished: each turn with words and each reply once. @param {Call} call */
  #announce(call) {
    const reply = call.replies.findLast((item) => item.ended !== null && item.text !== "");
    const turn = call.turns.findLast((item) => item.said !== "");
    for (const [key, text] of [
      [turn?.id, turn && `${this.nameOf(turn.peer)}: ${turn.said}`],
      [reply?.id, reply && `Bot: ${words(reply).heard}${reply.interrupted ? ", interrupted" : ""}`],
    ]) {
      if (key === undefined || text === undefined || this.#said.has(key)) continue;
      this.#said.add(key);
      if (this.#said.size > 2 * ROWS) this.#said.delete(this.#said.values().next().value);
      write(this.announcer, text);
    }
  }
}

/** @param {Reply} reply */
function heardOf(reply) {
  if (reply.heard === null) return reply.firstAudio === null ? "on its way" : "speaking";
  const whole = reply.interrupted && reply.seconds !== null ? ` of ${reply.seconds.toFixed(1)}` : "";
  return `heard ${reply.heard.toFixed(1)}${whole} s${reply.interrupted ? ", cut" : ""}`;
}
