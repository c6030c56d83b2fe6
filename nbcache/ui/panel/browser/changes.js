// Forms for the tags and the expiry of entries: of one that is open, or of all that are shown.

import { button, counted, element, showInPlaceOf } from "./elements.js";

let lists = 0; // forms with a list of suggestions so far: each list has an id of its own

// Shows a form with one text in place of a bar of buttons. `verbs` has what can be done with the text: [label, request], the
// first also by Enter. `send(request, failed)` resolves to whether it was done; if not, the form stays as it was typed.
function showForm(bar, opener, { title, label, hint, suggestions, verbs }, send) {
  lists += 1;
  const list = suggestions.length ? `suggestions-${lists}` : null;
  const input = element("input", {
    type: "text",
    "aria-label": label,
    placeholder: hint,
    list,
    autocomplete: "off",
    onkeydown: (event) => {
      if (event.key === "Enter" && !event.isComposing) {
        submit(firstRequest);
      }
    },
  });
  const problem = element("p", { class: "danger", role: "alert" });
  const [[, firstRequest]] = verbs;
  let sending = false;

  async function submit(request) {
    if (sending) {
      return;
    }
    sending = true;
    problem.textContent = "";
    const done = await send({ text: input.value, ...request }, (text) => (problem.textContent = text));
    sending = false;
    if (done) {
      close();
    } else {
      input.focus();
    }
  }

  const strip = element(
    "div",
    { class: "bar strip", role: "group", "aria-label": title },
    element("p", { "aria-hidden": "true" }, `${title}:`),
    input,
    element("datalist", { id: list }, ...suggestions.map((value) => element("option", { value }))),
    ...verbs.map(([name, request]) => button(name, () => submit(request))),
    button("Cancel", () => close()),
    problem,
  );
  const close = showInPlaceOf(bar, opener, strip, () => close());
  input.focus();
}

// By the name of the button that opens it. `entries` counts those that are meant, and `tags` are those that there are.
const FORMS = {
  Tag: (entries, tags) => ({
    title: `Tags of ${entries}`,
    label: "Tag",
    hint: "a tag",
    suggestions: tags,
    verbs: [
      [`Tag ${entries}`, { type: "tag" }],
      [`Untag ${entries}`, { type: "untag" }],
    ],
  }),
  Expire: (entries) => ({
    title: `Expiry of ${entries}, from now on`,
    label: "Time until they expire",
    hint: "such as 12h or 7d",
    suggestions: [],
    verbs: [
      [`Let ${entries} expire`, { type: "expire" }],
      [`Keep ${entries} for good`, { type: "expire", text: "none" }],
    ],
  }),
};

// The buttons that open the forms in place of `bar()`. `which()` has the number of entries that are meant, and how the kernel
// finds them: `{ total, request }`. `tags()` are the tags that there are. `act(request, { failed })` resolves to whether it was done.
export function makeChangeButtons(bar, { which, tags, act }) {
  return Object.entries(FORMS).map(([name, form]) => {
    const opener = button(name, () => {
      const { total, request } = which();
      const send = (change, failed) => act({ ...request, ...change }, { failed });
      showForm(bar(), opener, form(counted(total, "entry", "entries"), tags()), send);
    });
    return opener;
  });
}
