// Sends requests to the kernel and receives their replies; follows changes there.

const QUEUED_AFTER = 1500; // milliseconds until a request counts as queued
const FOLLOW_INTERVAL = 1000; // milliseconds between two requests for what has changed
const MAX_INTERVAL = 60000; // milliseconds between two requests while they fail
const PROBE = { type: "page", search: "", sort: "created", descending: true, offset: 0, limit: 1 };

// Every page that shows a notebook receives every reply. A random first number tells each page its own replies.
let lastNumber = Math.floor(Math.random() * 2 ** 40);

// Callbacks: `queued` gets the number of late requests, `failed` the text of an error, and `lost` whether the kernel that
// made the panel is gone.
export function connect(model, { queued, failed, lost }) {
  const waiting = new Map();

  function reportQueue() {
    queued([...waiting.values()].filter((request) => request.late).length);
  }

  function markLate(request) {
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
      request.failed(reply.text);
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

  // Resolves to the reply, or to null after an error, which goes to the request's `failed`, or to that of all.
  // Nobody waits for a quiet request: if it is late or fails, nothing is shown.
  function ask(message, { quietly = false, failed: ofRequest = failed } = {}) {
    lastNumber += 1;
    const id = lastNumber;
    return new Promise((resolve) => {
      const request = { resolve, quietly, failed: ofRequest, late: false };
      request.timer = quietly ? undefined : setTimeout(() => markLate(request), QUEUED_AFTER);
      waiting.set(id, request);
      send({ ...message, id });
    });
  }

  // The connection was lost or restored; the page doesn't learn which. A reply shows that the kernel is there.
  function probe() {
    lost(true);
    ask(PROBE, { quietly: true });
  }

  model.on("msg:custom", receive);
  model.on("comm_live_update", probe);

  function disconnect() {
    model.off("msg:custom", receive);
    model.off("comm_live_update", probe);
  }

  return { ask, disconnect };
}

// Calls `load()` after changes, one call at a time, and none while `isPaused()`. `load()` resolves to whether it
// succeeded; if not, it is called again, after longer and longer intervals.
export function makeFollower(load, isPaused) {
  let following = false;
  let interval = FOLLOW_INTERVAL;
  let behind = false; // something has changed since the last load

  async function resume() {
    if (following) {
      return;
    }
    following = true;
    while (behind && !isPaused()) {
      behind = false;
      if (await load()) {
        interval = FOLLOW_INTERVAL;
      } else {
        behind = true;
        interval = Math.min(2 * interval, MAX_INTERVAL);
      }
      await new Promise((resolve) => setTimeout(resolve, interval));
    }
    following = false;
  }

  function follow() {
    behind = true;
    return resume();
  }

  return { follow, resume };
}
