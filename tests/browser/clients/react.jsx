// The page of the react-client. What a test may do is in `window.app`, the same as in the page of the ts-client;
// everything goes through the hooks.
import {
  FishjamProvider, useCamera, useConnection, useDataChannel, useMicrophone, usePeers, useUpdatePeerMetadata, useVAD,
} from "@fishjam-cloud/react-client";
import { FishjamClient } from "@fishjam-cloud/ts-client";
import { useEffect, useMemo, useRef } from "react";
import { createRoot } from "react-dom/client";

import { log, logData, logEventsOf } from "./client_log.js";
import { colours } from "./picture.js";
import { Sound } from "./sound.js";

const FISHJAM = new URLSearchParams(location.search).get("fishjam");
const sound = await Sound.open();
// The provider's own default client, made here for its events to be logged.
const client = new FishjamClient({ reconnect: true });
logEventsOf(client);

/** Whatever the hooks gave at the latest rendering: tests reach it from outside React. */
let hooks = {};

function Page() {
  const connection = useConnection();
  const { localPeer, remotePeers } = usePeers();
  const microphone = useMicrophone();
  const camera = useCamera();
  const channels = useDataChannel();
  const { updatePeerMetadata } = useUpdatePeerMetadata();
  const ids = remotePeers.map(({ id }) => id).join();
  const speaking = useVAD({ peerIds: useMemo(() => ids.split(","), [ids]) });

  hooks = { connection, localPeer, remotePeers, microphone, camera, channels, updatePeerMetadata, speaking };
  return (
    <ul>
      {remotePeers.map(({ id, microphoneTrack }) => (
        <Peer key={id} id={id} stream={microphoneTrack?.stream} speaking={speaking[id]} />
      ))}
    </ul>
  );
}

function Peer({ id, stream, speaking }) {
  const heard = useRef(null);
  useEffect(() => {
    if (!stream || heard.current === stream) return;
    heard.current = stream;
    sound.hear(id, stream);
  }, [id, stream]);
  return <li className={speaking ? "speaking" : "quiet"}>{id}</li>;
}

/** Resolves when the hooks say so, at the latest rendering. */
async function until(condition) {
  while (!condition(hooks)) await new Promise((done) => setTimeout(done, 10));
}

window.app = {
  log,
  sound,
  startMicrophone: () => hooks.microphone.startMicrophone(),
  join: ({ token, metadata }) => hooks.connection.joinRoom({ peerToken: token, peerMetadata: metadata }),
  async publish() {
    const error = await hooks.microphone.toggleMicrophone();
    if (error) throw new Error(error.name);
    await until(({ microphone }) => microphone.isMicrophoneOn);
    await hooks.microphone.setMicrophoneTrackMiddleware(() => ({ track: sound.microphone() }));
  },
  mute: () => hooks.microphone.toggleMicrophoneMute(),
  unmute: () => hooks.microphone.toggleMicrophoneMute(),
  async showCamera() {
    const error = await hooks.camera.toggleCamera();
    if (error) throw new Error(error.name);
  },
  colours: () => colours(hooks.camera.cameraStream.getVideoTracks()[0]),
  async openData() {
    hooks.channels.subscribeData((bytes) => logData("reliable", bytes), { reliable: true });
    hooks.channels.subscribeData((bytes) => logData("lossy", bytes), { reliable: false });
    hooks.channels.initializeDataChannel();
    await until(({ channels }) => channels.dataChannelReady);
  },
  sendData: (text, reliable) => hooks.channels.publishData(new TextEncoder().encode(text), { reliable }),
  updateMetadata: (metadata) => hooks.updatePeerMetadata(metadata),
  peers: () =>
    hooks.remotePeers.map(({ id, metadata, tracks }) => ({
      id,
      metadata,
      speaking: hooks.speaking[id] ?? false,
      tracks: tracks.map(({ trackId, metadata }) => ({ trackId, metadata })),
    })),
  leave: () => hooks.connection.leaveRoom(),
};

createRoot(document.getElementById("root")).render(
  <FishjamProvider fishjamId={FISHJAM} fishjamClient={client}>
    <Page />
  </FishjamProvider>,
);
