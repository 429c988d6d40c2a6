// One wallet in many tabs: the tab that holds the wallet's Web Lock leads, which is to run the engine; what is called in
// the others crosses a BroadcastChannel and is done there. docs/tabs.md says why each rule is there.
// @ts-check

/** @import { Balance, ClientEvent, ConnectOptions, ErrorCode, FarthingError, Hex, Info } from "./index.js" */
/** @import { Asked, Call, Core, Environment, Fault, Message, Method, Open, Served, Tell, Tenure } from "./internal.js" */

import { glue } from "./core.mjs";
import { fault } from "./faults.mjs";
import { GRACE, METHODS, MOST, UNKNOWN, UNMOVED, aborted, closed, completed, freeze, limit, pack, unpack } from "./tab-calls.mjs";

/** Milliseconds between two beats of the leader, and between two looks of the others. */
const BEAT = 125;

/** Milliseconds without a sign of the leader after which it is asked, and how often it is asked before it is replaced. */
const SILENCE = 350;
const PINGS = 2;

/** Who replaced a leader is slow to do it again for so many milliseconds, and so many times as slow. */
const CALM = 30_000;
const SLOWER = 4;

/** The first and the longest pause after the engine could not be started, in milliseconds. */
const PAUSE = [250, 10_000];

/** Milliseconds that connect() is waited for where nobody leads who would end it. */
const CONNECT = 2_700_000;

/** And the leader's word on what became of a call that its caller does not wait for any more. */
const LAST_WORD = 1_000;

/** What a browser adds: a key drawn at random is never stored as it is.
 * @type {Environment} */
const SEALS = {
  seal: async (bytes, context) => (await import("./seal.mjs")).seal(bytes, context),
  unseal: async (bytes, context) => (await import("./seal.mjs")).unseal(bytes, context),
};

/** As `glue.connect`, with the engine wherever it is. Alone where tabs can't meet, or where they shall not.
 * @type {Open} */
