// Measures a sound in the audio thread: its peak in every 20 ms, with the time at which they ended.

const SECONDS = 0.02;

class LevelProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.peak = 0;
    this.left = Math.round(SECONDS * sampleRate);
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const samples = inputs[0]?.[0];
    // Without an input it waits for the next one.
    if (samples === undefined) return true;
    const { length } = samples;
    for (let index = 0; index < length; index++) {
      const value = Math.abs(samples[index]);
      if (value > this.peak) this.peak = value;
    }
    this.left -= length;
    if (this.left <= 0) {
      this.port.postMessage([currentTime + length / sampleRate, this.peak]);
      this.peak = 0;
      this.left += Math.round(SECONDS * sampleRate);
    }
    return true;
  }
}

registerProcessor("level", LevelProcessor);
