// What an application sees. Everything that checks, decides or keeps state is in the Rust module; here are only the
// shapes that are JavaScript's own: events, iteration, disposal.

import { glue } from "./core.mjs";

/** Events that an iterator keeps for a slow reader, before it drops the oldest. */
const BACKLOG = 4096;

/** Told once, and often before `connect` has given the client: they wait for the first who listens. */
const KEPT = ["restored", "error"];

const EVENTS = ["payment", "deposit", "withdrawal", "closing", "exit", "restored", "watched", "connected", "disconnected", "error"];

/** The exports of an entry, given its way to load the module, what its platform adds, and how it gets an engine. */
export function face(init, environment, open = glue.connect) {
  return {
    async connect(options) {
      await init();
      const events = new Events();
      const core = await open(options, environment, (event) => events.emit(event));
      return new Client(core, events);
    },
    async errorCodes() {
      await init();
      return glue.errorCodes();
    },
    async _testing() {
      await init();
      return { openStore: glue._openStore, BenchKey: glue._BenchKey, environment };
    },
  };
}

class Client {
  #core;
  #events;

  constructor(core, events) {
    this.#core = core;
    this.#events = events;
  }

  get info() {
    return this.#core.info();
  }

  async deposit(options) {
    return this.#core.deposit(options);
  }

  async pay(options) {
    return this.#core.pay(options);
  }

  async cancel(id) {
    return this.#core.cancel(id);
  }

  async withdraw(options) {
    return this.#core.withdraw(options);
  }

  async close(options) {
    return this.#core.close(options);
  }

  async exit(options) {
    return this.#core.exit(options);
  }

  async exportExitKit() {
    return this.#core.exitKit();
  }

  async balances() {
    return this.#core.balances();
  }

  async payments(options) {
    return this.#core.payments(options);
  }

  events() {
    return this.#events.iterate();
  }

  on(name, listener) {
    return this.#events.add(name, listener);
  }

  off(name, listener) {
    this.#events.remove(name, listener);
  }

  async disconnect() {
    try {
      await this.#core.disconnect();
    } finally {
      this.#events.end();
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.disconnect();
  }
}

class Events {
  #listeners = new Map(EVENTS.map((name) => [name, new Set()]));
  #iterators = new Set();
  #early = [];
  #ended = false;

  emit(event) {
    const listeners = [...this.#listeners.get(event.type)];
    if (KEPT.includes(event.type) && listeners.length + this.#iterators.size === 0) this.#keep(event);
    for (const listener of listeners) call(listener, event);
    for (const iterator of this.#iterators) iterator.push(event);
  }

  #keep(event) {
    if (this.#early.push(event) > BACKLOG) this.#early.shift();
  }

  #of(name, listener) {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) throw invalid(`There is no event ${JSON.stringify(name)}; there are ${EVENTS.join(", ")}.`);
    if (typeof listener !== "function") throw invalid("A listener must be a function.");
    return listeners;
  }

  add(name, listener) {
    this.#of(name, listener).add(listener);
    for (const event of this.#early.filter(({ type }) => type === name)) queueMicrotask(() => call(listener, event));
    this.#early = this.#early.filter(({ type }) => type !== name);
    return () => this.remove(name, listener);
  }

  remove(name, listener) {
    this.#of(name, listener).delete(listener);
  }

  end() {
    this.#ended = true;
    for (const iterator of this.#iterators) iterator.end();
    this.#iterators.clear();
  }

  iterate() {
    const waiting = [];
    const backlog = [];
    let done = this.#ended;
    const iterator = {
      push(event) {
        const reader = waiting.shift();
        if (reader !== undefined) reader({ value: event, done: false });
        else if (backlog.push(event) > BACKLOG) backlog.shift();
      },
      end() {
        done = true;
        for (const reader of waiting.splice(0)) reader({ value: undefined, done: true });
      },
    };
    if (!done) this.#iterators.add(iterator);
    for (const event of this.#early.splice(0)) iterator.push(event);
    return {
      next: () => {
        if (backlog.length > 0) return Promise.resolve({ value: backlog.shift(), done: false });
        if (done) return Promise.resolve({ value: undefined, done: true });
        return new Promise((reader) => waiting.push(reader));
      },
      return: async () => {
        this.#iterators.delete(iterator);
        iterator.end();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

function call(listener, event) {
  try {
    listener(event);
  } catch (error) {
    // The application's mistake; it must not stop the client's work.
    queueMicrotask(() => {
      throw error;
    });
  }
}

function invalid(message) {
  const error = new Error(message);
  error.name = "FarthingError";
  error.code = "invalid-argument";
  return error;
}
