// The call in figures: tiles, and how long each answer took with its parts.

import { element, foreign, get, graphic } from "./dom.js";
import { milliseconds, responses, silence, summary } from "./latency.js";

/**
 * @typedef {import("./call_model.js").Call} Call
 * @typedef {import("./latency.js").Response} Response
 */

/** Answers that the chart shows, and rows of the table. */
const CHARTED = 24;
const ROWS = 12;
const CHART = { width: 460, height: 132, left: 44, bottom: 112, top: 8 };

export class Figures {
  /** @param {(peer: string) => string} nameOf */
  constructor(nameOf) {
    this.nameOf = nameOf;
    this.tiles = get("tiles", HTMLDListElement);
    this.chart = get("latency-chart", HTMLElement);
    this.table = get("latency-table", HTMLDivElement);
    this.rows = get("latency-rows", HTMLTableSectionElement);
    this.empty = get("no-answers", HTMLParagraphElement);
    this.last = "";
  }

  /** @param {Call} call */
  show(call) {
    const found = responses(call, call.turns.length);
    const fresh = JSON.stringify([
      found.at(-1),
      found.length,
      call.counts,
      call.bargeIns.at(-1),
      call.replies.at(-1)?.heard,
      call.cost,
    ]);
    if (fresh === this.last) return;
    this.last = fresh;
    this.tiles.replaceChildren(...this.#tiles(call, found));
    const shown = found.length > 0;
    this.empty.hidden = shown;
    this.chart.hidden = this.table.hidden = !shown;
    if (!shown) return;
    this.chart.replaceChildren(chartOf(found.slice(-CHARTED)), legendOf());
    this.rows.replaceChildren(
      ...found
        .slice(-ROWS)
        .reverse()
        .flatMap((response) => this.#rows(response)),
    );
  }

  /** @param {Call} call @param {Response[]} found */
  #tiles(call, found) {
    const counted = found.filter((response) => !response.waited).map(({ response }) => response);
    const waited = found.length - counted.length;
    const silences = call.bargeIns.map(silence).filter((seconds) => seconds !== null);
    const known = call.replies.filter((reply) => reply.heard !== null && reply.seconds !== null);
    const heard = known.reduce((sum, reply) => sum + (reply.heard ?? 0), 0);
    const generated = known.reduce((sum, reply) => sum + (reply.seconds ?? 0), 0);
    const { confirmed, withdrawn } = call.counts;
    const tiles = [
      latencyTile("Response latency", counted, waited),
      latencyTile("Silence latency", silences, 0),
      tile("Barge-ins", String(confirmed + withdrawn), "", `${confirmed} confirmed, ${withdrawn} withdrawn`),
      tile(
        "Heard of replies",
        generated > 0 ? Math.min((100 * heard) / generated, 100).toFixed(0) : "–",
        generated > 0 ? "%" : "",
        `${heard.toFixed(1)} of ${generated.toFixed(1)} s generated`,
      ),
    ];
    if (call.cost !== null) tiles.push(tile("Cost", call.cost.toFixed(4), "", "of the model so far"));
    return tiles;
  }

  /** @param {Response} response */
  #rows({ turn, endOfTurn, model, response, parts, waited }) {
    const head = element(
      "th",
      { scope: "row" },
      foreign(turn.id),
      element("small", {}, foreign(this.nameOf(turn.peer))),
    );
    const whole = waited ? `waited ${response.toFixed(1)} s` : milliseconds(response);
    const cells = [milliseconds(endOfTurn), waited ? "–" : milliseconds(model), whole];
    const row = element("tr", {}, head, ...cells.map((text) => element("td", { class: "number" }, text)));
    if (parts.length === 0) return [row];
    const made = parts.map(([name, seconds]) => `${name} ${milliseconds(seconds)}`).join(" + ");
    return [row, element("tr", { class: "parts" }, element("td", { colspan: 4 }, foreign(made)))];
  }
}

/** @param {string} label @param {number[]} values @param {number} waited */
function latencyTile(label, values, waited) {
  const found = summary(values);
  if (found === undefined) return tile(label, "–", "", waited ? `${waited} waited` : "none yet");
  let note =
    found.count === 1
      ? "one so far"
      : `median of ${found.count}, ${found.highName} ${milliseconds(found.high)}`;
  if (waited) note += `; ${waited} waited`;
  return tile(label, (found.median * 1000).toFixed(0), "ms", note);
}

/** @param {string} label @param {string} value @param {string} unit @param {string} note */
function tile(label, value, unit, note) {
  const figure = element("dd", { class: "figure" }, value, unit ? element("small", {}, unit) : null);
  return element(
    "div",
    { class: "tile" },
    element("dt", {}, label),
    figure,
    element("dd", { class: "note" }, note),
  );
}

/** @param {Response[]} found */
function chartOf(found) {
  const { width, height, left, bottom, top } = CHART;
  const counted = found.filter((response) => !response.waited);
  const most = Math.max(1, ...counted.map(({ response }) => response));
  const step = [0.25, 0.5, 1, 2, 5, 10, 30].find((seconds) => most / seconds <= 4) ?? 60;
  const ceiling = Math.ceil(most / step) * step;
  /** @param {number} seconds */
  const y = (seconds) => bottom - ((bottom - top) * Math.min(Math.max(seconds, 0), ceiling)) / ceiling;
  const each = Math.min((width - left) / Math.max(found.length, 8), 40);
  const median = summary(counted.map(({ response }) => response));
  const title =
    median === undefined
      ? "No answer to count"
      : `Response latency of the last ${found.length}: median ${milliseconds(median.median)}, ${median.highName} ${milliseconds(median.high)}`;
  const lines = [];
  for (let seconds = 0; seconds <= ceiling + 1e-9; seconds += step) {
    lines.push(graphic("line", { x1: left, x2: width, y1: y(seconds), y2: y(seconds), class: "axis" }));
    lines.push(
      graphic(
        "text",
        { x: left - 6, y: y(seconds) + 4, class: "tick" },
        seconds === 0 ? "0" : `${Number(seconds.toFixed(2))} s`,
      ),
    );
  }
  const bars = found.flatMap((response, index) => {
    const x = left + index * each + each * 0.16;
    const size = each * 0.68;
    if (response.waited)
      return [graphic("rect", { x, y: bottom - 3, width: size, height: 3, class: "waited" })];
    const ended = y(Math.min(response.endOfTurn, response.response));
    const whole = y(response.response);
    return [
      graphic("rect", {
        x,
        y: whole,
        width: size,
        height: Math.max(ended - whole, 0),
        class: "model",
        rx: 1.5,
      }),
      graphic("rect", {
        x,
        y: ended,
        width: size,
        height: Math.max(bottom - ended, 0),
        class: "end",
        rx: 1.5,
      }),
    ];
  });
  const marks =
    median === undefined || counted.length < 2
      ? []
      : [
          graphic("line", {
            x1: left,
            x2: width,
            y1: y(median.median),
            y2: y(median.median),
            class: "median",
          }),
          graphic(
            "text",
            { x: width, y: y(median.median) - 4, class: "median" },
            `median ${milliseconds(median.median)}`,
          ),
        ];
  return graphic(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    graphic("title", {}, title),
    ...lines,
    ...bars,
    ...marks,
  );
}

function legendOf() {
  return element(
    "figcaption",
    {},
    element("i", { class: "key wait" }),
    "end of turn",
    element("i", { class: "key think" }),
    "model",
  );
}
