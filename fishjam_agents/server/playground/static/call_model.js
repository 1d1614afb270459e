// A call as plain data, and what its reducers share. Nothing here knows a page, a socket or a clock.

/**
 * An event of the call, in the form that timeline.json has.
 * @typedef {{ kind: string, at: number } & Record<string, any>} Event
 *
 * A sound of one microphone without a long pause; `end` is null while it goes on. Times are seconds of the call.
 * @typedef {{ peer: string, track: string, start: number, end: number | null, noticed: number }} Speech
 *
 * A turn that is being spoken; `quiet` is where its sound paused, null while it sounds.
 * @typedef {{ peer: string, track: string, start: number, quiet: number | null }} OpenTurn
 *
 * A turn that is over. `said` is what was understood of it for good, `partial` what was so far; `reply` answers it.
 * @typedef {{ id: string, peer: string, track: string, start: number, end: number, decided: number, reason: string,
 *   said: string, partial: string, reply: string | null, waiting: boolean }} Turn
 *
 * Words that belong to no turn, such as typed ones.
 * @typedef {{ at: number, peer: string, text: string }} Line
 *
 * A sound over the bot. `suspected` is null when the bot was silent already; a `pending` one has no verdict yet.
 * @typedef {{ peer: string, track: string, onset: number, suspected: number | null,
 *   verdict: "open" | "confirmed" | "withdrawn", settled: number | null, reply: string | null,
 *   pending: boolean }} BargeIn
 *
 * A reply of the bot; what is null is not known yet. `parts` are seconds of the backend's parts to its first sound.
 * @typedef {{ id: string, peer: string | null, started: number, firstAudio: number | null, ended: number | null,
 *   seconds: number | null, heard: number | null, text: string, heardText: string, interrupted: boolean,
 *   answers: string | null, parts: ReadonlyArray<readonly [string, number]> }} Reply
 *
 * A call of a tool; `ended` is null while it runs.
 * @typedef {{ call: string, tool: string, started: number, ended: number | null, outcome: string | null,
 *   arguments: string, result: string }} ToolCall
 *
 * @typedef {{ at: number, kind: string, text: string }} Notice
 * @typedef {{ id: string, joined: number, left: number | null }} Person
 *
 * @typedef {{
 *   people: readonly Person[], speech: readonly Speech[], open: ReadonlyMap<string, OpenTurn>,
 *   finals: ReadonlyMap<string, string>, partials: ReadonlyMap<string, string>,
 *   turns: readonly Turn[], lines: readonly Line[], bargeIns: readonly BargeIn[], replies: readonly Reply[],
 *   tools: readonly ToolCall[], notices: readonly Notice[],
 *   inputMuted: boolean, outputMuted: boolean, cost: number | null,
 *   ended: { at: number, reason: string, message: string } | null,
 *   counts: { turns: number, replies: number, confirmed: number, withdrawn: number, tools: number }
 * }} Call
 *
 * @typedef {(call: Call, event: Event) => Call} Reducer
 */

/** Items of each kind that are kept: what is older is in the report. */
export const KEPT = 400;
/** Seconds of quiet after which what was no turn yet is none: a cough opens no turn, and no event says so. */
const LONGEST_QUIET = 4;
/** Characters of one text that are kept. */
const MOST_TEXT = 20_000;
/** Name of a speaker where nobody in a mix was clearly loudest. */
export const SOMEBODY = "";
/** Kinds of notices that a call is better without. */
export const TROUBLE = new Set(["outage", "backend_warning", "backend_failure", "error"]);

/** @type {Call} */
export const NO_CALL = Object.freeze({
  people: [],
  speech: [],
  open: new Map(),
  finals: new Map(),
  partials: new Map(),
  turns: [],
  lines: [],
  bargeIns: [],
  replies: [],
  tools: [],
  notices: [],
  inputMuted: false,
  outputMuted: false,
  cost: null,
  ended: null,
  counts: { turns: 0, replies: 0, confirmed: 0, withdrawn: 0, tools: 0 },
});

/**
 * Whether something is an event with its time.
 * @param {any} value
 * @returns {value is Event}
 */
export function isEvent(value) {
  return (
    typeof value === "object" && value !== null && typeof value.kind === "string" && Number.isFinite(value.at)
  );
}

/**
 * A list with one more, without its oldest where it is full.
 * @template T
 * @param {readonly T[]} list
 * @param {T} item
 * @returns {T[]}
 */
export function appended(list, item) {
  const kept = list.length < KEPT ? list.slice() : list.slice(list.length - KEPT + 1);
  kept.push(item);
  return kept;
}

/**
 * A list in which the last that fits is another; the same list where none fits.
 * @template T
 * @param {readonly T[]} list
 * @param {(item: T) => boolean} fits
 * @param {(item: T) => T} change
 * @returns {readonly T[]}
 */
export function replacedLast(list, fits, change) {
  const index = list.findLastIndex(fits);
  return index < 0 ? list : list.with(index, change(list[index]));
}

/**
 * A text of an event, at most so long.
 * @param {unknown} value
 * @returns {string}
 */
export function textOf(value) {
  const text =
    typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)} …` : text;
}

/**
 * A number of an event, or what stands in for one that is none.
 * @param {unknown} value
 * @param {number} otherwise
 * @returns {number}
 */
export function numberOf(value, otherwise) {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}

/**
 * The turns that are being spoken at a moment of the call.
 * @param {Call} call
 * @param {number} now
 * @returns {OpenTurn[]}
 */
export function openTurns(call, now) {
  return [...call.open.values()].filter(({ quiet }) => quiet === null || now - quiet < LONGEST_QUIET);
}

/**
 * Whose event it is.
 * @param {Event} event
 * @returns {string}
 */
export function peerOf(event) {
  return textOf(event.peer) || SOMEBODY;
}
