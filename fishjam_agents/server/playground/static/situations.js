// What is wrong, in words that say what to do: the notices for the states of link, server, room and devices.

/**
 * @typedef {import("./notices.js").Notice} Notice
 * @typedef {import("./notices.js").Action} Action
 * @typedef {import("./call_feed.js").FeedStatus} FeedStatus
 * @typedef {import("./room.js").RoomStatus} RoomStatus
 * @typedef {import("./devices.js").Trouble} Trouble
 */

/** @type {Notice} */
export const NO_LINK = {
  tone: "bad",
  title: "This page needs the link of a call.",
  advice:
    "Start a bot with “python -m fishjam_agents run CONFIG” and open the link that it prints: it ends in #call=…",
};

/**
 * What the connection to the call's events means for the person at the page.
 * @param {FeedStatus} status
 * @param {boolean} welcomed Whether this page has shown the call before.
 * @param {() => void} retry
 * @returns {Notice | null}
 */
export function aboutFeed(status, welcomed, retry) {
  switch (status.name) {
    case "connecting":
    case "open":
      return null;
    case "waiting":
      return {
        tone: "warn",
        title: "The server does not answer.",
        advice: "The page tries again by itself.",
        actions: [{ label: "Try now", run: retry }],
      };
    case "gone":
      return {
        tone: "bad",
        title: "The server is gone.",
        advice:
          "Start the bot again. It prints a new link; this one works only with the call it was made for.",
        actions: [{ label: "Try again", run: retry }],
      };
    case "refused":
      return welcomed
        ? {
            tone: "bad",
            title: "This call is over.",
            advice: "The bot was started again: open the new link that it printed.",
          }
        : {
            tone: "bad",
            title: "The link was refused.",
            advice:
              "It belongs to a call that is over, or was copied in part. Open the newest link that the bot printed.",
          };
    case "full":
      return { tone: "bad", title: "The server takes no more pages.", advice: status.reason };
    case "over":
      return {
        tone: "info",
        title: "The call is over.",
        advice: "Start the bot again and open its new link to talk again.",
      };
  }
}

/**
 * @param {RoomStatus} status
 * @param {() => void} join
 * @returns {Notice | null}
 */
export function aboutRoom(status, join) {
  switch (status.name) {
    case "out":
    case "joining":
    case "joined":
      return null;
    case "waiting":
      return {
        tone: "warn",
        title: "The connection to the room was lost.",
        advice: `The page comes back by itself (${status.reason}).`,
      };
    case "failed":
      return {
        tone: "bad",
        title: "The room cannot be joined:",
        advice: `${status.reason}.`,
        actions: [{ label: "Join again", run: join }],
      };
  }
}

/**
 * @param {Trouble | null} trouble
 * @param {() => void} [retry]
 * @returns {Notice | null}
 */
export function aboutDevices(trouble, retry) {
  if (trouble === null) return null;
  const actions = retry === undefined ? [] : [{ label: "Try again", run: retry }];
  return { tone: "bad", title: `${trouble.title}.`, advice: trouble.advice, actions };
}

/**
 * The page's connections in two words.
 * @param {FeedStatus["name"]} feed
 * @param {RoomStatus["name"]} room
 * @returns {{ tone: "good" | "quiet" | "warn" | "bad", words: string }}
 */
export function connectionOf(feed, room) {
  if (feed === "over") return { tone: "quiet", words: "Call over" };
  if (feed === "refused" || feed === "full" || feed === "gone")
    return { tone: "bad", words: "Not connected" };
  if (feed === "waiting" || room === "waiting") return { tone: "warn", words: "Reconnecting" };
  if (feed === "connecting" || room === "joining") return { tone: "quiet", words: "Connecting" };
  return room === "joined" ? { tone: "good", words: "In the call" } : { tone: "quiet", words: "Watching" };
}
