// Round trips, counted: whatever this process asks by fetch or WebSocket is held until nothing that was let through is
// unanswered, and then let through together. So what goes out side by side is one round, and a question that needs an
// answer is one more, on any machine and at any load. Or: every answer is late by so many milliseconds.

const native = { fetch: globalThis.fetch, WebSocket: globalThis.WebSocket };

/** Turns of the event loop in which whoever got an answer may ask on. Nothing of the client's own work needs a timer. */
const TURNS = 60;

const turn = () => new Promise((resolve) => setImmediate(resolve));
const restore = () => Object.assign(globalThis, native);

/** Runs `work` and gives `{ rounds, asked, result }`: `asked` has, by round, what went out in it. */
export async function countRounds(work) {
  const asked = [];
  let held = [];
  let open = 0;
  let over = false;
  /** Waits for its round; what it gives back has to be called when the answer is there. */
  const gate = (what) =>
    new Promise((resolve) => held.push({ what, go: () => (open += 1, resolve(once(() => (open -= 1)))) }));
  const once = (call) => {
    let called = false;
    return () => (called || call(), (called = true));
  };
  globalThis.fetch = async (request) => {
    const body = await request.clone().text();
    if (over) return native.fetch(request);
    const done = await gate(method(body));
    try {
      const response = await native.fetch(request);
      const { status, headers } = response;
      // A body that is read later would be an answer that is not there yet.
      return new Response(await response.text(), { status, headers });
    } finally {
      done();
    }
  };
  globalThis.WebSocket = socketClass({
    opening: () => (over ? () => {} : gate("open")),
    sending: (text) => {
      const { id } = JSON.parse(text);
      // What wants no answer is no question.
      return over || id === undefined ? () => {} : gate(method(text));
    },
  });
  const conduct = (async () => {
    while (!over) {
      for (let turns = 0; turns < TURNS; turns += 1) await turn();
      if (open > 0 || held.length === 0) continue;
      const round = held;
      held = [];
      asked.push(round.map(({ what }) => what));
      round.forEach(({ go }) => go());
    }
  })();
  try {
    const result = await work();
    return { rounds: asked.length, asked, result };
  } finally {
    over = true;
    held.forEach(({ go }) => go());
    await conduct;
    restore();
  }
}

/** Runs `work` with every answer late by so many milliseconds, and gives the time that it took. */
export async function timed(latency, work) {
  const late = () => new Promise((resolve) => setTimeout(() => resolve(() => {}), latency));
  if (latency > 0) {
    globalThis.fetch = async (request) => (await late(), native.fetch(request));
    globalThis.WebSocket = socketClass({ opening: late, sending: late });
  }
  try {
    const started = performance.now();
    await work();
    return performance.now() - started;
  } finally {
    restore();
  }
}

/** `eth_call of 0x…` and the like. */
function method(body) {
  const { method, params } = JSON.parse(body);
  const [first, second] = Array.isArray(params) ? params : [];
  return [method, typeof first === "object" ? first?.data?.slice(0, 10) : first, second].filter((part) => typeof part === "string").join(" ");
}

/** A WebSocket that opens and sends when it may, in its order. */
function socketClass({ opening, sending }) {
  return class {
    #socket;
    #waiting = new Map();
    #queue = Promise.resolve();
    constructor(url) {
      const opened = opening();
      this.#queue = Promise.resolve(opened).then((done) => new Promise((resolve) => {
        if (this.closed) return resolve(done());
        const socket = (this.#socket = new native.WebSocket(url));
        socket.onopen = (event) => (this.onopen?.(event), done(), resolve());
        socket.onclose = (event) => (this.onclose?.(event), this.#end(), done(), resolve());
        socket.onerror = (event) => (this.onerror?.(event), this.#end(), done(), resolve());
        socket.onmessage = (event) => {
          this.onmessage?.(event);
          const { id } = JSON.parse(event.data);
          this.#waiting.get(id)?.();
          this.#waiting.delete(id);
        };
      }));
    }
    #end() {
      this.#waiting.forEach((done) => done());
      this.#waiting.clear();
    }
    send(text) {
      const { id } = JSON.parse(text);
      const sent = sending(text);
      this.#queue = this.#queue.then(() => sent).then((done) => {
        if (id === undefined) done();
        else this.#waiting.set(id, done);
        if (this.#socket?.readyState === 1) this.#socket.send(text);
        else this.#end();
      });
    }
    close() {
      this.closed = true;
      this.#end();
      this.#socket?.close();
    }
  };
}
