// Stands between a handler and Node's response. It takes what is written in the handler's order and lets it out when that may
// be: at once where what is charged is durable already, after the settlement where it is less than was sent, and a metered
// body as it is paid for.
// @ts-check

/** @import { ServerResponse } from "node:http" */
/** @import { Sale } from "../sale.mjs" */
/** @typedef {{ chunk: Uint8Array, done?: (() => void) | undefined, last?: boolean }} Piece */

import { once } from "node:events";
import { Between, deliver, frame } from "../metered.mjs";
import { isServed } from "../sale.mjs";
import { lasting } from "../serve.mjs";

/** Bytes that wait, above which the handler is told to pause. */
const HIGH = 65_536;

export class Outlet {
  #res;
  #dress;
  #sale;
  #real;
  /** Everything goes straight to Node's response. */
  #through = false;
  #dressed = false;
  #begun = false;
  #left = false;
  #keeping = false;
  #ended = false;
  #broken = false;
  #finished = false;
  /** @type {Piece[]} */
  #queue = [];
  #size = 0;
  #pumping = false;
  #full = false;
  #events = false;
  /** @type {Between | undefined} */
  #between;

  /** @param {ServerResponse} res @param {(status: number) => void} dress sets the last headers @param {Sale} [sale] */
  constructor(res, dress, sale) {
    this.#res = res;
    this.#dress = dress;
    this.#sale = sale;
    const { writeHead, write, end, destroy, flushHeaders } = res;
    this.#real = { write: write.bind(res), end: end.bind(res) };
    Object.assign(res, {
      // Node asks for it too, right before the first byte leaves.
      writeHead: (/** @type {any[]} */ ...given) => (this.#dressed ? writeHead.apply(res, /** @type {any} */ (given)) : this.#head(given)),
      write: (/** @type {any[]} */ ...given) => this.#write(given, false),
      end: (/** @type {any[]} */ ...given) => this.#write(given, true),
      flushHeaders: () => {
        this.#begin();
        if (this.#dressed) flushHeaders.call(res);
      },
      destroy: (/** @type {any} */ error) => {
        // The handler's stream broke; of a reader that leaves the socket is gone before.
        if (!res.writableFinished && res.socket?.destroyed === false) this.#broken = true;
        return destroy.call(res, error);
      },
    });
    if (sale !== undefined) this.#watch(sale);
  }

  /** The sale ends with the answer. @param {Sale} sale */
  #watch(sale) {
    const { onError } = sale.route.wall.settings;
    this.#res.once("finish", () => {
      this.#finished = true;
      void sale.done({ broken: false }).catch(onError);
    });
    this.#res.once("close", () => {
      if (this.#finished) return;
      this.#left = true;
      // What the handler says yet counts, but it is not waited for without end.
      const waits = !this.#broken && (!this.#begun || (this.#keeping && !this.#ended));
      if (waits) setTimeout(() => sale.abandon(), sale.route.maxTimeoutSeconds * 1_000).unref();
      else void sale.done({ broken: this.#broken }).catch(onError);
    });
  }

