// Asks the application before each payment and each stream is signed. Whatever is not `true` pays nothing.
// @ts-check

/** @import { PaymentToConfirm } from "./index.js" */
/** @import { Core } from "./internal.js" */

import { fault } from "./faults.mjs";

/** What is asked first, and what the application is told of it. @type {Record<string, "payment" | "stream" | undefined>} */
const ASKED = { pay: "payment", stream: "stream" };

/** @param {any} options @param {"payment" | "stream"} kind @returns {PaymentToConfirm} */
function told(options, kind) {
  const { to, asset, memo, unitPrice, units } = options ?? {};
  const amount = kind === "payment" ? options?.amount : product(unitPrice, units);
  return Object.freeze({ kind, to, asset, amount, ...(memo !== undefined && { memo }), ...(kind === "stream" && { unitPrice, units }) });
}

/** What the engine will refuse is no amount. @param {unknown} unitPrice @param {unknown} units */
function product(unitPrice, units) {
  return typeof unitPrice === "bigint" && Number.isSafeInteger(units) ? unitPrice * BigInt(/** @type {number} */ (units)) : undefined;
}

/**
 * `ended` when the caller has stopped waiting; `forget` leaves no timer behind, which would keep a process alive.
 * @param {any} options @returns {{ ended: Promise<"stopped">, forget: () => void }}
 */
function stopped({ signal, timeout }) {
  /** @type {() => void} */
  let stop = () => {};
  const ended = new Promise((/** @type {(said: "stopped") => void} */ resolve) => (stop = () => resolve("stopped")));
  if (signal?.aborted) stop();
  signal?.addEventListener?.("abort", stop, { once: true });
  const timer = Number.isSafeInteger(timeout) ? setTimeout(stop, timeout) : undefined;
  return {
    ended,
    forget() {
      clearTimeout(timer);
      signal?.removeEventListener?.("abort", stop);
    },
  };
}

/** @param {(payment: any) => unknown} confirm @param {PaymentToConfirm} payment @param {any} options */
async function ask(confirm, payment, options) {
  const asked = (async () => confirm(payment))();
  const patience = stopped(options);
  let answer;
  try {
    answer = await Promise.race([asked, patience.ended]);
  } catch (error) {
    throw fault("wallet-rejected", "confirm() failed, so the payment was not confirmed. Nothing was signed or paid.", error);
  } finally {
    patience.forget();
  }
  if (answer === "stopped") {
    asked.catch(() => {});
    if (options.signal?.aborted) throw fault("aborted", "No money moved: nothing was signed or sent.", options.signal.reason);
    throw fault("wallet-unavailable", `confirm() has not answered within ${options.timeout} ms. No money moved: nothing was signed or sent.`);
  }
  if (answer !== true) throw fault("wallet-rejected", "The payment was not confirmed. Nothing was signed or paid.");
}

/** The engine, where payments and streams are confirmed first, whoever asks for them. @param {Core} core @param {(payment: any) => unknown} confirm @returns {Core} */
export function confirming(core, confirm) {
  return new Proxy(core, {
    get(target, name) {
      const own = Reflect.get(target, name, target);
      if (typeof own !== "function") return own;
      const kind = ASKED[String(name)];
      if (kind === undefined) return own.bind(target);
      return async (/** @type {any} */ options, /** @type {unknown[]} */ ...more) => {
        // What is no object the engine refuses, without a question.
        if (typeof options === "object" && options !== null) await ask(confirm, told(options, kind), options);
        return own.call(target, options, ...more);
      };
    },
  });
}
