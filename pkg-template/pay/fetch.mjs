// A fetch that pays. Where a route's terms are known and there is a grant, the first request carries its payment. What a
// server answers decides what becomes of the units: charged, put back, or kept for the same request, which then is sent with
// the same id and interval. An outcome that is not known is never answered by a fresh payment.
// @ts-check

/** @import { Answer, PaidRequestInit, PaidResponse, Spent, Terms } from "./index.js" */
/** @import { Purse, Paid } from "./grants.mjs" */

import { backOff } from "./grants.mjs";
import { meterOf } from "./meter.mjs";
import { REQUIRED, RESPONSE, SIGNATURE, bindOf, decodeAnswer, decodeRequired, digest, encodePayment, resourceOf } from "./scheme.mjs";
import { checked, fault, fields, hexOf, id16, random } from "./wire.mjs";

/** Headers by which two requests of one URL are not the same. */
const TELLING = /^(accept.*|authorization|content-type|payment-session|range)$/;
/** Of a body that is not read, so many bytes are taken all the same, so that a short answer is known to have come. */
const AHEAD = 65_536;
/** How often each is tried in one call. */
const TRIES = /** @type {Record<string, number>} */ ({ lost: 1, terms: 2, grant: 3, hops: 5, "unknown-stream": 6, "in-progress": 40, "paywall-unavailable": 4 });
const SAME = "The same request again pays nothing new.";
/** Beyond the time that the server promises, milliseconds. */
const GRACE = 5_000;
/** A grant so young may not be known to the server yet, milliseconds. */
const YOUNG = 60_000;

/** What can be read, or nothing. @template Value @param {() => Value} read @returns {Value | undefined} */
function perhaps(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * The body, with word of how it ended. @param {Response} response @param {{ read?(bytes: Uint8Array): void, done(): void, left(): void }} heard
 * @returns {Response}
 */
function watched(response, heard) {
  if (!response.body) {
    heard.done();
    return response;
  }
  const reader = response.body.getReader();
  const body = new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            heard.done();
            controller.close();
          } else {
            heard.read?.(value);
            controller.enqueue(value);
          }
        } catch (error) {
          heard.left();
          controller.error(error);
        }
      },
      cancel(reason) {
        heard.left();
        return reader.cancel(reason);
      },
    },
    // What is metered is not taken before somebody wants it.
    new ByteLengthQueuingStrategy({ highWaterMark: heard.read ? 0 : AHEAD }),
  );
  const copy = new Response(body, response);
  for (const name of /** @type {const} */ (["url", "redirected", "type"])) Object.defineProperty(copy, name, { value: response[name] });
  return copy;
}

/** @param {string} code @param {string} message @param {object} [more] */
const unpaid = (code, message, more) => fault(/** @type {any} */ (code), `${message} Nothing was charged.`, more);

/**
 * @param {Purse} purse @param {bigint | undefined} most for one call @param {(spent: Spent) => void} tell
 * @returns {(input: RequestInfo | URL, init?: PaidRequestInit) => Promise<PaidResponse>}
 */
