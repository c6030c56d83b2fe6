// The entries: filters, a table of one page, a pager, and the buttons that act on many entries.

import {
  button,
  choice,
  confirmed,
  count,
  counted,
  dateText,
  element,
  secondsText,
  setChildren,
  setOptions,
} from "./elements.js";
import { openEntry } from "./entry.js";
import { makeFollower } from "./kernel.js";

const SEARCH_DELAY = 200; // milliseconds after the last keystroke until a search begins

const FILTERS = [
  ["model", "Model", "All models"],
  ["client", "Client", "All clients"],
  ["tag", "Tag", "All tags"],
  ["notebook", "Notebook", "All notebooks"],
  ["cell", "Cell", "All cells"],
  ["status", "Status", "Any status"],
];

// `kind` is the column's class: it sets the width, and how wide the panel has to be to show the column.
const COLUMNS = [
  { name: "model", title: "Model", kind: "model medium", text: (row) => row.model, note: (row) => row.client },
  { name: "status", title: "Status", kind: "state wide", text: (row) => row.status },
  { name: "hits", title: "Hits", kind: "small number", text: (row) => count(row.hits) },
  {
    name: "input_tokens",
    title: "In",
    hint: "Tokens in",
    kind: "small number wide",
    text: (row) => count(row.input_tokens),
  },
  {
    name: "output_tokens",
    title: "Out",
    hint: "Tokens out",
    kind: "small number wide",
    text: (row) => count(row.output_tokens),
  },
  { name: "cost", title: "Cost", kind: "money number", text: (row) => row.cost, note: (row) => row.cost_note },
  { name: "seconds", title: "Took", kind: "small number widest", text: (row) => secondsText(row.seconds) },
  { name: "size_bytes", title: "Size", kind: "number widest", text: (row) => row.size },
  { name: "created", title: "Created", kind: "date medium", text: (row) => dateText(row.created) },
  { name: "last_hit", title: "Last hit", kind: "date widest", text: (row) => dateText(row.last_hit) },
  { name: "expires", title: "Expires", kind: "date widest", text: (row) => dateText(row.expires) || "never" },
];
const TEXT_COLUMNS = ["model", "status"]; // sorted from A to Z first; all others from the highest value

const PAGE_SIZES = [10, 25, 50, 100];

function makeHead(sortBy) {
  const headings = new Map();
  for (const column of COLUMNS) {
    const sorter = button(column.title, () => sortBy(column), { title: column.hint, "aria-label": column.hint });
    headings.set(column.name, element("th", { scope: "col", class: `sortable ${column.kind}` }, sorter));
  }
  const prompt = element("th", { scope: "col", class: "prompt" }, "Prompt and answer");
  const node = element("thead", {}, element("tr", {}, prompt, ...headings.values()));

  function draw({ sort, descending }) {
    for (const [name, heading] of headings) {
      heading.setAttribute("aria-sort", name !== sort ? "none" : descending ? "descending" : "ascending");
    }
  }
  return { node, draw };
}

function makeRow(key, toggle) {
  const prompt = element("span", { class: "line" });
  const answer = element("span", { class: "line quiet" });
  const tags = element("span", { class: "tags" });
  const opener = button("", () => toggle(key), { class: "opener", "aria-expanded": "false" });
  opener.append(prompt, answer, tags);
  const cells = COLUMNS.map((column) => element("td", { class: column.kind }));
  const node = element("tr", { "data-key": key }, element("th", { scope: "row", class: "prompt" }, opener), ...cells);

  function draw(row) {
    prompt.textContent = row.prompt;
    answer.replaceChildren(...(row.streamed ? [element("span", { class: "mark" }, "stream")] : []), row.answer);
    tags.replaceChildren(...row.tags.map((tag) => element("span", { class: "tag" }, tag)));
    COLUMNS.forEach((column, index) => {
      cells[index].textContent = column.text(row);
      cells[index].title = column.note?.(row) ?? "";
    });
    node.dataset.status = row.status;
  }
  return { node, opener, draw };
}

// The filters above the table. `changed(query)` gets those parts of the query that have changed.
function makeFilters(changed) {
  let timer;
  const search = element("input", {
    type: "search",
    placeholder: "Search prompts and answers",
    "aria-label": "Search prompts and answers",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => changed({ search: search.value }), SEARCH_DELAY);
    },
  });
  const selects = new Map(
    FILTERS.map(([name, label]) => {
      const select = choice(label, () => changed({ [name]: select.value || null }));
      select.hidden = true;
      return [name, select];
    }),
  );
  const reset = button("Clear filters", () => {
    clearTimeout(timer);
    search.value = "";
    changed({ search: "", ...Object.fromEntries(FILTERS.map(([name]) => [name, null])) });
    search.focus();
  });
  const node = element("div", { class: "bar filters", role: "search" }, search, ...selects.values(), reset);

  function draw(query, facets) {
    for (const [name, , all] of FILTERS) {
      const select = selects.get(name);
      const facet = facets[name] || [];
      const values = query[name] && !facet.includes(query[name]) ? [query[name], ...facet] : facet;
      setOptions(select, [["", all], ...values.map((value) => [value, value])], query[name] || "");
      select.hidden = values.length < (name === "tag" || query[name] ? 1 : 2);
    }
    reset.hidden = !query.search && FILTERS.every(([name]) => !query[name]);
  }
  return { node, search, draw };
}

