// What can go wrong with a payment, by its stable code: the status, what happened, and what to do. Nothing is charged by any.
// @ts-check

/** @import { ProblemCode } from "./index.js" */

/** @type {Record<ProblemCode, { status: number, message: string }>} */
const PROBLEMS = {
  "payment-required": { status: 402, message: "This costs something and no payment came with the request. Pay by the terms in PAYMENT-REQUIRED." },
  "bad-payment": { status: 400, message: "The payment's header can't be read. Nothing was charged; mend the client." },
  "unknown-stream": { status: 402, message: "This server does not know the stream. Nothing was charged; forget the grant and ask for a new one." },
  "stream-ended": { status: 402, message: "The stream was given up or is too near its expiry. Nothing was charged; ask for a new grant." },
  "wrong-terms": { status: 402, message: "The payment is for another payee, asset or network. Nothing was charged; read the terms again." },
  "wrong-resource": { status: 402, message: "The payment is bound to another URL or method. Nothing was charged; sign anew for this one." },
  "bad-word": { status: 402, message: "The word does not prove the units. Nothing was charged; the payer's chain is another one." },
  "price-changed": { status: 402, message: "The payment is for fewer units than this costs. Nothing was charged; read the terms and pay what they say." },
  "interval-spent": { status: 402, message: "Part of the interval was sold before. Nothing was charged; go on behind what `stream.spent` says." },
  "id-reused": { status: 409, message: "The id came before with another interval or resource. Nothing was charged; use a new id." },
  "in-progress": { status: 409, message: "The request with this id is being served. It is charged once; wait, then send the same again." },
  "session-ended": { status: 409, message: "The session is over or was never opened. Nothing was charged; open a new one." },
  "paywall-unavailable": { status: 503, message: "Payments can't be checked or stored at this moment. Nothing was charged; send the same id again." },
};

/** @param {ProblemCode} code */
export const statusOf = (code) => PROBLEMS[code].status;

/** @param {ProblemCode} code */
export const messageOf = (code) => PROBLEMS[code].message;

/** A mistake of the site's own: an option, a price, a handler's call. */
export class PaywallError extends Error {
  /** @param {"invalid-argument" | "storage-failed" | "not-paid" | "bad-receipt"} code @param {string} message @param {unknown} [cause] */
  constructor(code, message, cause) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PaywallError";
    this.code = code;
  }
}

/** @param {string} message */
export const invalid = (message) => new PaywallError("invalid-argument", message);
