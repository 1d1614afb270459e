// The call as the public events tell it: `reduce` takes a call and an event, and gives the call after it.

import { bargeInReducers } from "./call_barge_ins.js";
import { appended, isEvent, numberOf, replacedLast, textOf } from "./call_model.js";
import { replyReducers } from "./call_replies.js";
import { turnReducers } from "./call_turns.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./call_model.js").Event} Event
 * @typedef {import("./call_model.js").Reducer} Reducer
 * @typedef {import("./call_model.js").ToolCall} ToolCall
 */

/**
 * The call after an event. An event that is not known, or whose time is no number, changes nothing.
 * @param {Call} call
 * @param {unknown} event
 * @returns {Call}
 */
export function reduce(call, event) {
  if (!isEvent(event)) return call;
  const reducer = reducers.get(event.kind);
  return reducer === undefined ? call : reducer(call, event);
}

/** @type {Reducer} */
function notice(call, event) {
  return {
    ...call,
    notices: appended(call.notices, { at: event.at, kind: event.kind, text: noticeText(event) }),
  };
}

/** @param {Event} event */
function noticeText(event) {
  switch (event.kind) {
    case "outage":
      return `${textOf(event.what)} was lost for ${numberOf(event.seconds, 0).toFixed(2)} s`;
    case "mute_changed":
      return `${textOf(event.direction)} ${event.muted ? "muted" : "unmuted"}`;
    case "bot_changed":
      return `${textOf(event.bot)} took over from ${textOf(event.before)}`;
    case "call_ended":
      return `the call ended: ${textOf(event.reason)}`;
    case "backend_ended":
      return `the model ended the conversation: ${textOf(event.reason)}`;
    default:
      return textOf(event.message);
  }
}

/** @type {Reducer} */
function failed(call, event) {
  const told = notice(call, event);
  // Whoever waits for an answer is told that none comes.
  const unanswered =
    event.kind === "backend_failure" ? event.retryable !== true : event.unanswered !== undefined;
  return unanswered
    ? { ...told, turns: told.turns.map((turn) => (turn.waiting ? { ...turn, waiting: false } : turn)) }
    : told;
}

/** @type {Reducer} */
function toolStarted(call, event) {
  const started = {
    call: textOf(event.call),
    tool: textOf(event.tool),
    started: event.at,
    ended: null,
    outcome: null,
    arguments: textOf(event.arguments),
    result: "",
  };
  return {
    ...call,
    tools: appended(call.tools, started),
    counts: { ...call.counts, tools: call.counts.tools + 1 },
  };
}

/** @type {Reducer} */
function toolCalled(call, event) {
  const id = textOf(event.call);
  const over = { ended: event.at, outcome: textOf(event.outcome) || "ok", result: textOf(event.result) };
  /** @param {ToolCall} item */
  const runs = (item) => item.call === id && item.ended === null;
  if (call.tools.some(runs)) {
    return { ...call, tools: replacedLast(call.tools, runs, (item) => ({ ...item, ...over })) };
  }
  const begun = toolStarted(call, { ...event, at: event.at - Math.max(numberOf(event.duration, 0), 0) });
  return { ...begun, tools: replacedLast(begun.tools, runs, (item) => ({ ...item, ...over })) };
}

/** @type {ReadonlyMap<string, Reducer>} */
const reducers = new Map([
  ...turnReducers,
  ...replyReducers,
  ...bargeInReducers,
  ["outage", notice],
  ["error", notice],
  ["backend_ended", notice],
  ["bot_changed", notice],
  ["backend_warning", failed],
  ["backend_failure", failed],
  ["tool_started", toolStarted],
  ["tool_called", toolCalled],
  [
    "backend_usage",
    (call, event) => ({ ...call, cost: numberOf(event.total_cost, call.cost ?? NaN) || call.cost }),
  ],
  [
    "mute_changed",
    (call, event) => ({
      ...notice(call, event),
      [event.direction === "input" ? "inputMuted" : "outputMuted"]: event.muted === true,
    }),
  ],
  [
    "call_ended",
    (call, event) => ({
      ...notice(call, event),
      ended: { at: event.at, reason: textOf(event.reason), message: textOf(event.message) },
    }),
  ],
]);
