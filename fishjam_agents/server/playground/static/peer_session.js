// One connection to the room as Fishjam's public peer protocol has it: a WebSocket for signalling, a peer connection for
// media. The client makes every offer; the server begins a round with `offerData` and ends it with `sdpAnswer`.

import { decode, encode } from "./peer_protocol.js";
import { socketAddressOf } from "./server_api.js";

/**
 * @typedef {import("./peer_protocol.js").Message} Message
 * @typedef {"audio" | "video"} Kind
 * @typedef {{ peer: string, kind: Kind, track: MediaStreamTrack, stream: MediaStream }} RemoteTrack
 *
 * A track of this page: `id` is what the server knows it by.
 * @typedef {{ id: string, kind: Kind, track: MediaStreamTrack, transceiver: RTCRtpTransceiver, paused: boolean }} Slot
 *
 * What a lost connection is told with. `refused`: the token opens nothing (any more), trying again with it is vain.
 * `removed`: somebody put this peer out of the room, which is to be respected.
 * @typedef {{ reason: string, refused: boolean, removed: boolean }} Loss
 *
 * @typedef {{
 *   joined: (peer: string) => void, lost: (loss: Loss) => void,
 *   trackAdded: (id: string, track: RemoteTrack) => void, trackRemoved: (id: string) => void,
 *   people: (names: ReadonlyMap<string, string>) => void
 * }} SessionListener
 */

/** Close reasons after which the same token is refused again, by Fishjam's protocol. */
const REFUSALS = new Set([
  "missing token",
  "invalid token",
  "expired token",
  "room not found",
  "peer not found",
  "reached peers limit",
]);
/** Close reasons that mean somebody's decision. */
const REMOVALS = new Map([
  ["peer removed", "you were removed from the room"],
  ["room stopped", "the room was closed"],
]);
/** Seconds until the server must have let us in. */
const PATIENCE = 10;
/** Seconds a peer connection may be without its other side; it seldom comes back after that. */
const DISCONNECTED = 5;
/** What this client calls itself; the official one says `web-<version>`. */
const VERSION = "web-fishjam-agents-playground";
const TRACK_TYPES = { audio: "microphone", video: "camera" };

export class PeerSession {
  #peer = "";
  #closed = false;
  #offering = false;
  /** @type {RTCPeerConnection | null} */
  #connection = null;
  /** @type {Map<Kind, Slot>} */
  #slots = new Map();
  /** @type {Record<Kind, RTCRtpTransceiver[]>} */
  #receivers = { audio: [], video: [] };
  /** @type {Map<string, string>} */
  #owners = new Map();
  /** @type {Map<string, string>} */
  #names = new Map();
  /** @type {Record<string, string>} */
  #mids = {};
  /** @type {Message[]} */
  #candidates = [];
  #queue = Promise.resolve();

  /**
   * @param {string} token A peer token.
   * @param {Record<string, unknown>} metadata What this peer says of itself.
   * @param {ReadonlyMap<Kind, { track: MediaStreamTrack, paused: boolean }>} tracks
   * @param {SessionListener} listener
   */
  constructor(token, metadata, tracks, listener) {
    this.token = token;
    this.metadata = metadata;
    this.tracks = tracks;
    this.listener = listener;
    this.socket = new WebSocket(socketAddressOf("socket/peer/websocket"));
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.#send({ authRequest: { token, sdkVersion: VERSION } });
    this.socket.onmessage = (event) => this.#receive(event.data);
    this.socket.onclose = (event) => {
      const reason = event.reason.trim().toLowerCase();
      this.#lose(reason || "the connection was lost", REFUSALS.has(reason));
    };
    this.patience = setTimeout(
      () => this.#lose("the server took too long to answer", false),
      1000 * PATIENCE,
    );
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.absence = undefined;
  }

