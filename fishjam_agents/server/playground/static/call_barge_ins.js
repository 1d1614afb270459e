// Sounds over the bot and their verdicts: a part of `call.js`.

import { appended, numberOf, peerOf, textOf } from "./call_model.js";

/**
 * @typedef {import("./call_model.js").Reducer} Reducer
 * @typedef {import("./call_model.js").BargeIn} BargeIn
 */

/** @type {Reducer} */
function suspected(call, event) {
  /** @type {BargeIn} */
  const bargeIn = {
    peer: peerOf(event),
    track: textOf(event.track),
    onset: numberOf(event.media_at, event.at),
    suspected: event.at,
    verdict: "open",
    settled: null,
    reply: textOf(event.reply) || null,
    pending: true,
  };
  return { ...call, bargeIns: appended(call.bargeIns, bargeIn) };
}

/**
 * @param {"confirmed" | "withdrawn"} verdict
 * @returns {Reducer}
 */
function settled(verdict) {
  return (call, event) => {
    const track = textOf(event.track);
    const counts = { ...call.counts, [verdict]: call.counts[verdict] + 1 };
    let index = call.bargeIns.findIndex((bargeIn) => bargeIn.pending && bargeIn.track === track);
    // Where several were suspected, the one whose sound ended last gives the verdict for all.
    if (index < 0 && verdict === "withdrawn") index = call.bargeIns.findIndex((bargeIn) => bargeIn.pending);
    const bargeIns = call.bargeIns.map((bargeIn, place) => {
      if (place === index) return { ...bargeIn, verdict, settled: event.at, pending: false };
      return bargeIn.pending ? { ...bargeIn, pending: false } : bargeIn;
    });
    if (index >= 0 || verdict === "withdrawn") return { ...call, counts, bargeIns };
    const unsuspected = suspected(call, event).bargeIns.at(-1);
    const added = /** @type {BargeIn} */ ({
      ...unsuspected,
      suspected: null,
      verdict,
      settled: event.at,
      pending: false,
    });
    return { ...call, counts, bargeIns: appended(bargeIns, added) };
  };
}

/** @type {ReadonlyArray<readonly [string, Reducer]>} */
export const bargeInReducers = [
  ["barge_in_suspected", suspected],
  ["barge_in_confirmed", settled("confirmed")],
  ["barge_in_withdrawn", settled("withdrawn")],
];
