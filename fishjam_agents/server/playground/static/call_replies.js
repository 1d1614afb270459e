// What the bot says, what it answers with it, and when it sounds: a part of `call.js`.

import { appended, numberOf, replacedLast, textOf } from "./call_model.js";

/**
 * @typedef {import("./call_model.js").Reducer} Reducer
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./call_model.js").Event} Event
 * @typedef {import("./call_model.js").Reply} Reply
 * @typedef {{ start: number, end: number }} Span
 */

/** Seconds by which what was heard may exceed the time on air before it is taken that the bot did not pause. */
const SLACK = 0.3;
/** Replies that may still be found to answer a turn: a model may be sooner to see its end than we are. */
const RECENT = 4;

/** @type {Reducer} */
function started(call, event) {
  const reply = {
    id: textOf(event.reply),
    peer: textOf(event.peer) || null,
    started: event.at,
    firstAudio: null,
    ended: null,
    seconds: null,
    heard: null,
    text: "",
    heardText: "",
    interrupted: false,
    answers: null,
    parts: [],
  };
  const counts = { ...call.counts, replies: call.counts.replies + 1 };
  return answered({ ...call, replies: appended(call.replies, reply), counts });
}

/**
 * A reducer that changes the reply an event names.
 * @param {(reply: Reply, event: Event) => Reply} change
 * @returns {Reducer}
 */
function changed(change) {
  return (call, event) => ({
    ...call,
    replies: replacedLast(
      call.replies,
      (reply) => reply.id === event.reply,
      (reply) => change(reply, event),
    ),
  });
}

/**
 * @param {boolean} interrupted
 * @returns {Reducer}
 */
function over(interrupted) {
  return changed((reply, event) => ({
    ...reply,
    ended: event.at,
    heard: numberOf(event.heard?.seconds, 0),
    heardText: textOf(event.heard?.text),
    interrupted,
  }));
}

/** @param {unknown} parts @returns {Array<readonly [string, number]>} */
function partsOf(parts) {
  if (typeof parts !== "object" || parts === null) return [];
  return Object.entries(parts)
    .slice(0, 16)
    .map(([name, seconds]) => /** @type {const} */ ([textOf(name), numberOf(seconds, 0)]));
}

/**
 * The call with turns and replies told which belongs to which, by the rule of the report: a reply answers the turn that
 * ended last before it began and has no answer yet, and turns of the same peer before that one are answered along with it.
 * @param {Call} call
 * @returns {Call}
 */
export function answered(call) {
  let { turns, replies } = call;
  for (const reply of replies.slice(-RECENT)) {
    if (reply.answers !== null) continue;
    const ready = turns.filter(
      (turn) =>
        turn.waiting && turn.end <= reply.started && (reply.peer === null || reply.peer === turn.peer),
    );
    if (ready.length === 0) continue;
    const latest = ready.reduce((one, other) => (other.end >= one.end ? other : one));
    turns = turns.map((turn) => {
      if (turn === latest) return { ...turn, waiting: false, reply: reply.id };
      return turn.peer === latest.peer && ready.includes(turn) ? { ...turn, waiting: false } : turn;
    });
    replies = replacedLast(
      replies,
      (item) => item === reply,
      (item) => ({ ...item, answers: latest.id }),
    );
  }
  return turns === call.turns ? call : { ...call, turns, replies };
}

/**
 * The reply of an id.
 * @param {Call} call
 * @param {string | null} id
 * @returns {Reply | undefined}
 */
export function replyOf(call, id) {
  return id === null ? undefined : call.replies.findLast((reply) => reply.id === id);
}

/**
 * When a reply sounded: without a pause while barge-ins were suspected if what was heard says so.
 * @param {Call} call
 * @param {Reply} reply
 * @param {number} now The end of a reply that still sounds, seconds of the call.
 * @returns {Span[]}
 */
export function sounding(call, reply, now) {
  if (reply.firstAudio === null) return [];
  const whole = { start: reply.firstAudio, end: Math.max(reply.ended ?? now, reply.firstAudio) };
  /** @type {Span[]} */
  const pieces = [];
  let start = whole.start;
  for (const { suspected, settled } of call.bargeIns) {
    if (suspected !== null && start <= suspected && suspected < whole.end) {
      pieces.push({ start, end: suspected });
      start = Math.min(settled ?? whole.end, whole.end);
    }
  }
  pieces.push({ start, end: whole.end });
  const heard = pieces.filter((piece) => piece.end > piece.start);
  const seconds = heard.reduce((sum, piece) => sum + piece.end - piece.start, 0);
  return reply.heard !== null && seconds + SLACK < reply.heard ? [whole] : heard;
}

/**
 * Seconds that were generated and are known not to have been heard.
 * @param {Reply} reply
 * @returns {number}
 */
export function unheard(reply) {
  if (reply.seconds === null || reply.heard === null || !reply.interrupted) return 0;
  return Math.max(reply.seconds - reply.heard, 0);
}

/**
 * The words of a reply: those that were heard, and the rest. While it is not over, none is known to be unheard.
 * @param {Reply} reply
 * @returns {{ heard: string, unheard: string }}
 */
export function words(reply) {
  if (reply.heard === null) return { heard: reply.text, unheard: "" };
  if (!reply.text.startsWith(reply.heardText)) return { heard: reply.heardText, unheard: reply.text };
  return { heard: reply.heardText, unheard: reply.text.slice(reply.heardText.length) };
}

/** @type {ReadonlyArray<readonly [string, Reducer]>} */
export const replyReducers = [
  ["reply_started", started],
  ["reply_first_audio", changed((reply, event) => ({ ...reply, firstAudio: event.at }))],
  ["reply_generated", changed((reply, event) => ({ ...reply, seconds: numberOf(event.seconds, 0) }))],
  ["reply_text", changed((reply, event) => ({ ...reply, text: textOf(reply.text + textOf(event.text)) }))],
  ["reply_latency", changed((reply, event) => ({ ...reply, parts: partsOf(event.parts) }))],
  ["reply_interrupted", over(true)],
  ["reply_ended", over(false)],
];