  /** Leave the room. */
  close() {
    if (this.#closed) return;
    this.#event({ disconnect: {} });
    this.#end();
  }

  /**
   * Publish a track, or another in place of the one of its kind.
   * @param {Kind} kind
   * @param {MediaStreamTrack} track
   */
  publish(kind, track) {
    const slot = this.#slots.get(kind);
    if (slot === undefined) {
      this.#addSlot(kind, track, false);
      this.#event({ renegotiateTracks: {} });
    } else {
      slot.track = track;
      if (!slot.paused) void slot.transceiver.sender.replaceTrack(track);
    }
  }

  /**
   * Publish a track no longer.
   * @param {Kind} kind
   */
  unpublish(kind) {
    const slot = this.#slots.get(kind);
    if (slot === undefined) return;
    this.#slots.delete(kind);
    void slot.transceiver.sender.replaceTrack(null);
    slot.transceiver.direction = "inactive";
    this.#event({ renegotiateTracks: {} });
  }

  /**
   * Mute or unmute a track. A muted one sends nothing.
   * @param {Kind} kind
   * @param {boolean} paused
   */
  pause(kind, paused) {
    const slot = this.#slots.get(kind);
    if (slot === undefined || slot.paused === paused) return;
    slot.paused = paused;
    void slot.transceiver.sender.replaceTrack(paused ? null : slot.track);
    if (!paused) this.#event({ unmuteTrack: { trackId: slot.id } });
    this.#event({ updateTrackMetadata: { trackId: slot.id, metadataJson: trackMetadata(slot) } });
  }

  /**
   * Say something else of this peer.
   * @param {Record<string, unknown>} metadata
   */
  describe(metadata) {
    this.metadata = metadata;
    if (this.#peer) this.#event({ updateEndpointMetadata: { metadataJson: JSON.stringify(metadata) } });
  }

  /** @param {Message} message */
  #send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(encode(message));
  }

  /** @param {Message} event */
  #event(event) {
    this.#send({ peerMediaEvent: event });
  }

  /** @param {unknown} data */
  #receive(data) {
    if (!(data instanceof ArrayBuffer)) return;
    // One after the other: a round is asynchronous, and the next message may speak of what it made.
    this.#queue = this.#queue
      .then(() => this.#take(data))
      .catch((error) => this.#lose(messageOf(error), false));
  }

  /** @param {ArrayBuffer} data */
  async #take(data) {
    if (this.#closed) return;
    const { authenticated, serverMediaEvent: event } = decode(data);
    if (authenticated !== undefined)
      this.#event({ connect: { metadataJson: JSON.stringify(this.metadata) } });
    if (event === undefined) return;
    if (event.connected !== undefined) this.#join(event.connected);
    else if (!this.#peer) return;
    else if (event.offerData !== undefined)
      await this.#offer(event.offerData.tracksTypes ?? { audio: 0, video: 0 });
    else if (event.sdpAnswer !== undefined) await this.#answer(event.sdpAnswer);
    else if (event.candidate !== undefined) await this.#remoteCandidate(event.candidate);
    else if (event.tracksAdded !== undefined)
      this.#own(event.tracksAdded.endpointId, event.tracksAdded.tracks);
    else if (event.tracksRemoved !== undefined)
      event.tracksRemoved.trackIds.forEach((/** @type {string} */ id) => this.#forget(id));
    else if (event.endpointAdded !== undefined) this.#meet(event.endpointAdded);
    else if (event.endpointUpdated !== undefined) this.#meet(event.endpointUpdated);
    else if (event.endpointRemoved !== undefined) this.#part(event.endpointRemoved.endpointId);
    else if (event.error !== undefined)
      this.#lose(event.error.message || "the server refused to let us in", false);
  }

  /** @param {Message} connected */
  #join(connected) {
    clearTimeout(this.patience);
    this.#peer = connected.endpointId;
    for (const [id, endpoint] of Object.entries(connected.endpoints)) {
      this.#meet({ endpointId: id, metadataJson: endpoint.metadataJson });
      this.#own(id, endpoint.tracks);
    }
    const iceServers = connected.iceServers.map((/** @type {Message} */ server) => ({
      urls: server.urls,
      username: server.username,
      credential: server.credential,
    }));
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => this.#localCandidate(candidate);
    connection.ontrack = ({ transceiver, track, streams }) => this.#hear(transceiver, track, streams[0]);
    connection.onconnectionstatechange = () => this.#watch(connection.connectionState);
    for (const [kind, { track, paused }] of this.tracks) this.#addSlot(kind, track, paused);
    if (this.#slots.size > 0) this.#event({ renegotiateTracks: {} });
    this.listener.joined(this.#peer);
  }

  /** @param {Kind} kind @param {MediaStreamTrack} track @param {boolean} paused */
  #addSlot(kind, track, paused) {
    if (this.#connection === null) return;
    const transceiver = this.#connection.addTransceiver(paused ? kind : track, { direction: "sendonly" });
    this.#slots.set(kind, { id: `${this.#peer}:${crypto.randomUUID()}`, kind, track, transceiver, paused });
  }

  /** @param {{ audio: number, video: number }} types How many tracks the server has for us, those that ended included. */
  async #offer(types) {
    const connection = this.#connection;
    if (connection === null) return;
    for (const kind of /** @type {Kind[]} */ (["audio", "video"])) {
      while (this.#receivers[kind].length < types[kind]) {
        this.#receivers[kind].push(connection.addTransceiver(kind, { direction: "recvonly" }));
      }
    }
    this.#offering = true;
    await connection.setLocalDescription(await connection.createOffer());
    /** @type {Message} */
    const offer = {
      sdp: connection.localDescription?.sdp,
      trackIdToMetadataJson: {},
      trackIdToBitrates: {},
      midToTrackId: {},
    };
    for (const slot of this.#slots.values()) {
      // A track that came after the offer was made has its own round.
      if (slot.transceiver.mid === null) continue;
      offer.midToTrackId[slot.transceiver.mid] = slot.id;
      offer.trackIdToMetadataJson[slot.id] = trackMetadata(slot);
      offer.trackIdToBitrates[slot.id] = {};
    }
    this.#event({ sdpOffer: offer });
    this.#offering = false;
    for (const candidate of this.#candidates.splice(0)) this.#event({ candidate });
  }

  /** @param {Message} answer */
  async #answer(answer) {
    this.#mids = answer.midToTrackId;
    await this.#connection?.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  /** @param {RTCIceCandidate | null} candidate */
  #localCandidate(candidate) {
    if (candidate === null || candidate.candidate === "") return;
    const message = {
      candidate: candidate.candidate,
      sdpMLineIndex: candidate.sdpMLineIndex ?? 0,
      sdpMid: candidate.sdpMid ?? "",
      usernameFragment: candidate.usernameFragment ?? "",
    };
    if (this.#offering) this.#candidates.push(message);
    else this.#event({ candidate: message });
  }

  /** @param {Message} candidate */
  async #remoteCandidate(candidate) {
    try {
      await this.#connection?.addIceCandidate({
        candidate: candidate.candidate,
        sdpMid: candidate.sdpMid || "0",
      });
    } catch {
      // Those in the answer suffice; one that this browser cannot use is none.
    }
  }

  /** @param {RTCRtpTransceiver} transceiver @param {MediaStreamTrack} track @param {MediaStream | undefined} stream */
  #hear(transceiver, track, stream) {
    const id = transceiver.mid === null ? undefined : this.#mids[transceiver.mid];
    const peer = id === undefined ? undefined : this.#owners.get(id);
    if (id === undefined || peer === undefined || peer === this.#peer) return;
    const kind = track.kind === "video" ? "video" : "audio";
    this.listener.trackAdded(id, { peer, kind, track, stream: stream ?? new MediaStream([track]) });
  }

  /** @param {string} peer @param {Record<string, Message>} tracks */
  #own(peer, tracks) {
    for (const id of Object.keys(tracks)) this.#owners.set(id, peer);
  }

