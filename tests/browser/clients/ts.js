// The page of the ts-client: what a test may do is in `window.app`, the same as in the page of the react-client.
import { FishjamClient } from "@fishjam-cloud/ts-client";

import { log, logData, logEventsOf } from "./client_log.js";
import { colours } from "./picture.js";
import { Sound } from "./sound.js";

const client = new FishjamClient({ reconnect: { addTracksOnReconnect: true } });
logEventsOf(client);

// A page that is given a token joins before it does anything else.
const options = new URLSearchParams(location.search);
if (options.has("token")) join({ url: options.get("fishjam"), token: options.get("token") });

const sound = await Sound.open();
const microphone = sound.microphone();
let microphoneId;
let camera;

client.on("trackReady", ({ endpoint, track, stream }) => {
  if (track.kind === "audio") sound.hear(endpoint.id, stream);
});
client.on("localTrackAdded", ({ trackId, track }) => {
  if (track === microphone) microphoneId = trackId;
});

function join({ url, token, metadata }) {
  return client.connect({ url: url.replace("http", "ws"), token, peerMetadata: metadata });
}

window.app = {
  log,
  sound,
  join,
  publish: () => client.addTrack(microphone, { type: "microphone", paused: false }),
  async mute() {
    await client.replaceTrack(microphoneId, null);
    client.updateTrackMetadata(microphoneId, { type: "microphone", paused: true });
  },
  async unmute() {
    await client.replaceTrack(microphoneId, microphone);
    client.updateTrackMetadata(microphoneId, { type: "microphone", paused: false });
  },
  async showCamera() {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    [camera] = stream.getVideoTracks();
    await client.addTrack(camera, { type: "camera", paused: false });
  },
  colours: () => colours(camera),
  async openData() {
    client.subscribeData((bytes) => logData("reliable", bytes), { reliable: true });
    client.subscribeData((bytes) => logData("lossy", bytes), { reliable: false });
    await client.createDataChannels();
  },
  sendData: (text, reliable) => client.publishData(new TextEncoder().encode(text), { reliable }),
  updateMetadata: (metadata) => client.updatePeerMetadata(metadata),
  peers: () =>
    Object.values(client.getRemotePeers()).map((peer) => ({
      id: peer.id,
      metadata: peer.metadata,
      speaking: [...peer.tracks.values()].some((track) => track.vadStatus === "speech"),
      tracks: [...peer.tracks.values()].map(({ trackId, metadata }) => ({ trackId, metadata })),
    })),
  leave: () => client.disconnect(),
};
