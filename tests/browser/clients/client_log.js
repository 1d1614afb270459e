// Every event of a client, in order, for the tests to read.

const EVENTS = [
  "connectionStarted", "socketOpen", "socketClose", "socketError", "authSuccess", "authError", "joined", "joinError",
  "disconnected", "reconnectionStarted", "reconnected", "reconnectionRetriesLimitReached", "connectionError",
  "peerJoined", "peerLeft", "peerUpdated", "trackAdded", "trackReady", "trackRemoved", "trackUpdated",
  "localTrackAdded", "localTrackMuted", "localTrackUnmuted", "dataChannelsReady", "dataChannelsError",
];

export const log = { events: [], errors: [], data: [] };

addEventListener("error", (event) => log.errors.push(String(event.error ?? event.message)));
addEventListener("unhandledrejection", (event) => log.errors.push(String(event.reason)));

export function logEventsOf(client) {
  for (const name of EVENTS) {
    client.on(name, (value) => log.events.push({ name, at: performance.now(), ...described(value) }));
  }
}

function described(value) {
  if (typeof value === "string") return { value };
  if (value instanceof CloseEvent) return { code: value.code, value: value.reason };
  if (value instanceof Error) return { value: value.message };
  const { id, endpoint, trackId, metadata } = value ?? {};
  return { peer: endpoint?.id ?? id, track: trackId, metadata };
}

/** Data that came over a channel, as text. */
export function logData(channel, bytes) {
  log.data.push({ channel, text: new TextDecoder().decode(bytes) });
}
