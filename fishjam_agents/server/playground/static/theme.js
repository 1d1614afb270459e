// Light or dark: as the system has it, or as somebody chose.

import { element, get } from "./dom.js";
import { remember, remembered } from "./storage.js";

const THEMES = ["auto", "light", "dark"];
/** @type {Record<string, string>} */
const NAMES = { auto: "as the system has them", light: "for bright rooms", dark: "for dark rooms" };

/**
 * Begin with the remembered choice, and let the button change it.
 * @param {() => void} changed Called after every change, the system's included.
 */
export function openTheme(changed) {
  const button = get("theme", HTMLButtonElement);
  let theme = remembered("theme", "auto");
  if (!THEMES.includes(theme)) theme = "auto";
  const show = () => {
    document.documentElement.dataset.theme = theme;
    button.replaceChildren(element("span", { class: "wide" }, "Theme: "), theme);
    button.title = `Colours ${NAMES[theme]}`;
    button.setAttribute("aria-label", `Theme: ${theme}`);
    changed();
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("theme", theme);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
