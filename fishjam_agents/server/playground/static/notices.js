// What the person at the page has to know and may do about it, at the top of the page.

import { element, get } from "./dom.js";

/**
 * @typedef {{ label: string, run: () => void }} Action
 * @typedef {{ tone: "bad" | "warn" | "info", title: string, advice: string, actions?: Action[] }} Notice
 */

/** Seconds a notice stays that tells of something done. */
const BRIEF = 6;

export class Notices {
  /** @type {Map<string, { shown: string, row: HTMLElement }>} */
  #rows = new Map();
  #box = get("notices", HTMLDivElement);

  /**
   * Show a notice in place of the one of its name, or none. The same one again changes nothing, so that it is read once.
   * @param {string} name
   * @param {Notice | null} notice
   */
  set(name, notice) {
    const known = this.#rows.get(name);
    const shown = notice === null ? "" : JSON.stringify(notice);
    if ((known?.shown ?? "") === shown) return;
    known?.row.remove();
    this.#rows.delete(name);
    if (notice === null) return;
    const row = element(
      "div",
      { class: "notice", "data-tone": notice.tone, "data-name": name },
      element("p", {}, element("b", {}, notice.title), notice.advice ? ` ${notice.advice}` : ""),
    );
    for (const { label, run } of notice.actions ?? []) {
      const button = element("button", { type: "button" }, label);
      button.addEventListener("click", run);
      row.append(button);
    }
    this.#box.append(row);
    this.#rows.set(name, { shown, row });
  }

  /**
   * Tell of something for a moment.
   * @param {string} title
   * @param {Notice["tone"]} [tone]
   */
  tell(title, tone = "info") {
    const name = `brief ${title}`;
    this.set(name, { tone, title, advice: "" });
    setTimeout(() => this.set(name, null), 1000 * BRIEF);
  }
}
