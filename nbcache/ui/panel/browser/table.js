// The table of entries: its columns, head and rows, and the pager below.

import { button, choice, count, dateText, element, secondsText, setOptions } from "./elements.js";

// `type` is the column's class: it sets the width, and how wide the panel has to be to show the column.
export const COLUMNS = [
  { name: "model", title: "Model", type: "model medium", text: (row) => row.model, note: (row) => row.client },
  { name: "status", title: "Status", type: "state wide", text: (row) => row.status },
  { name: "hits", title: "Hits", type: "small number", text: (row) => count(row.hits) },
  {
    name: "input_tokens",
    title: "In",
    hint: "Tokens in",
    type: "small number wide",
    text: (row) => count(row.input_tokens),
  },
  {
    name: "output_tokens",
    title: "Out",
    hint: "Tokens out",
    type: "small number wide",
    text: (row) => count(row.output_tokens),
  },
  { name: "cost", title: "Cost", type: "money number", text: (row) => row.cost, note: (row) => row.cost_note },
  { name: "seconds", title: "Took", type: "small number widest", text: (row) => secondsText(row.seconds) },
  { name: "size_bytes", title: "Size", type: "number widest", text: (row) => row.size },
  { name: "created", title: "Created", type: "date medium", text: (row) => dateText(row.created) },
  { name: "last_hit", title: "Last hit", type: "date widest", text: (row) => dateText(row.last_hit) },
  { name: "expires", title: "Expires", type: "date widest", text: (row) => dateText(row.expires) || "never" },
];
export const TEXT_COLUMNS = ["model", "status"]; // sorted from A to Z first; all others from the highest value

export const PAGE_SIZES = [10, 25, 50, 100];

export function makeHead(sortBy) {
  const headings = new Map();
  for (const column of COLUMNS) {
    const sorter = button(column.title, () => sortBy(column), { title: column.hint, "aria-label": column.hint });
    headings.set(column.name, element("th", { scope: "col", class: `sortable ${column.type}` }, sorter));
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

function mark(text) {
  return element("span", { class: "mark" }, text);
}

export function makeRow(key, toggle) {
  const prompt = element("span", { class: "line" });
  const answer = element("span", { class: "line quiet" });
  const tags = element("span", { class: "tags" });
  const opener = button("", () => toggle(key), { class: "opener", "aria-expanded": "false" });
  opener.append(prompt, answer, tags);
  const cells = COLUMNS.map((column) => element("td", { class: column.type }));
  const node = element("tr", { "data-key": key }, element("th", { scope: "row", class: "prompt" }, opener), ...cells);

  function draw(row) {
    prompt.replaceChildren(...(row.kind === "call" ? [] : [mark(row.kind)]), row.prompt);
    answer.replaceChildren(...(row.streamed ? [mark("stream")] : []), row.answer);
    tags.replaceChildren(...row.tags.map((tag) => element("span", { class: "tag" }, tag)));
    COLUMNS.forEach((column, index) => {
      cells[index].textContent = column.text(row);
      cells[index].title = column.note?.(row) ?? "";
    });
    node.dataset.status = row.status;
  }
  return { node, opener, draw };
}

// The pager. `turn(offset)` goes to another page, `resize(limit)` changes the number of rows of a page.
export function makePager(turn, resize) {
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
