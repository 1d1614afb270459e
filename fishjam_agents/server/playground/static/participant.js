// The person at this page: in the room or not, with a microphone, a camera and a button to talk.

import { openCamera, openMicrophone, troubleOf } from "./devices.js";
import { Room } from "./room.js";
import { remember, remembered } from "./storage.js";

/**
 * @typedef {import("./devices.js").Trouble} Trouble
 * @typedef {import("./room.js").RoomStatus} RoomStatus
 * @typedef {{ changed: () => void, video: (id: string, track: MediaStreamTrack | null, peer: string) => void }} ParticipantListener
 */

const OWN = "own";

export class Participant {
  /** @type {RoomStatus} */
  status = { name: "out", reason: "" };
  /** Ids of the peers that this page has been in the room as. @type {Set<string>} */
  peers = new Set();
  /** Id of the peer it is now. */
  peer = "";
  /** @type {ReadonlyMap<string, string>} */
  names = new Map();
  muted = false;
  talking = false;
  opening = false;
  /** @type {MediaStreamTrack | null} */
  microphone = null;
  /** @type {MediaStreamTrack | null} */
  camera = null;
  /** @type {Trouble | null} */
  trouble = null;
  device = remembered("microphone", "");

  /**
   * @param {import("./server_api.js").ServerApi} api
   * @param {import("./sound.js").Sound} sound
   * @param {ParticipantListener} listener
   */
  constructor(api, sound, listener) {
    this.sound = sound;
    this.listener = listener;
    this.room = new Room(api, {
      status: (status) => {
        this.status = status;
        listener.changed();
      },
      joined: (peer) => this.#joined(peer),
      trackAdded: (id, track) => {
        if (track.kind === "video") listener.video(id, track.track, track.peer);
        else void sound.add(id, track.peer, track.stream, true);
      },
      trackRemoved: (id) => {
        sound.remove(id);
        listener.video(id, null, "");
      },
      people: (names) => {
        this.names = new Map(names);
        listener.changed();
      },
    });
  }

  /**
   * Join. To be called in the handler of a click, or browsers let the page make no sound.
   * @param {string} name
   * @param {boolean} speaking Whether with a microphone.
   */
  async join(name, speaking) {
    if (this.opening || (this.status.name !== "out" && this.status.name !== "failed")) return;
    this.opening = true;
    this.listener.changed();
    const sounding = this.sound.start().catch(() => undefined);
    if (!speaking) this.trouble = null;
    const ready = !speaking || (await this.#openMicrophone());
    await sounding;
    this.opening = false;
    this.listener.changed();
    if (ready) await this.room.join(name);
  }

  /** Leave the room, and give the devices back. */
  leave() {
    this.talk(false);
    this.room.leave();
    this.sound.stop();
    this.#closeMicrophone();
    this.setCamera(false);
    this.muted = false;
    this.peer = "";
    this.listener.changed();
  }

  /** @param {boolean} muted */
  mute(muted) {
    if (this.microphone === null) return;
    this.muted = muted;
    this.microphone.enabled = !muted;
    this.room.pause("audio", muted);
    this.listener.changed();
  }

  /** @param {boolean} talking */
  talk(talking) {
    if (this.talking === talking) return;
    this.talking = talking;
    this.room.talk(talking);
    this.listener.changed();
  }

  /** @param {boolean} on */
  async setCamera(on) {
    if (!on) {
      if (this.camera === null) return;
      this.room.publish("video", null);
      this.camera.stop();
      this.camera = null;
      this.listener.video(OWN, null, "");
      this.listener.changed();
      return;
    }
    this.trouble = null;
    try {
      this.camera = await openCamera();
    } catch (error) {
      this.#fail(troubleOf(error, "camera"));
      return;
    }
    this.camera.onended = () => void this.setCamera(false);
    this.room.publish("video", this.camera);
    this.listener.video(OWN, this.camera, this.peer);
    this.listener.changed();
  }

  /**
   * Speak into another microphone.
   * @param {string} device
   */
  async choose(device) {
    this.device = device;
    remember("microphone", device);
    if (this.microphone === null) return;
    const before = this.microphone;
    if (await this.#openMicrophone()) {
      before.onended = null;
      before.stop();
    }
  }

  /** @returns {Promise<boolean>} Whether there is one. */
  async #openMicrophone() {
    try {
      this.microphone = await openMicrophone(this.device).catch((error) => {
        // The one that was chosen some day is not there any more: the system's own does.
        if (!this.device || !(error instanceof DOMException) || error.name !== "OverconstrainedError") throw error;
        return openMicrophone("");
      });
    } catch (error) {
      this.#fail(troubleOf(error, "microphone"));
      return false;
    }
    this.trouble = null;
    const track = this.microphone;
    track.enabled = !this.muted;
    track.onended = () => {
      this.#fail({ title: "The microphone was disconnected", advice: "Connect it again or choose another one." });
    };
    this.room.publish("audio", track);
    if (this.peer) await this.sound.add(OWN, this.peer, new MediaStream([track]), false);
    this.listener.changed();
    return true;
  }

  #closeMicrophone() {
    if (this.microphone === null) return;
    this.microphone.onended = null;
    this.microphone.stop();
    this.microphone = null;
    this.room.publish("audio", null);
  }

  /** @param {string} peer */
  #joined(peer) {
    this.peer = peer;
    this.peers.add(peer);
    if (this.microphone !== null) void this.sound.add(OWN, peer, new MediaStream([this.microphone]), false);
  }

  /** @param {Trouble} trouble */
  #fail(trouble) {
    this.trouble = trouble;
    this.listener.changed();
  }
}
