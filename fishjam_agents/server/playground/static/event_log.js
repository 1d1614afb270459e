// The events themselves, as they came: the last of them, filtered.

import { element, foreign, get, write } from "./dom.js";
import { isEvent, TROUBLE } from "./call_model.js";
import { moment } from "./latency.js";

/**
 * @typedef {import("./call_model.js").Event} Event
 * @typedef {{ event: Event, details: string }} Entry
 */

/** Events that are kept, and rows that are shown of those that fit. */
export const KEPT = 2000;
export const ROWS = 300;
/** Fields that have a column of their own, or are of no use here. */
const KNOWN = new Set(["at", "kind", "peer"]);
/** @type {Record<string, (kind: string) => boolean>} */
const GROUPS = {
  turns: (kind) => kind.startsWith("user_") || kind.startsWith("peer_"),
  "barge-ins": (kind) => kind.startsWith("barge_in_"),
  replies: (kind) => kind.startsWith("reply_") || kind === "preemptive_reply",
  tools: (kind) => kind.startsWith("tool_"),
  troubles: (kind) => TROUBLE.has(kind) || ["audio_underrun", "audio_dropped", "loop_lag", "overload"].includes(kind),
};

export class EventLog {
  /** @type {Entry[]} */
  #entries = [];
  #count = 0;
  /** Number of the newest event that has been looked at. */
  #shown = 0;
  #all = true;
  #dropped = 0;

  /** @param {(peer: string) => string} nameOf */
  constructor(nameOf) {
    this.nameOf = nameOf;
    this.panel = get("log", HTMLDetailsElement);
    this.rows = get("log-rows", HTMLTableSectionElement);
    this.kind = get("log-kind", HTMLSelectElement);
    this.text = get("log-text", HTMLInputElement);
    this.count = get("log-count", HTMLSpanElement);
    const again = () => (this.#all = true);
    this.kind.addEventListener("change", again);
    this.text.addEventListener("input", again);
    this.panel.addEventListener("toggle", again);
  }

  /**
   * Forget all of them.
   * @param {number} dropped How many came before the first that there will be.
   */
  clear(dropped) {
    this.#dropped = dropped;
    this.#entries = [];
    this.#count = this.#shown = 0;
    this.#all = true;
  }

  /** @param {unknown} event */
  add(event) {
    if (!isEvent(event)) return;
    this.#entries.push({ event, details: detailsOf(event) });
    this.#count++;
    // Cut in lumps, so that an event costs the same however many there are.
    if (this.#entries.length > 1.5 * KEPT) this.#entries.splice(0, this.#entries.length - KEPT);
  }

  /** Show what has come, where somebody looks. To be called at most once a frame. */
  show() {
    const earlier = this.#dropped > 0 ? `; ${this.#dropped} earlier ones are not kept` : "";
    write(this.count, this.#count === 0 ? "none yet" : `${this.#count}, the newest first${earlier}`);
    if (!this.panel.open || (!this.#all && this.#shown === this.#count)) return;
    const fresh = this.#all
      ? this.#entries.length
      : Math.min(this.#count - this.#shown, this.#entries.length);
    if (this.#all) this.rows.replaceChildren();
    this.#all = false;
    this.#shown = this.#count;
    /** @type {HTMLElement[]} */
    const rows = [];
    for (
      let index = this.#entries.length - 1;
      index >= this.#entries.length - fresh && rows.length < ROWS;
      index--
    ) {
      if (this.#fits(this.#entries[index])) rows.push(this.#row(this.#entries[index]));
    }
    this.rows.prepend(...rows);
    while (this.rows.childElementCount > ROWS) this.rows.lastElementChild?.remove();
  }

  /** @param {Entry} entry */
  #fits({ event, details }) {
    const group = GROUPS[this.kind.value];
    if (group !== undefined && !group(event.kind)) return false;
    const wanted = this.text.value.trim().toLowerCase();
    return (
      !wanted ||
      `${event.kind} ${this.nameOf(String(event.peer ?? ""))} ${details}`.toLowerCase().includes(wanted)
    );
  }

  /** @param {Entry} entry */
  #row({ event, details }) {
    return element(
      "tr",
      {},
      element("td", { class: "number" }, moment(event.at, 2)),
      element("th", { scope: "row" }, foreign(event.kind)),
      element("td", {}, event.peer === undefined ? "" : foreign(this.nameOf(String(event.peer)))),
      element("td", {}, foreign(details)),
    );
  }
}

/** @param {Event} event */
function detailsOf(event) {
  const parts = Object.entries(event).filter(([key]) => !KNOWN.has(key));
  const text = parts.map(([key, value]) => `${key} ${valueOf(value)}`).join(", ");
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

/** @param {unknown} value */
function valueOf(value) {
  if (typeof value === "string") return value;
  if (value === null || typeof value !== "object" || Array.isArray(value)) return JSON.stringify(value);
  const known = Object.entries(value).filter(([, inner]) => inner !== "");
  return `(${known.map(([key, inner]) => `${key} ${valueOf(inner)}`).join(", ")})`;
}
