// The bot's state in one word, with what to do now.

import { get, write } from "./dom.js";
import { clockTime } from "./latency.js";

/**
 * @typedef {import("./bot_state.js").BotState} BotState
 * @typedef {{ bot: BotState, begun: boolean, joined: boolean, silent: boolean, muted: boolean, pushToTalk: boolean, talking: boolean,
 *   interrupts: boolean, now: number, ended: string, lost: "server" | "call" | null }} Shown
 *
 * `lost` is what this page heard of before and does not any more, so that nobody knows what the bot does.
 */

const HAS_KEYS = matchMedia("(hover: hover)").matches;
const HOLD = HAS_KEYS ? "Hold the button, or the space bar, and speak." : "Hold the button and speak.";
/** Milliseconds a state lasts before it is read out: many are shorter than their name. */
const SPOKEN_AFTER = 500;

export class Stage {
  #spoken = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(peer: string) => string} nameOf */
  constructor(nameOf) {
    this.nameOf = nameOf;
    this.word = get("state", HTMLParagraphElement);
    this.detail = get("detail", HTMLParagraphElement);
    this.orb = get("orb", HTMLDivElement);
    this.main = get("main", HTMLElement);
    this.announcer = get("announcer", HTMLParagraphElement);
  }

  /** @param {Shown} shown */
  show(shown) {
    const word = this.#wordOf(shown);
    write(this.word, word);
    write(this.detail, this.#detailOf(shown));
    const state = shown.begun && shown.lost === null ? shown.bot.name : "none";
    if (this.main.dataset.state !== state) this.main.dataset.state = state;
    if (word !== this.#spoken) {
      this.#spoken = word;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => write(this.announcer, word), SPOKEN_AFTER);
    }
  }

  /**
   * Let the sign move with a sound.
   * @param {number} level 0 to 1.
   */
  level(level) {
    this.orb.style.setProperty("--level", level.toFixed(3));
  }

  /** @param {Shown} shown */
  #wordOf({ bot, begun, joined, lost }) {
    if (lost !== null) return lost === "call" ? "Call over" : "No connection";
    if (!begun) return joined ? "Waiting for the bot" : "Not joined";
    switch (bot.name) {
      case "listening":
        return "Listening";
      case "hearing":
        return `Hearing ${this.#whom(bot.peer)}`;
      case "thinking":
        return "Thinking";
      case "speaking":
        return "Speaking";
      case "paused":
        return "Paused";
      case "deaf":
        return "Not listening";
      case "over":
        return "Call over";
    }
  }

  /** @param {Shown} shown */
  #detailOf({ bot, begun, joined, silent, muted, pushToTalk, talking, now, ended, lost }) {
    if (lost !== null) return lost === "call" ? "The bot was started again." : "What the bot does is not known now.";
    if (!begun) return joined ? "It is on its way into the room." : "Join to speak with the bot.";
    switch (bot.name) {
      case "listening":
        if (!joined) return "Join to speak with it.";
        if (silent || muted) return this.#unheard(silent);
        if (pushToTalk) return talking ? "It hears you while you hold the button." : HOLD;
        return "Say something.";
      case "hearing":
        return `for ${Math.max(now - bot.since, 0).toFixed(1)} s`;
      case "thinking":
        return bot.tool === null
          ? `for ${Math.max(now - bot.since, 0).toFixed(1)} s`
          : `waits for the tool ${bot.tool}`;
      case "speaking":
        if (!joined) return `since ${clockTime(bot.since)}`;
        if (silent || muted) return this.#unheard(silent);
        return pushToTalk ? "Press the button to interrupt it." : "Speak over it to interrupt it.";
      case "paused":
        return `${bot.peer ? this.nameOf(bot.peer) : "Somebody"} may be speaking over it.`;
      case "deaf":
        return "The app has closed its ears.";
      case "over":
        return ended;
    }
  }

  /** @param {boolean} silent Whether there is no microphone, which is then not just muted. */
  #unheard(silent) {
    return silent ? "You have no microphone here: leave and join again to speak." : "You are muted: unmute to be heard.";
  }

  /** @param {string | null} peer */
  #whom(peer) {
    const name = this.nameOf(peer ?? "");
    return name === "You" || name === "Somebody" ? name.toLowerCase() : name;
  }
}
