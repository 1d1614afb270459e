// Microphones, cameras and loudspeakers of this machine, and what goes wrong with them in words that help.

/** @typedef {{ title: string, advice: string }} Trouble */

/**
 * Why this browser cannot take part at all; undefined where it can.
 * @returns {Trouble | undefined}
 */
export function missingAbility() {
  if (!window.isSecureContext) {
    return {
      title: "Browsers give no microphone to this address",
      advice:
        "Open the page by https:// or on this machine by http://127.0.0.1 to speak. You can watch the call here.",
    };
  }
  if (!("RTCPeerConnection" in window) || !navigator.mediaDevices || !("AudioWorkletNode" in window)) {
    return {
      title: "This browser has no WebRTC",
      advice:
        "Open the link in a current Chrome, Edge, Firefox or Safari to speak. You can watch the call here.",
    };
  }
  return undefined;
}

/**
 * What went wrong when a device was asked for.
 * @param {unknown} error
 * @param {"microphone" | "camera"} device
 * @returns {Trouble}
 */
export function troubleOf(error, device) {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return {
        title: `The browser does not let this page use the ${device}`,
        advice: `Allow the ${device} in the settings beside the address, then try again.`,
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return { title: `There is no ${device}`, advice: `Connect a ${device}, then try again.` };
    case "NotReadableError":
    case "AbortError":
      return {
        title: `The ${device} is in use`,
        advice: `Close the program that uses the ${device}, then try again.`,
      };
    default:
      return {
        title: `The ${device} cannot be opened`,
        advice: error instanceof Error ? error.message : String(error),
      };
  }
}

/**
 * Open a microphone, with the browser's echo canceller.
 * @param {string} device Its id; empty for the system's own.
 */
export async function openMicrophone(device) {
  const audio = {
    deviceId: device ? { exact: device } : undefined,
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
  };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  return stream.getAudioTracks()[0];
}

/** Open a camera. */
export async function openCamera() {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 15 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video });
  return stream.getVideoTracks()[0];
}

/** Whether this browser can play on a loudspeaker of one's choice. */
export const CHOOSES_SPEAKER = "setSinkId" in HTMLMediaElement.prototype;

/**
 * The devices of a kind. Browsers name them once the microphone was allowed.
 * @param {"audioinput" | "audiooutput"} kind
 * @returns {Promise<Array<{ id: string, name: string }>>}
 */
export async function devices(kind) {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind);
  const noun = kind === "audioinput" ? "Microphone" : "Loudspeaker";
  return found.map((device, index) => ({
    id: device.deviceId,
    name: device.label || `${noun} ${index + 1}`,
  }));
}
