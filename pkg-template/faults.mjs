// Errors of the package's own JavaScript, as those of the module.
// @ts-check

/** @import { ErrorCode, Hex } from "./index.js" */
/** @import { Fault } from "./internal.js" */

/** @param {ErrorCode} code @param {string} message @param {unknown} [cause] @param {Hex} [paymentId] */
export function fault(code, message, cause, paymentId) {
  const error = /** @type {Fault} */ (new Error(message));
  error.name = "FarthingError";
  error.code = code;
  if (cause !== undefined) error.cause = cause;
  if (paymentId !== undefined) error.paymentId = paymentId;
  return error;
}
