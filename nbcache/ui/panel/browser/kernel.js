// Requests to the kernel, each with its reply; and looks at what has changed there.

const PATIENCE = 1500; // milliseconds until a request counts as queued
const BREATH = 1000; // milliseconds between two looks at what has changed
const LONGEST_BREATH = 60000; // and where one look after the other fails
const ANYTHING = { type: "page", search: "", sort: "created", descending: true, offset: 0, limit: 1 };

// Every page that shows a notebook hears every reply: numbers that begin anywhere tell whose it is.
let lastNumber = Math.floor(Math.random() * 2 ** 40);

// `queued` is told how many requests have waited long, `failed` what came of one that could not be done, and `lost`
// whether the kernel that made the panel is gone.
export function connect(model, { queued, failed, lost }) {
  const waiting = new Map();

  function reportQueue() {
    queued([...waiting.values()].filter((request) => request.late).length);
  }

  function beLate(request) {
    request.late = true;
    reportQueue();
  }

  function receive(reply) {
    const request = waiting.get(reply.id);
    if (!request) {
      return;
    }
    waiting.delete(reply.id);
    clearTimeout(request.timer);
    lost(false);
    reportQueue();
    if (reply.type === "error" && !request.quietly) {
      failed(reply.text);
    }
    request.resolve(reply.type === "error" ? null : reply);
  }

  function send(message) {
    try {
      model.send(message);
    } catch {
      lost(true); // its channel is closed
    }
  }

  // Resolves to the reply, or to null where it is an error, which `failed` has then been told.
  // What is asked quietly nobody waits for: neither that it is late is told, nor that it failed.
  function ask(message, { quietly = false } = {}) {
    lastNumber += 1;
    const id = lastNumber;
    return new Promise((resolve) => {
      const request = { resolve, quietly, late: false };
      request.timer = quietly ? undefined : setTimeout(() => beLate(request), PATIENCE);
      waiting.set(id, request);
      send({ ...message, id });
    });
  }

  // The connection was cut or mended, the page is not told which: a reply tells.
  function reconsider() {
    lost(true);
    ask(ANYTHING, { quietly: true });
  }

  model.on("msg:custom", receive);
  model.on("comm_live_update", reconsider);

  function disconnect() {
    model.off("msg:custom", receive);
    model.off("comm_live_update", reconsider);
  }

  return { ask, disconnect };
}

// Keeps up with changes, one `look()` at a time: it resolves to whether it was done, and is repeated where it wasn't.
// While it is `still()`, nothing is looked at.
export function makeFollower(look, still) {
  let following = false;
  let breath = BREATH;
  let behind = false; // something has changed since the last look

  async function resume() {
    if (following) {
      return;
    }
    following = true;
    while (behind && !still()) {
      behind = false;
      if (await look()) {
        breath = BREATH;
      } else {
        behind = true;
        breath = Math.min(2 * breath, LONGEST_BREATH);
      }
      await new Promise((resolve) => setTimeout(resolve, breath));
    }
    following = false;
  }

  function follow() {
    behind = true;
    return resume();
  }

  return { follow, resume };
}
