// The sound of a page: a microphone that says what it is given, and a recording of what is heard.

export const RATE = 48000;
const INPUTS = 8;

export class Sound {
  /** Resolves when the microphone runs and everything is recorded. */
  static async open() {
    const context = new AudioContext({ sampleRate: RATE });
    await context.audioWorklet.addModule("recorder.js");
    return new Sound(context);
  }

  constructor(context) {
    this.context = context;
    this.output = context.createMediaStreamDestination();
    this.recorder = new AudioWorkletNode(context, "recorder", {
      numberOfInputs: INPUTS,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.inputs = new Map([["microphone", 0]]);
    this.blocks = [];
    this.recorder.port.onmessage = ({ data }) => this.blocks.push(data);
    this.recorder.connect(context.destination);
    this.voice = context.createGain();
    this.voice.connect(this.output);
    this.voice.connect(this.recorder, 0, 0);
    // Without a source that always runs the track sends nothing between two sounds.
    const silence = new ConstantSourceNode(context, { offset: 0 });
    silence.connect(this.voice);
    silence.start();
  }

  /** The sample of the recording that is being played. */
  now() {
    return Math.round(this.context.currentTime * RATE);
  }

  /** A new track of the microphone. */
  microphone() {
    return this.output.stream.clone().getAudioTracks()[0];
  }

  /** Say 16-bit mono samples, given as base64; resolves to the moment they begin, in samples of the recording. */
  say(base64, rate) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const samples = new Int16Array(bytes.buffer);
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(Float32Array.from(samples, (s) => s / 32768), 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    const at = this.context.currentTime + 0.05;
    source.connect(this.voice);
    source.start(at);
    return Math.round(at * RATE);
  }

  /** Play a remote track, and record it under a name; a later track of that name takes its place. */
  hear(name, stream) {
    // Chromium decodes a remote track only while an element plays it.
    const audio = new Audio();
    audio.srcObject = stream;
    audio.play();
    const input = this.inputs.get(name) ?? this.inputs.size;
    if (input >= INPUTS) throw new Error(`more than ${INPUTS - 1} remote tracks`);
    this.inputs.set(name, input);
    const source = this.context.createMediaStreamSource(stream);
    source.connect(this.recorder, 0, input);
  }

  /** Whatever was recorded so far: where it starts, and 16-bit samples in base64 by name. */
  recording() {
    const start = this.blocks[0]?.start ?? 0;
    const tracks = {};
    for (const [name, input] of this.inputs) {
      tracks[name] = base64(this.blocks.map(({ start: at, blocks }) => [at - start, blocks[input]]));
    }
    return { start, tracks };
  }
}

/** Blocks as 16-bit samples, each at its place: a context that has just begun leaves some out. */
function base64(blocks) {
  const [last, block] = blocks.at(-1) ?? [0, []];
  const samples = new Int16Array(last + block.length);
  for (const [at, values] of blocks) {
    values.forEach((value, n) => (samples[at + n] = Math.max(-1, Math.min(1, value)) * 32767));
  }
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (let n = 0; n < bytes.length; n += 32768) {
    text += String.fromCharCode(...bytes.subarray(n, n + 32768));
  }
  return btoa(text);
}
