// What the page asks the server for over HTTP. Addresses are relative to the page, so that a prefix does no harm.

/** Seconds an answer may take. */
const PATIENCE = 15;
const REPORT_PATIENCE = 90;

/** A request that was refused, with the server's reason; `status` is 0 where no server answered. */
export class RefusedError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * The address of something on this page's server.
 * @param {string} path
 */
export function addressOf(path) {
  return new URL(path, document.baseURI).href;
}

/**
 * The address of a socket on this page's server.
 * @param {string} path
 */
export function socketAddressOf(path) {
  return addressOf(path).replace(/^http/, "ws");
}

/**
 * The token of the link: it stands behind the `#`, which no browser sends to a server.
 * @param {string} hash
 */
export function tokenIn(hash) {
  return new URLSearchParams(hash.replace(/^#/, "")).get("call") ?? "";
}

export class ServerApi {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /**
   * A peer of one's own in the room.
   * @param {string} name
   * @returns {Promise<{ peer_token: string, peer_id: string, room_id: string }>}
   */
  async join(name) {
    return (await this.#ask("playground/join", { method: "POST", body: JSON.stringify({ name }) })).json();
  }

  /**
   * A link for somebody who may join and see, and controls nothing.
   * @returns {Promise<string>}
   */
  async guestLink() {
    const answer = await this.#ask("playground/guest", { method: "POST", body: "{}" });
    return String((await answer.json()).link);
  }

  /**
   * The call up to now, as a file.
   * @param {"report.html" | "call.jsonl"} file
   * @returns {Promise<Blob>}
   */
  async saved(file) {
    return (await this.#ask(`playground/${file}`, { method: "GET" }, REPORT_PATIENCE)).blob();
  }

  /** @param {string} path @param {RequestInit} request @param {number} [patience] */
  async #ask(path, request, patience = PATIENCE) {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" };
    let answer;
    try {
      answer = await fetch(addressOf(path), {
        ...request,
        headers,
        signal: AbortSignal.timeout(1000 * patience),
      });
    } catch (error) {
      const late = error instanceof DOMException && error.name === "TimeoutError";
      throw new RefusedError(0, late ? "the server took too long to answer" : "the server cannot be reached");
    }
    if (!answer.ok) throw new RefusedError(answer.status, await reasonOf(answer));
    return answer;
  }
}

/** @param {Response} answer */
async function reasonOf(answer) {
  try {
    const { errors } = await answer.json();
    if (typeof errors === "string") return errors;
  } catch {
    // An answer without a reason is told by its status.
  }
  return `the server answered ${answer.status} ${answer.statusText}`.trim();
}
