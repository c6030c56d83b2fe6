// One entry, opened: its messages as a chat, its facts and parameters, and the buttons that act on it.

import { makeChangeButtons } from "./changes.js";
import { button, confirmed, counted, element } from "./elements.js";

const FENCED = /(^```[^\n]*\n[\s\S]*?(?:\n```[ \t]*$|$(?![\s\S])))/m;

const ROLE_NAMES = {
  human: "User",
  user: "User",
  ai: "Assistant",
  assistant: "Assistant",
  system: "System",
  tool: "Tool",
  call: "Call",
  value: "Value",
};

// Text as it was typed; fenced code in a monospaced font.
function prose(text) {
  return text
    .split(FENCED)
    .filter((piece) => piece.trim())
    .map((piece) => {
      const code = piece.startsWith("```");
      return element(code ? "pre" : "div", { class: code ? "code" : "text" }, piece.replace(/^\n+|\n+$/g, ""));
    });
}

function captioned(caption, text) {
  return [element("div", { class: "caption" }, caption), element("pre", { class: "code" }, text)];
}

function part({ kind, text, name }) {
  switch (kind) {
    case "text":
      return prose(text);
    case "code":
      return [element("pre", { class: "code" }, text)];
    case "reasoning":
      return [element("div", { class: "caption" }, "Reasoning"), element("div", { class: "text quiet" }, text)];
    case "tool call":
      return captioned(`Calls ${name || "a tool"}`, text);
    case "tool result":
      return captioned(name ? `Result of ${name}` : "Result", text);
    case "image":
      return captioned("Image", text);
    default:
      return captioned("Other content", text);
  }
}

function message({ role, parts }) {
  return element(
    "div",
    { class: "message", "data-role": role },
    element("div", { class: "role" }, ROLE_NAMES[role] || role),
    ...parts.flatMap(part),
  );
}

function conversation(label, messages) {
  return element("section", { class: `conversation ${label.toLowerCase()}`, "aria-label": label }, ...messages.map(message));
}

// The messages as text for the clipboard; several messages each begin with their role.
function plainText(messages) {
  const texts = messages.map(({ parts }) => parts.map(({ text }) => text).join("\n"));
  return texts.length === 1
    ? texts[0]
    : messages.map(({ role }, index) => `${ROLE_NAMES[role] || role}:\n${texts[index]}`).join("\n\n");
}

// A page without HTTPS has no clipboard API, but can copy a selection.
async function copy(text, near) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const carrier = element("textarea", { class: "carrier", "aria-hidden": "true" });
  carrier.value = text;
  near.after(carrier);
  carrier.select();
  document.execCommand("copy");
  carrier.remove();
}

function copyButton(label, messages, say) {
  const self = button(label, async () => {
    await copy(plainText(messages), self);
    self.focus();
    self.textContent = "Copied";
    say("Copied to the clipboard");
    self.addEventListener("blur", () => (self.textContent = label), { once: true });
  });
  return self;
}

function definition([term, text]) {
  return element("div", {}, element("dt", {}, term), element("dd", {}, text));
}

// What leads to another entry, as a line of a list: a call whose entry is gone leads nowhere.
function makeLink({ key, text, times = 1 }, go) {
  const label = times > 1 ? `${times} × ${text}` : text;
  const line = key ? button(label, () => go(key), { class: "link", "data-key": key, title: text }) : label;
  return element("li", { class: key ? null : "quiet" }, line);
}

function linked(title, links, go, ...others) {
  const lines = [...links.map((link) => makeLink(link, go)), ...others.map((text) => element("li", { class: "quiet" }, text))];
  return lines.length
    ? element("section", { "aria-label": title }, element("div", { class: "caption" }, title), element("ul", { role: "list" }, ...lines))
    : null;
}

// The calls that were made inside of a function, or the functions inside of which a call was made.
function makeLinks({ around, inside, calls, more, unseen }, go) {
  if (around) {
    return linked("In functions", around, go);
  }
  const others = [more ? `and ${counted(more, "other call", "other calls")}` : "", unseen ? "There may be more." : ""];
  return linked(`Calls inside (${unseen ? "≥ " : ""}${calls})`, inside, go, ...others.filter(Boolean));
}

// `act(request, options)` sends a request to the kernel; `go(key)` shows another entry in this place, and `back` leads from
// there to the one before: its `title`, and `go()`; `close()` closes the entry; `say(text)` shows a message; `tags()` are
// the tags that there are. Returns its node; `update(entry)`, which shows what has changed; and `focus(key)`, which sets the
// focus on the link to the entry `key`, or else on the first link.
export function openEntry(entry, { act, go, back, close, say, tags }) {
  const { key, title } = entry;
  const returner = back && button(`‹ Back to ${back.title}`, () => back.go(), { class: "link back" });
  const facts = element("dl", { class: "facts" }, ...entry.facts.map(definition));
  const changes = makeChangeButtons(() => actions, { which: () => ({ total: 1, request: { key } }), tags, act });
  const renew = button("Refresh", async () => {
    const question = "Refresh this entry? The next such call pays anew, and its answer takes this one's place.";
    if (await confirmed(actions, renew, question, "Refresh entry")) {
      act({ type: "renew", key });
    }
  });
  const evict = button(
    "Evict",
    async () => {
      if (await confirmed(actions, evict, "Evict this entry? The next such call is paid again.", "Evict entry")) {
        act({ type: "evict", key });
      }
    },
    { class: "danger" },
  );
  const actions = element(
    "div",
    { class: "bar" },
    copyButton("Copy prompt", entry.prompt, say),
    copyButton("Copy answer", entry.answer, say),
    element("span", { class: "gap" }),
    ...changes,
    renew,
    evict,
  );
  const node = element(
    "section",
    {
      class: "entry",
      "aria-label": "Entry",
      onkeydown: (event) => {
        if (event.key === "Escape") {
          close();
        }
      },
    },
    returner,
    element("div", { class: "chat" }, conversation("Prompt", entry.prompt), conversation("Answer", entry.answer)),
    element(
      "div",
      { class: "about", role: "group", "aria-label": "Facts" },
      facts,
      makeLinks(entry, go),
      element(
        "details",
        {},
        element("summary", {}, "Parameters"),
        element("pre", { class: "code", tabindex: "0" }, entry.parameters),
      ),
    ),
    element("div", { class: "actions" }, actions),
  );

  function update(changed) {
    facts.replaceChildren(...changed.facts.map(definition));
  }

  function focus(linkedKey) {
    const links = [...node.querySelectorAll(".link")];
    (links.find((link) => link.dataset.key === linkedKey) || links[0])?.focus();
  }
  return { key, title, node, update, focus };
}
