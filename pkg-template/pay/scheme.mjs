// The scheme of `docs/content.md` on the wire: each header, the grant's request and answer, each with its limits, read into
// what the rest works with (amounts as bigint) or refused with one stable code. Each function stands alone, so that a page
// carries only those that it uses.
// @ts-check

/** @import { Answer, Event, Grant, GrantAnswer, GrantRequest, Hex, Payment, Receipt, Required, Terms } from "./index.js" */
/** @import { Check, Shape } from "./wire.mjs" */

import { address, amount, bytes32, bytesOf, checked, fault, fields, hex, hexOf, id16, int, joined, json, like, line, link, list, object, only, pack, packUrl, page, parsed, price, unpack, unpackUrl, wrong } from "./wire.mjs";

export const SCHEME = "farthing";
/** Headers, as they are written; to be compared in lower case. */
export const REQUIRED = "PAYMENT-REQUIRED";
export const SIGNATURE = "PAYMENT-SIGNATURE";
export const RESPONSE = "PAYMENT-RESPONSE";
export const SESSION = "PAYMENT-SESSION";

/** Units of the longest chain. */
export const MOST_UNITS = 16_384;
const LONG = 32_768;
const SHORT = 8_192;
const SHORTEST = 1_024;
/** Letters of each text, at most. */
export const MOST = { required: LONG, signature: 2 * SHORTEST, response: SHORT, grant: SHORT, event: SHORTEST };
/** Seconds that a grant may be asked for. */
export const EXPIRES = { least: 300, most: 31_622_400 };

/** What a server refuses a payment with, and the status of it. */
export const REFUSALS = /** @type {const} */ ({
  "payment-required": 402,
  "bad-payment": 400,
  "unknown-stream": 402,
  "stream-ended": 402,
  "wrong-terms": 402,
  "wrong-resource": 402,
  "bad-word": 402,
  "price-changed": 402,
  "interval-spent": 402,
  "id-reused": 409,
  "in-progress": 409,
  "paywall-unavailable": 503,
});

/** What a wallet refuses a grant with. */
export const DENIALS = /** @type {const} */ (["denied", "closed", "blocked", "busy", "bad-request", "tip-used", "no-capacity", "no-money", "no-channel", "over-limit", "other-hub", "unavailable", "expired"]);

const code = like(/^[a-z-]{1,40}$/);
/** @type {Check<string>} */
const said = (value) => (value === "" ? value : line(500)(value));
const network = like(/^eip155:[1-9]\d{0,15}$/);
const time = int(0, 2 ** 48);
const units = int(1, MOST_UNITS);
const place = int(0, MOST_UNITS);
const places = list(place, 2);
/** @type {Check<[from: number, to: number]>} */
const interval = (value) => {
  const [from, to] = places(value) ?? [];
  return from < to ? [from, to] : undefined;
};
/** Whom and in what: the same in terms, payments, grants. */
const parties = { network, asset: address };
const token = { symbol: line(16), decimals: int(0, 36) };

