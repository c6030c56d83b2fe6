// The panel in the browser: the overview, the entries, and notices about the kernel.

import { choice, element, setOptions } from "./elements.js";
import { makeEntries } from "./entries.js";
import { connect } from "./kernel.js";
import { makeMisses } from "./misses.js";
import { makeCards, makeCells, makeChart } from "./overview.js";

const STYLE = "PANEL.CSS"; // replaced by the file's text when the parts are joined

const GONE = "The kernel was restarted, and these are its last numbers. Load nbcache and run the cell again.";
const QUEUED = "Queued: the kernel is busy. If none is running, run the cell again.";
const OFF = "The cache is off: every call asks its model, and nothing is kept. Choose another mode to turn it on.";
const MISSING = "The cache is off. Type %llmcache on in a cell to turn it on, then run this cell again.";

// The notebook's shortcuts act on cells: without the attribute, a key typed here could delete one.
function shadowHost(...children) {
  const host = element("div", { "data-lm-suppress-shortcuts": "true" });
  host.attachShadow({ mode: "open" }).append(...children);
  return host;
}

function render({ model, el }) {
  const notice = element("p", { class: "notice", role: "status" });
  const whose = element("span", { class: "whose" });
  const mode = choice("Mode", () => switchMode());
  const cards = makeCards();
  const chart = makeChart();
  const cells = makeCells();
  let queue = 0;
  let gone = false;

  const kernel = connect(model, {
    queued: (length) => {
      queue = length;
      drawNotice();
    },
    failed: (text) => entries.say(text, { failed: true }),
    lost: (isLost) => {
      gone = isLost;
      frame.disabled = gone;
      drawNotice();
    },
  });
  const entries = makeEntries(kernel.ask);
  const misses = makeMisses(kernel.ask);
  const overview = element("div", { class: "overview" }, cards.node, chart.node, cells.node, misses.node);
  const head = element(
    "header",
    {},
    element("span", { class: "name" }, "LLM cache"),
    whose,
    element("label", {}, "Mode ", mode),
  );
  const frame = element("fieldset", { class: "frame" }, head, notice, overview, entries.node);
  const root = element("section", { class: "panel", "aria-label": "LLM cache" }, frame);

  async function switchMode() {
    const reply = await kernel.ask({ type: "mode", mode: mode.value });
    if (reply) {
      entries.say(reply.text);
    }
    drawMode(model.get("state"));
  }

  function drawMode(state) {
    setOptions(
      mode,
      (state.modes || []).map((word) => [word, word]),
      state.mode,
    );
    mode.value = state.mode;
    mode.disabled = !state.on;
  }

  function drawNotice() {
    const { on, mode: now, problem } = model.get("state");
    const state = !on ? MISSING : now === "off" ? OFF : "";
    notice.textContent = gone ? GONE : queue ? QUEUED : problem || state;
  }

  function drawState() {
    const state = model.get("state");
    whose.textContent = state.whose || "";
    drawMode(state);
    drawNotice();
    overview.hidden = !state.on;
    cards.draw(state);
    entries.draw(state);
  }

  const listeners = {
    "change:state": drawState,
    "change:chart": () => chart.draw(model.get("chart")),
    "change:cells": () => cells.draw(model.get("cells")),
    "change:revision": () => {
      entries.follow();
      misses.follow(model.get("state"));
    },
  };
  for (const [event, listener] of Object.entries(listeners)) {
    model.on(event, listener);
    listener();
  }
  el.append(shadowHost(element("style", {}, STYLE), root));

  return () => {
    kernel.disconnect();
    for (const [event, listener] of Object.entries(listeners)) {
      model.off(event, listener);
    }
  };
}

export default { render };
