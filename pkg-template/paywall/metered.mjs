// The body of a metered answer: what is paid goes on, the rest waits. An event stream tells its reader before it has to wait;
// other bodies stop at a byte.
// @ts-check

/** @import { Record } from "./internal.js" */
/** @import { Sale } from "./sale.mjs" */

import { encodeEvent } from "../pay/scheme.mjs";
import { PaywallError } from "./problem.mjs";

const utf8 = new TextEncoder();

/** The event that tells where the reader stands. @param {{ record: Record, used: number, end: boolean }} at */
export function frame({ record, used, end }) {
  const { key, id, from, to } = /** @type {any} */ (record);
  return utf8.encode(`event: farthing\ndata: ${encodeEvent({ key, id, from, paid: to, used, ...(end && { end: true }) })}\n\n`);
}

/** Puts events of ours between those of a stream, never into one. */
export class Between {
  #ready = true;
  /** The last four bytes, which may have come one by one. */
  #tail = "";
  /** @type {Uint8Array[]} */
  #waiting = [];
  #write;

  /** @param {(bytes: Uint8Array) => void} write */
  constructor(write) {
    this.#write = write;
  }

  /** @param {Uint8Array} bytes */
  pass(bytes) {
    if (bytes.length === 0) return;
    this.#write(bytes);
    this.#tail = (this.#tail + String.fromCharCode(...bytes.subarray(-4))).slice(-4);
    this.#ready = /(\n\n|\r\n\r\n|\r\r)$/.test(this.#tail);
    if (this.#ready) this.flush();
  }

  /** @param {Uint8Array} bytes */
  tell(bytes) {
    if (this.#ready) this.#write(bytes);
    else this.#waiting.push(bytes);
  }

  /** What waits, also in the middle of an event that will never end. */
  flush() {
    if (this.#waiting.length > 0 && !this.#ready) this.#write(utf8.encode("\n\n"));
    for (const bytes of this.#waiting.splice(0)) this.#write(bytes);
  }
}

/** What goes on of some bytes as it is paid for. Ends with `false` if it never was. @param {Sale} sale @param {Uint8Array} chunk @param {boolean} events @param {(part: Uint8Array) => Promise<void> | void} write */
export async function deliver(sale, chunk, events, write) {
  const meter = /** @type {NonNullable<Sale["meter"]>} */ (sale.meter);
  if (events) {
    const cost = meter.costOf(chunk.length);
    if (!(cost > 0n ? await meter.take(cost) : sale.route.rate === "use" || (await meter.open()))) return false;
    await write(chunk);
    return true;
  }
  for (let rest = chunk; rest.length > 0; ) {
    if (sale.route.rate !== "use" && !(await meter.open())) return false;
    const fit = meter.bytes(rest.length);
    // Less is left than one byte costs.
    if (fit === 0 && !(await meter.more())) return false;
    meter.passed(fit);
    if (fit > 0) await write(rest.subarray(0, fit));
    rest = rest.subarray(fit);
  }
  return true;
}

/** @param {Sale} sale @param {ReadableStream<Uint8Array>} body @param {boolean} events */
export function meteredBody(sale, body, events) {
  const meter = /** @type {NonNullable<Sale["meter"]>} */ (sale.meter);
  const reader = body.getReader();
  const { onError } = sale.route.wall.settings;
  const over = meter.ended().then(() => undefined);
  let left = false;
  /** @type {Between} */
  let between;
  return new ReadableStream(
    {
      start(controller) {
        between = new Between((bytes) => left || controller.enqueue(bytes));
        if (events) sale.onNotice((at) => between.tell(frame(at)));
      },
      async pull(controller) {
        meter.run();
        try {
          const read = await Promise.race([reader.read(), over]);
          if (left) return;
          const paid = read !== undefined && (read.done || (await deliver(sale, read.value, events, (part) => (events ? between.pass(part) : controller.enqueue(part)))));
          if (left || (paid && !read.done)) return;
          if (!paid) void reader.cancel().catch(() => {});
          await sale.done({ broken: false });
          if (events) between.flush();
          if (paid || events) controller.close();
          // Cut short, and its reader must not take it for the whole.
          else controller.error(new PaywallError("not-paid", "The reader has paid no further."));
        } catch (error) {
          await sale.done({ broken: true }).catch(onError);
          if (!left) controller.error(error);
        } finally {
          meter.pause();
        }
      },
      async cancel(reason) {
        left = true;
        void sale.done({ broken: false }).catch(onError);
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
