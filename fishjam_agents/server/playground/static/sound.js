// Plays the others, and measures everybody's level on the time of the call.

import { LevelHistory } from "./level_history.js";

/**
 * @typedef {{ element: HTMLAudioElement | null, source: MediaStreamAudioSourceNode | null,
 *   meter: AudioWorkletNode | null, peer: string }} Played
 */

/** Peers whose levels are kept. */
const MOST_HISTORIES = 24;

export class Sound {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {Promise<void> | null} */
  #ready = null;
  /** @type {Map<string, Played>} */
  #played = new Map();
  #speaker = "";
  /**
   * Meters for the next sounds: Chromium keeps one and its processor as long as the context, whatever is let go.
   * @type {AudioWorkletNode[]}
   */
  #idle = [];
  /** @type {Map<string, LevelHistory>} */
  levels = new Map();

  /** @param {import("./call_clock.js").CallClock} clock */
  constructor(clock) {
    this.clock = clock;
  }

  /** Begin. Browsers let no page make a sound before somebody clicked. */
  async start() {
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
    this.#ready ??= this.#context.audioWorklet.addModule(new URL("./level_worklet.js", import.meta.url).href);
    await Promise.all([this.#context.resume(), this.#ready]);
  }

  /** End, and give back what Chromium keeps as long as the context: a node for each sound there was. */
  stop() {
    for (const id of [...this.#played.keys()]) this.remove(id);
    void this.#context?.close();
    this.#context = this.#ready = null;
    this.#idle = [];
  }

  /** Go on after the system has suspended the sound, as phones do. */
  resume() {
    if (this.#context?.state === "suspended") void this.#context.resume();
    for (const { element } of this.#played.values()) if (element?.paused) void element.play().catch(() => {});
  }

  /**
   * The levels of a peer, of whom nothing needs to be heard yet.
   * @param {string} peer
   */
  levelsOf(peer) {
    let history = this.levels.get(peer);
    if (history === undefined) {
      history = new LevelHistory();
      this.levels.set(peer, history);
      // In a long call people come and go; nobody looks back at those who left first.
      const [eldest] = this.levels.keys();
      if (this.levels.size > MOST_HISTORIES) this.levels.delete(eldest);
    }
    return history;
  }

  /**
   * Measure a sound, and play it unless it is one's own.
   * @param {string} id
   * @param {string} peer
   * @param {MediaStream} stream
   * @param {boolean} played
   */
  async add(id, peer, stream, played) {
    this.remove(id);
    // Without an element that plays it, Chromium gives a remote stream no samples (crbug.com/933677).
    const element = played ? new Audio() : null;
    /** @type {Played} */
    const item = { element, source: null, meter: null, peer };
    this.#played.set(id, item);
    if (element !== null) {
      element.srcObject = stream;
      element.autoplay = true;
      void this.#route(element);
      void element.play().catch(() => {});
    }
    try {
      await this.start();
    } catch {
      // It is heard, and not measured.
      return;
    }
    if (this.#context === null || this.#played.get(id) !== item) return;
    this.#measure(this.#context, item, stream);
  }

  /**
   * Play and measure a sound no longer.
   * @param {string} id
   */
  remove(id) {
    const item = this.#played.get(id);
    if (item === undefined) return;
    this.#played.delete(id);
    item.source?.disconnect();
    if (item.meter !== null) {
      item.meter.port.onmessage = null;
      this.#idle.push(item.meter);
    }
    if (item.element !== null) {
      item.element.pause();
      item.element.srcObject = null;
    }
  }

  /**
   * Play on another loudspeaker, where the browser can.
   * @param {string} device
   */
  async playOn(device) {
    this.#speaker = device;
    await Promise.all([...this.#played.values()].map(({ element }) => element && this.#route(element)));
  }

  /** @param {HTMLAudioElement} element */
  async #route(element) {
    if (!("setSinkId" in element)) return;
    try {
      await element.setSinkId(this.#speaker);
    } catch {
      // A loudspeaker that was unplugged: the system's own plays on.
    }
  }

  /** @param {AudioContext} context @param {Played} item @param {MediaStream} stream */
  #measure(context, item, stream) {
    const source = context.createMediaStreamSource(stream);
    const meter = this.#idle.pop() ?? newMeter(context);
    source.connect(meter);
    item.source = source;
    item.meter = meter;
    const history = this.levelsOf(item.peer);
    meter.port.onmessage = (/** @type {MessageEvent<[number, number]>} */ { data: [ended, peak] }) => {
      const ago = Math.max(context.currentTime - ended, 0);
      const now = this.clock.now();
      if (now > 0) history.put(now - ago, peak);
    };
  }
}

/** @param {AudioContext} context */
function newMeter(context) {
  const meter = new AudioWorkletNode(context, "level", { numberOfOutputs: 1, outputChannelCount: [1] });
  // It outputs silence; but what leads nowhere is not run.
  meter.connect(context.destination);
  return meter;
}
