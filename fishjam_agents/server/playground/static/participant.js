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
/** Names that are remembered. */
const MOST_NAMES = 500;

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
  /** Counts the times in the room: what was asked for in one is not for the next. */
  #stay = 0;
  #openingCamera = false;

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
        // Who is out for good holds no device.
        if (status.name === "failed") this.#release();
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
        this.#remember(names);
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
    const stay = ++this.#stay;
    // Levels come when it has begun; nobody waits for that, since it needs a loudspeaker.
    void this.sound.start().catch(() => undefined);
    if (!speaking) this.trouble = null;
    const ready = !speaking || (await this.#openMicrophone());
    this.opening = false;
    this.listener.changed();
    if (ready && stay === this.#stay) await this.room.join(name);
  }

  /** Leave the room, and give the devices back. */
  leave() {
    this.talk(false);
    this.room.leave();
    this.#release();
    this.listener.changed();
  }

  #release() {
    this.#stay++;
    this.sound.stop();
    this.#closeMicrophone();
    void this.setCamera(false);
    this.muted = false;
    this.peer = "";
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
    if (this.#openingCamera) return;
    this.#openingCamera = true;
    this.trouble = null;
    const stay = this.#stay;
    try {
      const camera = await openCamera();
      // Who left while the browser asked is not filmed.
      if (stay !== this.#stay) return camera.stop();
      this.camera = camera;
    } catch (error) {
      return this.#fail(troubleOf(error, "camera"));
    } finally {
      this.#openingCamera = false;
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
    const [before, chosen] = [this.microphone, this.device];
    this.device = device;
    if (before !== null && !(await this.#openMicrophone())) {
      this.device = chosen;
      return;
    }
    remember("microphone", device);
    if (before === null || before === this.microphone) return;
    before.onended = null;
    before.stop();
  }

  /** @returns {Promise<boolean>} Whether there is one. */
  async #openMicrophone() {
    const stay = this.#stay;
    try {
      const opened = await openMicrophone(this.device).catch((error) => {
        // The one that was chosen some day is not there any more: the system's own does.
        if (!this.device || !(error instanceof DOMException) || error.name !== "OverconstrainedError")
          throw error;
        return openMicrophone("");
      });
      if (stay !== this.#stay) {
        opened.stop();
        return false;
      }
      this.microphone = opened;
    } catch (error) {
      this.#fail(troubleOf(error, "microphone"));
      return false;
    }
    this.trouble = null;
    const track = this.microphone;
    track.enabled = !this.muted;
    track.onended = () => {
      this.#fail({
        title: "The microphone was disconnected",
        advice: "Connect it again or choose another one.",
      });
    };
    this.room.publish("audio", track);
    if (this.peer) void this.sound.add(OWN, this.peer, new MediaStream([track]), false);
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

  /**
   * Names stay known when people leave: what they said stays, too.
   * @param {ReadonlyMap<string, string>} names
   */
  #remember(names) {
    const known = [...this.names, ...[...names].filter(([, name]) => name !== "")];
    this.names = new Map(known.slice(-MOST_NAMES));
  }

  /** @param {Trouble} trouble */
  #fail(trouble) {
    this.trouble = trouble;
    this.listener.changed();
  }
}
