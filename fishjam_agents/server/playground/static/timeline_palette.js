// The colours of the style sheet, for the canvas.

/**
 * @typedef {{ people: string[], bot: string, ink: string, muted: string, line: string, quiet: string, card: string,
 *   soft: string, suspected: string, confirmed: string, withdrawn: string, font: string }} Palette
 */

/**
 * Read the colours as they are now, light or dark.
 * @param {Element} element
 * @returns {Palette}
 */
export function paletteOf(element) {
  // A variable holds what was written, `light-dark(...)`; what uses it has the colour.
  const probe = element.appendChild(document.createElement("i"));
  const style = getComputedStyle(probe);
  /** @param {string} name */
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return style.color;
  };
  const palette = {
    people: ["c0", "c1", "c2", "c3"].map(colour),
    bot: colour("bot"),
    ink: colour("ink"),
    muted: colour("muted"),
    line: colour("line"),
    quiet: colour("quiet"),
    card: colour("card"),
    soft: colour("soft"),
    suspected: colour("suspected"),
    confirmed: colour("confirmed"),
    withdrawn: colour("withdrawn"),
    font: style.fontFamily,
  };
  probe.remove();
  return palette;
}
