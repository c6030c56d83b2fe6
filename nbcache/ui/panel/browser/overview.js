// The overview: cards with the totals, the chart, and the table of cells.

import { count, counted, dateText, element, svgElement, timeText } from "./elements.js";

const CARDS = [
  ["hits", "Hits"],
  ["misses", "Misses"],
  ["hit_rate", "Hit rate"],
  ["saved", "Saved"],
  ["spent", "Spent"],
  ["time_saved", "Time saved"],
  ["provider_saved", "Saved at provider"],
  ["entries", "Entries"],
];
const OPTIONAL = "provider_saved"; // shown only where there is such a number

function percent(share) {
  return share === null || share === undefined ? "–" : `${(share * 100).toFixed(share === 1 ? 0 : 1)}%`;
}

function valueOf(name, state) {
  if (name === "hit_rate") {
    return percent(state.hit_rate);
  }
  return typeof state[name] === "number" ? count(state[name]) : state[name];
}

function noteOf(name, state) {
  const notes = {
    hits: state.tiers || "",
    misses: state.errors ? counted(state.errors, "cache error", "cache errors") : "",
    saved: state.saved_note,
    spent: state.spent_note,
    time_saved: state.time_note,
    provider_saved: state.provider_note,
    entries: [
      [state.size, state.bounds].filter(Boolean).join(" "),
      state.evictions ? counted(state.evictions, "eviction", "evictions") : "",
    ]
      .filter(Boolean)
      .join(" · "),
  };
  return notes[name] || "";
}

const HEDGED = /^((?:up to |at least |≥ )?)(.*)$/s; // the words before an amount are set smaller

export function makeCards() {
  const node = element("dl", { class: "cards" });
  const cards = CARDS.map(([name, label]) => {
    const value = element("dd", { class: "value", "data-card": name });
    const note = element("dd", { class: "note" });
    const card = element("div", { class: "card" }, element("dt", {}, label), value, note);
    node.append(card);
    return { name, card, value, note };
  });

  function draw(state) {
    const hasAll = Boolean(state[OPTIONAL]);
    node.classList.toggle("all", hasAll);
    for (const { name, card, value, note } of cards) {
      card.hidden = name === OPTIONAL && !hasAll;
      const [, hedge, amount] = HEDGED.exec(valueOf(name, state) ?? "");
      value.replaceChildren(element("span", { class: "hedge" }, hedge), amount);
      note.textContent = noteOf(name, state);
    }
  }
  return { node, draw };
}

const WIDTH = 1000;
const HEIGHT = 100;
const TAIL = 20; // of the width: room for the last step
const SHORT = 600; // seconds: a shorter chart shows times of day, to the second

// Amounts change in steps: a sloped line between two calls would show money that nobody paid.
function steps(times, amounts, most) {
  const first = times[0];
  const span = times[times.length - 1] - first || 1;
  let path = `M0 ${HEIGHT}`;
  for (const [index, time] of times.entries()) {
    const x = ((time - first) / span) * (WIDTH - TAIL);
    const y = HEIGHT - (amounts[index] / most) * HEIGHT;
    path += `H${x.toFixed(1)}V${y.toFixed(1)}`;
  }
  return `${path}H${WIDTH}`;
}

export function makeChart() {
  const saved = svgElement("path", { class: "saved" });
  const spent = svgElement("path", { class: "spent" });
  const plot = svgElement(
    "svg",
    { viewBox: `0 -3 ${WIDTH} ${HEIGHT + 6}`, preserveAspectRatio: "none", role: "img" },
    saved,
    spent,
  );
  const savedText = element("span", { class: "key saved" });
  const spentText = element("span", { class: "key spent" });
  const from = element("span");
  const to = element("span");
  const node = element(
    "figure",
    { class: "chart" },
    element("figcaption", {}, element("span", { class: "title" }, "Over time"), savedText, spentText),
    plot,
    element("div", { class: "axis", "aria-hidden": "true" }, from, to),
  );

  function draw(chart) {
    const times = chart.when || [];
    node.hidden = times.length < 2;
    if (node.hidden) {
      return;
    }
    const most = Math.max(...chart.saved, ...chart.spent) || 1;
    saved.setAttribute("d", steps(times, chart.saved, most));
    spent.setAttribute("d", steps(times, chart.spent, most));
    savedText.textContent = `Saved ${chart.saved_text}`;
    spentText.textContent = `Spent ${chart.spent_text}`;
    const [first, last] = [times[0], times[times.length - 1]];
    const format = last - first < SHORT ? timeText : dateText;
    from.textContent = format(first);
    to.textContent = format(last);
    plot.setAttribute(
      "aria-label",
      `From ${from.textContent} to ${to.textContent}: saved ${chart.saved_text}, spent ${chart.spent_text} in all`,
    );
  }
  return { node, draw };
}

const CELL_COLUMNS = [
  ["cell", "Cell"],
  ["calls", "Calls"],
  ["hits", "Hits"],
  ["spent", "Spent"],
  ["saved", "Saved"],
  ["time_saved", "Time saved"],
];

function cellRow(cell) {
  const [name, ...numbers] = CELL_COLUMNS.map(([column]) => cell[column]);
  const texts = numbers.map((value) => (typeof value === "number" ? count(value) : value));
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, name),
    ...texts.map((text) => element("td", { class: "number" }, text)),
  );
}

export function makeCells() {
  const summary = element("summary");
  const body = element("tbody");
  const headings = CELL_COLUMNS.map(([column, label]) =>
    element("th", { scope: "col", class: column === "cell" ? null : "number" }, label),
  );
  const table = element(
    "table",
    { "aria-label": "Cells, the latest execution of each" },
    element("thead", {}, element("tr", {}, ...headings)),
    body,
  );
  const scroller = element("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Cells" }, table);
  const node = element("details", { class: "cells" }, summary, scroller);

  function draw(cells) {
    node.hidden = cells.length === 0;
    summary.textContent = `By cell (${count(cells.length)})`;
    body.replaceChildren(...[...cells].reverse().map(cellRow));
  }
  return { node, draw };
}
