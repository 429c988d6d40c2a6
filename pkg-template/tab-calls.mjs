// What crosses between the tabs of one wallet: which calls, for how long they are waited for, and their ends.
// @ts-check

/** @import { Method, Packed } from "./internal.js" */

import { toJSON } from "./core.mjs";
import { fault } from "./faults.mjs";

/** What crosses the channel, and whether a new leader may be asked again for what an old one may have done.
 * @type {Map<Method, boolean>} */
export const METHODS = new Map([
  ["deposit", false], ["depositFee", true], ["pay", true], ["cancel", true], ["withdraw", false], ["close", false], ["collectCredit", false],
  ["exit", true],
  ["exitKit", true], ["sessionKey", true],
  ["balances", true], ["payments", true], ["standing", true],
  ["stream", true], ["takeStreams", true], ["noteShown", true], ["reveal", true], ["endStream", true], ["signReceiptKey", true],
]);

/** Milliseconds that a call is waited for where nobody leads who would end it: somewhat longer than whoever leads would.
 * @type {Map<Method, number>} */
const LIMITS = new Map([["pay", 90_000], ["stream", 90_000], ["cancel", 60_000], ["balances", 60_000], ["depositFee", 60_000], ["payments", 60_000], ["exitKit", 60_000], ["sessionKey", 60_000],
  ["standing", 0],
  ["takeStreams", 60_000], ["noteShown", 60_000], ["reveal", 60_000], ["endStream", 60_000], ["signReceiptKey", 60_000]]);
const LIMIT = 3_600_000;
export const GRACE = 5_000;
export const MOST = 2 ** 31 - 1;

/** @param {any} argument @param {AbortSignal | undefined} signal @param {((step: any) => void) | undefined} onProgress */
export function completed(argument, signal, onProgress) {
  if (signal === undefined && onProgress === undefined) return argument;
  return { ...argument, ...(signal && { signal }), ...(onProgress && { onProgress }) };
}

export const UNMOVED = "No money moved: nothing was signed or sent.";
export const UNKNOWN = "What was signed or sent goes on; payments() and balances() show what became of it.";

/** Milliseconds until this tab ends a call by itself. @param {Method} method @param {any} argument */
export function limit(method, argument) {
  const { timeout, wait, expiresIn } = typeof argument === "object" && argument !== null ? argument : {};
  if (Number.isInteger(timeout)) return Math.min(timeout + GRACE, MOST);
  if (method === "exit" || (method === "pay" && wait === true && expiresIn === undefined)) return MOST;
  if (method === "pay" && wait === true && Number.isInteger(expiresIn)) return Math.min(expiresIn * 1_000 + LIMIT * 2, MOST);
  return (LIMITS.get(method) ?? LIMIT) + GRACE;
}

export const closed = () => fault("client-closed", "The client is disconnected, and nothing more is signed or sent: call connect() again.");
/** @param {AbortSignal | undefined} signal @param {string} known */
export const aborted = (signal, known) => fault("aborted", `${known} The caller's AbortSignal fired.`, signal?.reason);

/** Of an error, what every browser can copy. @param {any} error @returns {Packed} */
export function pack({ code, message, cause, paymentId }) {
  if (cause === undefined) return { code, message, paymentId };
  const number = ["number", "string"].includes(typeof cause?.code) ? cause.code : undefined;
  return { code, message, paymentId, cause: { code: number, message: String(cause?.message ?? cause) } };
}

/** @param {Packed} packed */
export const unpack = ({ code, message, cause, paymentId }) => fault(code, message, cause, paymentId);

/** @template Value @param {Value} value @returns {Value} */
export function freeze(value) {
  if (typeof value !== "object" || value === null) return value;
  const values = Object.values(value);
  values.forEach(freeze);
  // What crosses the channel loses it.
  if (values.some((item) => typeof item === "bigint")) Object.defineProperty(value, "toJSON", { value: toJSON });
  return Object.freeze(value);
}
