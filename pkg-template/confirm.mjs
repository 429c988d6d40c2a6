// Asks the application before each payment and each stream is signed. Whatever is not `true` pays nothing.
// @ts-check

/** @import { PaymentToConfirm } from "./index.js" */
/** @import { Core } from "./internal.js" */

import { fault } from "./faults.mjs";

/** What a timer can wait at most. */
const LONGEST = 2 ** 31 - 1;

/** What is asked first, and what the application is told of it. @type {Record<string, "payment" | "stream" | undefined>} */
const ASKED = { pay: "payment", stream: "stream" };

/** Read once: what is confirmed is what is paid, whatever becomes of the caller's object meanwhile. @param {string} call @param {object} options @returns {any} */
function kept(call, options) {
  try {
    return { ...options };
  } catch (error) {
    throw fault("invalid-argument", `${call}(): its options can't be read. Nothing was signed or paid.`, error);
  }
}

/** @param {any} options @param {"payment" | "stream"} kind @returns {PaymentToConfirm} */
function told(options, kind) {
  const { to, asset, memo, unitPrice, units } = options;
  const amount = kind === "payment" ? options.amount : product(unitPrice, units);
  return Object.freeze({ kind, to, asset, amount, ...(memo !== undefined && { memo }), ...(kind === "stream" && { unitPrice, units }) });
}

/** What the engine will refuse is no amount. @param {unknown} unitPrice @param {unknown} units */
function product(unitPrice, units) {
  return typeof unitPrice === "bigint" && Number.isSafeInteger(units) ? unitPrice * BigInt(/** @type {number} */ (units)) : undefined;
}

/** Ends when the caller has stopped waiting; `end` leaves nothing behind. @param {any} options */
function waiting({ signal, timeout }) {
  let end = () => {};
  const stopped = new Promise((/** @type {(why: "stopped") => void} */ resolve) => {
    const stop = () => resolve("stopped");
    if (signal?.aborted) stop();
    signal?.addEventListener?.("abort", stop, { once: true });
    const timer = Number.isSafeInteger(timeout) ? setTimeout(stop, Math.min(timeout, LONGEST)) : undefined;
    end = () => {
      signal?.removeEventListener?.("abort", stop);
      clearTimeout(timer);
    };
  });
  return { stopped, end };
}

/** @param {(payment: any) => unknown} confirm @param {PaymentToConfirm} payment @param {any} options */
async function ask(confirm, payment, options) {
  const asked = (async () => confirm(payment))();
  const { stopped, end } = waiting(options);
  let answer;
  try {
    answer = await Promise.race([asked, stopped]);
  } catch (error) {
    throw fault("wallet-rejected", "confirm() failed, so the payment was not confirmed. Nothing was signed or paid.", error);
  } finally {
    end();
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
        if (typeof options !== "object" || options === null || Array.isArray(options)) return own.call(target, options, ...more);
        const fixed = kept(String(name), options);
        await ask(confirm, told(fixed, kind), fixed);
        return own.call(target, fixed, ...more);
      };
    },
  });
}
