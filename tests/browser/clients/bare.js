// A page without any client: one offer over a WebSocket, one answer, and both directions on one media section.
import { log } from "./client_log.js";
import { Sound } from "./sound.js";

const sound = await Sound.open();

window.app = {
  log,
  sound,
  async join({ url }) {
    const socket = new WebSocket(url.replace("http", "ws"));
    await new Promise((done, fail) => Object.assign(socket, { onopen: done, onerror: fail }));
    const connection = new RTCPeerConnection();
    connection.ontrack = ({ track }) => {
      sound.hear("echo", new MediaStream([track]));
      log.events.push({ name: "trackReady", at: performance.now() });
    };
    connection.addTransceiver(sound.microphone(), { direction: "sendrecv" });
    await connection.setLocalDescription();
    while (connection.iceGatheringState !== "complete") {
      await new Promise((done) => connection.addEventListener("icegatheringstatechange", done, { once: true }));
    }
    socket.send(connection.localDescription.sdp);
    const { data } = await new Promise((done) => (socket.onmessage = done));
    await connection.setRemoteDescription({ type: "answer", sdp: data });
  },
};
