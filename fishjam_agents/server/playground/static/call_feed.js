// The socket of the call's events, `/playground/events`: authenticated by the link's token, made anew when it is lost.

import { waitBefore } from "./backoff.js";
import { socketAddressOf } from "./server_api.js";

/**
 * @typedef {{ push_to_talk: boolean, text: boolean, interrupt: boolean, camera: boolean }} Controls
 * @typedef {{ call: { id: string | null, room: string, bot_peer: string, bot: string }, now: number, guest?: boolean,
 *   controls: Controls, events: unknown[], dropped?: number }} Hello
 *
 * State of the connection. `refused` and `full` are final, and so is `gone`, when there were attempts enough.
 * @typedef {{ name: "connecting" | "open" | "waiting" | "refused" | "full" | "gone" | "over",
 *   reason: string, until?: number }} FeedStatus
 *
 * @typedef {{
 *   status: (status: FeedStatus) => void, hello: (hello: Hello) => void,
 *   events: (events: unknown[], now: number) => void, clock: (now: number) => void, error: (message: string) => void
 * }} FeedListener
 */

const REFUSED = 4401;
const FULL = 4429;
/** Seconds without a word, though the clock is told every second, after which a connection counts as lost. */
const SILENCE = 10;

export class CallFeed {
  /** @type {WebSocket | null} */
  #socket = null;
  #attempt = 0;
  #welcomed = false;
  #over = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watch;

  /**
   * @param {string} token
   * @param {FeedListener} listener
   */
  constructor(token, listener) {
    this.token = token;
    this.listener = listener;
  }

  /** Connect, or try again at once. */
  open() {
    clearTimeout(this.#retry);
    this.#attempt = 0;
    this.#connect();
  }

  /**
   * Tell the server something; false where there is no connection.
   * @param {{ type: "text", text: string, peer: string } | { type: "interrupt" }} message
   */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN || !this.#welcomed) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Close for good. */
  close() {
    this.#over = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    this.#socket?.close();
  }

  #connect() {
    this.#drop();
    if (this.#over) return;
    this.#welcomed = false;
    this.listener.status({ name: "connecting", reason: "" });
    const socket = new WebSocket(socketAddressOf("playground/events"));
    this.#socket = socket;
    this.#listen();
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token: this.token }));
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => this.#lost(event.code, event.reason);
  }

  #drop() {
    clearTimeout(this.#watch);
    if (this.#socket === null) return;
    this.#socket.onclose = this.#socket.onmessage = this.#socket.onopen = null;
    this.#socket.close();
    this.#socket = null;
  }

  /** Wait for the next word. */
  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(1006, "the server says nothing any more"), 1000 * SILENCE);
  }

  /** @param {unknown} data */
  #take(data) {
    this.#listen();
    const message = read(data);
    switch (message?.type) {
      case "hello":
        this.#attempt = 0;
        this.#welcomed = true;
        this.listener.hello(/** @type {Hello} */ (/** @type {unknown} */ (message)));
        this.listener.status({ name: "open", reason: "" });
        break;
      case "events":
        this.listener.events(Array.isArray(message.events) ? message.events : [], Number(message.now));
        break;
      case "clock":
        this.listener.clock(Number(message.now));
        break;
      case "error":
        this.listener.error(String(message.message));
        break;
      case "over":
        this.#over = true;
        this.#drop();
        this.listener.status({ name: "over", reason: String(message.reason ?? "") });
        break;
      default:
      // A later server may say more.
    }
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    this.#drop();
    if (this.#over) return;
    if (code === REFUSED || code === FULL) {
      this.listener.status({ name: code === REFUSED ? "refused" : "full", reason });
      return;
    }
    const wait = waitBefore(this.#attempt++);
    if (wait === undefined) {
      this.listener.status({ name: "gone", reason });
      return;
    }
    this.listener.status({ name: "waiting", reason, until: performance.now() + 1000 * wait });
    this.#retry = setTimeout(() => this.#connect(), 1000 * wait);
  }
}

/** @param {unknown} data @returns {Record<string, unknown> | null} */
function read(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return typeof message === "object" && !Array.isArray(message) ? message : null;
  } catch {
    return null;
  }
}
