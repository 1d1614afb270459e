// The figures of a call, each by the definition that report.html gives. All are seconds.

import { replyOf, sounding } from "./call_replies.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./call_model.js").Turn} Turn
 * @typedef {import("./call_model.js").Reply} Reply
 * @typedef {import("./call_model.js").BargeIn} BargeIn
 * @typedef {{ turn: Turn, reply: Reply, response: number, endOfTurn: number, model: number,
 *   parts: ReadonlyArray<readonly [string, number]>, waited: boolean }} Response
 * @typedef {{ count: number, median: number, high: number, highName: "p95" | "max" }} Summary
 */

/**
 * Whether turns waited for their answers, once those are over: it is asked for with every picture of the timeline.
 * @type {WeakMap<Turn, boolean>}
 */
const settled = new WeakMap();
/** Below this number of values the 95th percentile is the greatest one, and called so. */
const ENOUGH_FOR_P95 = 20;

/**
 * How fast a turn was answered; undefined while its answer has not sounded.
 *
 * The response latency is from the end of the speech to the reply's first audio on the wire: the end-of-turn delay, up to
 * the decision that the turn is over, and the model's, which is negative where a model was sooner to see that end.
 * @param {Call} call
 * @param {Turn} turn
 * @returns {Response | undefined}
 */
export function responseTo(call, turn) {
  const reply = replyOf(call, turn.reply);
  if (reply === undefined || reply.firstAudio === null) return undefined;
  return {
    turn,
    reply,
    response: reply.firstAudio - turn.end,
    endOfTurn: turn.decided - turn.end,
    model: reply.firstAudio - turn.decided,
    parts: reply.parts,
    waited: waited(call, turn, reply),
  };
}

/**
 * The turns that were answered last, the oldest first.
 * @param {Call} call
 * @param {number} most
 * @returns {Response[]}
 */
export function responses(call, most) {
  /** @type {Response[]} */
  const found = [];
  for (let index = call.turns.length - 1; index >= 0 && found.length < most; index--) {
    const response = responseTo(call, call.turns[index]);
    if (response !== undefined) found.push(response);
  }
  return found.reverse();
}

/**
 * Whether somebody else, peer or bot, was speaking between a turn and its answer.
 * @param {Call} call
 * @param {Turn} turn
 * @param {Reply} reply
 */
function waited(call, turn, reply) {
  const known = settled.get(turn);
  if (known !== undefined) return known;
  const found = othersSpoke(call, turn, reply);
  if (reply.ended !== null) settled.set(turn, found);
  return found;
}

/** @param {Call} call @param {Turn} turn @param {Reply} reply */
function othersSpoke(call, turn, reply) {
  const [start, end] = [turn.end, reply.firstAudio ?? reply.started];
  const spoken = call.speech.some(
    (speech) => speech.peer !== turn.peer && speech.start < end && (speech.end ?? end) > start,
  );
  if (spoken) return true;
  return call.replies.some(
    (other) =>
      other.id !== reply.id &&
      other.started < end &&
      (other.ended === null || other.ended > start) &&
      sounding(call, other, end).some((piece) => piece.start < end && piece.end > start),
  );
}

/**
 * From the onset of a sound over the bot to the decision to fall silent; null when it was silent already.
 * @param {BargeIn} bargeIn
 */
export function silence(bargeIn) {
  return bargeIn.suspected === null ? null : bargeIn.suspected - bargeIn.onset;
}

/**
 * From that onset to the verdict; null without one.
 * @param {BargeIn} bargeIn
 */
export function verdict(bargeIn) {
  return bargeIn.settled === null ? null : bargeIn.settled - bargeIn.onset;
}

/**
 * Values in a few figures: the median, and the 95th percentile by nearest rank or, of fewer than 20, the greatest.
 * @param {readonly number[]} values
 * @returns {Summary | undefined}
 */
export function summary(values) {
  if (values.length === 0) return undefined;
  const ordered = values.toSorted((one, other) => one - other);
  const many = ordered.length >= ENOUGH_FOR_P95;
  const middle = ordered.length >> 1;
  return {
    count: ordered.length,
    median: ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2,
    high: many ? ordered[Math.ceil(0.95 * ordered.length) - 1] : ordered[ordered.length - 1],
    highName: many ? "p95" : "max",
  };
}

/**
 * A latency as people say it.
 * @param {number | null | undefined} seconds
 */
export function milliseconds(seconds) {
  return seconds === null || seconds === undefined ? "–" : `${(seconds * 1000).toFixed(0)} ms`;
}

/**
 * A moment of the call: `7.9`, `1:07.9`.
 * @param {number} seconds
 * @param {number} [digits]
 */
export function moment(seconds, digits = 1) {
  const rounded = Number(Math.max(seconds, 0).toFixed(digits));
  const minutes = Math.floor(rounded / 60);
  const rest = (rounded - 60 * minutes).toFixed(digits);
  return minutes === 0 ? rest : `${minutes}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

/**
 * The same where its unit is not said otherwise: `7.9 s`, `1:07.9`.
 * @param {number} seconds
 * @param {number} [digits]
 */
export function clockTime(seconds, digits = 1) {
  const text = moment(seconds, digits);
  return text.includes(":") ? text : `${text} s`;
}