export function paying(purse, most, tell) {
  return async function pay(input, { payment = {}, ...init } = {}, hops = 0) {
    const base = input instanceof Request ? input : undefined;
    checked("invalid-argument", "payment", () => fields(payment, { "id?": id16 }));
    // Of a meter's: what it pays, and who is told.
    const { terms: known, join } = /** @type {any} */ (payment);
    /** @type {any} */
    let body = init.body ?? undefined;
    const streamed = !!(body?.getReader ?? body?.[Symbol.asyncIterator]);
    const headers = new Headers(init.headers ?? base?.headers);
    if (!streamed && (body || base?.body)) {
      const whole = body ? new Response(body) : /** @type {Request} */ (base);
      body = await whole.arrayBuffer();
      const type = whole.headers.get("content-type");
      if (type && !headers.has("content-type")) headers.set("content-type", type);
    }
    const { method, url } = new Request(base?.url ?? input, { method: init.method ?? base?.method });
    const safe = /^(GET|HEAD)$/.test(method) || join;
    const signal = init.signal ?? base?.signal;
    const { origin, pathname } = new URL(url);
    const route = `${method} ${origin}${pathname}`;
    const telling = [...headers].filter(([name]) => TELLING.test(name));
    const mark = streamed ? hexOf(random(16)) : await digest(await new Blob([`${method} ${resourceOf(url)} ${telling}\n`, body ?? ""]).arrayBuffer());
    /** What may be shown for this price: all of it can be taken. @param {bigint} amount */
    const limit = (amount) => payment.most ?? most ?? 2n * amount;
    const affordable = (/** @type {Terms} */ { amount }) => amount <= limit(amount);
    /** @type {Response} */
    let response;
    /** Worth of what this call's words show for the first time. */
    let shown = 0n;
    /** @type {import("./state.mjs").Allow} */
    const allow = (fresh, amount) => {
      shown += fresh;
      if (shown > limit(amount)) throw unpaid("too-expensive", "The next word is more than is allowed.", { response });
    };
    const wanted = { route, id: payment.id, mark, site: origin, signal, affordable, allow };
    /** What an answer asks for, by whom. */
    const asked = () => decodeRequired(response.headers.get(REQUIRED), origin);
    /** @type {Record<string, number>} */
    const tried = {};
    const may = (/** @type {string} */ what) => (tried[what] = (tried[what] ?? 0) + 1) <= TRIES[what];

    /** @param {Paid | undefined} paid @returns {Promise<Response>} */
    const send = async (paid) => {
      const own = new Headers(headers);
      const options = /** @type {RequestInit} */ ({ ...init, headers: own, body, signal, duplex: "half" });
      if (!paid) return fetch(input, options);
      const patience = new AbortController();
      const timer = streamed || setTimeout(() => patience.abort(), paid.terms.maxTimeoutSeconds * 1_000 + GRACE);
      join?.(paid);
      own.set(SIGNATURE, encodePayment({ ...paid, bind: await bindOf(paid.id, method, url) }));
      try {
        // It is for this origin alone, and none but the server says what it is worth: no redirect carries it on, no cache answers it.
        return await fetch(input, { ...options, redirect: "manual", cache: "no-store", signal: signal ? AbortSignal.any([signal, patience.signal]) : patience.signal });
      } finally {
        clearTimeout(/** @type {any} */ (timer));
      }
    };

    /** Pays what is asked for now, or says why not. @param {Terms} terms @returns {Promise<Paid>} */
    const again = async (terms) => {
      const more = { terms, response };
      await purse.learn(route, terms);
      if (!affordable(terms)) throw unpaid("too-expensive", `It costs ${terms.amount} of ${terms.symbol}, more than is allowed.`, more);
      for (;;) {
        const paid = streamed ? undefined : await purse.take({ ...wanted, terms });
        if (paid) return paid;
        if (payment.ask === false || !may("grant")) throw unpaid("payment-required", "There is no grant.", more);
        await purse.obtain(terms, wanted);
        if (streamed) throw unpaid("unrepeatable", "The body is gone: send a new one.", more);
      }
    };

    /** The payment was taken. @param {Response} response @param {Paid} paid @param {Answer} answer @returns {PaidResponse} */
    const served = (response, paid, { charged = 0, metered: open, receipt }) => {
      const { id, key, asset, symbol, decimals, unitPrice } = paid;
      const spent = (/** @type {number} */ units) => {
        const one = { id, key, url, method, units, amount: unitPrice * BigInt(units), asset, symbol, decimals, receipt };
        tell(one);
        return one;
      };
      // A meter has it among its parts.
      if (join) return Object.assign(response, { payment: /** @type {any} */ (true) });
      const heard = open && meterOf(purse, { ...paid, url, spent }, pay);
      const copy = watched(response, heard ?? { done: () => purse.settle(paid, charged), left: () => purse.loosen(paid) });
      return Object.assign(copy, { payment: { ...spent(charged), ...(heard && { meter: heard.meter }) } });
    };

    let paid = await purse.take({ ...wanted, terms: known });
    let led = false;
    // Where the signal ends it, so it does what comes next.
    const pause = (/** @type {string} */ what) => backOff(tried[what], signal).catch(() => {});
    for (;;) {
      try {
        response = await send(paid);
      } catch (cause) {
        if (paid && !signal?.aborted && safe && may("lost")) {
          await pause("lost");
          continue;
        }
        if (paid) purse.loosen(paid);
        if (!paid || signal?.aborted) throw cause;
        throw fault("unanswered", `It was sent, and may have been charged. ${SAME}`, { paymentId: paid.id, cause });
      }
      const { status } = response;
      if (!paid) {
        const all = status === 402 && response.headers.has(REQUIRED) ? asked().terms : [];
        if (!all[0]) return response;
        if (response.redirected) {
          // Its terms are of where it led to, and count there; another origin gets no payment that nobody meant for it.
          if (new URL(response.url).origin !== origin || !safe || hops >= TRIES.hops) return response;
          return pay(base ? new Request(response.url, base) : response.url, { ...init, payment }, hops + 1);
        }
        if (led) throw fault("unsupported", "It leads elsewhere.", { response });
        paid = await again(await purse.pick(all));
        continue;
      }
      const said = perhaps(() => decodeAnswer(response.headers.get(RESPONSE)));
      // What is said of another payment says nothing of this one.
      const answer = said?.key === paid.key && said.id === paid.id && said.from === paid.from && said.to === paid.to ? said : undefined;
      if (response.type === "opaqueredirect" || (status > 300 && status < 400 && status !== 304)) {
        await purse.settle(paid, answer?.charged);
        await purse.learn(route, null);
        const how = init.redirect ?? base?.redirect;
        if (how === "manual" || streamed) return response;
        if (how === "error") throw new TypeError("redirect");
        // Where it leads to is not said in a browser; who follows unpaid finds out, unless it is paid to be told.
        led = true;
        paid = undefined;
        continue;
      }
      if (answer) return served(response, paid, answer);
      const { code = "", terms: all = [], stream } = perhaps(asked) ?? {};
      if (!code && status !== 402) {
        // A server that takes payments says so with every answer to one. A failure without that may be a proxy's own, and says
        // nothing of what was charged; any other answer is one that costs nothing.
        if (status >= 400) purse.loosen(paid);
        else {
          await purse.settle(paid);
          await purse.learn(route, null);
        }
        return response;
      }
      const more = { response, paymentId: paid.id };
      const unknown = code === "unknown-stream";
      if (unknown ? Date.now() - paid.granted < YOUNG && may(code) : /^(in-progress|paywall-unavailable)$/.test(code)) {
        if (streamed || (!unknown && !may(code))) {
          purse.loosen(paid);
          throw fault(/** @type {any} */ (code), `The server can't take it now. ${SAME}`, more);
        }
        await pause(code);
        continue;
      }
      let useful = true;
      if (unknown || code === "stream-ended" || code === "bad-word") await purse.forget(paid.key);
      else {
        await purse.settle(paid);
        if (code === "interval-spent" && stream?.key === paid.key) await purse.behind(paid, stream.spent);
        else useful = code === "price-changed" || code === "wrong-terms" || (code === "id-reused" && !payment.id);
      }
      if (!useful || !may("terms")) throw unpaid(code || "payment-required", "The payment is refused.", more);
      paid = await again(await purse.pick(all, paid.terms));
    }
  };
}
