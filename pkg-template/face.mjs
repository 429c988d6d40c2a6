// What an application sees. Everything that checks, decides or keeps state is in the Rust module; here are only the
// shapes that are JavaScript's own: events, iteration, disposal.
// @ts-check

/** @import { ClientEvent, ConnectOptions, PaidRequestInit } from "./index.js" */
/** @import { Core, Environment, Inner, Open, Tell } from "./internal.js" */
/** @typedef {ClientEvent["type"]} Name */

import { glue } from "./core.mjs";
import { fault } from "./faults.mjs";
import { Streams } from "./streams.mjs";

/** Milliseconds that streams have, to note what they paid, before the client goes. */
const SETTLING = 2_000;

/** Events that an iterator keeps for a slow reader, before it drops the oldest. */
const BACKLOG = 4096;

/** Told once, and often before `connect` has given the client: they wait for the first who listens.
 * @type {Name[]} */
const KEPT = ["restored", "credit", "error"];

/** @type {Name[]} */
const EVENTS = ["payment", "stream", "renewal", "deposit", "withdrawal", "closing", "credit", "exit", "restored", "watched", "wallet", "connected", "disconnected", "error"];

/**
 * What a call gives. An error that comes from the module was made where no line of the application is on the stack: it gets
 * the lines of who called.
 * @template Value @param {() => Promise<Value>} work
 */
async function called(work) {
  const here = new Error();
  try {
    return await work();
  } catch (error) {
    throw traced(error, here.stack);
  }
}

/** Without the two frames of ours. V8 writes the message before them, others don't. @param {any} error @param {string | undefined} stack */
function traced(error, stack) {
  if (error?.name !== "FarthingError" || typeof stack !== "string") return error;
  const lines = stack.split("\n");
  const headed = /^Error\b/.test(lines[0]);
  const frames = lines.slice(headed ? 3 : 2).join("\n");
  try {
    error.stack = headed ? `${error.name}: ${error.message}\n${frames}` : frames;
  } catch {
    // It is only for whoever reads it.
  }
  return error;
}

/** The exports of an entry, given its way to load the module, what its platform adds, and how it gets an engine.
 * @param {() => unknown} init @param {Environment} environment @param {Open} open */
export function face(init, environment, open = glue.connect) {
  return {
    /** @param {ConnectOptions} options */
    async connect(options) {
      return called(async () => {
        await ready(init);
        const { engine, own } = await parted(await owned(options));
        const events = new Events();
        const streams = new Streams((event) => events.emit(event));
        const core = await open(engine, environment, (/** @type {ClientEvent | Inner} */ event) => {
          if (streams.hears(event)) events.emit(event);
        });
        streams.use(core);
        return new Client(core, events, streams, (client) => loaded().then(({ attach }) => attach(client, own, environment)));
      });
    },
    async errorCodes() {
      await init();
      return [...glue.errorCodes(), ...CODES];
    },
    /** Starts loading; a failure is told by who needs it, which tries again. */
    preload() {
      Promise.resolve().then(init).catch(() => {});
    },
    async _testing() {
      await init();
      return { openStore: glue._openStore, BenchKey: glue._BenchKey, environment };
    },
  };
}

/** Codes of this package's JavaScript, beside the module's. */
const CODES = ["not-loaded"];

/** Loads, where there is anything to connect with. @param {() => unknown} init */
async function ready(init) {
  if (typeof fetch !== "function") {
    throw fault("unsupported", "There is no global fetch here. Under jsdom, which has none, run what connects in the environment of Node: in Jest by `@jest-environment node` in the file's first comment. Nothing was signed or sent.");
  }
  await init();
}

/** The fetch that pays, for who calls it. */
const loaded = () => import("./fetch.mjs");

/** The options with a wallet that the engine takes. Of a provider, a key or a phrase nothing is loaded. @param {ConnectOptions} options */
async function owned(options) {
  if (typeof options !== "object" || options === null || isPlain(options)) return options;
  const { switchChain, ...others } = options;
  const { accepted } = await import("./wallets/accepted.mjs");
  return { ...others, ...(await accepted(others.wallet, others.rpc, switchChain)) };
}

/** @param {ConnectOptions} options */
function isPlain(options) {
  try {
    return !("switchChain" in options) && isEngines(options.wallet);
  } catch {
    // The engine says of whatever can't be read that it can't.
    return true;
  }
}

/** @param {any} wallet */
function isEngines(wallet) {
  if ((typeof wallet !== "object" && typeof wallet !== "function") || wallet === null) return true;
  if (typeof wallet.request === "function") return typeof wallet.account !== "object" || wallet.account === null || wallet.account.type === "json-rpc";
  return !["getProvider", "getSigner", "getAddress", "signTransaction"].some((name) => typeof wallet[name] === "function") && typeof wallet.type !== "string";
}

/** What of the options is the engine's, and what is of the fetch. A budget is refused before anything is opened. @param {ConnectOptions} options */
async function parted(options) {
  if (typeof options !== "object" || options === null || !("budget" in options || "spending" in options)) return { engine: options, own: { store: options?.store } };
  const { budget, spending, ...engine } = options;
  if (budget !== undefined) (await loaded()).checkedBudget(budget);
  return { engine, own: { store: engine.store, budget, spending } };
}

class Client {
  #core;
  #events;
  #streams;
  #attach;
  /** @type {ReturnType<typeof import("./fetch.mjs").attach> | undefined} */
  #paying;

