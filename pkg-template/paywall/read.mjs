// Reads a payment as `encodePayment` writes it in one step; the scheme's own decoder judges all that is written otherwise, and
// says what is wrong.
// @ts-check

/** @import { Payment } from "./internal.js" */

import { MOST, MOST_UNITS, decodeEnd, decodePayment } from "../pay/scheme.mjs";

const hex = (/** @type {number} */ size) => `0x[0-9a-f]{${size * 2}}`;
const WRITTEN = new RegExp(
  `^\\{"x402Version":2,"accepted":\\{"scheme":"farthing","network":"(eip155:[1-9]\\d{0,15})","asset":"(${hex(20)})","payTo":"(${hex(20)})"\\},` +
    `"payload":\\{"key":"(${hex(32)})","from":(0|[1-9]\\d{0,4}),"to":([1-9]\\d{0,4}),"word":"(${hex(32)}|${hex(65)})","id":"(${hex(16)})","bind":"(${hex(32)})"\\}\\}$`,
);

/** Of what pays something `to` is above nought. */
const NOTHING = /"to"\s*:\s*0\s*[,}]/;

/** What a header says: a payment, or the end of a grant, or nothing that can be read. @param {string} header @returns {{ payment?: Payment, end?: Payment }} */
export function readHeader(header) {
  const bytes = Buffer.from(header.length <= MOST.signature ? header : "", "base64");
  const text = bytes.toString("latin1");
  const found = WRITTEN.exec(text);
  if (found !== null && bytes.toString("base64") === header) {
    const [, network, asset, payTo, key, first, last, word, id, bind] = found;
    const [from, to] = [Number(first), Number(last)];
    if (from < to && to <= MOST_UNITS) return { payment: { network, asset, payTo, key, from, to, word, id, bind } };
  }
  try {
    return NOTHING.test(text) ? { end: decodeEnd(header) } : { payment: decodePayment(header) };
  } catch {
    return {};
  }
}
