// Makes elements and texts. Everything is inserted as text: nothing in the panel parses markup.

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") {
      node.addEventListener(name.slice(2), value);
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// element("button", { class: "quiet", onclick: close, disabled: false }, "Close")
export function element(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svgElement(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

export function button(label, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, label);
}

export function choice(label, onchange) {
  return element("select", { "aria-label": label, onchange });
}

// Sets the options of a <select>, [value, text] each, and which is chosen. Does nothing if nothing has changed.
export function setOptions(select, options, chosen) {
  const drawn = JSON.stringify([options, chosen]);
  if (select.dataset.drawn === drawn) {
    return;
  }
  select.dataset.drawn = drawn;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  select.value = chosen;
}

// Makes `nodes` the children of `parent`. A node that stays is not moved, so it keeps the focus and the selection.
export function setChildren(parent, nodes) {
  const staying = new Set(nodes);
  for (const child of [...parent.children]) {
    if (!staying.has(child)) {
      child.remove();
    }
  }
  let next = parent.firstElementChild;
  for (const node of nodes) {
    if (node === next) {
      next = next.nextElementSibling;
    } else {
      parent.insertBefore(node, next);
    }
  }
}

// Shows `strip` in place of a bar of buttons. Returns a function that shows the bar again; then `opener` gets the focus.
// Escape does what `cancel` does.
export function showInPlaceOf(bar, opener, strip, cancel) {
  strip.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      cancel();
    }
  });
  bar.hidden = true;
  bar.after(strip);
  return () => {
    strip.remove();
    bar.hidden = false;
    opener.focus();
  };
}

// Shows a question in place of a bar of buttons. Resolves to true if the answer is yes.
export function confirmed(bar, opener, question, yes) {
  return new Promise((resolve) => {
    const answer = (agreed) => {
      close();
      resolve(agreed);
    };
    const no = button("Cancel", () => answer(false));
    const strip = element(
      "div",
      { class: "bar strip confirm", role: "group", "aria-label": "Please confirm" },
      element("p", { role: "alert" }, question),
      button(yes, () => answer(true), { class: "danger" }),
      no,
    );
    const close = showInPlaceOf(bar, opener, strip, () => answer(false));
    no.focus();
  });
}

const NUMBER = new Intl.NumberFormat("en");
const THIS_YEAR = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const ANOTHER_YEAR = { year: "numeric", month: "short", day: "numeric" };

export function count(value) {
  return value === null || value === undefined ? "" : NUMBER.format(value);
}

export function counted(value, one, many) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function secondsText(value) {
  if (value === null || value === undefined) {
    return "";
  }
  return value < 0.05 ? "<0.1 s" : `${value.toFixed(value < 10 ? 1 : 0)} s`;
}

export function dateText(epochSeconds) {
  if (epochSeconds === null || epochSeconds === undefined) {
    return "";
  }
  const when = new Date(epochSeconds * 1000);
  const recent = when.getFullYear() === new Date().getFullYear();
  return when.toLocaleString("en", recent ? THIS_YEAR : ANOTHER_YEAR);
}

export function timeText(epochSeconds) {
  return new Date(epochSeconds * 1000).toLocaleTimeString("en", { hourCycle: "h23" });
}