// The pager. `turn(offset)` goes to another page, `resize(limit)` changes the number of rows of a page.
function makePager(turn, resize) {
  const where = element("span", { class: "where" });
  let last = 0;
  let shown = { offset: 0, limit: 1 };
  const buttons = [
    button("«", () => turn(0), { "aria-label": "First page" }),
    button("‹", () => turn(Math.max(0, shown.offset - shown.limit)), { "aria-label": "Previous page" }),
    button("›", () => turn(shown.offset + shown.limit), { "aria-label": "Next page" }),
    button("»", () => turn(last), { "aria-label": "Last page" }),
  ];
  const size = choice("Rows per page", () => resize(Number(size.value)));
  const node = element("div", { class: "bar pager", role: "group", "aria-label": "Pages" }, where, ...buttons, size);

  function draw({ offset, limit, total }) {
    shown = { offset, limit };
    last = Math.max(0, Math.ceil(total / limit) - 1) * limit;
    const end = Math.min(offset + limit, total);
    where.textContent = `${count(Math.min(offset + 1, total))}–${count(end)} of ${count(total)}`;
    buttons.forEach((control, index) => {
      const wasHere = control.getRootNode().activeElement === control;
      control.disabled = index < 2 ? offset === 0 : end >= total;
      if (control.disabled && wasHere) {
        buttons[index < 2 ? 2 : 1].focus();
      }
    });
    setOptions(
      size,
      PAGE_SIZES.map((rows) => [rows, `${rows} rows`]),
      String(limit),
    );
  }
  return { node, draw };
}

// The text that explains why no entry is shown.
function emptyText({ listable, mode }, filtered) {
  if (!listable) {
    return "This store can't list its entries. The numbers above are what this session saw.";
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
  let opened = null; // the key and the table row of the entry that is being read
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
  const evictShown = button("", () => evictAll(), { class: "danger" });
  const clear = button("", () => clearAll(), { class: "danger" });
  const bulk = element("div", { class: "bar" }, evictShown, clear);
  const foot = element("div", { class: "foot" }, pager.node, element("div", { class: "actions" }, bulk));
  const parts = [filters.node, scroller, empty, foot, status];
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

  async function act(request) {
    const reply = await ask(request);
    if (reply) {
      say(reply.text);
    }
    await load({ anew: true });
  }

  async function evictAll() {
    const { offset, limit, sort, descending, ...filter } = query;
    const { total, place } = page; // only these are evicted, whatever changes meanwhile
    const which = counted(total, "entry", "entries");
    const question = `Evict ${which}${page.size && `, ${page.size}`}? Each such call is paid again the next time.`;
    if (await confirmed(bulk, evictShown, question, `Evict ${which}`)) {
      act({ type: "evict shown", ...filter, total, place });
    }
  }

  async function clearAll() {
    const { place } = state;
    const shared = isOneNotebook() ? " Those that other notebooks use too stay with them." : "";
    if (await confirmed(bulk, clear, `Clear all entries of ${state.whose}?${shared}`, "Clear")) {
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
    const cell = element("td", { colspan: COLUMNS.length + 1 }, openEntry(entry, { act, close, say }));
    opened = { key, node: element("tr", { class: "opened" }, cell) };
    drawRows();
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
    evictShown.textContent = `Evict what is shown (${count(page.total)})`;
    drawFrame();
  }

  function drawFrame() {
    const filtered = Boolean(query.search) || FILTERS.some(([name]) => query[name]);
    const none = page.total === 0;
    node.hidden = !state.on;
    filters.node.hidden = !state.listable || (none && !filtered);
    scroller.hidden = !state.listable || none;
    pager.node.hidden = !state.listable || none;
    evictShown.hidden = !state.listable || none;
    clear.hidden = !state.listable || (!state.entries && none);
    clear.textContent = isOneNotebook() ? "Clear this notebook" : `Clear ${state.whose}`;
    empty.hidden = Boolean(state.listable) && !(none && loaded);
    empty.textContent = emptyText(state, filtered);
  }

  function draw(newState) {
    state = newState;
    drawFrame();
    resume(); // a change may have been reported before the state said that the store can list
  }

  return { node, draw, follow, say };
}
