// The last misses, and why each was one. Both are asked for: nothing that a trait has tells of a prompt.

import { arrange, button, clock, count, element } from "./elements.js";
import { makeFollower } from "./kernel.js";

const LISTED = 20;
const SIDES = { "- ": "removed", "+ ": "added" }; // how a line of a changed prompt begins

function explanation({ text, changes }) {
  const lines = changes.map((line) => element("div", { class: SIDES[line.slice(0, 2)] }, line));
  return element(
    "div",
    { class: "why", role: "group", "aria-label": "Why it missed" },
    element("p", { class: "text" }, text),
    lines.length ? element("div", { class: "code" }, ...lines) : null,
  );
}

function makeMiss({ number, when, model, prompt, why }, ask) {
  let told = null; // why it missed, while that is being read
  const opener = button("", () => toggle(), { class: "opener", "aria-expanded": "false" });
  opener.append(
    element("span", { class: "line asked" }, prompt || "(its prompt isn't known)"),
    element("span", { class: "line quiet" }, model),
    element("span", { class: "line reason" }, why),
    element("span", { class: "line quiet" }, clock(when)),
  );
  const node = element("li", { class: "miss" }, opener);

  async function toggle() {
    if (told) {
      told.remove();
      told = null;
    } else {
      const reply = await ask({ type: "why", number });
      if (!reply || told) {
        return;
      }
      told = explanation(reply);
      node.append(told);
    }
    opener.setAttribute("aria-expanded", String(Boolean(told)));
  }

  // Whether somebody is at it: it isn't taken away from them.
  function isInUse() {
    return Boolean(told) || node.contains(node.getRootNode().activeElement);
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
  const looking = makeFollower(load, () => node.hidden || !node.open);
  const { resume } = looking;

  async function load() {
    const reply = await ask({ type: "misses", limit: LISTED }, { quietly: loaded });
    if (reply) {
      loaded = true;
      draw(reply.rows);
    }
    return reply !== null;
  }

  function draw(rows) {
    const known = misses;
    misses = new Map(rows.map((row) => [row.number, known.get(row.number) || makeMiss(row, ask)]));
    for (const [number, miss] of known) {
      if (!misses.has(number) && miss.isInUse()) {
        misses.set(number, miss);
      }
    }
    arrange(
      list,
      [...misses.values()].map((miss) => miss.node),
    );
  }

  // Nobody is asked for what is folded up: the number of misses is known without.
  function follow(state) {
    node.hidden = !state.misses;
    summary.textContent = `Recent misses (${count(Math.min(state.misses || 0, LISTED))})`;
    looking.follow();
  }

  return { node, follow };
}
