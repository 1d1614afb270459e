// What the bot is doing, from the call: what the page says in one word.

import { openTurns } from "./call_model.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {"listening" | "hearing" | "thinking" | "speaking" | "paused" | "deaf" | "over"} BotStateName
 * @typedef {{ name: BotStateName, since: number, peer: string | null, tool: string | null }} BotState
 */

/** Seconds after which nobody is told any more that an answer is being made: a model may answer nothing. */
const LONGEST_THOUGHT = 30;

/**
 * The state of the bot at a moment. `peer` is who is heard, or was; `tool` is what a thinking bot waits for.
 * @param {Call} call
 * @param {number} now Seconds of the call.
 * @returns {BotState}
 */
export function botState(call, now) {
  if (call.ended !== null) return state("over", call.ended.at);
  const reply = call.replies.findLast((item) => item.ended === null && item.firstAudio !== null);
  const suspicion = call.bargeIns.findLast((bargeIn) => bargeIn.pending);
  if (reply !== undefined && suspicion !== undefined) {
    return state("paused", suspicion.suspected ?? suspicion.onset, suspicion.peer);
  }
  if (reply !== undefined && reply.firstAudio !== null)
    return state("speaking", reply.firstAudio, reply.peer);
  const turn = openTurns(call, now).at(-1);
  if (turn !== undefined) return state("hearing", turn.start, turn.peer);
  const thought = thinking(call, now);
  if (thought !== undefined) return thought;
  if (call.inputMuted)
    return state("deaf", call.notices.findLast((item) => item.kind === "mute_changed")?.at ?? 0);
  return state("listening", idleSince(call));
}

/**
 * @param {Call} call
 * @param {number} now
 * @returns {BotState | undefined}
 */
function thinking(call, now) {
  const tool = call.tools.findLast((item) => item.ended === null);
  const waiting = call.turns.findLast(
    (turn) => turn.waiting && turn.reason !== "cancelled" && turn.decided > now - LONGEST_THOUGHT,
  );
  const begun = call.replies.findLast((item) => item.ended === null && item.started > now - LONGEST_THOUGHT);
  if (tool !== undefined && tool.started > now - 2 * LONGEST_THOUGHT) {
    return { ...state("thinking", waiting?.decided ?? tool.started), tool: tool.tool };
  }
  if (waiting !== undefined) return state("thinking", waiting.decided, waiting.peer);
  const line = call.lines.at(-1);
  if (
    line !== undefined &&
    line.at > now - LONGEST_THOUGHT &&
    line.at > (call.replies.at(-1)?.started ?? 0)
  ) {
    return state("thinking", line.at, line.peer);
  }
  if (begun === undefined) return undefined;
  // Its turn is no longer waiting, and it has no sound yet.
  const turn = call.turns.findLast((item) => item.reply === begun.id);
  return state("thinking", turn?.decided ?? begun.started, begun.peer);
}

/** @param {Call} call */
function idleSince(call) {
  return Math.max(0, call.replies.at(-1)?.ended ?? 0, call.turns.at(-1)?.decided ?? 0);
}

/**
 * @param {BotStateName} name
 * @param {number} since
 * @param {string | null} [peer]
 * @returns {BotState}
 */
function state(name, since, peer = null) {
  return { name, since, peer, tool: null };
}
