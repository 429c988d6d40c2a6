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

const NOTHING = /"to"\s*:\s*0\s*[,}]/;

/** An end, if that is what it is: looked for before a route says whether it is free, since no handler may ever see one. @param {string} header @returns {Payment | undefined} */
export function readEnd(header) {
  // Of what pays something `to` is above nought.
  if (header.length > MOST.signature || !NOTHING.test(Buffer.from(header, "base64").toString("latin1"))) return undefined;
  try {
    return decodeEnd(header);
  } catch {
    return undefined;
  }
}

/** @param {string} header @returns {Payment} */
export function readPayment(header) {
  if (header.length <= MOST.signature) {
    const bytes = Buffer.from(header, "base64");
    const found = WRITTEN.exec(bytes.toString("latin1"));
    if (found !== null && bytes.toString("base64") === header) {
      const [, network, asset, payTo, key, first, last, word, id, bind] = found;
      const [from, to] = [Number(first), Number(last)];
      if (from < to && to <= MOST_UNITS) return { network, asset, payTo, key, from, to, word, id, bind };
    }
  }
  return decodePayment(header);
}
