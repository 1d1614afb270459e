// The player and the zoom of a call report. The page is readable without it.
(() => {
  "use strict";
  const get = (id) => document.getElementById(id);
  const [audio, plot, scroller, overview] = ["audio", "plot", "scroller", "overview"].map(get);
  const seconds = Number(document.querySelector("main").dataset.seconds);
  const rows = [...document.querySelectorAll("tr[data-from]")];
  const moments = [...document.querySelectorAll("#turns .moment, #barge-ins .moment")]
    .map((button) => Number(button.dataset.at))
    .sort((a, b) => a - b);
  const cursor = Object.assign(document.createElement("div"), { className: "cursor" });
  const hover = Object.assign(document.createElement("div"), { className: "hover", hidden: true });
  const hoverTime = hover.appendChild(document.createElement("span"));
  const LEAST_LABEL = 48; // pixels between the ruler's labels
  const LEAST_TICK = 6; // pixels between its ticks
  const FINEST = 400; // pixels a second
  let scale = 0; // pixels a second, as in the style sheet; 0 fits the call into the page
  let width = 0;
  let at = 0;

  const clock = (t) => {
    const hundredths = Math.round(t * 100);
    const rest = ((hundredths % 6000) / 100).toFixed(2);
    return hundredths < 6000 ? rest : `${Math.floor(hundredths / 6000)}:${rest.padStart(5, "0")}`;
  };

  function layout() {
    width = plot.clientWidth;
    const perSecond = width / seconds;
    plot.classList.toggle("sparse", perSecond < 25);
    for (const ticks of plot.querySelectorAll(".ticks")) {
      const gap = Number(ticks.dataset.step) * perSecond;
      const minor = gap < LEAST_LABEL;
      ticks.hidden = gap < LEAST_TICK;
      ticks.classList.toggle("minor", minor);
    }
    frame();
    show();
  }

  function frame() {
    const part = get("window");
    part.style.left = `${(100 * scroller.scrollLeft) / width}%`;
    part.style.width = `${(100 * scroller.clientWidth) / width}%`;
    part.hidden = scroller.clientWidth >= width - 1;
  }

  function show() {
    cursor.style.transform = `translateX(${(at / seconds) * width}px)`;
    overview.lastElementChild.style.left = `${(100 * at) / seconds}%`;
    get("now").textContent = clock(at);
    overview.setAttribute("aria-valuenow", at.toFixed(2));
    overview.setAttribute("aria-valuetext", `${clock(at)} of ${clock(seconds)} s`);
    for (const row of rows) {
      row.classList.toggle("current", at > 0 && row.dataset.from <= at && at < row.dataset.to);
    }
  }

  function visible() {
    const x = (at / seconds) * width - scroller.scrollLeft;
    return x >= 0 && x <= scroller.clientWidth;
  }

  function reveal() {
    if (!visible()) scroller.scrollLeft = (at / seconds) * width - scroller.clientWidth * 0.15;
  }

  function seek(t) {
    at = Math.min(Math.max(t, 0), seconds);
    if (audio.readyState > 0) audio.currentTime = at;
    show();
    reveal();
  }

  function zoom(next) {
    const x = visible() ? (at / seconds) * width - scroller.scrollLeft : scroller.clientWidth / 2;
    const middle = ((scroller.scrollLeft + x) / width) * seconds;
    const fit = scroller.clientWidth / seconds;
    scale = next <= fit ? 0 : Math.min(next, FINEST);
    plot.style.setProperty("--scale", scale);
    layout();
    scroller.scrollLeft = (middle / seconds) * width - x;
    frame();
  }

  const closer = () => zoom((width / seconds) * 1.6);
  const farther = () => zoom(width / seconds / 1.6);
  const fit = () => zoom(0);
  const toggle = () => (audio.paused ? audio.play().catch(failed) : audio.pause());

  function failed() {
    const note = get("source");
    note.textContent = "The sound cannot be played: keep room.wav in the same folder as this page.";
    note.classList.add("failed");
  }

  function tick() {
    if (audio.paused) return;
    const followed = visible();
    at = Math.min(audio.currentTime, seconds);
    show();
    // Whoever scrolled away meanwhile is left in peace.
    if (followed) reveal();
    requestAnimationFrame(tick);
  }

  const keys = {
    " ": toggle,
    ArrowLeft: (event) => seek(at - (event.shiftKey ? 0.1 : 1)),
    ArrowRight: (event) => seek(at + (event.shiftKey ? 0.1 : 1)),
    ArrowUp: () => seek(at + 1),
    ArrowDown: () => seek(at - 1),
    PageUp: () => seek(at + 10),
    PageDown: () => seek(at - 10),
    Home: () => seek(0),
    End: () => seek(seconds),
    n: () => seek(moments.find((moment) => moment > at + 0.01) ?? at),
    p: () => seek(moments.findLast((moment) => moment < at - 0.01) ?? 0),
    "+": closer,
    "=": closer,
    "-": farther,
    0: fit,
  };
  const paging = new Set(["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || target.matches("select")) return;
    if (event.key === " " && target.closest("button, summary, a")) return;
    // The page itself scrolls by these keys, unless the player has the focus.
    if (paging.has(event.key) && target !== overview && target !== scroller) return;
    if (target.matches(".table") && event.key.startsWith("Arrow")) return;
    event.preventDefault();
    action(event);
  });
  document.addEventListener("click", (event) => {
    const moment = event.target.closest(".moment");
    if (moment) seek(Number(moment.dataset.at));
  });

  const timeAt = (event, box) => {
    const bounds = box.getBoundingClientRect();
    return (Math.min(Math.max((event.clientX - bounds.left) / bounds.width, 0), 1)) * seconds;
  };
  plot.addEventListener("click", (event) => seek(timeAt(event, plot)));
  plot.addEventListener("pointermove", (event) => {
    const t = timeAt(event, plot);
    hover.hidden = event.pointerType === "touch";
    hover.style.left = `${(100 * t) / seconds}%`;
    hover.classList.toggle("left", event.clientX > scroller.getBoundingClientRect().right - 60);
    hoverTime.textContent = clock(t);
  });
  plot.addEventListener("pointerleave", () => (hover.hidden = true));
  overview.addEventListener("pointerdown", (event) => {
    overview.setPointerCapture(event.pointerId);
    seek(timeAt(event, overview));
  });
  overview.addEventListener("pointermove", (event) => {
    if (overview.hasPointerCapture(event.pointerId)) seek(timeAt(event, overview));
  });

  audio.addEventListener("play", () => {
    if (Math.abs(audio.currentTime - at) > 0.05) audio.currentTime = at >= seconds - 0.05 ? 0 : at;
    document.body.classList.add("playing");
    get("play").setAttribute("aria-label", "Pause");
    requestAnimationFrame(tick);
  });
  audio.addEventListener("pause", () => {
    document.body.classList.remove("playing");
    get("play").setAttribute("aria-label", "Play");
  });
  audio.addEventListener("error", failed);
  if (audio.error) failed();
  get("play").addEventListener("click", toggle);
  get("rate").addEventListener("change", (event) => (audio.playbackRate = Number(event.target.value)));
  get("in").addEventListener("click", closer);
  get("out").addEventListener("click", farther);
  get("fit").addEventListener("click", fit);
  scroller.addEventListener("scroll", frame, { passive: true });
  new ResizeObserver(layout).observe(scroller);

  audio.controls = false;
  for (const id of ["play", "tools", "keys"]) get(id).hidden = false;
  plot.append(cursor, hover);
  layout();
})();
