// How long to wait before a lost connection is tried again, and for how often.

/** Waits in seconds; the attempt after the last of them is given up. Together about a minute and a half. */
export const WAITS = Object.freeze([0.5, 1, 2, 4, 8, 10, 10, 10, 15, 15, 15]);

/**
 * The wait before an attempt, or undefined where there have been enough.
 * @param {number} attempt 0 for the first after the loss.
 * @param {number} [chance] From 0 to 1: where many pages lost one server, they do not come back in the same moment.
 * @returns {number | undefined} Seconds.
 */
export function waitBefore(attempt, chance = Math.random()) {
  const wait = WAITS[attempt];
  return wait === undefined ? undefined : wait * (0.8 + 0.4 * chance);
}
