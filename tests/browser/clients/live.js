// The page of the web client's livestreams (WHIP and WHEP): what a test may do is in `window.app`.
import { publishLivestream, receiveLivestream } from "@fishjam-cloud/ts-client";

import { log } from "./client_log.js";
import { Sound } from "./sound.js";

const sound = await Sound.open();
const stream = new MediaStream([sound.microphone()]);
const states = [];
const callbacks = { onConnectionStateChange: (pc) => states.push(pc.connectionState) };
let stop;

window.app = {
  log,
  sound,
  states,
  async publish(url, token) {
    ({ stopPublishing: stop } = await publishLivestream(stream, url, token, callbacks));
  },
  async watch(url, token) {
    const watched = await receiveLivestream(url, token, callbacks);
    stop = watched.stop;
    sound.hear("stream", watched.stream);
  },
  stop: () => stop(),
};
