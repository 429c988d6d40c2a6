// An answer that is paid for as it comes. The server uses the session's intervals in their order, says how far it is, and gets
// the next one by a side request, which is paid as any other. Who pauses pays nothing more.
// @ts-check

/** @import { PaidResponse } from "./index.js" */
/** @import { Paid, Purse } from "./grants.mjs" */

import { SESSION, decodeEvent } from "./scheme.mjs";

/** @typedef {Paid & { used: number, known?: boolean }} Part `known`: the server said what it charged */

/**
 * @param {Purse} purse @param {Paid & { url: string, spent(units: number): void }} session
 * @param {(url: string, init: object) => Promise<PaidResponse>} pay
 */
export function meterOf(purse, session, pay) {
  const { id, url, terms, from, spent } = session;
  /** @type {Part[]} */
  const parts = [{ ...session, used: from }];
  let paying = false;
  /** The server wants more. */
  let asked = false;
  let over = false;
  const sum = (/** @type {(part: Part) => number} */ place) => parts.reduce((all, part) => all + place(part) - part.from, 0);

  const settle = (/** @type {Part} */ part, /** @type {number} */ used) => {
    if (!part.known) purse.settle(part, Math.max(used - part.from, 0));
    part.known = true;
  };

  /** The next units, as many as the first time. */
  const more = async () => {
    if (!asked || meter.paused || paying || over) return;
    paying = true;
    asked = false;
    meter.error = undefined;
    const { length } = parts;
    try {
      // It is among the parts before it is shown: the server may speak of it before it answers.
      const join = (/** @type {Paid} */ paid) => parts.splice(length, 1, { ...paid, used: paid.from });
      const { payment, status } = await pay(url, { method: "POST", headers: { [SESSION]: id }, payment: { terms, join } });
      if (!payment) throw Error(`not paid on: ${status}`);
    } catch (error) {
      parts.splice(length);
      asked = true;
      meter.error = error;
    }
    paying = false;
    if (!meter.error) void more();
  };

  const meter = {
    paused: false,
    /** Why no more is paid, where that was not meant. @type {unknown} */
    error: undefined,
    /** Units that the server was shown. */
    get paid() {
      return sum(({ to }) => to);
    },
    /** Units of them that it used, as far as it has said. */
    get used() {
      return sum(({ used }) => used);
    },
    /** Pays no more until `resume()`. */
    pause() {
      meter.paused = true;
    },
    resume() {
      meter.paused = false;
      void more();
    },
  };

  const decoder = new TextDecoder();
  let rest = "";
  /** Nothing more comes. What the server did not say it left unused counts as used. */
  const end = () => {
    over = true;
    for (const part of parts) settle(part, part.to);
  };
  /** @param {string} data of an event `farthing` */
  const hear = (data) => {
    const event = decodeEvent(data);
    const index = parts.findIndex(({ key, id }) => key === event.key && id === event.id);
    const before = meter.used;
    parts.slice(0, index + 1).forEach((part, place) => {
      const used = place < index ? part.to : Math.min(event.used, part.to);
      if (!part.known) part.used = Math.max(part.used, used);
    });
    if (meter.used > before) spent(meter.used - before);
    if (event.end) {
      over = true;
      if (parts[index]) settle(parts[index], event.used);
    } else {
      asked = true;
      void more();
    }
  };

  return {
    meter,
    /** Of the body. @param {Uint8Array} bytes */
    read(bytes) {
      const blocks = (rest + decoder.decode(bytes, { stream: true })).split(/\r\n\r\n|\n\n|\r\r/);
      rest = /** @type {string} */ (blocks.pop()).slice(-65_536);
      for (const block of blocks) {
        const data = /^event: ?farthing$/m.test(block) && /^data:(.*)$/m.exec(block);
        try {
          if (data) hear(data[1]);
        } catch (error) {
          meter.error = error;
        }
      }
    },
    done: end,
    left: end,
  };
}
