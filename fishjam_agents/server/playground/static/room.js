// This page in the room: joins with the call's token, comes back after a loss, keeps the tracks it publishes.

import { waitBefore } from "./backoff.js";
import { PeerSession } from "./peer_session.js";
import { RefusedError } from "./server_api.js";

/**
 * @typedef {import("./peer_session.js").Kind} Kind
 * @typedef {import("./peer_session.js").RemoteTrack} RemoteTrack
 * @typedef {{ name: "out" | "joining" | "joined" | "waiting" | "failed", reason: string, until?: number }} RoomStatus
 * @typedef {{
 *   status: (status: RoomStatus) => void, joined: (peer: string) => void,
 *   trackAdded: (id: string, track: RemoteTrack) => void, trackRemoved: (id: string) => void,
 *   people: (names: ReadonlyMap<string, string>) => void
 * }} RoomListener
 */

export class Room {
  /** @type {PeerSession | null} */
  #session = null;
  /** @type {Map<Kind, { track: MediaStreamTrack, paused: boolean }>} */
  #tracks = new Map();
  /** @type {Record<string, unknown>} */
  #metadata = {};
  #token = "";
  #name = "";
  #attempt = 0;
  /** Counts the joins, so that what belongs to an earlier one is known as such. */
  #round = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /**
   * @param {import("./server_api.js").ServerApi} api
   * @param {RoomListener} listener
   */
  constructor(api, listener) {
    this.api = api;
    this.listener = listener;
  }

  /**
   * Join, as a peer of one's own.
   * @param {string} name
   */
  async join(name) {
    this.leave();
    this.#name = name;
    this.#metadata = name ? { displayName: name } : {};
    this.#attempt = 0;
    await this.#enter();
  }

  /** Leave, and come back no more. */
  leave() {
    this.#round++;
    clearTimeout(this.#retry);
    this.#session?.close();
    this.#session = null;
    this.#token = "";
    this.listener.status({ name: "out", reason: "" });
  }

  /**
   * Publish a track, now or once joined; null publishes none of its kind.
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  publish(kind, track) {
    if (track === null) {
      this.#tracks.delete(kind);
      this.#session?.unpublish(kind);
    } else {
      this.#tracks.set(kind, { track, paused: this.#tracks.get(kind)?.paused ?? false });
      this.#session?.publish(kind, track);
    }
  }

  /**
   * Mute or unmute what is published.
   * @param {Kind} kind
   * @param {boolean} paused
   */
  pause(kind, paused) {
    const published = this.#tracks.get(kind);
    if (published !== undefined) published.paused = paused;
    this.#session?.pause(kind, paused);
  }

  /**
   * Say whether the button for talking is held; the bot's turns are what is said meanwhile.
   * @param {boolean} talking
   */
  talk(talking) {
    this.#metadata = { ...this.#metadata, talking };
    this.#session?.describe(this.#metadata);
  }

  async #enter() {
    const round = ++this.#round;
    this.listener.status({ name: "joining", reason: "" });
    try {
      if (!this.#token) {
        const answer = await this.api.join(this.#name);
        if (round !== this.#round) return;
        this.#token = answer.peer_token;
      }
      this.#session = new PeerSession(this.#token, this.#metadata, this.#tracks, {
        joined: (peer) => {
          this.#attempt = 0;
          this.listener.joined(peer);
          this.listener.status({ name: "joined", reason: "" });
        },
        lost: ({ reason, refused, removed }) => this.#lost(reason, refused || removed, removed),
        trackAdded: this.listener.trackAdded,
        trackRemoved: this.listener.trackRemoved,
        people: this.listener.people,
      });
    } catch (error) {
      if (round !== this.#round) return;
      const final = error instanceof RefusedError && error.status >= 400 && error.status < 500;
      this.#lost(error instanceof Error ? error.message : String(error), false, final);
    }
  }

  /** @param {string} reason @param {boolean} refused @param {boolean} [final] */
  #lost(reason, refused, final = false) {
    this.#session = null;
    // A token that opens nothing any more is replaced by asking for a new peer.
    if (refused) this.#token = "";
    const wait = final ? undefined : waitBefore(this.#attempt++);
    if (wait === undefined) {
      this.listener.status({ name: "failed", reason });
      return;
    }
    this.listener.status({ name: "waiting", reason, until: performance.now() + 1000 * wait });
    this.#retry = setTimeout(() => void this.#enter(), 1000 * wait);
  }
}
