// Who is who on this page: names, colours, and the order of the lanes.

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {{ id: string, name: string, colour: number }} Shown
 */

/** Colours of the others. */
const COLOURS = 3;
/** Characters of an id that stand for whoever gave no name. */
const SHORT = 8;
/** Seconds that somebody who left keeps a lane. */
const LINGERS = 60;
/** People whose colour is remembered. */
const MOST = 500;

export class People {
  /** @type {Map<string, number>} */
  #colours = new Map();

  /**
   * @param {import("./participant.js").Participant} participant
   * @param {() => { bot: string, botPeer: string }} bot
   */
  constructor(participant, bot) {
    this.participant = participant;
    this.bot = bot;
    this.nameOf = this.nameOf.bind(this);
    this.colourOf = this.colourOf.bind(this);
  }

  /**
   * What a peer is called; "bot" is the bot, empty somebody who is not known.
   * @param {string} peer
   */
  nameOf(peer) {
    const { bot, botPeer } = this.bot();
    if (peer === "") return "Somebody";
    if (peer === "bot" || peer === botPeer) return bot || "Bot";
    if (this.participant.peers.has(peer)) return "You";
    return this.participant.names.get(peer) || (peer.length > 12 ? peer.slice(0, SHORT) : peer);
  }

  /** @param {string} peer */
  colourOf(peer) {
    if (this.participant.peers.has(peer)) return 0;
    let colour = this.#colours.get(peer);
    if (colour === undefined) {
      // The first colour is that of whoever looks at the page.
      colour = 1 + (this.#colours.size % COLOURS);
      if (this.#colours.size < MOST) this.#colours.set(peer, colour);
    }
    return colour;
  }

  /**
   * The people with a lane: this page's first, then as they came.
   * @param {Call} call
   * @param {number} now
   * @returns {Shown[]}
   */
  lanes(call, now) {
    const { participant } = this;
    const { botPeer } = this.bot();
    const there = call.people
      .filter(
        (person) => person.left === null || (person.left > now - LINGERS && spoke(call, person.id, now)),
      )
      .map((person) => person.id);
    const unnamed = call.speech.some((speech) => speech.peer === "" && (speech.end ?? now) > now - LINGERS)
      ? [""]
      : [];
    const ids = new Set([...(participant.peer ? [participant.peer] : []), ...there, ...unnamed]);
    ids.delete(botPeer);
    return [...ids].map((id) => ({ id, name: this.nameOf(id), colour: this.colourOf(id) }));
  }

  /** Changes when somebody is called otherwise. */
  get key() {
    return JSON.stringify([[...this.participant.names], this.participant.peer]);
  }
}

/** @param {Call} call @param {string} peer @param {number} now */
function spoke(call, peer, now) {
  return call.speech.some((speech) => speech.peer === peer && (speech.end ?? now) > now - LINGERS);
}
