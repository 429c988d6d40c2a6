// @ts-check

/** @import { ErrorCode } from "../index.js" */
/** @import { Fault } from "../internal.js" */

/** An error of a store, with a code that the client passes on.
 * @param {ErrorCode} code @param {string} message @param {unknown} [cause] */
export function storageError(code, message, cause) {
  const error = /** @type {Fault} */ (new Error(message, cause === undefined ? undefined : { cause }));
  error.name = "FarthingError";
  error.code = code;
  return error;
}
