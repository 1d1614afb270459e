// What this browser remembers of its user's wishes; nothing where it may not.

/** @param {string} key @param {string} otherwise */
export function remembered(key, otherwise) {
  try {
    return localStorage.getItem(`fishjam-agents.${key}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    localStorage.setItem(`fishjam-agents.${key}`, value);
  } catch {
    // A private window: it is remembered as long as the page is open.
  }
}
