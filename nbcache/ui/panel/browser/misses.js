// The last misses, and the reason for each. Both come by request: a trait never holds a prompt, since a notebook saves traits.

import { button, count, element, setChildren, timeText } from "./elements.js";
import { makeFollower } from "./kernel.js";

const LISTED = 20;
const LINE_CLASSES = { "- ": "removed", "+ ": "added" }; // by how a line of a changed prompt begins

function explanation({ text, changes }) {
  const lines = changes.map((line) => element("div", { class: LINE_CLASSES[line.slice(0, 2)] }, line));
  return element(
    "div",
    { class: "why", role: "group", "aria-label": "Why it missed" },
    element("p", { class: "text" }, text),
    lines.length ? element("div", { class: "code" }, ...lines) : null,
  );
}

function makeMiss({ number, when, model, prompt, why }, ask) {
  let explained = null; // the explanation, while it is open
  const opener = button("", () => toggle(), { class: "opener", "aria-expanded": "false" });
  opener.append(
    element("span", { class: "line question" }, prompt || "(its prompt isn't known)"),
    element("span", { class: "line quiet" }, model),
    element("span", { class: "line reason" }, why),
    element("span", { class: "line quiet" }, timeText(when)),
  );
  const node = element("li", { class: "miss" }, opener);

  async function toggle() {
    if (explained) {
      explained.remove();
      explained = null;
    } else {
      const reply = await ask({ type: "why", number });
      if (!reply || explained) {
        return;
      }
      explained = explanation(reply);
      node.append(explained);
    }
    opener.setAttribute("aria-expanded", String(Boolean(explained)));
  }

  // A miss that is open or has the focus stays in the list.
  function isInUse() {
    return Boolean(explained) || node.contains(node.getRootNode().activeElement);
  }
  return { node, isInUse };
}

export function makeMisses(ask) {
  let misses = new Map();
  let loaded = false;
  const summary = element("summary");
  const list = element("ul", { role: "list", "aria-label": "Recent misses" });
  const scroller = element("div", { class: "scroller" }, list);
  const node = element("details", { class: "misses", ontoggle: () => resume() }, summary, scroller);
  const follower = makeFollower(load, () => node.hidden || !node.open);
  const { resume } = follower;

  async function load() {
    const reply = await ask({ type: "misses", limit: LISTED }, { quietly: loaded });
    if (reply) {
      loaded = true;
      draw(reply.rows);
    }
    return reply !== null;
  }

  function draw(rows) {
    const previous = misses;
    misses = new Map(rows.map((row) => [row.number, previous.get(row.number) || makeMiss(row, ask)]));
    for (const [number, miss] of previous) {
      if (!misses.has(number) && miss.isInUse()) {
        misses.set(number, miss);
      }
    }
    setChildren(
      list,
      [...misses.values()].map((miss) => miss.node),
    );
  }

  // A closed list loads nothing: the state has the number of misses.
  function follow(state) {
    node.hidden = !state.misses;
    summary.textContent = `Recent misses (${count(Math.min(state.misses || 0, LISTED))})`;
    follower.follow();
  }

  return { node, follow };
}
