// Browsers start no worker from a file. The search of a site that is opened from disk runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = `<script src="${new URL(url, location)}"><\/script>`;
      this.sent = [];
      frame.addEventListener("load", () => {
        this.inner = frame.contentWindow;
        this.inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        this.sent.splice(0).forEach((data) => this.postMessage(data));
      });
      document.documentElement.append(frame);
    }

    postMessage(data) {
      if (this.inner) this.inner.dispatchEvent(new MessageEvent("message", { data }));
      else this.sent.push(data);
    }

    terminate() {}
  };
}
