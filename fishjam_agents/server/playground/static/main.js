// The playground page: the call's events become a picture of the call, and a click makes one a part of it.

import { botState } from "./bot_state.js";
import { reduce } from "./call.js";
import { CallClock } from "./call_clock.js";
import { CallFeed } from "./call_feed.js";
import { NO_CALL } from "./call_model.js";
import { Controls } from "./controls.js";
import { missingAbility } from "./devices.js";
import { element, foreign, get, write } from "./dom.js";
import { EventLog } from "./event_log.js";
import { Figures } from "./figures.js";
import { openKeyboard } from "./keyboard.js";
import { clockTime } from "./latency.js";
import { Notices } from "./notices.js";
import { Participant } from "./participant.js";
import { People } from "./people.js";
import { openSaving } from "./saving.js";
import { ServerApi, tokenIn } from "./server_api.js";
import { aboutDevices, aboutFeed, aboutRoom, connectionOf, NO_LINK } from "./situations.js";
import { Sound } from "./sound.js";
import { Stage } from "./stage.js";
import { remembered } from "./storage.js";
import { openTheme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

/**
 * @typedef {import("./call_feed.js").Controls} Offered
 * @typedef {import("./call_feed.js").FeedStatus} FeedStatus
 * @typedef {import("./call_feed.js").Hello} Hello
 */

/** @type {Offered} */
const NOTHING = { push_to_talk: false, text: false, interrupt: false, camera: false };

class Page {
  call = NO_CALL;
  /** @type {FeedStatus} */
  feedStatus = { name: "connecting", reason: "" };
  offered = NOTHING;
  guest = false;
  welcomed = false;
  about = { id: "", room: "", bot: "", botPeer: "" };
  dirty = true;
  botState = "";

  constructor() {
    this.token = tokenIn(location.hash);
    this.api = new ServerApi(this.token);
    this.clock = new CallClock();
    this.sound = new Sound(this.clock);
    this.trouble = missingAbility();
    const changed = () => (this.dirty = true);
    this.participant = new Participant(this.api, this.sound, { changed, video: showVideo });
    this.people = new People(this.participant, () => this.about);
    this.feed = new CallFeed(this.token, {
      status: (status) => this.#feedChanged(status),
      hello: (hello) => this.#begin(hello),
      events: (events, now) => {
        this.clock.set(now);
        for (const event of events) this.#take(event);
      },
      clock: (now) => this.clock.set(now),
      error: (message) => this.notices.tell(message, "warn"),
    });
    this.notices = new Notices();
    this.stage = new Stage(this.people.nameOf);
    this.transcript = new Transcript(this.people.nameOf, this.people.colourOf);
    this.figures = new Figures(this.people.nameOf);
    this.log = new EventLog(this.people.nameOf);
    this.time = get("clock", HTMLParagraphElement);
    this.main = get("main", HTMLElement);
    this.controls = new Controls(this.participant, {
      interrupt: () => this.#interrupt(),
      write: (text) => this.#write(text),
      playOn: (device) => void this.sound.playOn(device),
    });
    this.timeline = new Timeline(() => {
      const now = this.clock.now();
      const { bot, botPeer } = this.about;
      const people = this.people.lanes(this.call, now);
      return { call: this.call, people, bot, botPeer, now, levels: this.sound.levels };
    });
  }

  open() {
    openTheme(() => this.timeline.refresh());
    openKeyboard(this.#shortcuts());
    openSaving(this.api, this.notices, () => this.about.id);
    void this.sound.playOn(remembered("speaker", ""));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.sound.resume();
    });
    window.addEventListener("hashchange", () => location.reload());
    window.addEventListener("pagehide", () => this.participant.leave());
    if (this.token) this.feed.open();
    else this.feedStatus = { name: "refused", reason: "" };
    const frame = (/** @type {number} */ time) => {
      requestAnimationFrame(frame);
      this.#frame(time);
    };
    requestAnimationFrame(frame);
  }

  /** @param {Hello} hello */
  #begin(hello) {
    this.about = {
      id: String(hello.call.id ?? ""),
      room: String(hello.call.room),
      bot: String(hello.call.bot),
      botPeer: String(hello.call.bot_peer),
    };
    this.offered = { ...NOTHING, ...hello.controls };
    this.guest = hello.guest === true;
    this.welcomed = true;
    this.clock.forget();
    this.clock.set(hello.now);
    this.call = NO_CALL;
    this.log.clear(Number(hello.dropped) || 0);
    for (const event of hello.events) this.#take(event);
    this.dirty = true;
  }

  /** @param {unknown} event */
  #take(event) {
    this.call = reduce(this.call, event);
    this.log.add(event);
    this.dirty = true;
  }

  /** @param {FeedStatus} status */
  #feedChanged(status) {
    this.feedStatus = status;
    this.dirty = true;
    if (status.name === "over" || (status.name === "refused" && this.welcomed)) {
      this.clock.stop();
      this.participant.leave();
    }
  }

  #interrupt() {
    if (!this.feed.send({ type: "interrupt" }))
      this.notices.tell("There is no connection: nothing was interrupted.", "warn");
  }

  /** @param {string} text */
  #write(text) {
    const sent = this.feed.send({ type: "text", text, peer: this.participant.peer });
    if (!sent) this.notices.tell("There is no connection: the text was not sent.", "warn");
    return sent;
  }

  /** @param {number} time */
  #frame(time) {
    const now = this.clock.now();
    this.#showState(now);
    if (this.dirty) {
      this.dirty = false;
      this.#show(now);
    }
    this.log.show();
    write(this.time, clockTime(now));
    this.timeline.frame(time);
  }

  /** @param {number} now */
  #showState(now) {
    const { participant, offered, call } = this;
    const bot = botState(call, now);
    // Some states end without an event.
    if (bot.name !== this.botState) this.dirty = true;
    this.botState = bot.name;
    const joined = participant.status.name === "joined";
    this.stage.show({
      ...{ bot, now, joined, silent: participant.microphone === null },
      ...{ muted: participant.muted, talking: participant.talking },
      ...{
        begun: now > 0 || call.ended !== null,
        pushToTalk: offered.push_to_talk,
        interrupts: offered.interrupt,
      },
      ended: this.feedStatus.reason || call.ended?.reason || "",
      lost: this.#lost(),
    });
    const own = this.sound.levels.get(participant.peer)?.latest(now) ?? 0;
    const heard = bot.name === "hearing" && bot.peer ? bot.peer : participant.peer;
    const level = bot.name === "speaking" ? this.about.botPeer : heard;
    this.stage.level(this.sound.levels.get(level)?.latest(now) ?? 0);
    this.controls.level(own);
  }

  /** @returns {"server" | "call" | null} What this page has heard of before, and does not any more. */
  #lost() {
    const { name } = this.feedStatus;
    if (!this.welcomed || name === "open" || name === "over") return null;
    return name === "refused" ? "call" : "server";
  }

  /** @param {number} now */
  #show(now) {
    const { participant, call, feedStatus } = this;
    const open = feedStatus.name === "open";
    const room = participant.status.name;
    this.main.dataset.feed = feedStatus.name;
    this.main.dataset.room = room;
    document.title = this.about.bot ? `${this.about.bot} · playground` : "Playground";
    write(get("bot", HTMLElement), this.about.bot || "Playground");
    const connection = connectionOf(feedStatus.name, room);
    const chip = get("connection", HTMLElement);
    chip.dataset.tone = connection.tone;
    write(chip, this.guest && open ? `${connection.words} as a guest` : connection.words);
    const facts = [
      this.about.id && `call ${this.about.id}`,
      this.about.room && `room ${this.about.room.slice(0, 8)}`,
    ];
    write(get("facts", HTMLElement), facts.filter(Boolean).join(" · "));
    for (const id of ["save-report", "save-call"]) get(id, HTMLButtonElement).hidden = !open;
    get("guest", HTMLButtonElement).hidden = !open || this.guest;
    this.#notify();
    this.controls.show({ participant, offered: this.offered, open, able: this.trouble === undefined });
    this.transcript.show(call, now, this.people.key);
    this.figures.show(call);
  }

  #notify() {
    const { participant, feedStatus } = this;
    const join = () => this.controls.join();
    this.notices.set(
      "ability",
      this.trouble ? { tone: "warn", title: `${this.trouble.title}.`, advice: this.trouble.advice } : null,
    );
    this.notices.set(
      "feed",
      this.token ? aboutFeed(feedStatus, this.welcomed, () => this.feed.open()) : NO_LINK,
    );
    // Without the server there is nothing to say of its room.
    this.notices.set("room", feedStatus.name === "open" ? aboutRoom(participant.status, join) : null);
    const out = participant.status.name === "out" || participant.status.name === "failed";
    const again =
      participant.microphone?.readyState === "ended"
        ? () => void participant.choose(participant.device)
        : undefined;
    this.notices.set("devices", aboutDevices(participant.trouble, out ? join : again));
  }

  #shortcuts() {
    const { participant, controls, timeline } = this;
    const inRoom = () => participant.status.name === "joined";
    const speaks = () => inRoom() && participant.microphone !== null;
    const always = () => true;
    return [
      {
        ...{
          key: " ",
          shown: "Space",
          does: "hold to talk",
          ready: () => speaks() && this.offered.push_to_talk,
        },
        ...{ down: () => participant.talk(true), up: () => participant.talk(false) },
      },
      {
        key: "j",
        shown: "J",
        does: "join the call",
        ready: () => !controls.form.hidden && !controls.joinButton.disabled,
        down: () => controls.join(),
      },
      {
        key: "m",
        shown: "M",
        does: "mute or unmute",
        ready: speaks,
        down: () => participant.mute(!participant.muted),
      },
      {
        ...{ key: "c", shown: "C", does: "camera on or off", ready: () => inRoom() && this.offered.camera },
        down: () => void participant.setCamera(participant.camera === null),
      },
      {
        key: "i",
        shown: "I",
        does: "interrupt the bot",
        ready: () => this.offered.interrupt,
        down: () => this.#interrupt(),
      },
      {
        key: "t",
        shown: "T",
        does: "write to the bot",
        ready: () => !controls.writing.hidden,
        down: () => controls.text.focus(),
      },
      { key: "l", shown: "L", does: "timeline back to now", ready: always, down: () => timeline.follow() },
      { key: "+", shown: "+", does: "zoom in", ready: always, down: () => timeline.zoom(1.5) },
      { key: "-", shown: "−", does: "zoom out", ready: always, down: () => timeline.zoom(1 / 1.5) },
      { key: "?", shown: "?", does: "these shortcuts", ready: always, down: () => undefined },
    ];
  }
}

/** @type {import("./participant.js").ParticipantListener["video"]} */
function showVideo(id, track, peer) {
  const box = get("videos", HTMLDivElement);
  box.querySelector(`[data-track="${CSS.escape(id)}"]`)?.remove();
  if (track !== null) {
    const video = document.createElement("video");
    Object.assign(video, {
      autoplay: true,
      muted: true,
      playsInline: true,
      srcObject: new MediaStream([track]),
    });
    const name = id === "own" ? "Your camera" : page.people.nameOf(peer);
    box.append(element("figure", { "data-track": id }, video, element("figcaption", {}, foreign(name))));
  }
  box.hidden = box.childElementCount === 0;
}

const page = new Page();
page.open();
