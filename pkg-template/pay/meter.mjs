// An answer that is paid for as it comes. The server uses the session's intervals in their order, says how far it is, and gets
// the next one on a side request. Who pauses pays nothing more.
// @ts-check

/** @import { Paid, Purse } from "./grants.mjs" */

import { backOff } from "./grants.mjs";
import { SESSION, SIGNATURE, bindOf, decodeEvent, encodePayment } from "./scheme.mjs";
import { hexOf, random } from "./wire.mjs";

/** How often a side request whose answer is lost is sent again, and how long each may take, milliseconds. */
const TRIES = 4;
const PATIENCE = 20_000;

/** @typedef {Paid & { used: number, known: boolean }} Part `known`: the server said what it charged */

export class Meter {
  #purse;
  #session;
  /** @type {Part[]} */
  #parts;
  #paying = false;
  /** The server wants more. */
  #asked = false;
  #over = false;
  paused = false;
  /** Why no more is paid, where that was not meant. @type {unknown} */
  error;

  /** @param {Purse} purse @param {Paid & { url: string, spent(units: number): void }} session */
  constructor(purse, session) {
    this.#purse = purse;
    this.#session = session;
    this.#parts = [{ ...session, used: session.from, known: false }];
  }

  /** Units that the server was shown. */
  get paid() {
    return this.#parts.reduce((all, { from, to }) => all + to - from, 0);
  }

  /** Units of them that it used, as far as it has said. */
  get used() {
    return this.#parts.reduce((all, { from, used }) => all + used - from, 0);
  }

  /** Pays no more until `resume()`. */
  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    void this.#pay();
  }

  /** @param {string} data of an event `farthing` */
  hear(data) {
    const { key, id, used, end } = decodeEvent(data);
    const index = this.#parts.findIndex((part) => part.key === key && part.id === id);
    if (index < 0) return;
    const before = this.used;
    this.#parts.forEach((part, place) => {
      if (place < index && !part.known) part.used = part.to;
      if (place === index) part.used = Math.max(part.used, Math.min(used, part.to));
    });
    if (this.used > before) this.#session.spent(this.used - before);
    if (end) {
      this.#over = true;
      this.#settle(this.#parts[index], used);
    } else {
      this.#asked = true;
      void this.#pay();
    }
  }

  /** @param {Part} part @param {number} used */
  #settle(part, used) {
    if (!part.known) this.#purse.settle(part, Math.max(0, Math.min(used, part.to) - part.from));
    part.known = true;
  }

  /** Nothing more comes. What the server did not say it left unused counts as used. */
  end() {
    this.#over = true;
    for (const part of this.#parts) this.#settle(part, part.to);
  }

  /** The next units, as many as the first time. */
  async #pay() {
    if (!this.#asked || this.paused || this.#paying || this.#over) return;
    this.#paying = true;
    try {
      const { terms, site } = this.#session;
      const wanted = { terms, mark: hexOf(random(16)), site };
      let paid = await this.#purse.take(wanted);
      if (!paid) {
        await this.#purse.obtain(terms, site);
        paid = await this.#purse.take(wanted);
      }
      if (!paid) throw new Error("there is no grant to pay on from");
      this.#asked = false;
      await this.#show({ ...paid, used: paid.from, known: false });
      this.error = undefined;
    } catch (error) {
      this.error = error;
    }
    this.#paying = false;
    if (!this.error) void this.#pay();
  }

  /** @param {Part} part */
  async #show(part) {
    const { url, id } = this.#session;
    this.#parts.push(part);
    const headers = { [SIGNATURE]: encodePayment({ ...part, bind: await bindOf(part.id, "POST", url) }), [SESSION]: id };
    for (let tries = 0; ; tries += 1) {
      let status = 0;
      try {
        ({ status } = await fetch(url, { method: "POST", headers, redirect: "error", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) }));
      } catch (error) {
        // It may have been taken: it stays the session's, and the same again is no second payment.
        if (this.#over || tries >= TRIES) throw error;
      }
      if (status >= 200 && status < 300) return;
      if (status >= 400 && status < 500) {
        this.#parts = this.#parts.filter((one) => one !== part);
        if (!part.known) await this.#purse.refuse(part);
        throw new Error(`the server refuses to be paid on: ${status}`);
      }
      if (tries >= TRIES) throw new Error(`the server can't be paid on: ${status}`);
      await backOff(tries);
    }
  }
}

/** Reads the events of a body for its meter. @param {Meter} meter */
export function metered(meter) {
  const decoder = new TextDecoder();
  let rest = "";
  const end = () => meter.end();
  return {
    /** @param {Uint8Array} bytes */
    read(bytes) {
      const blocks = (rest + decoder.decode(bytes, { stream: true })).split(/\r\n\r\n|\n\n|\r\r/);
      rest = /** @type {string} */ (blocks.pop()).slice(-65_536);
      for (const block of blocks) {
        const data = /^event: ?farthing$/m.test(block) && /^data:(.*)$/m.exec(block);
        try {
          if (data) meter.hear(data[1]);
        } catch (error) {
          meter.error = error;
        }
      }
    },
    done: end,
    left: end,
  };
}
