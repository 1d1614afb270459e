// The page of a demo without a backend: the sandbox and the livestreams of the react-client.
import {
  FishjamProvider, useConnection, useLivestreamStreamer, useLivestreamViewer, useSandbox,
} from "@fishjam-cloud/react-client";
import { createRoot } from "react-dom/client";

import { log } from "./client_log.js";
import { Sound } from "./sound.js";

const options = new URLSearchParams(location.search);
const sound = await Sound.open();
const audio = new MediaStream([sound.microphone()]);

function Page() {
  const connection = useConnection();
  const sandbox = useSandbox();
  const streamer = useLivestreamStreamer();
  const viewer = useLivestreamViewer();
  window.app = {
    log,
    sound,
    state: { peer: connection.peerStatus, streams: streamer.isConnected, watches: viewer.isConnected },
    peerToken: (room, peer, type) => sandbox.getSandboxPeerToken(room, peer, type),
    viewerToken: (room) => sandbox.getSandboxViewerToken(room),
    livestream: (room, isPublic) => sandbox.getSandboxLivestream(room, isPublic),
    join: (peerToken) => connection.joinRoom({ peerToken }),
    stream: (token) => streamer.connect({ inputs: { audio }, token }),
    watch: (how) => viewer.connect(how),
    hear: () => sound.hear("stream", viewer.stream),
  };
  return null;
}

createRoot(document.getElementById("root")).render(
  <FishjamProvider fishjamId={options.get("fishjam")}>
    <Page />
  </FishjamProvider>,
);
