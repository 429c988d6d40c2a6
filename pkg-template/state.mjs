// What an application shows of a client, as one object that stays the same until something of it changes.
// @ts-check

/** @import { ClientEvent, Snapshot } from "./index.js" */
/** @import { Core } from "./internal.js" */

export class State {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {Core | undefined} */
  #core;
  #since = Date.now();
  #closed = false;
  /** What came before the engine was there. @type {Partial<Snapshot>} */
  #early = {};
  /** @type {Snapshot | undefined} */
  #snapshot;

  /** @param {Core} core */
  use(core) {
    this.#core = core;
    const info = core.info();
    this.#snapshot = Object.freeze({ ...this.#early, status: info.connected ? "connected" : "connecting", info, balances: core.balancesNow() });
  }

  get snapshot() {
    return /** @type {Snapshot} */ (this.#snapshot);
  }

  get connection() {
    return { since: this.#since, closed: this.#closed, connected: this.snapshot.status === "connected" };
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    // Two who subscribe with one function are two.
    const own = () => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** @param {ClientEvent} event */
  hear(event) {
    const change = changeBy(event);
    if (change === undefined) return;
    if (event.type === "connected" || event.type === "disconnected") this.#since = Date.now();
    if (this.#snapshot === undefined) Object.assign(this.#early, change);
    else this.#become({ ...change, ...(change.status && { info: /** @type {Core} */ (this.#core).info() }) });
  }

  end() {
    if (this.#closed) return;
    this.#closed = true;
    this.#since = Date.now();
    this.#become({ status: "closed", info: Object.freeze({ ...this.snapshot.info, connected: false }) });
    this.#listeners.clear();
  }

  /** @param {Partial<Snapshot>} change */
  #become(change) {
    if (this.#closed && change.status !== "closed") return;
    this.#snapshot = Object.freeze({ ...this.snapshot, ...change });
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        // The application's mistake; it must not stop the client's work.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** @param {ClientEvent} event @returns {Partial<Snapshot> | undefined} */
function changeBy(event) {
  if (event.type === "connected") return { status: "connected" };
  if (event.type === "disconnected") return { status: "connecting" };
  if (event.type === "balance") return { balances: event.balances };
  if (event.type === "exit") return { exit: event };
  if (event.type === "offers") return { offers: event.waiting };
  if (event.type === "storage") return { storage: event.error };
  if (event.type === "update") return { update: event };
  return undefined;
}
