// An answer that is paid for as it comes: the server says how far it is paid, and gets the next units on a side request.
// Who pauses pays nothing more.
// @ts-check

/** @import { Event, Spent } from "./index.js" */
/** @import { Paid, Purse } from "./grants.mjs" */

import { RESPONSE, SESSION, SIGNATURE, bindOf, decodeAnswer, decodeEvent, encodePayment } from "./scheme.mjs";
import { hexOf, random } from "./wire.mjs";

/** How often a side request whose answer is lost is sent again, and how long it may take, milliseconds. */
const TRIES = 4;
const PATIENCE = 20_000;

export class Meter {
  #purse;
  #session;
  /** @type {Paid[]} */
  #paid;
  #paying = false;
  /** What the server said while nobody wanted to pay. @type {Event | undefined} */
  #asked;
  #over = false;
  #told = 0;
  paused = false;
  /** Units used, as far as the server has said. */
  used = 0;
  /** Why no more is paid, where that was not meant. @type {unknown} */
  error;

  /** @param {Purse} purse @param {Paid & { url: string, spent(units: number): void }} session */
  constructor(purse, session) {
    this.#purse = purse;
    this.#session = session;
    this.#paid = [session];
  }

  /** Units that the server was shown. */
  get paid() {
    return this.#paid.reduce((all, { from, to }) => all + to - from, 0);
  }

  /** Pays no more until `resume()`. */
  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    if (this.#asked) void this.#pay(this.#asked);
  }

  /** @param {string} data of an event `farthing` */
  hear(data) {
    const event = decodeEvent(data);
    if (event.key !== this.#session.key || event.id !== this.#session.id || this.#over) return;
    this.used = this.#paid.reduce((all, paid) => all + this.#usedOf(paid, event.used), 0);
    if (this.used > this.#told) this.#session.spent(this.used - this.#told);
    this.#told = Math.max(this.#told, this.used);
    if (event.end) this.end(event.used);
    else void this.#pay(event);
  }

  /** @param {Paid} paid @param {number} used */
  #usedOf({ from, to }, used) {
    return Math.max(0, Math.min(used, to) - from);
  }

  /** Nothing more will be used. @param {number} [used] if the server said how much was */
  end(used = Infinity) {
    if (this.#over) return;
    this.#over = true;
    for (const paid of this.#paid) void this.#purse.settle(paid, this.#usedOf(paid, used));
  }

  /** The next units, as many as the first time. @param {Event} event */
  async #pay(event) {
    this.#asked = event;
    if (this.paused || this.#paying || this.#over) return;
    this.#paying = true;
    try {
      const { terms, from, to, site } = this.#session;
      const wanted = { terms: { ...terms, units: to - from, amount: terms.unitPrice * BigInt(to - from) }, mark: hexOf(random(16)), site };
      let paid = await this.#purse.take(wanted);
      if (!paid) {
        await this.#purse.obtain(terms, site);
        paid = await this.#purse.take(wanted);
      }
      if (!paid) throw new Error("there is no grant to pay on from");
      this.#asked = undefined;
      this.#paid.push(paid);
      await this.#show(paid);
      this.error = undefined;
    } catch (error) {
      this.error = error;
    }
    this.#paying = false;
    if (this.#asked && !this.error) void this.#pay(this.#asked);
  }

  /** @param {Paid} paid */
  async #show(paid) {
    const { url, id } = this.#session;
    const headers = { [SIGNATURE]: encodePayment({ ...paid, bind: await bindOf(paid.id, "POST", url) }), [SESSION]: id };
    for (let tries = 0; ; tries += 1) {
      try {
        const response = await fetch(url, { method: "POST", headers, redirect: "error", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
        if (response.ok && decodeAnswer(response.headers.get(RESPONSE)).id === paid.id) return;
        throw new Error(`the server refuses to be paid on: ${response.status}`);
      } catch (error) {
        // It may have been taken, so it stays the session's; the same again is no second payment.
        if (this.#over || tries >= TRIES) throw error;
      }
    }
  }
}

/** Reads the events of a body for its meter. @param {Meter} meter */
export function metered(meter) {
  const decoder = new TextDecoder();
  let rest = "";
  return {
    /** @param {Uint8Array} bytes */
    read(bytes) {
      const blocks = (rest + decoder.decode(bytes, { stream: true })).split(/\r\n\r\n|\n\n|\r\r/);
      rest = /** @type {string} */ (blocks.pop()).slice(-65_536);
      for (const block of blocks) {
        const lines = block.split(/\r\n|\n|\r/);
        const data = lines.find((line) => line.startsWith("data:"));
        if (!data || !lines.some((line) => /^event: ?farthing$/.test(line))) continue;
        try {
          meter.hear(data.slice(5));
        } catch (error) {
          meter.error = error;
        }
      }
    },
    done: () => meter.end(),
    left: () => meter.end(),
  };
}
