// The filters above the table: a search, and a choice for each property that entries have.

import { button, choice, element, setOptions } from "./elements.js";

const SEARCH_DELAY = 200; // milliseconds after the last keystroke until a search begins

export const FILTERS = [
  ["kind", "Kind", "All kinds"],
  ["model", "Model", "All models"],
  ["client", "Client", "All clients"],
  ["tag", "Tag", "All tags"],
  ["notebook", "Notebook", "All notebooks"],
  ["cell", "Cell", "All cells"],
  ["status", "Status", "Any status"],
];

// `changed(query)` gets those parts of the query that have changed.
export function makeFilters(changed) {
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