export async function connectShared(options, platform, tell) {
  const environment = { ...SEALS, ...platform };
  const { navigator, BroadcastChannel, indexedDB } = globalThis;
  const possible = navigator?.locks && BroadcastChannel && indexedDB && globalThis.crypto?.subtle;
  if (!possible || typeof options !== "object" || options === null || options.store !== undefined || options.shared === false) {
    return glue.connect(options, environment, tell);
  }
  const { address, hub } = await glue._identify(options, environment);
  const identity = new TextEncoder().encode(`${new URL(hub).href}\n${address}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", identity)).slice(0, 16);
  return new Tab(`farthing/tabs/${hex(hash)}`, address, options, environment, tell).join();
}

/** Has the methods of the engine. */
class Tab {
  #name;
  #address;
  #options;
  #environment;
  #tell;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** Settles `join`, until it is.
   * @type {{ resolve(tab: Core): void, reject(error: unknown): void } | undefined} */
  #joining;
  /** Ends our waiting for the lock.
   * @type {AbortController | undefined} */
  #queue;
  /** While we hold the lock.
   * @type {Tenure | undefined} */
  #tenure;
  /** The newest leader we know of; the later one of two has the larger epoch. */
  #leader = { epoch: 0, ready: false };
  #heard = 0;
  #pings = 0;
  #robbed = -Infinity;
  #pause = PAUSE[0];
  /** @type {Info | undefined} */
  #info;
  /** @type {readonly Balance[]} */
  #balances = [];
  /** The engine that ran here last. @type {Core | undefined} */
  #last;
  /** The newest version of the package that another tab has told. */
  #newest = glue._version();
  /** Calls of this tab that are not answered.
   * @type {Map<Hex, Call>} */
  #calls = new Map();
  #closed = false;
  /** The page was left; it may come back. */
  #asleep = false;

  /** @param {string} name @param {string} address @param {ConnectOptions} options @param {Environment} environment @param {Tell} tell */
  constructor(name, address, options, environment, tell) {
    this.#name = name;
    this.#address = address;
    this.#options = options;
    this.#environment = { ...environment, shared: true };
    this.#tell = tell;
  }

  static {
    for (const method of METHODS.keys()) {
      /** @type {any} */ (Tab.prototype)[method] = /** @this {Tab} @param {unknown} argument */ function (argument) {
        return this.#call(method, argument);
      };
    }
  }

  info() {
    return this.#info;
  }

  balancesNow() {
    return this.#balances;
  }

  role() {
    return this.#tenure?.core !== undefined ? "leads" : "follows";
  }

  /** Where the engine stands, wherever it is; after the end, the one that was here. */
  report() {
    const core = this.#tenure?.core ?? (this.#closed ? this.#last : undefined);
    return core?.standing() ?? (this.#closed ? undefined : this.#call("standing", undefined));
  }

  /** @returns {Promise<Core>} */
  join() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    globalThis.addEventListener?.("pagehide", this.#hide);
    globalThis.addEventListener?.("pageshow", this.#show);
    this.#timer = setInterval(() => this.#look(), BEAT);
    const joined = new Promise((resolve, reject) => (this.#joining = { resolve, reject }));
    const { signal } = this.#options;
    const late = () => this.#joining && this.#refuse(fault("wallet-unavailable", `No tab could open the wallet in time. ${UNMOVED}`));
    const timer = setTimeout(late, Math.min((this.#options.timeout ?? CONNECT) + GRACE, MOST));
    joined.catch(() => {}).finally(() => clearTimeout(timer));
    signal?.addEventListener("abort", () => this.#joining && this.#refuse(aborted(signal, UNMOVED)), { once: true });
    this.#show({ persisted: true });
    return joined;
  }

  /** `connect` fails, and leaves nothing behind. @param {unknown} error */
  #refuse(error) {
    this.#joining?.reject(error);
    this.#joining = undefined;
    this.disconnect();
  }

  async disconnect() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    globalThis.removeEventListener?.("pagehide", this.#hide);
    globalThis.removeEventListener?.("pageshow", this.#show);
    this.#queue?.abort();
    for (const call of this.#calls.values()) this.#settle(call, "reject", closed());
    const tenure = this.#tenure;
    this.#tenure = undefined;
    if (tenure !== undefined) {
      tenure.over = true;
      // The next one opens the store when we have left it. What is done for others meanwhile is still answered.
      if (tenure.core !== undefined) await tenure.core.disconnect().finally(tenure.release);
    }
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** The page goes away, perhaps to come back. */
  #hide = () => {
    this.#asleep = true;
    this.#queue?.abort();
    this.#queue = undefined;
    if (this.#tenure !== undefined) this.#end(this.#tenure);
  };

  /** @param {{ persisted: boolean }} event */
  #show = ({ persisted }) => {
    if (!persisted) return;
    this.#asleep = false;
    this.#hear();
    this.#wait();
    this.#post({ kind: "hello" });
  };

  // The lock.

  #wait() {
    if (this.#closed || this.#asleep || this.#queue !== undefined || this.#tenure !== undefined) return;
    this.#queue = new AbortController();
    this.#request(this.#queue.signal, { signal: this.#queue.signal });
  }

  #steal() {
    this.#queue?.abort();
    // Nobody else is asked for it meanwhile; the browser takes no signal here.
    this.#queue = new AbortController();
    this.#robbed = performance.now();
    this.#hear();
    this.#request(this.#queue.signal, { steal: true });
  }

  /** @param {AbortSignal} signal @param {LockOptions} options */
  #request(signal, options) {
    /** @type {Tenure | undefined} */
    let tenure;
    const lead = () => {
      if (this.#closed || signal.aborted) return undefined;
      tenure = this.#lead();
      return tenure.held;
    };
    // It rejects when we no longer wait for it, and when it was stolen from us.
    navigator.locks.request(this.#name, options, lead).catch(() => tenure && this.#end(tenure));
  }

  #lead() {
    const epoch = Math.max(Date.now(), this.#leader.epoch + 1);
    const tenure = /** @type {Tenure} */ ({ epoch, over: false, served: new Map(), early: /** @type {ClientEvent[]} */ ([]), crowd: true, beats: 0 });
    tenure.held = new Promise((resolve) => (tenure.release = resolve));
    this.#queue = undefined;
    this.#tenure = tenure;
    this.#follow(epoch);
    this.#post({ kind: "beat", epoch, ready: false });
    this.#start(tenure);
    return tenure;
  }

  /** @param {Tenure} tenure */
  async #start(tenure) {
    // Whoever stops waiting for connect() does not stop the tab later.
    const options = this.#joining ? this.#options : { ...this.#options, signal: undefined };
    /** @type {Core | undefined} */
    let core;
    /** @type {any} */
    let failure;
    try {
      core = await glue.connect(options, this.#environment, /** @type {Tell} */ ((event) => this.#happened(tenure, event)));
      if (core?.info().address !== this.#address) throw fault("wallet-unavailable", "The wallet shows another account than before.");
    } catch (error) {
      failure = error;
    }
    if (core !== undefined && failure === undefined && !tenure.over) {
      tenure.core = core;
      this.#pause = PAUSE[0];
      this.#last = core;
      this.#info = core.info();
      const balances = core.balancesNow();
      this.#post({ kind: "beat", epoch: tenure.epoch, ready: true, info: this.#info, balances });
      this.#has(balances);
      this.#ready();
      for (const event of tenure.early.splice(0)) this.#happened(tenure, event);
      return;
    }
    await core?.disconnect();
    const failed = !tenure.over;
    tenure.over = true;
    if (this.#tenure === tenure) this.#tenure = undefined;
    tenure.release();
    if (failed) this.#fail(failure);
  }

  /** The engine did not start: `connect` fails; later, others get their turn, and we try again. @param {FarthingError} error */
  #fail(error) {
    if (this.#joining) return this.#refuse(error);
    this.#post({ kind: "failed", error: pack(error) });
    this.#giveUp(error);
    this.#tell({ type: "error", error });
    // Nobody wants to be asked again for what was just refused; the next call asks.
    if (error.code === "wallet-rejected") return undefined;
    setTimeout(() => this.#wait(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, PAUSE[1]);
    return undefined;
  }

  /** Calls that nobody has seen fail; what a leader may have done is asked for when there is another one. @param {unknown} error */
  #giveUp(error) {
    for (const call of this.#calls.values()) if (call.epoch === 0) this.#settle(call, "reject", error);
  }

  /** We lead no more, be it that the lock was stolen or that somebody else opened the store. @param {Tenure} tenure */
  #end(tenure) {
    if (tenure.over) return;
    tenure.over = true;
    if (this.#tenure === tenure) this.#tenure = undefined;
    tenure.core?.disconnect().catch(() => {});
    if (tenure.core !== undefined) tenure.release();
    this.#leader.ready = false;
    this.#away();
    this.#hear();
    this.#wait();
  }

  /** @type {(tenure: Tenure, ...told: Parameters<Tell>) => void} */
  #happened(tenure, event) {
    if (tenure.over) return;
    if (event.type === "error" && event.error.code === "storage-locked") return this.#end(tenure);
    if (tenure.core === undefined) return void tenure.early.push(event);
    this.#info = tenure.core.info();
    // For the log of this tab.
    if (/** @type {any} */ (event).type === "_trouble") return this.#tell(event);
    if (event.type === "balance") this.#balances = event.balances;
    const told = event.type === "error" ? { ...event, error: pack(event.error) } : event;
    this.#post({ kind: "event", epoch: tenure.epoch, event: told, info: this.#info });
    this.#tell(event);
  }

  // The others.

  /** Each beat: says that we are there, or looks whether the leader is. */
  #look() {
    const tenure = this.#tenure;
    if (tenure !== undefined) {
      if (tenure.crowd) this.#post({ kind: "beat", epoch: tenure.epoch, ready: tenure.core !== undefined });
      tenure.beats += 1;
      if (tenure.beats % 32 === 0) this.#count(tenure);
      return;
    }
    // In a hidden tab timers are slow, messages are not: so silence alone says nothing.
    const now = performance.now();
    const patience = now - this.#robbed < CALM ? SILENCE * SLOWER : SILENCE;
    if (this.#queue === undefined || now - this.#heard < patience) return;
    this.#pings += 1;
    if (this.#pings <= PINGS) return this.#post({ kind: "ping" });
    // What has come in meanwhile is heard first; tabs that are looked at go first.
    const pause = Math.random() * 50 + (globalThis.document?.visibilityState === "hidden" ? BEAT : 0);
    setTimeout(() => this.#pings > PINGS && this.#queue !== undefined && this.#steal(), pause);
  }

  /** @param {Tenure} tenure */
  async #count(tenure) {
    const { pending = [] } = await navigator.locks.query();
    tenure.crowd = pending.some(({ name }) => name === this.#name);
  }

  #hear() {
    this.#heard = performance.now();
    this.#pings = 0;
  }

  /** @param {number} epoch */
  #follow(epoch) {
    this.#leader = { epoch, ready: false };
    this.#away();
  }

  /** What there is, as a leader tells it: news, if another one told otherwise. @param {readonly Balance[]} balances */
  #has(balances) {
    const before = JSON.stringify(this.#balances);
    this.#balances = balances;
    if (this.#joining || before === JSON.stringify(balances)) return;
    this.#tell(Object.freeze({ type: "balance", balances }));
  }

  /** Another tab has a newer package: this page is to be loaded again. @param {string | undefined} version */
  #meet(version) {
    if (typeof version !== "string" || !isNewer(version, this.#newest)) return;
    this.#newest = version;
    this.#tell(Object.freeze({ type: "update", newer: "tab", version }));
  }

  #away() {
    if (!this.#info?.connected) return;
    this.#info = Object.freeze({ ...this.#info, connected: false });
    this.#tell(Object.freeze({ type: "disconnected" }));
  }

  /** There is an engine, here or elsewhere. */
  #ready() {
    this.#leader.ready = true;
    if (this.#joining && this.#info !== undefined) {
      const { chainId, contract } = this.#options;
      const { chainId: chain, contract: place } = this.#info;
      if (chainId !== undefined && chainId !== chain) return this.#refuse(fault("chain-mismatch", `The hub is on chain ${chain}, not ${chainId}.`));
      if (contract !== undefined && contract.toLowerCase() !== place.toLowerCase()) {
        return this.#refuse(fault("chain-mismatch", `The hub uses the contract ${place}, not ${contract}.`));
      }
      this.#joining.resolve(/** @type {Core} */ (/** @type {unknown} */ (this)));
      this.#joining = undefined;
    }
    this.#wait();
    for (const call of this.#calls.values()) this.#dispatch(call);
    return undefined;
  }

  /** @param {Message} message */
  #post(message) {
    this.#channel?.postMessage(message.kind === "hello" || message.kind === "beat" ? { ...message, version: glue._version() } : message);
  }

  /** @param {Message} message */
  #receive(message) {
    const { kind, epoch, id } = message;
    this.#meet(message.version);
    const tenure = this.#tenure;
    const call = this.#calls.get(/** @type {Hex} */ (id));
    if (kind === "hello" || kind === "ping") {
      if (tenure === undefined) return;
      tenure.crowd = true;
      const ready = tenure.core !== undefined;
      const asked = ready && kind === "hello";
      this.#post({ kind: "beat", epoch: tenure.epoch, ready, info: asked ? this.#info : undefined, balances: asked ? this.#balances : undefined });
    } else if (kind === "beat" || kind === "event") {
      if (epoch < this.#leader.epoch) return;
      if (epoch > this.#leader.epoch) {
        if (tenure !== undefined) this.#end(tenure);
        this.#follow(epoch);
      }
      this.#hear();
      if (message.info !== undefined) this.#info = freeze(message.info);
      if (message.balances !== undefined) this.#has(freeze(message.balances));
      if (kind === "event") {
        const { event } = message;
        if (event.type === "balance") this.#balances = freeze(event.balances);
        this.#tell(event.type === "error" ? Object.freeze({ ...event, error: unpack(event.error) }) : freeze(event));
      } else if (message.ready && !this.#leader.ready) {
        if (message.info === undefined) this.#post({ kind: "hello" });
        else this.#ready();
      }
    } else if (kind === "failed") {
      this.#giveUp(unpack(message.error));
    } else if (kind === "call") {
      if (epoch === tenure?.epoch && tenure.core !== undefined) this.#serve(tenure, message);
    } else if (kind === "go" || kind === "abort") {
      const served = tenure?.served.get(id);
      if (kind === "abort") served?.controller.abort();
      served?.go?.();
    } else if (call === undefined) {
      return;
    } else if (kind === "offer") {
      if (call.epoch !== epoch || epoch !== this.#leader.epoch) return;
      call.begun = true;
      this.#post({ kind: "go", id });
    } else if (kind === "progress") {
      call.onProgress?.(freeze(message.step));
    } else if (kind === "done") {
      this.#settle(call, "resolve", freeze(message.value));
    } else if (kind === "refused" && epoch === call.epoch) {
      this.#settle(call, "reject", unpack(message.error));
    }
  }

  // Calls.

  /** @param {Method} method @param {unknown} argument @returns {Promise<any>} */
  #call(method, argument) {
    if (this.#closed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      /** @type {Hex} */
      const id = `0x${hex(crypto.getRandomValues(new Uint8Array(16)))}`;
      // `epoch`: whom it was given to; `begun`: it may have had an effect.
      const call = /** @type {Call} */ ({ id, method, argument, epoch: 0, begun: false, resolve, reject });
      if (typeof argument === "object" && argument !== null && !Array.isArray(argument)) {
        const { signal, onProgress, ...rest } = /** @type {any} */ (argument);
        if (typeof signal?.aborted === "boolean" && typeof signal.addEventListener === "function") call.signal = signal;
        else if (signal !== undefined) rest.signal = signal;
        if (typeof onProgress === "function") call.onProgress = onProgress;
        else if (onProgress !== undefined) rest.onProgress = onProgress;
        // The payment has its id from here, so whoever leads knows it again.
        call.argument = rest;
        if (method === "pay" && rest.id === undefined) call.argument = { ...rest, id, _fresh: true };
        if (method === "stream" && rest.id === undefined) call.argument = { ...rest, id };
      }
      if (call.signal?.aborted) return reject(aborted(call.signal, UNMOVED));
      call.abort = () => {
        if (call.epoch === 0) return this.#settle(call, "reject", aborted(call.signal, UNMOVED));
        // Whoever does it knows whether money moved.
        this.#post({ kind: "abort", id });
        clearTimeout(call.timer);
        call.timer = setTimeout(() => this.#settle(call, "reject", aborted(call.signal, UNKNOWN)), LAST_WORD);
        return undefined;
      };
      call.signal?.addEventListener("abort", call.abort);
      const late = () => {
        /** @type {[ErrorCode, string]} */
        const [code, known] = call.epoch === 0 ? ["not-connected", UNMOVED] : ["unanswered", UNKNOWN];
        this.#post({ kind: "abort", id });
        this.#settle(call, "reject", fault(code, `No tab has answered. ${known}`));
      };
      call.timer = setTimeout(late, limit(method, call.argument));
      this.#calls.set(id, call);
      this.#wait();
      this.#dispatch(call);
      return undefined;
    });
  }

  /** @param {Call} call @param {"resolve" | "reject"} how @param {unknown} value */
  #settle(call, how, value) {
    this.#calls.delete(call.id);
    clearTimeout(call.timer);
    call.signal?.removeEventListener("abort", call.abort);
    call[how](value);
  }

  /** Gives a call to the leader, if there is one that does not have it. @param {Call} call */
  #dispatch(call) {
    const { epoch, ready } = this.#leader;
    if (!ready || call.epoch === epoch) return;
    if (call.begun && !METHODS.get(call.method)) {
      const detail = "The tab that did this is gone; see what became of it before you try again.";
      return this.#settle(call, "reject", fault("client-closed", detail));
    }
    const { id, method, signal, onProgress } = call;
    const argument = call.epoch !== 0 && call.argument?._fresh ? { ...call.argument, _fresh: false } : call.argument;
    call.epoch = epoch;
    if (this.#tenure?.epoch === epoch) return void this.#run(this.#tenure, call, argument);
    try {
      this.#post({ kind: "call", epoch, id, method, argument, signal: signal !== undefined, progress: onProgress !== undefined });
    } catch (error) {
      this.#settle(call, "reject", fault("invalid-argument", `${method}() has an option that can't be copied: ${/** @type {Error} */ (error).message}.`));
    }
  }

  /** A call of this tab, in its own engine. @param {Tenure} tenure @param {Call} call @param {any} argument */
  async #run(tenure, call, argument) {
    const { method, signal, onProgress } = call;
    call.begun = true;
    try {
      this.#settle(call, "resolve", await /** @type {Core} */ (tenure.core)[method](completed(argument, signal, onProgress)));
    } catch (/** @type {any} */ error) {
      if (error?.code === "storage-locked") this.#end(tenure);
      // Otherwise the next leader has it.
      if (!tenure.over) this.#settle(call, "reject", error);
    }
  }

  /** A call of another tab, in the engine of this one. @param {Tenure} tenure @param {Asked} asked */
  async #serve(tenure, { id, epoch, method, argument, signal, progress }) {
    if (tenure.served.has(id) || !METHODS.has(method)) return;
    /** @type {Served} */
    const served = { controller: new AbortController() };
    tenure.served.set(id, served);
    try {
      if (!METHODS.get(method)) {
        // Only with the caller's leave: who was frozen in between must not begin what another does by then.
        const leave = /** @type {Promise<void>} */ (new Promise((resolve) => (served.go = resolve)));
        this.#post({ kind: "offer", id, epoch });
        await leave;
        if (tenure.over) return;
        if (served.controller.signal.aborted) throw aborted(served.controller.signal, UNMOVED);
      }
      const tell = progress ? (/** @type {unknown} */ step) => this.#post({ kind: "progress", id, step }) : undefined;
      const value = await /** @type {Core} */ (tenure.core)[method](completed(argument, signal ? served.controller.signal : undefined, tell));
      this.#post({ kind: "done", id, value });
    } catch (/** @type {any} */ error) {
      if (error?.code === "storage-locked") this.#end(tenure);
      if (!tenure.over) this.#post({ kind: "refused", id, epoch, error: pack(error) });
    } finally {
      tenure.served.delete(id);
    }
  }
}

/** Of two versions as npm has them, by their numbers. @param {string} one @param {string} other */
function isNewer(one, other) {
  const [left, right] = [one, other].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  const at = left.findIndex((number, place) => number !== right[place]);
  return at >= 0 && left[at] > right[at];
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
