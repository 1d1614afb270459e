// What a page says and hears, on the sample clock of its AudioContext: input 0 is the microphone, the others
// are remote tracks. An input without a source is recorded as silence, so that all stay aligned.
const BLOCK = 4800;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blocks = [];
    this.at = 0;
  }

  process(inputs) {
    if (this.at === 0) {
      this.start = currentFrame;
      this.blocks = inputs.map(() => new Float32Array(BLOCK));
    }
    inputs.forEach(([samples], n) => {
      if (samples !== undefined) this.blocks[n].set(samples, this.at);
    });
    this.at += 128;
    if (this.at + 128 > BLOCK) {
      const blocks = this.blocks.map((block) => block.slice(0, this.at));
      this.port.postMessage({ start: this.start, blocks }, blocks.map((block) => block.buffer));
      this.at = 0;
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
