// Who is in the room, when they speak, and what they say: a part of `call.js`.

import { appended, numberOf, openTurns, peerOf, replacedLast, SOMEBODY, textOf } from "./call_model.js";
import { answered } from "./call_replies.js";

/**
 * @typedef {import("./call_model.js").Reducer} Reducer
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./call_model.js").Turn} Turn
 */

/** @type {Reducer} */
function joined(call, event) {
  const id = peerOf(event);
  const others = call.people.filter((person) => person.id !== id);
  return { ...call, people: appended(others, { id, joined: event.at, left: null }) };
}

/** @type {Reducer} */
function left(call, event) {
  const id = peerOf(event);
  const open = new Map([...call.open].filter(([, turn]) => turn.peer !== id));
  return {
    ...call,
    open,
    people: replacedLast(
      call.people,
      (person) => person.id === id,
      (person) => ({ ...person, left: event.at }),
    ),
  };
}

/** @type {Reducer} */
function startedSpeaking(call, event) {
  const [peer, track] = [peerOf(event), textOf(event.track)];
  const start = numberOf(event.media_at, event.at);
  const begun = openTurns(call, event.at).find((turn) => turn.track === track)?.start ?? start;
  const open = new Map(call.open).set(track, { peer, track, start: begun, quiet: null });
  const sounds = call.speech.some((speech) => speech.track === track && speech.end === null);
  return {
    ...call,
    open,
    speech: sounds
      ? call.speech
      : appended(call.speech, { peer, track, start, end: null, noticed: event.at }),
  };
}

/** @type {Reducer} */
function stoppedSpeaking(call, event) {
  const track = textOf(event.track);
  const end = numberOf(event.media_at, event.at);
  const turn = call.open.get(track);
  return {
    ...call,
    open: turn === undefined ? call.open : new Map(call.open).set(track, { ...turn, quiet: end }),
    speech: replacedLast(
      call.speech,
      (speech) => speech.track === track && speech.end === null,
      (speech) => ({ ...speech, end: Math.max(end, speech.start) }),
    ),
  };
}

/** @type {Reducer} */
function turnEnded(call, event) {
  const [peer, track] = [peerOf(event), textOf(event.track)];
  const [open, finals, partials] = [new Map(call.open), new Map(call.finals), new Map(call.partials)];
  open.delete(track);
  finals.delete(peer);
  partials.delete(peer);
  const end = numberOf(event.media_at, event.at);
  const reason = textOf(event.reason) || "silence";
  /** @type {Turn} */
  const turn = {
    id: textOf(event.turn),
    peer,
    track,
    start: Math.min(numberOf(event.start, end), end),
    end,
    decided: event.at,
    reason,
    said: call.finals.get(peer) ?? "",
    partial: call.partials.get(peer) ?? "",
    reply: null,
    waiting: true,
  };
  const counts = { ...call.counts, turns: call.counts.turns + 1 };
  return answered({ ...call, open, finals, partials, turns: appended(call.turns, turn), counts });
}

/** @type {Reducer} */
function transcribed(call, event) {
  const peer = peerOf(event);
  const text = textOf(event.text).trim();
  const final = event.final === true;
  const named = typeof event.start === "number" ? event.start : null;
  // Final words may come when the next turn has begun; where it is known they name their own.
  const late = named !== null && call.turns.some((turn) => turn.start === named && turn.peer === peer);
  const speaks = openTurns(call, event.at).some((turn) => peer === SOMEBODY || turn.peer === peer);
  if (speaks && !late) {
    const partials = new Map(call.partials).set(peer, final ? "" : text);
    const finals = final ? new Map(call.finals).set(peer, spaced(call.finals.get(peer), text)) : call.finals;
    return { ...call, finals, partials };
  }
  /** @param {Turn} turn */
  const own = (turn) =>
    (late ? turn.start === named : turn.start <= event.at) && (peer === SOMEBODY || turn.peer === peer);
  if (call.turns.some(own)) {
    /** @param {Turn} turn */
    const change = (turn) =>
      final ? { ...turn, said: spaced(turn.said, text), partial: "" } : { ...turn, partial: text };
    return { ...call, turns: replacedLast(call.turns, own, change) };
  }
  return final && text ? { ...call, lines: appended(call.lines, { at: event.at, peer, text }) } : call;
}

/** @type {Reducer} */
function written(call, event) {
  const text = textOf(event.text).trim();
  return text ? { ...call, lines: appended(call.lines, { at: event.at, peer: peerOf(event), text }) } : call;
}

/** @param {string | undefined} before @param {string} text */
function spaced(before, text) {
  return textOf(`${before ?? ""} ${text}`.trim());
}

/** @type {ReadonlyArray<readonly [string, Reducer]>} */
export const turnReducers = [
  ["peer_joined", joined],
  ["peer_left", left],
  ["user_started_speaking", startedSpeaking],
  ["user_stopped_speaking", stoppedSpeaking],
  ["user_turn_ended", turnEnded],
  ["user_transcript", transcribed],
  ["user_text", written],
];
