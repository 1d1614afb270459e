// "Save this call" and "guest link": what the page takes away from a call.

import { get } from "./dom.js";

/**
 * @param {import("./server_api.js").ServerApi} api
 * @param {import("./notices.js").Notices} notices
 * @param {() => string} callId
 */
export function openSaving(api, notices, callId) {
  const [report, record, guest] = ["save-report", "save-call", "guest"].map((id) =>
    get(id, HTMLButtonElement),
  );
  /** @param {HTMLButtonElement} button @param {"report.html" | "call.jsonl"} file */
  const save = async (button, file) => {
    button.disabled = true;
    try {
      download(await api.saved(file), callId() ? `${callId()}-${file}` : file);
    } catch (error) {
      notices.tell(`${file} could not be saved: ${messageOf(error)}`, "bad");
    }
    button.disabled = false;
  };
  /** @param {string} link A link that the browser does not let us copy. */
  const show = (link) => {
    const actions = [{ label: "Close", run: () => notices.set("guest", null) }];
    notices.set("guest", { tone: "info", title: "Guest link, to copy:", advice: link, actions });
  };
  report.addEventListener("click", () => void save(report, "report.html"));
  record.addEventListener("click", () => void save(record, "call.jsonl"));
  guest.addEventListener("click", async () => {
    guest.disabled = true;
    try {
      const link = await api.guestLink();
      if (await copied(link)) notices.tell("The guest link was copied: whoever opens it can join this call.");
      else show(link);
    } catch (error) {
      notices.tell(`There is no guest link: ${messageOf(error)}`, "bad");
    }
    guest.disabled = false;
  });
}

/** @param {Blob} content @param {string} name */
function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @param {string} text @returns {Promise<boolean>} Whether it is in the clipboard. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