  /** @param {string} id */
  #forget(id) {
    if (this.#owners.delete(id)) this.listener.trackRemoved(id);
  }

  /** @param {Message} endpoint */
  #meet(endpoint) {
    this.#names.set(endpoint.endpointId, nameIn(endpoint.metadataJson));
    this.listener.people(this.#names);
  }

  /** @param {string} peer */
  #part(peer) {
    if (peer === this.#peer) return this.#lose("peer removed", false);
    for (const [id, owner] of [...this.#owners]) if (owner === peer) this.#forget(id);
    this.#names.delete(peer);
    this.listener.people(this.#names);
  }

  /** @param {RTCPeerConnectionState} state */
  #watch(state) {
    clearTimeout(this.absence);
    if (state === "failed") this.#lose("no media gets through", false);
    if (state === "disconnected") {
      this.absence = setTimeout(
        () => this.#lose("no media gets through any more", false),
        1000 * DISCONNECTED,
      );
    }
  }

  /** @param {string} reason @param {boolean} refused */
  #lose(reason, refused) {
    if (this.#closed) return;
    this.#end();
    const removal = REMOVALS.get(reason);
    this.listener.lost({ reason: removal ?? reason, refused, removed: removal !== undefined });
  }

  #end() {
    this.#closed = true;
    clearTimeout(this.patience);
    clearTimeout(this.absence);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.#connection?.close();
    for (const id of [...this.#owners.keys()]) this.#forget(id);
  }
}

/** @param {Slot} slot */
function trackMetadata(slot) {
  return JSON.stringify({ type: TRACK_TYPES[slot.kind], paused: slot.paused });
}

/**
 * The name in a peer's metadata, `{"peer": {...}, "server": {...}}`; empty without one.
 * @param {string} metadata
 */
export function nameIn(metadata) {
  try {
    const { peer, server } = JSON.parse(metadata) ?? {};
    for (const part of [server, peer]) {
      for (const key of ["displayName", "name", "username"]) {
        if (typeof part?.[key] === "string" && part[key].trim()) return part[key].trim().slice(0, 80);
      }
    }
  } catch {
    // Metadata are the application's own: some have no name.
  }
  return "";
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
