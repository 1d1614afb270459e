// Elements made without HTML: whatever a peer or a model wrote can only become text.

/**
 * @typedef {Node | string | null | undefined} Child
 * @typedef {Record<string, string | number | boolean | null | undefined>} Attributes
 */

/** Characters that no page shows: controls, and halves of surrogate pairs. */
const UNSHOWN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * Text as a page can show it: U+FFFD in place of control characters and lone surrogates.
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  return String(value ?? "").replace(UNSHOWN, "\ufffd");
}

/**
 * An element of the page that index.html promises.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function get(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return found;
}

/**
 * A new element. Attributes that are false, null or undefined are left out; true has no value.
 * @param {string} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(key, value === true ? "" : String(value));
  }
  append(made, children);
  return made;
}

/**
 * An element of SVG.
 * @param {string} name
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function graphic(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  append(made, children);
  return made;
}

/**
 * Words of a peer or a model, whose direction of writing ends with them.
 * @param {unknown} value
 * @returns {HTMLElement}
 */
export function foreign(value) {
  return element("bdi", {}, shown(value));
}

/**
 * Write a text, without touching a page that shows it already.
 * @param {Node} node
 * @param {unknown} value
 */
export function write(node, value) {
  const text = shown(value);
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {Node} parent
 * @param {Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === "") continue;
    parent.appendChild(typeof child === "string" ? document.createTextNode(shown(child)) : child);
  }
}
