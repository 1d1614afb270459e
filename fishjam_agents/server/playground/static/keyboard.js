// Single keys as shortcuts. They can be switched off, and leave alone whoever types or chooses.

import { element, get } from "./dom.js";
import { remember, remembered } from "./storage.js";

/**
 * A shortcut: `up` is for keys that are held; `ready` says whether it does anything now.
 * @typedef {{ key: string, shown: string, does: string, down: () => void, up?: () => void,
 *   ready: () => boolean }} Shortcut
 */

/**
 * Let keys act, and list them in the dialog.
 * @param {readonly Shortcut[]} shortcuts
 */
export function openKeyboard(shortcuts) {
  const dialog = get("keys", HTMLDialogElement);
  const list = get("key-list", HTMLDListElement);
  const on = get("keys-on", HTMLInputElement);
  const open = () => {
    list.replaceChildren(
      ...shortcuts
        .filter((shortcut) => shortcut.ready())
        .map(({ shown, does }) =>
          element("div", {}, element("dt", {}, element("kbd", {}, shown)), element("dd", {}, does)),
        ),
    );
    dialog.showModal();
  };
  on.checked = remembered("keys", "on") === "on";
  on.addEventListener("change", () => remember("keys", on.checked ? "on" : "off"));
  get("show-keys", HTMLButtonElement).addEventListener("click", open);

  /** @type {Shortcut | undefined} */
  let held;
  const release = () => {
    held?.up?.();
    held = undefined;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || takesKeys(event)) return;
    if (event.key === "?") return open();
    if (!on.checked) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const shortcut = shortcuts.find((item) => item.key === key && item.ready());
    if (shortcut === undefined) return;
    event.preventDefault();
    if (event.repeat && shortcut.up !== undefined) return;
    if (shortcut.up !== undefined) held = shortcut;
    shortcut.down();
  });
  document.addEventListener("keyup", (event) => {
    if (held !== undefined && event.key.toLowerCase() === held.key) release();
  });
  // A key that comes up in another window is not told of here.
  window.addEventListener("blur", release);
  document.addEventListener("visibilitychange", release);
}

/** Whether a key belongs to what has the focus. @param {KeyboardEvent} event */
function takesKeys(event) {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return true;
  return event.key === " " && target.closest("button, summary, a, label, input") !== null;
}
