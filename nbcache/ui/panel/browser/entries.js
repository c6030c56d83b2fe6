// The entries: filters, a table of one page, a pager, and the buttons that act on many entries.

import { makeChangeButtons } from "./changes.js";
import { button, confirmed, count, counted, element, setChildren } from "./elements.js";
import { openEntry } from "./entry.js";
import { FILTERS, makeFilters } from "./filters.js";
import { makeFollower } from "./kernel.js";
import { COLUMNS, PAGE_SIZES, TEXT_COLUMNS, makeHead, makePager, makeRow } from "./table.js";

// The text that explains why no entry is shown.
function emptyText({ listable, mode }, filtered) {
  if (!listable) {
    return "This store can't list its entries. The numbers above are what this session saw. \
With store=[\"disk\", …] what this machine has stored is listed.";
  }
  if (filtered) {
    return "No entry is like that.";
  }
  return mode === "replay"
    ? "No entries. In replay, calls are answered from recordings, and nothing is stored."
    : "No entries yet. Run a cell that calls a model: the first call is paid, and the same call again is a hit.";
}

export function makeEntries(ask) {
  const query = { search: "", sort: "created", descending: true, offset: 0, limit: PAGE_SIZES[0] };
  for (const [name] of FILTERS) {
    query[name] = null;
  }
  let page = { rows: [], total: 0, offset: 0, limit: query.limit, size: "" };
  let facets = {};
  let rows = new Map();
  // The entry that is being read: the key of its row, the table row below, the entry that is shown there, and the keys and
  // titles of those that led to it.
  let opened = null;
  let latest = 0; // the number of the last request for a page
  let state = {};
  let loaded = false;

  const filters = makeFilters((change) => search({ ...change, offset: 0 }));
  const head = makeHead((column) => {
    const descending = query.sort === column.name ? !query.descending : !TEXT_COLUMNS.includes(column.name);
    search({ sort: column.name, descending, offset: 0 });
  });
  const body = element("tbody");
  const pager = makePager(
    (offset) => search({ offset }),
    (limit) => search({ limit, offset: 0 }),
  );
  const status = element("p", { class: "status", role: "status" });
  const empty = element("p", { class: "empty" });
  const table = element("table", { "aria-label": "Entries" }, head.node, body);
  const scroller = element("div", { class: "scroller" }, table);
  const changes = makeChangeButtons(() => bulk, { which: whichAreShown, tags, act });
  const evictShown = button("Evict", () => evictAll(), { class: "danger" });
  const ofShown = [...changes, evictShown]; // buttons that act on all that are shown
  const clear = button("", () => clearAll(), { class: "danger" });
  const shown = element("span", { class: "quiet", "aria-hidden": "true" });
  const bulk = element("div", { class: "bar" }, shown, ...ofShown, clear);
  const foot = element("div", { class: "foot" }, pager.node, element("div", { class: "actions" }, bulk));
  const unlisted = element("p", { class: "note" }); // what the list leaves out
  const parts = [filters.node, scroller, empty, unlisted, foot, status];
  const node = element("section", { class: "entries", "aria-label": "Entries" }, ...parts);

  function say(text, { failed = false } = {}) {
    status.textContent = text;
    status.classList.toggle("danger", failed);
  }

  // Changes the query and loads its page. The message about the last action goes.
  function search(change) {
    Object.assign(query, change);
    say("");
    return load();
  }

  async function load({ anew = false, quietly = false } = {}) {
    latest += 1;
    const number = latest;
    const reply = await ask({ type: "page", ...query, facets: anew }, { quietly });
    if (reply && reply.facets) {
      facets = reply.facets;
    }
    if (reply && number === latest) {
      page = reply;
      loaded = true;
      query.offset = reply.offset;
      drawPage();
    }
    return reply !== null;
  }

  // While an entry is open, the page does not change.
  const { follow, resume } = makeFollower(
    () => load({ anew: true, quietly: loaded }),
    () => opened || !state.listable,
  );

  // Resolves to whether it was done, and then loads what it may have changed.
  async function act(request, options) {
    const reply = await ask(request, options);
    if (reply) {
      say(reply.text);
    }
    reload();
    return reply !== null;
  }

  async function reload() {
    await load({ anew: true });
    const view = opened?.view;
    if (!view) {
      return;
    }
    const entry = await ask({ type: "entry", key: view.key }, { quietly: true });
    if (entry) {
      view.update(entry);
    } else if (opened?.view === view && opened.trail.length) {
      goBack();
    }
  }

  function tags() {
    return facets.tag || [];
  }

  // How many entries are shown, and a request that means just these: if there are others by then, nothing is done.
  function whichAreShown() {
    const { offset, limit, sort, descending, ...filter } = query;
    const { total, place } = page;
    return { total, request: { ...filter, total, place } };
  }

  async function evictAll() {
    const { total, request } = whichAreShown();
    const which = counted(total, "entry", "entries");
    const question = `Evict ${which}${page.size && `, ${page.size}`}? Each such call is paid again the next time.`;
    if (await confirmed(bulk, evictShown, question, `Evict ${which}`)) {
      act({ type: "evict shown", ...request });
    }
  }

  async function clearAll() {
    const { place } = state;
    const would = await ask({ type: "would clear" });
    if (would && (await confirmed(bulk, clear, `Clear all entries of ${state.whose}? That ${would.text}.`, "Clear"))) {
      act({ type: "clear", place });
    }
  }

  function isOneNotebook() {
    return (state.whose || "").startsWith("the notebook");
  }

  async function toggle(key) {
    if (opened && opened.key === key) {
      close();
      return;
    }
    const entry = await ask({ type: "entry", key });
    if (!entry) {
      return;
    }
    const cell = element("td", { colspan: COLUMNS.length + 1 });
    opened = { key, cell, node: element("tr", { class: "opened" }, cell) };
    show(entry, []);
    drawRows();
  }

  function show(entry, trail) {
    const last = trail.at(-1);
    const back = last && { title: last.title, go: goBack };
    opened.trail = trail;
    opened.view = openEntry(entry, { act, go, back, close, say, tags });
    opened.cell.replaceChildren(opened.view.node);
  }

  // Shows another entry in the place of the one that is open. Resolves to whether it is there.
  async function showInstead(key, trail) {
    const from = opened.view;
    const entry = await ask({ type: "entry", key });
    if (!entry || opened?.view !== from) {
      return false;
    }
    show(entry, trail);
    return true;
  }

  async function go(key) {
    if (await showInstead(key, [...opened.trail, opened.view])) {
      opened.view.focus();
    }
  }

  async function goBack() {
    const left = opened.view.key;
    if (await showInstead(opened.trail.at(-1).key, opened.trail.slice(0, -1))) {
      opened.view.focus(left);
    }
  }

  function close() {
    const { opener } = rows.get(opened.key);
    opened = null;
    opener.focus();
    drawRows();
    resume();
  }

  function drawRows() {
    const previous = rows;
    rows = new Map();
    for (const data of page.rows) {
      const row = previous.get(data.key) || makeRow(data.key, toggle);
      row.draw(data);
      row.opener.setAttribute("aria-expanded", String(opened?.key === data.key));
      rows.set(data.key, row);
    }
    if (opened && !rows.has(opened.key)) {
      opened = null;
    }
    const nodes = [...rows].flatMap(([key, row]) => (opened?.key === key ? [row.node, opened.node] : [row.node]));
    keepingFocus(previous, () => setChildren(body, nodes));
  }

  // If the row that has the focus goes, the row in its place gets the focus.
  function keepingFocus(previous, redraw) {
    const focus = node.getRootNode().activeElement;
    const was = [...previous.values()].findIndex((row) => row.node.contains(focus));
    const inEntry = body.contains(focus) && was < 0;
    const index = inEntry ? [...previous.values()].findIndex((row) => row.node.nextElementSibling?.contains(focus)) : was;
    redraw();
    if (index >= 0 && !body.contains(node.getRootNode().activeElement)) {
      const rest = [...rows.values()];
      (rest[Math.min(index, rest.length - 1)]?.opener || filters.search).focus();
    }
  }

  function drawPage() {
    filters.draw(query, facets);
    head.draw(query);
    drawRows();
    pager.draw(page);
    for (const control of ofShown) {
      control.setAttribute("aria-label", `${control.textContent} what is shown (${count(page.total)})`);
    }
    shown.textContent = `${counted(page.total, "entry", "entries")} shown:`;
    drawFrame();
  }

  function drawFrame() {
    const filtered = Boolean(query.search) || FILTERS.some(([name]) => query[name]);
    const none = page.total === 0;
    node.hidden = !state.on;
    filters.node.hidden = !state.listable || (none && !filtered);
    scroller.hidden = !state.listable || none;
    pager.node.hidden = !state.listable || none;
    for (const part of [shown, ...ofShown]) {
      part.hidden = !state.listable || none;
    }
    clear.hidden = !state.listable || (!state.entries && none);
    clear.textContent = isOneNotebook() ? "Clear this notebook" : `Clear ${state.whose}`;
    empty.hidden = Boolean(state.listable) && !(none && loaded);
    empty.textContent = emptyText(state, filtered);
    unlisted.textContent = state.unlisted || "";
    unlisted.hidden = !state.unlisted;
  }

  function draw(newState) {
    state = newState;
    drawFrame();
    resume(); // a change may have been reported before the state said that the store can list
  }

  return { node, draw, follow, say };
}
