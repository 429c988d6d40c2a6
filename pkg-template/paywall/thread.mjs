// A store's file in a thread of its own. Beside the bundle lies the thread's program, `worker.mjs`, unless a site's bundler left
// it behind.
// @ts-check

/** @import { Backend, Op, Stream } from "./internal.js" */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { PaywallError } from "./problem.mjs";
import { namesOf, nameOf } from "./store/batch.mjs";

/** The thread's program, if it is there and may run: a bundler writes what it likes for import.meta.url. */
export function program() {
  const { permission } = /** @type {any} */ (process);
  if (permission !== undefined && !permission.has("worker")) return undefined;
  try {
    // Not literally in `new URL`, which bundlers would rewrite to an address for browsers, or warn of.
    const [name, place] = ["./worker.mjs", import.meta.url];
    const path = fileURLToPath(new URL(name, place));
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** @implements {Backend} */
export class Thread {
  /** The file. */
  path;
  #worker;
  #asked = 0;
  /** @type {Map<number, { resolve(value: any): void, reject(error: unknown): void }>} */
  #waiting = new Map();
  /** @type {Error | undefined} */
  #failed;

  /** @param {string} path @param {string} program */
  constructor(path, program) {
    this.path = path;
    this.#worker = new Worker(program, { workerData: { path }, execArgv: ["--disable-warning=ExperimentalWarning"] });
    this.#worker.unref();
    this.#worker.on("message", ({ number, value, error }) => {
      const asked = this.#waiting.get(number);
      this.#waiting.delete(number);
      // It keeps the process alive only while somebody waits.
      if (this.#waiting.size === 0) this.#worker.unref();
      if (error === undefined) asked?.resolve(value);
      else asked?.reject(new PaywallError("storage-failed", error));
    });
    const gone = (/** @type {any} */ cause) => {
      this.#failed ??= new PaywallError("storage-failed", `The store's thread has ended: ${cause?.message ?? "it was closed"}`);
      for (const { reject } of this.#waiting.values()) reject(this.#failed);
      this.#waiting.clear();
    };
    this.#worker.on("error", gone);
    this.#worker.on("exit", gone);
  }

  /** @param {string} method @param {...any} given @returns {Promise<any>} */
  #ask(method, ...given) {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    return new Promise((resolve, reject) => {
      const number = (this.#asked += 1);
      this.#waiting.set(number, { resolve, reject });
      if (this.#waiting.size === 1) this.#worker.ref();
      this.#worker.postMessage({ number, method, given });
    });
  }

  /** @param {Op[]} ops @param {string} holder @param {ReadonlySet<string>} active */
  run(ops, holder, active) {
    const asked = namesOf(ops).map(([key, id]) => nameOf(key, id));
    return this.#ask("run", ops, holder, new Set(asked.filter((name) => active.has(name))));
  }

  /** @param {string} holder @param {number} lease */
  beat = (holder, lease) => this.#ask("beat", holder, lease);
  /** @param {string} holder */
  leave = (holder) => this.#ask("leave", holder);
  /** @param {Stream} stream */
  putStream = (stream) => this.#ask("putStream", stream);
  /** @param {string} key @param {number} now */
  endStream = (key, now) => this.#ask("endStream", key, now);
  /** @param {string} key @param {number} shown */
  showed = (key, shown) => this.#ask("showed", key, shown);
  /** @param {string} key */
  stream = (key) => this.#ask("stream", key);
  due = () => this.#ask("due");
  /** @param {number} since */
  ended = (since) => this.#ask("ended", since);
  /** @param {string} key */
  open = (key) => this.#ask("open", key);
  /** @param {string} key @param {string} tail */
  made = (key, tail) => this.#ask("made", key, tail);
  /** @param {number} usedBefore @param {number} expiresBefore */
  endable = (usedBefore, expiresBefore) => this.#ask("endable", usedBefore, expiresBefore);
  /** @param {string} key */
  spent = (key) => this.#ask("spent", key);
  /** @param {string} id */
  session = (id) => this.#ask("session", id);
  /** @param {string} key @param {string} id */
  answer = (key, id) => this.#ask("answer", key, id);
  /** @param {string} name */
  fact = (name) => this.#ask("fact", name);
  /** @param {string} name @param {string} value */
  putFact = (name, value) => this.#ask("putFact", name, value);
  /** @param {number} since @param {number} till */
  sales = (since, till) => this.#ask("sales", since, till);
  /** @param {{ answersBefore: number, answerBytes: number, recordsBefore: number }} limits */
  purge = (limits) => this.#ask("purge", limits);

  async close() {
    if (this.#failed !== undefined) return;
    await this.#ask("close");
    await this.#worker.terminate();
  }
}