/** A URL as payer and server compare it. @param {string | URL} url */
export function resourceOf(url) {
  const whole = new URL(url);
  whole.hash = "";
  // An empty fragment leaves its mark in some.
  return whole.href.replace(/#$/, "");
}

/** What `bind` is the SHA-256 of. @param {Hex} id @param {string} method @param {string | URL} url */
export const bindInput = (id, method, url) => joined(bytesOf(id), `${method.toUpperCase()} ${resourceOf(url)}`);

/** SHA-256, by Web Crypto. @param {BufferSource} bytes @returns {Promise<Hex>} */
export const digest = (bytes) => crypto.subtle.digest("SHA-256", bytes).then((hash) => hexOf(new Uint8Array(hash)));

/** Ties a payment to its request. @param {Hex} id @param {string} method @param {string | URL} url @returns {Promise<Hex>} */
export const bindOf = (id, method, url) => digest(bindInput(id, method, url));

// What a server asks for.

const TERMS = { ...parties, amount: price, payTo: address, maxTimeoutSeconds: int(1, 86_400), extra: { hub: link, contract: address, unitPrice: price, units, minUnits: units, ...token, "wallet?": page } };

/** Reads `PAYMENT-REQUIRED`. Of `accepts` only what is of this scheme. @param {unknown} text @param {string} [site] the origin that says it @returns {Required} */
export function decodeRequired(text, site) {
  return checked("bad-answer", REQUIRED, () => {
    const { accepts, ...rest } = fields(unpack(text, LONG), {
      x402Version: only(2),
      "code?": code,
      "resource?": object,
      accepts: list(object, 32),
      "stream?": { key: bytes32, spent: list(interval, 512) },
    });
    const terms = accepts.flatMap((/** @type {any} */ one, /** @type {number} */ index) => {
      if (one.scheme !== SCHEME) return [];
      const { extra, ...top } = fields(one, TERMS, `accepts[${index}]`);
      return top.amount === extra.unitPrice * BigInt(extra.units) ? [{ ...top, ...extra, ...(site && { site }) }] : wrong("amount");
    });
    return { ...rest, terms };
  });
}

/** Writes `PAYMENT-REQUIRED`; `others` are entries of other schemes. @param {Required & { error?: string | undefined, others?: readonly object[] }} required */
export function encodeRequired({ error = "payment required", code, resource, terms: ours, stream, others = [] }) {
  const accepts = ours.map(({ network, asset, amount, payTo, maxTimeoutSeconds, ...extra }) => ({ scheme: SCHEME, network, asset, amount, payTo, maxTimeoutSeconds, extra }));
  const text = pack({ x402Version: 2, error, code, resource, accepts: [...accepts, ...others], stream });
  return decodeRequired(text) && text;
}

// What a payer sends.

/** @param {unknown} text @param {{ from: Check<number>, to: Check<number>, word: Check<string> }} shape @returns {Payment} */
const sent = (text, shape) => {
  const whole = { x402Version: only(2), accepted: { scheme: only(SCHEME), ...parties, payTo: address }, payload: { key: bytes32, ...shape, id: id16, bind: bytes32 } };
  const { accepted: { scheme: _, ...whom }, payload } = fields(unpack(text, 2 * SHORTEST), whole, "", true);
  return { ...whom, ...payload };
};

/** Reads `PAYMENT-SIGNATURE`: `bad-payment` unless every field is there, right and known. @param {unknown} text @returns {Payment} */
export function decodePayment(text) {
  return checked("bad-payment", SIGNATURE, () => {
    const payment = sent(text, { from: place, to: place, word: like(/^0x([0-9a-f]{64}|[0-9a-f]{130})$/) });
    return payment.from < payment.to ? payment : wrong("payload.to");
  });
}

/** Reads the same header of one who pays nothing and wants the rest of a grant back: it is for no units, and its word is the grant's
 * seal. @param {unknown} text @returns {Payment} */
export const decodeEnd = (text) => checked("bad-payment", SIGNATURE, () => sent(text, { from: only(0), to: only(0), word: bytes32 }));

/** Writes `PAYMENT-SIGNATURE`. @param {Payment} payment */
export function encodePayment({ network, asset, payTo, key, from, to, word, id, bind }) {
  return pack({ x402Version: 2, accepted: { scheme: SCHEME, network, asset, payTo }, payload: { key, from, to, word, id, bind } });
}

/** Reads `PAYMENT-SESSION`. @param {unknown} text @returns {Hex} */
export const decodeSession = (text) => checked("bad-payment", SESSION, () => id16(text) ?? wrong("it"));

// What a server answers.

/** Reads `PAYMENT-RESPONSE`. @param {unknown} text @returns {Answer} */
export function decodeAnswer(text) {
  return checked("bad-answer", RESPONSE, () => {
    const shape = { success: only(true), network, amount, extra: { key: bytes32, id: id16, from: place, to: place, "charged?": place, "metered?": only(true), "receipt?": object } };
    const { success: _, extra, ...top } = fields(unpack(text, SHORT), shape);
    const { from, to, charged, metered } = extra;
    // One of both, and what was charged is of what was sent.
    return from < to && (metered ? charged === undefined : charged <= to - from) ? { ...top, ...extra } : wrong("extra");
  });
}

/** Writes `PAYMENT-RESPONSE`. @param {Answer} answer */
export function encodeAnswer({ network, amount, ...extra }) {
  const text = pack({ success: true, network, transaction: "", payer: "", amount, extra });
  return decodeAnswer(text) && text;
}

/** Reads the `data` of an event `farthing`: `from`, `used` and `paid` are places in the stream. @param {unknown} text @returns {Event} */
export function decodeEvent(text) {
  return checked("bad-answer", "event farthing", () => {
    const event = fields(parsed(text, SHORTEST), { key: bytes32, id: id16, from: place, paid: place, used: place, "end?": only(true) });
    return event.from <= event.used && event.used <= event.paid ? event : wrong("used");
  });
}

/** Writes that `data`. @param {Event} event */
export const encodeEvent = ({ key, id, from, paid, used, end }) => json({ key, id, from, paid, used, end });

// Receipts.

/** JSON that is the same for all: fields in the order of their names, no spaces. @param {unknown} value @returns {string} */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return json(value);
  const shown = Object.entries(value).filter(([, one]) => one !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${shown.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join()}}`;
}

const SOLD = () => ({ payee: address, ...parties, key: bytes32, id: id16, from: place, to: place, charged: place, unitPrice: price, method: like(/^[A-Z]{1,20}$/), url: link, at: time });

/** The payload of a receipt, to be signed. @param {Receipt} sold */
export const encodeReceipt = (sold) => packUrl(JSON.parse(canonical(sold)));

/** Reads a receipt's payload; says nothing of its signatures. @param {unknown} payload @returns {Receipt} */
export function decodeReceipt(payload) {
  return checked("bad-answer", "receipt", () => {
    const value = unpackUrl(payload, 6_000);
    const sold = fields(value, SOLD(), "", true);
    return packUrl(JSON.parse(canonical(value))) === payload && sold.from < sold.to && sold.charged <= sold.to - sold.from ? sold : wrong("it");
  });
}

// The wallet's window.

const ASKED = () => ({
  v: only(1),
  type: only("farthing-grant-request"),
  id: id16,
  payee: address,
  hub: link,
  ...parties,
  contract: address,
  unitPrice: price,
  units,
  tip: bytes32,
  expiresIn: int(EXPIRES.least, EXPIRES.most),
  title: line(80),
  "reason?": line(120),
  "returnTo?": (/** @type {any} */ value) => page(String(value).replace(/#.*/, "")) && value,
});

/** Reads a request for a grant, from a message or (as text) a fragment: `bad-request` unless every field is right and known.
 * @param {unknown} value @returns {GrantRequest} */
export function decodeGrantRequest(value) {
  return checked("bad-request", "grant request", () => {
    const { v: _, type: __, ...asked } = fields(typeof value === "string" ? unpackUrl(value, SHORT) : value, ASKED(), "", true);
    return asked.unitPrice * BigInt(asked.units) < 1n << 128n ? asked : wrong("units");
  });
}

/** The request as it is posted, unchecked. @param {GrantRequest} request */
export const grantMessage = ({ unitPrice, ...request }) => ({ v: 1, type: "farthing-grant-request", ...request, unitPrice: String(unitPrice) });

/** The request as it is posted. @param {GrantRequest} request */
export function encodeGrantRequest(request) {
  const message = grantMessage(request);
  return decodeGrantRequest(message) && message;
}

const GRANTED = { key: bytes32, tip: bytes32, payee: address, ...parties, contract: address, hub: link, unitPrice: price, units, expiry: time, ...token };

/** Reads a wallet's answer, from a message or (as text) a fragment. @param {unknown} value @returns {GrantAnswer} */
export function decodeGrantAnswer(value) {
  return checked("bad-answer", "grant", () => {
    const shape = { v: only(1), type: only("farthing-grant"), id: id16, "grant?": GRANTED, "error?": { code, message: said } };
    const { id, grant, error } = fields(typeof value === "string" ? unpackUrl(value, SHORT) : value, shape);
    if (!grant === !error) wrong("grant");
    return grant ? { id, grant } : { id, error: fault(error.code, error.message) };
  });
}

/** The answer as it is posted. @param {{ id: Hex, grant: Grant } | { id: Hex, error: { code: string, message: string } }} answer */
export function encodeGrantAnswer(answer) {
  const head = { v: 1, type: "farthing-grant", id: answer.id };
  const message = "grant" in answer ? { ...head, grant: { ...answer.grant, unitPrice: String(answer.grant.unitPrice) } } : { ...head, error: { code: answer.error.code, message: answer.error.message } };
  return decodeGrantAnswer(message) && message;
}

/** A request or an answer for a fragment of a URL. @param {object} message */
export const toFragment = (message) => packUrl(message);
