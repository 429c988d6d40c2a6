/**
 * The scheme by which content is paid for, on the wire: for wallet pages, servers and tests that speak it. `docs/content.md`
 * of the repository has the rules, `vectors/content.json` what every implementation agrees on.
 *
 * Readers refuse what is not right with a `PayError`: `bad-answer` for what a server or wallet said, `bad-payment` and
 * `bad-request` for what a payer said. Writers refuse what their readers would.
 *
 * @packageDocumentation
 */

import type { Answer, Event, Grant, GrantAnswer, GrantRequest, Hex, Payment, Receipt, Required, WalletCode } from "./index.js";

export declare const SCHEME: "farthing";
export declare const REQUIRED: "PAYMENT-REQUIRED";
export declare const SIGNATURE: "PAYMENT-SIGNATURE";
export declare const RESPONSE: "PAYMENT-RESPONSE";
export declare const SESSION: "PAYMENT-SESSION";
/** Units of the longest chain. */
export declare const MOST_UNITS: number;
/** Letters of each text, at most. */
export declare const MOST: { required: number; signature: number; response: number; grant: number; event: number };
/** Seconds that a grant may be asked for. */
export declare const EXPIRES: { least: number; most: number };
/** What a server refuses a payment with, and the status of that answer. */
export declare const REFUSALS: {
  readonly "payment-required": 402;
  readonly "bad-payment": 400;
  readonly "unknown-stream": 402;
  readonly "stream-ended": 402;
  readonly "wrong-terms": 402;
  readonly "wrong-resource": 402;
  readonly "bad-word": 402;
  readonly "price-changed": 402;
  readonly "interval-spent": 402;
  readonly "id-reused": 409;
  readonly "in-progress": 409;
  readonly "paywall-unavailable": 503;
};
/** What a wallet refuses a grant with. */
export declare const DENIALS: readonly WalletCode[];

/** A URL as payer and server compare it: without its fragment. */
export declare function resourceOf(url: string | URL): string;
/** What `bind` is the SHA-256 of. */
export declare function bindInput(id: Hex, method: string, url: string | URL): Uint8Array<ArrayBuffer>;
/** Ties a payment to its request, by Web Crypto. */
export declare function bindOf(id: Hex, method: string, url: string | URL): Promise<Hex>;

export declare function decodeRequired(text: unknown): Required;
export declare function encodeRequired(required: Required & { error?: string | undefined; others?: readonly object[] }): string;
export declare function decodePayment(text: unknown): Payment;
/** Of who wants the rest of a grant back: `from` and `to` are 0, and `word` is the grant's seal. Its writer is `encodePayment`. */
export declare function decodeEnd(text: unknown): Payment;
export declare function encodePayment(payment: Payment): string;
export declare function decodeSession(text: unknown): Hex;
export declare function decodeAnswer(text: unknown): Answer;
export declare function encodeAnswer(answer: Answer): string;
export declare function decodeEvent(text: unknown): Event;
export declare function encodeEvent(event: Event): string;
/** JSON with fields in the order of their names and no spaces: what a receipt is signed over. */
export declare function canonical(value: unknown): string;
/** The `payload` of a receipt: base64url of its canonical JSON. */
export declare function encodeReceipt(sold: Receipt): string;
/** Says nothing of the signatures. */
export declare function decodeReceipt(payload: unknown): Receipt;
/** From a message, or (a text) from a fragment. */
export declare function decodeGrantRequest(value: unknown): GrantRequest;
/** As it is posted. */
export declare function encodeGrantRequest(request: GrantRequest): object;
/** From a message, or (a text) from a fragment. */
export declare function decodeGrantAnswer(value: unknown): GrantAnswer;
/** As it is posted. */
export declare function encodeGrantAnswer(
  answer: { id: Hex; grant: Grant } | { id: Hex; error: { code: WalletCode; message: string } },
): object;
/** What was encoded, as base64url for a fragment. */
export declare function toFragment(message: object): string;