  /** @param {Core} core @param {Events} events @param {Streams} streams @param {(client: any) => ReturnType<typeof import("./fetch.mjs").attach>} attach */
  constructor(core, events, streams, attach) {
    this.#core = core;
    this.#events = events;
    this.#streams = streams;
    this.#attach = attach;
  }

  async #paid() {
    this.#paying ??= this.#attach(this);
    this.#paying.catch(() => (this.#paying = undefined));
    return this.#paying;
  }

  /** @param {RequestInfo | URL} input @param {PaidRequestInit} [init] */
  async fetch(input, init) {
    return called(async () => (await this.#paid()).fetch(input, init));
  }

  async spending() {
    return called(async () => (await this.#paid()).spending());
  }

  get info() {
    return this.#core.info();
  }

  /** @param {unknown} options */
  async deposit(options) {
    return called(() => this.#core.deposit(options));
  }

  /** @param {unknown} options */
  async pay(options) {
    return called(() => this.#core.pay(options));
  }

  /** @param {unknown} options */
  async stream(options) {
    return called(() => this.#streams.place(options));
  }

  /** @param {import("./index.js").PaymentFilter} [filter] */
  async streams(filter) {
    return called(async () => {
      const { limit, ...rest } = filter ?? {};
      // What is no limit is refused as that of payments is.
      if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) return this.#core.payments(filter);
      const all = await this.#core.payments(filter === undefined || limit === undefined ? filter : rest);
      return all.filter((/** @type {import("./index.js").Payment} */ { stream }) => stream !== undefined).slice(0, limit);
    });
  }

  /** @param {unknown} options */
  async signReceiptKey(options) {
    return called(() => this.#core.signReceiptKey(options));
  }

  /** @param {unknown} id @param {object} options */
  async cancel(id, options) {
    return called(() => this.#core.cancel({ ...options, _id: id }));
  }

  /** @param {unknown} options */
  async withdraw(options) {
    return called(() => this.#core.withdraw(options));
  }

  /** @param {unknown} options */
  async close(options) {
    return called(() => this.#core.close(options));
  }

  /** @param {unknown} options */
  async collectCredit(options) {
    return called(() => this.#core.collectCredit(options));
  }

  /** @param {unknown} options */
  async exit(options) {
    return called(() => this.#core.exit(options));
  }

  async exportExitKit() {
    return called(() => this.#core.exitKit());
  }

  async exportSessionKey() {
    return called(() => this.#core.sessionKey());
  }

  async balances() {
    return called(() => this.#core.balances());
  }

  /** @param {unknown} options */
  async payments(options) {
    return called(() => this.#core.payments(options));
  }

  events() {
    return this.#events.iterate();
  }

  /** @param {Name} name @param {Tell} listener */
  on(name, listener) {
    const off = this.#events.add(name, listener);
    if (name === "stream") {
      this.#streams.listen();
      for (const stream of this.#streams.incoming) queueMicrotask(() => call(listener, { type: "stream", stream }));
    }
    return off;
  }

  /** @param {Name} name @param {Tell} listener */
  off(name, listener) {
    this.#events.remove(name, listener);
  }

  async disconnect() {
    const paying = this.#paying;
    this.#paying = undefined;
    this.#attach = () => Promise.reject(fault("client-closed", "The client is disconnected. Nothing was paid."));
    try {
      await (await paying?.catch(() => undefined))?.close();
      await Promise.race([this.#streams.settle(), new Promise((resolve) => setTimeout(resolve, SETTLING))]);
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
  /** @type {Map<Name, Set<Tell>>} */
  #listeners = new Map(EVENTS.map((name) => [name, new Set()]));
  /** @type {Set<{ push: Tell, end(): void }>} */
  #iterators = new Set();
  /** @type {ClientEvent[]} */
  #early = [];
  #ended = false;

  /** @type {Tell} */
  emit(event) {
    const listeners = [...(this.#listeners.get(event.type) ?? [])];
    if (KEPT.includes(event.type) && listeners.length + this.#iterators.size === 0) this.#keep(event);
    for (const listener of listeners) call(listener, event);
    for (const iterator of this.#iterators) iterator.push(event);
  }

  /** @type {Tell} */
  #keep(event) {
    if (this.#early.push(event) > BACKLOG) this.#early.shift();
  }

  /** @param {Name} name @param {Tell} listener */
  #of(name, listener) {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) throw invalid(`There is no event ${JSON.stringify(name)}; there are ${EVENTS.join(", ")}.`);
    if (typeof listener !== "function") throw invalid("A listener must be a function.");
    return listeners;
  }

  /** @param {Name} name @param {Tell} listener */
  add(name, listener) {
    this.#of(name, listener).add(listener);
    for (const event of this.#early.filter(({ type }) => type === name)) queueMicrotask(() => call(listener, event));
    this.#early = this.#early.filter(({ type }) => type !== name);
    return () => this.remove(name, listener);
  }

  /** @param {Name} name @param {Tell} listener */
  remove(name, listener) {
    this.#of(name, listener).delete(listener);
  }

  end() {
    this.#ended = true;
    for (const iterator of this.#iterators) iterator.end();
    this.#iterators.clear();
  }

  iterate() {
    /** @type {((result: IteratorResult<ClientEvent, undefined>) => void)[]} */
    const waiting = [];
    /** @type {ClientEvent[]} */
    const backlog = [];
    let done = this.#ended;
    const iterator = {
      /** @type {Tell} */
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

/** @param {Tell} listener @param {ClientEvent} event */
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

/** @param {string} message */
const invalid = (message) => fault("invalid-argument", message);
