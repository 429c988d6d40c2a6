// What happens, for whoever develops or reports: entries for the application's hook, and the last failures for `inspect()`.
// Nothing goes to the console, and nothing in an entry is a secret.
// @ts-check

/** @import { ClientEvent, LogEntry, LogLevel } from "./index.js" */
/** @import { Trouble } from "./internal.js" */

/** Entries that wait for a hook that is busy, before the oldest are dropped; and failures that are remembered. */
const WAITING = 4096;
const REMEMBERED = 20;

/** Of a URL only its origin is told: what comes after it, and before an `@`, may be a key. @param {unknown} text */
export const withoutUrls = (text) =>
  String(text).slice(0, 2_000).replace(/([a-z][a-z0-9+.-]*:\/\/)([^\s"'<>`\\]*)/gi, (_, scheme, rest) => scheme + rest.split(/[/?#]/)[0].replace(/^.*@/, ""));

/** Of an event, what may be told: which payment and of how much, not its memo, preimage or words.
 * @type {Record<string, (event: any) => object>} */
const TOLD = {
  payment: ({ payment: { id, direction, status, asset, amount, code } }) => ({ id, direction, status, asset, amount, ...(code && { code }) }),
  stream: ({ stream: { id, asset, unitPrice, units } }) => ({ id, asset, unitPrice, units }),
  renewal: ({ next, error }) => ({ ...(next && { next }), ...(error && { code: error.code }) }),
  balance: () => ({}),
  error: ({ error }) => failure(error),
  storage: ({ error }) => failure(error),
  update: ({ newer, version }) => ({ newer, ...(version && { version }) }),
  watched: ({ url, tower }) => ({ url: withoutUrls(url), tower }),
};

/** @param {any} error */
const failure = (error) => ({ code: typeof error?.code === "string" ? error.code : "unknown", message: withoutUrls(error?.message ?? error) });

/** Who hears of defects of the module, which is one for all clients. @type {Set<(message: string) => void>} */
const defects = new Set();

/** @param {string} message */
export function tellDefect(message) {
  for (const hear of [...defects]) hear(message);
}

export class Log {
  /** @type {((entry: LogEntry) => unknown) | undefined} */
  #hook;
  /** @type {LogEntry[]} */
  #waiting = [];
  /** The hook is being called. */
  telling = false;
  #scheduled = false;
  /** The last failures, oldest first. @type {{ at: number, what: string, code: string }[]} */
  failures = [];

  /** @param {((entry: LogEntry) => unknown) | undefined} hook */
  constructor(hook) {
    this.#hook = hook;
    defects.add(this.#defect);
  }

  /** @param {LogLevel} level @param {string} what @param {object} [details] */
  add(level, what, details = {}) {
    if (this.#hook === undefined || this.telling) return;
    if (this.#waiting.push(Object.freeze({ level, at: Date.now(), what, ...details })) > WAITING) this.#waiting.shift();
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not in the middle of our work; and a hook that makes entries itself keeps nobody else from working.
    setTimeout(() => this.#tell(), 0);
  }

  /** @param {LogLevel} level @param {string} what @param {any} error @param {object} [details] */
  failed(level, what, error, details = {}) {
    const told = failure(error);
    if (this.failures.push({ at: Date.now(), what, code: told.code }) > REMEMBERED) this.failures.shift();
    this.add(level, what, { ...details, ...told });
  }

  /** @param {ClientEvent} event */
  event(event) {
    const { type, ...rest } = event;
    const details = (TOLD[type] ?? (() => rest))(event);
    if ("error" in event && event.error !== undefined) this.failed(type === "renewal" ? "warn" : "error", type, event.error, details);
    else this.add("info", type, details);
  }

  /** @param {Trouble} trouble */
  trouble({ with: who, error }) {
    this.failed("warn", "trouble", error, { with: who });
  }

  end() {
    defects.delete(this.#defect);
  }

  #defect = (/** @type {string} */ message) => this.failed("error", "defect", { code: "internal", message });

  #tell() {
    this.#scheduled = false;
    this.telling = true;
    for (const entry of this.#waiting.splice(0)) {
      try {
        const done = /** @type {(entry: LogEntry) => any} */ (this.#hook)(entry);
        if (typeof done?.then === "function") done.then(undefined, () => {});
      } catch {
        // The hook's mistake: there is nobody to tell, and it must not stop the client's work.
      }
    }
    this.telling = false;
  }
}
