// What an application sees. Everything that checks, decides or keeps state is in the Rust module; here are only the
// shapes that are JavaScript's own: events, iteration, disposal.
// @ts-check

/** @import { ClientEvent, ConnectOptions, PaidRequestInit } from "./index.js" */
/** @import { Core, Environment, Inner, Open, Tell } from "./internal.js" */
/** @typedef {ClientEvent["type"]} Name */

import { glue } from "./core.mjs";
import { Events, call, following } from "./events.mjs";
import { fault } from "./faults.mjs";
import { inspected, shownOptions, soon } from "./inspect.mjs";
import { Log } from "./log.mjs";
import { State } from "./state.mjs";
import { Streams } from "./streams.mjs";

/** Milliseconds that streams have, to note what they paid, before the client goes. */
const SETTLING = 2_000;

/**
 * What a call gives. An error that comes from the module was made where no line of the application is on the stack: it gets
 * the lines of who called.
 * @template Value @param {() => Promise<Value>} work @param {Log} [log] @param {string} [method]
 */
async function called(work, log, method) {
  const here = new Error();
  const begun = Date.now();
  // What the log's hook calls is not told to it: it would never end.
  if (log?.telling) log = undefined;
  log?.add("debug", "call", { method });
  try {
    const value = await work();
    log?.add("debug", "done", { method, ms: Date.now() - begun });
    return value;
  } catch (error) {
    log?.failed("warn", "failed", error, { method, ms: Date.now() - begun });
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
        const { confirm, rest } = confirmed(options);
        const { engine, own, hook } = await parted(await owned(rest));
        const log = new Log(hook);
        const events = new Events();
        const state = new State();
        const tell = (/** @type {ClientEvent} */ event) => {
          for (const told of following(event)) {
            log.event(told);
            state.hear(told);
            events.emit(told);
          }
        };
        const streams = new Streams(tell);
        const hear = (/** @type {ClientEvent | Inner} */ event) => {
          if (event.type === "_trouble") log.trouble(event);
          else if (streams.hears(event)) tell(event);
        };
        log.add("debug", "call", { method: "connect" });
        const opened = await open(engine, environment, hear).catch((error) => {
          log.failed("error", "failed", error, { method: "connect" });
          log.end();
          throw error;
        });
        const core = confirm === undefined ? opened : (await import("./confirm.mjs")).confirming(opened, confirm);
        streams.use(core);
        state.use(core);
        log.add("info", "open", { channelId: core.info().channelId, connected: core.info().connected });
        const attach = (/** @type {any} */ client) => loaded().then(({ attach }) => attach(client, own, environment));
        return new Client({ core, events, streams, state, log, shown: shownOptions(options), attach });
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
    async _signerOf() {
      await init();
      return glue._signerOf;
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
  if (typeof options !== "object" || options === null || !["budget", "spending", "log"].some((name) => name in options)) return { engine: options, own: { store: options?.store } };
  const { budget, spending, log: hook, ...engine } = options;
  if (budget !== undefined) (await loaded()).checkedBudget(budget);
  if (hook !== undefined && typeof hook !== "function") throw fault("invalid-argument", "connect(): log must be a function. Nothing was signed or sent.");
  return { engine, own: { store: engine.store, budget, spending }, hook };
}

/** A function that confirms payments is this tab's; anything else in its place is for the engine to judge. @param {any} options */
function confirmed(options) {
  if (typeof options?.confirm !== "function") return { rest: options };
  const { confirm, ...rest } = options;
  return { confirm, rest };
}

class Client {
  #core;
  #events;
  #streams;
  #state;
  #log;
  #shown;
  #attach;
  /** @type {ReturnType<typeof import("./fetch.mjs").attach> | undefined} */
  #paying;

  /** @param {{ core: Core, events: Events, streams: Streams, state: State, log: Log, shown: ReturnType<typeof shownOptions>, attach: (client: any) => ReturnType<typeof import("./fetch.mjs").attach> }} parts */
  constructor({ core, events, streams, state, log, shown, attach }) {
    this.#core = core;
    this.#events = events;
    this.#streams = streams;
    this.#state = state;
    this.#log = log;
    this.#shown = shown;
    this.#attach = attach;
  }

  async #paid() {
    this.#paying ??= this.#attach(this);
    this.#paying.catch(() => (this.#paying = undefined));
    return this.#paying;
  }

  /** @param {RequestInfo | URL} input @param {PaidRequestInit} [init] */
  async fetch(input, init) {
    return called(async () => (await this.#paid()).fetch(input, init), this.#log, "fetch");
  }

  async spending() {
    return called(async () => (await this.#paid()).spending(), this.#log, "spending");
  }

  get info() {
    return this.#core.info();
  }

  /** @param {unknown} options */
  async deposit(options) {
    return called(() => this.#core.deposit(options), this.#log, "deposit");
  }

  /** @param {unknown} options */
  async depositFee(options) {
    return called(() => this.#core.depositFee(options));
  }

  /** @param {unknown} options */
  async pay(options) {
    return called(() => this.#core.pay(options), this.#log, "pay");
  }

  /** @param {unknown} options */
  async stream(options) {
    return called(() => this.#streams.place(options), this.#log, "stream");
  }

  /** @param {import("./index.js").PaymentFilter} [filter] */
  async streams(filter) {
    return called(async () => {
      const { limit, ...rest } = filter ?? {};
      // What is no limit is refused as that of payments is.
      if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) return this.#core.payments(filter);
      const all = await this.#core.payments(filter === undefined || limit === undefined ? filter : rest);
      return all.filter((/** @type {import("./index.js").Payment} */ { stream }) => stream !== undefined).slice(0, limit);
    }, this.#log, "streams");
  }

  /** @param {unknown} options */
  async signReceiptKey(options) {
    return called(() => this.#core.signReceiptKey(options), this.#log, "signReceiptKey");
  }

  /** @param {unknown} id @param {object} options */
  async cancel(id, options) {
    return called(() => this.#core.cancel({ ...options, _id: id }), this.#log, "cancel");
  }

  /** @param {unknown} options */
  async withdraw(options) {
    return called(() => this.#core.withdraw(options), this.#log, "withdraw");
  }

  /** @param {unknown} options */
  async close(options) {
    return called(() => this.#core.close(options), this.#log, "close");
  }

  /** @param {unknown} options */
  async collectCredit(options) {
    return called(() => this.#core.collectCredit(options), this.#log, "collectCredit");
  }

  /** @param {unknown} options */
  async exit(options) {
    return called(() => this.#core.exit(options), this.#log, "exit");
  }

  async exportExitKit() {
    return called(() => this.#core.exitKit(), this.#log, "exportExitKit");
  }

  async exportSessionKey() {
    return called(() => this.#core.sessionKey());
  }

  async balances() {
    return called(() => this.#core.balances(), this.#log, "balances");
  }

  /** @param {unknown} options */
  async payments(options) {
    return called(() => this.#core.payments(options), this.#log, "payments");
  }

  events() {
    return this.#events.iterate();
  }

  /** What there is to show; the same object until something of it changes. */
  snapshot = () => this.#state.snapshot;

  /** @param {() => void} listener */
  subscribe = (listener) => this.#state.subscribe(listener);

  async inspect() {
    return inspected(this.#core, this.#shown, this.#log, this.#state.connection);
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
      await soon(() => this.#streams.settle(), SETTLING);
      await this.#core.disconnect();
    } finally {
      this.#events.end();
      this.#state.end();
      this.#log.add("info", "disconnect");
      this.#log.end();
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.disconnect();
  }
}
