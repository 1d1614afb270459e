// Where everything stands in the timeline: a lane per person, those of the bot, and what happened to both.

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {{ kind: "ruler" | "person" | "responses" | "bargeIns" | "bot" | "replies" | "tools" | "notices",
 *   peer: string, label: string, top: number, height: number, colour: number }} Lane
 */

/** Lanes of people that are shown; whoever else is in the room is in the transcript. */
export const MOST_PEOPLE = 6;
/** Pixels for a name below a waveform. */
const NAME = 16;
const HEIGHTS = {
  ruler: 22,
  person: 70,
  responses: 22,
  bargeIns: 22,
  bot: 62,
  replies: 28,
  tools: 24,
  notices: 20,
};

/**
 * The lanes of a call, from the top.
 * @param {Call} call
 * @param {readonly { id: string, name: string, colour: number }[]} people In the order in which they are shown.
 * @param {string} bot Its name.
 * @param {boolean} named Whether names have a column of their own; else they stand below the waveforms.
 * @returns {Lane[]}
 */
export function lanesOf(call, people, bot, named) {
  /** @type {Array<Pick<Lane, "kind" | "label"> & Partial<Lane>>} */
  const lanes = [{ kind: "ruler", label: "" }];
  for (const { id, name, colour } of people.slice(0, MOST_PEOPLE)) {
    lanes.push({ kind: "person", label: name, peer: id, colour });
  }
  lanes.push({ kind: "responses", label: "Response" }, { kind: "bargeIns", label: "Barge-ins" });
  lanes.push({ kind: "bot", label: bot || "Bot" }, { kind: "replies", label: "Replies" });
  if (call.tools.length > 0) lanes.push({ kind: "tools", label: "Tools" });
  if (call.notices.length > 0) lanes.push({ kind: "notices", label: "Notices" });
  let top = 0;
  return lanes.map((lane) => {
    const name = !named && (lane.kind === "person" || lane.kind === "bot") ? NAME : 0;
    const placed = { peer: "", colour: 0, ...lane, top, height: HEIGHTS[lane.kind] + name };
    top += placed.height;
    return placed;
  });
}

/**
 * How high all lanes are.
 * @param {readonly Lane[]} lanes
 */
export function heightOf(lanes) {
  const last = lanes[lanes.length - 1];
  return last.top + last.height + 4;
}
