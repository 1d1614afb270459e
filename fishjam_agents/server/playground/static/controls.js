// Buttons and fields of the page: what they do, and what they show.

import { CHOOSES_SPEAKER, devices } from "./devices.js";
import { element, get, write } from "./dom.js";
import { remember, remembered } from "./storage.js";

/**
 * @typedef {import("./participant.js").Participant} Participant
 * @typedef {import("./call_feed.js").Controls} Offered
 * @typedef {{ participant: Participant, offered: Offered, open: boolean, able: boolean }} Shown
 * @typedef {{ interrupt: () => void, write: (text: string) => boolean, playOn: (device: string) => void }} Deeds
 */

const IN_ROOM = new Set(["joining", "joined", "waiting"]);

export class Controls {
  #listed = false;

  /**
   * @param {Participant} participant
   * @param {Deeds} deeds
   */
  constructor(participant, deeds) {
    this.participant = participant;
    this.deeds = deeds;
    this.name = get("name", HTMLInputElement);
    this.form = get("join", HTMLFormElement);
    this.joinButton = get("join-button", HTMLButtonElement);
    this.listening = get("join-listening", HTMLButtonElement);
    this.toolbar = get("controls", HTMLDivElement);
    this.muteButton = get("mute", HTMLButtonElement);
    this.cameraButton = get("camera", HTMLButtonElement);
    this.interruptButton = get("interrupt", HTMLButtonElement);
    this.talkButton = get("talk", HTMLButtonElement);
    this.writing = get("write", HTMLFormElement);
    this.text = get("text", HTMLInputElement);
    this.panel = get("devices", HTMLDetailsElement);
    this.microphones = get("microphone", HTMLSelectElement);
    this.speakers = get("speaker", HTMLSelectElement);
    this.meter = get("level", HTMLElement);
    this.name.value = remembered("name", "");
    this.#listen();
  }

  /** Join with a microphone, as the button does. */
  join() {
    const name = this.name.value.trim();
    remember("name", name);
    void this.participant.join(name, true);
  }

  /** @param {Shown} shown */
  show({ participant, offered, open, able }) {
    const inRoom = IN_ROOM.has(participant.status.name);
    this.form.hidden = inRoom || !able;
    this.toolbar.hidden = !inRoom;
    this.joinButton.disabled = !open || participant.opening;
    write(this.joinButton, participant.opening ? "Opening the microphone" : "Join the call");
    // Who cannot speak here can listen, and write where the bot reads.
    this.listening.hidden = !open || (participant.trouble === null && !offered.text);
    this.panel.hidden = !inRoom || participant.microphone === null;
    this.muteButton.hidden = participant.microphone === null;
    this.muteButton.setAttribute("aria-pressed", String(participant.muted));
    write(this.muteButton.lastElementChild ?? this.muteButton, participant.muted ? "Unmute" : "Mute");
    this.cameraButton.hidden = !offered.camera;
    this.cameraButton.setAttribute("aria-pressed", String(participant.camera !== null));
    write(
      this.cameraButton.lastElementChild ?? this.cameraButton,
      participant.camera === null ? "Camera" : "Camera off",
    );
    this.interruptButton.hidden = !offered.interrupt;
    this.talkButton.hidden = !offered.push_to_talk || participant.microphone === null;
    this.talkButton.disabled = participant.status.name !== "joined" || participant.muted;
    this.talkButton.setAttribute("aria-pressed", String(participant.talking));
    write(this.talkButton, participant.talking ? "Release to end" : "Hold to talk");
    // The bot says nothing to a room with nobody in it.
    this.writing.hidden = !offered.text || !open || !inRoom;
    if (inRoom && participant.microphone !== null && !this.#listed) void this.list();
    if (!inRoom) this.#listed = false;
  }

  /** @param {number} level How loud the microphone is, 0 to 1. */
  level(level) {
    if (this.panel.open) this.meter.style.width = `${Math.min(100 * level ** 0.5, 100)}%`;
  }

  /** Say which devices there are. */
  async list() {
    this.#listed = true;
    fill(this.microphones, await devices("audioinput"), this.participant.device, "Microphone of the system");
    get("speaker-field", HTMLLabelElement).hidden = !CHOOSES_SPEAKER;
    if (CHOOSES_SPEAKER) {
      fill(
        this.speakers,
        await devices("audiooutput"),
        remembered("speaker", ""),
        "Loudspeaker of the system",
      );
    }
  }

  #listen() {
    const { participant } = this;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.join();
    });
    this.listening.addEventListener("click", () => void participant.join(this.name.value.trim(), false));
    this.muteButton.addEventListener("click", () => participant.mute(!participant.muted));
    this.cameraButton.addEventListener(
      "click",
      () => void participant.setCamera(participant.camera === null),
    );
    this.interruptButton.addEventListener("click", () => this.deeds.interrupt());
    get("leave", HTMLButtonElement).addEventListener("click", () => participant.leave());
    this.writing.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.text.value.trim();
      if (text && this.deeds.write(text)) this.text.value = "";
    });
    this.microphones.addEventListener("change", async () => {
      await participant.choose(this.microphones.value);
      await this.list();
    });
    this.speakers.addEventListener("change", () => {
      remember("speaker", this.speakers.value);
      this.deeds.playOn(this.speakers.value);
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#listed && void this.list());
    this.#holdToTalk();
  }

  #holdToTalk() {
    const { participant, talkButton } = this;
    talkButton.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      talkButton.setPointerCapture(event.pointerId);
      participant.talk(true);
    });
    // Every way a pointer may end; a button that stays pressed would hold the turn for ever.
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      talkButton.addEventListener(name, () => participant.talk(false));
    }
    talkButton.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      participant.talk(true);
    });
    talkButton.addEventListener("keyup", () => participant.talk(false));
    talkButton.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

/** @param {HTMLSelectElement} select @param {Array<{ id: string, name: string }>} found @param {string} chosen @param {string} own */
function fill(select, found, chosen, own) {
  const listed = found.filter(({ id }) => id !== "" && id !== "default");
  select.replaceChildren(
    ...[{ id: "", name: own }, ...listed].map(({ id, name }) => element("option", { value: id }, name)),
  );
  select.value = listed.some(({ id }) => id === chosen) ? chosen : "";
}