  /** As a handler says it; what stands in the way of our own headers is set one by one. @param {any[]} given */
  #head([status, ...more]) {
    const res = this.#res;
    res.statusCode = status;
    if (typeof more[0] === "string") res.statusMessage = more.shift();
    const [headers] = more;
    if (Array.isArray(headers)) for (let at = 0; at + 1 < headers.length; at += 2) res.setHeader(headers[at], headers[at + 1]);
    else for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) res.setHeader(name, /** @type {any} */ (value));
    return res;
  }

  #begin() {
    if (this.#begun) return;
    this.#begun = true;
    const sale = this.#sale;
    const { statusCode } = this.#res;
    const metered = sale?.meter !== undefined && isServed(statusCode);
    if (metered) return this.#meter(sale);
    // Read now: how it is settled changes what is kept.
    this.#keeping = sale !== undefined && sale.keeps(statusCode);
    if (sale === undefined || (sale.isPlain(statusCode) && !this.#keeping)) {
      this.#out();
      this.#through = true;
    }
  }

  /** The headers are what they will be. */
  #out() {
    this.#dress(this.#res.statusCode);
    this.#dressed = true;
  }

  /** @param {Sale} sale */
  #meter(sale) {
    this.#events = String(this.#res.getHeader("content-type") ?? "").startsWith("text/event-stream");
    if (this.#events) this.#res.removeHeader("content-length");
    this.#out();
    this.#between = new Between((bytes) => this.#finished || this.#res.destroyed || this.#real.write(bytes));
    if (this.#events) sale.onNotice((at) => this.#between?.tell(frame(at)));
    sale.meter?.run();
    void sale.meter?.ended().then(() => this.#over(sale)).catch(sale.route.wall.settings.onError);
  }

  /** No more is paid: what was not delivered never is. @param {Sale} sale */
  async #over(sale) {
    if (this.#ended && this.#queue.length === 0) return;
    this.#ended = true;
    this.#queue.length = 0;
    await sale.done({ broken: false });
    if (this.#res.destroyed) return;
    if (!this.#events) return void this.#res.destroy();
    this.#between?.flush();
    this.#real.end();
  }

  /** @param {any[]} given @param {boolean} last */
  #write(given, last) {
    const done = /** @type {(() => void) | undefined} */ (given.find((each) => typeof each === "function"));
    const [first, second] = given;
    this.#begin();
    if (last && this.#left && !this.#keeping) void this.#sale?.done({ broken: false }).catch(this.#sale.route.wall.settings.onError);
    if (this.#through) return last ? this.#real.end(.../** @type {[]} */ (given)) : this.#real.write(.../** @type {[any]} */ (given));
    const nothing = first === undefined || first === null || typeof first === "function";
    const chunk = nothing ? new Uint8Array(0) : typeof first === "string" ? Buffer.from(first, typeof second === "string" ? /** @type {BufferEncoding} */ (second) : "utf8") : first;
    if (this.#ended) {
      if (done) queueMicrotask(done);
      return last ? this.#res : false;
    }
    if (last) this.#ended = true;
    this.#queue.push({ chunk, done, last });
    this.#size += chunk.length;
    this.#full ||= this.#size > HIGH;
    if (!this.#pumping) {
      this.#pumping = true;
      void this.#pump().catch((error) => this.#fail(error));
    }
    return last ? this.#res : this.#size <= HIGH;
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#sale?.route.wall.settings.onError(error);
    this.#broken = true;
    if (this.#res.headersSent) return void this.#res.destroy();
    // What was served could not be settled, so nothing is told of it: the same id goes on.
    for (const name of this.#res.getHeaderNames()) this.#res.removeHeader(name);
    this.#res.statusCode = 503;
    this.#res.setHeader("cache-control", "private, no-store");
    this.#res.setHeader("content-type", "application/json");
    this.#through = this.#dressed = true;
    this.#sale?.abandon();
    this.#real.end(JSON.stringify({ error: { code: "paywall-unavailable", message: "Payments can't be stored at this moment. Send the same id again; it is charged once." } }));
  }

  async #pump() {
    const sale = /** @type {Sale} */ (this.#sale);
    if (sale.meter !== undefined && this.#between !== undefined) return this.#pumpMetered(sale);
    if (this.#keeping) return this.#pumpKept(sale);
    await sale.answered(this.#res.statusCode);
    this.#out();
    this.#release();
  }

  /** Whole, or too large to be kept. @param {Sale} sale */
  async #pumpKept(sale) {
    const whole = this.#queue.at(-1)?.last === true;
    if (!whole && this.#size <= sale.route.wall.settings.keep.bytes) {
      // The rest is still to come.
      this.#pumping = false;
      return;
    }
    if (whole) {
      const body = new Uint8Array(Buffer.concat(this.#queue.map(({ chunk }) => chunk)));
      const headers = Object.entries(this.#res.getHeaders()).map(([name, value]) => /** @type {[string, string]} */ ([name, Array.isArray(value) ? value.join(", ") : String(value)]));
      await sale.keep({ status: this.#res.statusCode, headers: lasting(headers), body });
    }
    this.#out();
    this.#release();
  }

  /** Lets out all that waits, and from now on what comes. */
  #release() {
    this.#through = true;
    for (const { chunk, done, last } of this.#queue.splice(0)) {
      if (last) this.#real.end(chunk, done);
      else this.#real.write(chunk, done);
    }
    if (this.#full && !this.#ended) this.#res.emit("drain");
  }

  /** @param {Sale} sale */
  async #pumpMetered(sale) {
    const meter = /** @type {NonNullable<Sale["meter"]>} */ (sale.meter);
    const res = this.#res;
    for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
      const { chunk, done, last } = piece;
      const paid = chunk.length === 0 || (await deliver(sale, chunk, this.#events, async (part) => {
        if (this.#events) this.#between?.pass(part);
        else this.#real.write(part);
        if (!res.writableNeedDrain || res.destroyed) return;
        // Its reader is slow, or has stopped: that costs nothing.
        meter.pause();
        await Promise.race([once(res, "drain"), once(res, "close")]);
        meter.run();
      }));
      if (!paid || res.destroyed) return;
      this.#size -= chunk.length;
      if (last) {
        await sale.done({ broken: false });
        this.#between?.flush();
        this.#real.end(done);
        return;
      }
      done?.();
    }
    this.#pumping = false;
    if (this.#full) {
      this.#full = false;
      res.emit("drain");
    }
  }
}
