// A fetch that pays. Where a route's terms are known and there is a grant, the first request carries its payment. What a
// server answers decides what becomes of the units: charged, put back, or kept for the same request, which then is sent with
// the same id and interval. An outcome that is not known is never answered by a fresh payment.
// @ts-check

/** @import { Answer, Hex, PaidRequestInit, PaidResponse, Required, Spent, Terms } from "./index.js" */
/** @import { Purse, Paid } from "./grants.mjs" */

import { backOff } from "./grants.mjs";
import { Meter, metered } from "./meter.mjs";
import { REQUIRED, RESPONSE, SIGNATURE, bindOf, decodeAnswer, decodeRequired, encodePayment, resourceOf } from "./scheme.mjs";
import { PayError, checked, hexOf, id16, joined, random } from "./wire.mjs";

/** Methods that may be sent again unasked. */
const SAFE = ["GET", "HEAD"];
/** Refusals with a status that other answers have as well. */
const REFUSED = /^(bad-payment|id-reused|in-progress|paywall-unavailable)$/;
/** Headers by which two requests of one URL are not the same. */
const TELLING = ["accept", "accept-language", "authorization", "content-type", "range"];
/** Of a body that is not read, so many bytes are taken all the same, so that a short answer is known to have come. */
const AHEAD = 65_536;
/** How often each is tried again in one call. */
const TRIES = { lost: 1, terms: 2, grant: 2, fresh: 6, busy: 40, down: 4, hops: 5 };
/** Beyond the time that the server promises, milliseconds. */
const GRACE = 5_000;
/** A grant so young may not be known to the server yet, milliseconds. */
const YOUNG = 60_000;

/** @param {any} body */
const streams = (body) => body instanceof ReadableStream || (typeof body === "object" && Symbol.asyncIterator in body);

/** Why a payment was refused, and what the server says to it. @param {Response} response @returns {Promise<Partial<Required> & { code?: string | undefined }>} */
async function refusal(response) {
  const header = response.headers.get(REQUIRED);
  /** @type {Partial<Required>} */
  const required = header ? decodeRequired(header) : {};
  if (required.code || response.status === 402) return required;
  const said = await response.clone().json().catch(() => undefined);
  return { ...required, code: REFUSED.test(said?.error?.code) ? said.error.code : undefined };
}

/** What the server answers to exactly this payment. @param {Response} response @param {Paid} paid @returns {Answer | undefined} */
function answerOf(response, { key, id, from, to }) {
  try {
    const answer = decodeAnswer(response.headers.get(RESPONSE));
    if (answer.key === key && answer.id === id && answer.from === from && answer.to === to) return answer;
  } catch {
    // As good as none.
  }
  return undefined;
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

/** @param {PayError["code"]} code @param {string} message @param {object} [more] */
const fault = (code, message, more) => new PayError(/** @type {any} */ (code), message, more);

/**
 * @param {Purse} purse @param {{ most?: ((terms: Terms) => bigint | undefined) | undefined, tell(spent: Spent): void, follow?: any }} options `follow` goes where a redirect says, where that can be read
 * @returns {(input: RequestInfo | URL, init?: PaidRequestInit) => Promise<PaidResponse>}
 */
export function paying(purse, { most, tell, follow }) {
  return async function pay(input, { payment = {}, ...init } = {}, hops = 0) {
    const base = input instanceof Request ? input : undefined;
    if (payment.id !== undefined) checked("invalid-argument", "payment", () => id16(payment.id, "id"));
    const given = init.body ?? undefined;
    const streamed = given !== undefined && streams(given);
    const headers = new Headers(init.headers ?? base?.headers);
    /** @type {any} */
    let body = given;
    if (!streamed && (given || base?.body)) {
      const whole = given ? new Response(given) : /** @type {Request} */ (base);
      body = await whole.arrayBuffer();
      const type = whole.headers.get("content-type");
      if (type && !headers.has("content-type")) headers.set("content-type", type);
    }
    const { method, url } = new Request(base?.url ?? input, { method: init.method ?? base?.method });
    const signal = init.signal ?? base?.signal;
    const { origin, pathname } = new URL(url);
    const route = `${method} ${origin}${pathname}`;
    const telling = TELLING.map((name) => `${name}: ${headers.get(name)}`).join("\n");
    const mark = streamed ? hexOf(random(16)) : hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", joined(`${method} ${resourceOf(url)}\n${telling}\n`, new Uint8Array(body ?? 0)))));
    const limit = (/** @type {Terms} */ terms) => payment.most ?? most?.(terms);
    const affordable = (/** @type {Terms} */ terms) => terms.amount <= (limit(terms) ?? terms.amount);
    const wanted = { route, id: payment.id, mark, site: origin, affordable };

    /** @param {Paid | undefined} paid @returns {Promise<Response>} */
    const send = async (paid) => {
      const own = new Headers(headers);
      const options = /** @type {RequestInit} */ ({ ...init, headers: own, body, signal, ...(streamed && { duplex: "half" }) });
      if (!paid) return fetch(new Request(input, options));
      own.set(SIGNATURE, encodePayment({ ...paid, bind: await bindOf(paid.id, method, url) }));
      // It is for this origin alone, and none but the server says what it is worth: no redirect carries it on, no cache answers it.
      const patience = new AbortController();
      const both = signal ? AbortSignal.any([signal, patience.signal]) : patience.signal;
      const timer = streamed ? undefined : setTimeout(() => patience.abort(fault("unanswered", "no answer")), paid.terms.maxTimeoutSeconds * 1_000 + GRACE);
      try {
        return await fetch(new Request(input, { ...options, redirect: "manual", cache: "no-store", signal: both }));
      } finally {
        clearTimeout(timer);
      }
    };

    /** Pays what is asked for now, or says why not. @param {Terms | undefined} terms @param {Response} response @returns {Promise<Paid>} */
    const again = async (terms, response) => {
      if (!terms) throw fault("wrong-terms", "The server refuses the payment and offers no terms that can be met. Nothing was charged.", { response });
      await purse.learn(route, terms);
      if (!affordable(terms)) throw fault("too-expensive", `It costs ${terms.amount} base units of ${terms.symbol}, more than the application allows. Nothing was charged.`, { terms, response });
      if (streamed) throw fault("unrepeatable", "The body was a stream and is gone. Nothing was charged; the price is known now: ask again, with a new body.", { terms, response });
      for (let tries = 0; tries <= TRIES.grant; tries += 1) {
        const paid = await purse.take({ ...wanted, terms });
        if (paid) return paid;
        if (payment.ask === false) break;
        await purse.obtain(terms, origin, signal);
      }
      throw fault("payment-required", "There is no grant to pay it from. Nothing was charged.", { terms, response });
    };

    /** The payment was taken. @param {Response} response @param {Paid} paid @param {Answer} answer @returns {PaidResponse} */
    const served = (response, paid, answer) => {
      const { id, key, terms } = paid;
      const spent = (/** @type {number} */ units, /** @type {any} */ receipt) => {
        const { asset, symbol, decimals, unitPrice } = terms;
        const one = { id, key, url, method, units, amount: unitPrice * BigInt(units), asset, symbol, decimals, receipt };
        tell(one);
        return one;
      };
      if (answer.metered) {
        const meter = new Meter(purse, { ...paid, url, spent });
        const copy = watched(response, metered(meter));
        return Object.assign(copy, { payment: { ...spent(0, answer.receipt), meter } });
      }
      const charged = /** @type {number} */ (answer.charged);
      const copy = watched(response, { done: () => purse.settle(paid, charged), left: () => purse.loosen(paid) });
      return Object.assign(copy, { payment: spent(charged, answer.receipt) });
    };

    let paid = await purse.take(wanted);
    if (!paid && streamed && payment.ask !== false) {
      // It can be sent once only, so it waits for its grant.
      const known = await purse.terms(route);
      if (known && affordable(known)) {
        await purse.obtain(known, origin, signal);
        paid = await purse.take(wanted);
      }
    }
    let led = false;
    for (const left = { ...TRIES }; ; ) {
      /** @type {Response} */
      let response;
      try {
        response = await send(paid);
      } catch (error) {
        if (!paid) throw error;
        if (!signal?.aborted && SAFE.includes(method) && left.lost-- > 0) continue;
        purse.loosen(paid);
        if (signal?.aborted) throw signal.reason;
        throw fault("unanswered", "The payment was sent and there was no answer, so it may have been charged. The same request again pays nothing new.", { paymentId: paid.id, cause: error });
      }
      const { status } = response;
      if (!paid) {
        if (status !== 402 || !response.headers.has(REQUIRED)) return response;
        if (response.redirected) {
          // Its terms are of where it led to, and count there; another origin gets no payment that nobody meant for it.
          if (new URL(response.url).origin !== origin || !SAFE.includes(method) || hops >= TRIES.hops) return response;
          return pay(base ? new Request(response.url, base) : response.url, { ...init, payment }, hops + 1);
        }
        const { terms } = decodeRequired(response.headers.get(REQUIRED));
        if (terms.length === 0) return response;
        paid = await again(terms[0], response);
        continue;
      }
      const answer = answerOf(response, paid);
      if (response.type === "opaqueredirect" || (status >= 300 && status < 400 && status !== 304)) {
        await (answer ? purse.settle(paid, answer.charged ?? 0) : purse.refuse(paid));
        await purse.learn(route, null);
        const how = init.redirect ?? base?.redirect;
        if (how === "manual") return response;
        if (how === "error") throw new TypeError("There is a redirect, and the request allows none.");
        if (streamed || led) throw fault("unsupported", "A paid route leads elsewhere, and can't be followed here.", { response });
        if (follow && SAFE.includes(method) && hops < TRIES.hops) return follow(pay, response, input, { ...init, headers, payment: { ...payment, id: undefined } }, hops + 1);
        // Where it leads to is not said in a browser; who follows unpaid finds out, unless it is paid to be told.
        led = true;
        paid = undefined;
        continue;
      }
      if (answer) return served(response, paid, answer);
      const { code, terms = [], stream } = await refusal(response).catch(() => /** @type {any} */ ({}));
      if (!code && status !== 402) {
        // A proxy's word that it failed says nothing of the server; any other answer is one that costs nothing.
        if (status >= 500) purse.loosen(paid);
        else {
          await purse.refuse(paid);
          await purse.learn(route, null);
        }
        return response;
      }
      const more = { response, paymentId: paid.id };
      if (code === "in-progress" || code === "paywall-unavailable" || (code === "unknown-stream" && Date.now() - paid.granted < YOUNG)) {
        const kind = code === "in-progress" ? "busy" : code === "unknown-stream" ? "fresh" : "down";
        if (left[kind]-- > 0 && !streamed) {
          await backOff(TRIES[kind] - left[kind], signal).catch((reason) => (purse.loosen(paid), Promise.reject(reason)));
          continue;
        }
        if (code !== "unknown-stream") {
          purse.loosen(paid);
          throw fault(code, "The server can't take the payment now; whether it was charged before is not known. The same request again pays nothing new.", more);
        }
      }
      const known = terms[0] ?? paid.terms;
      if (code === "unknown-stream" || code === "stream-ended" || code === "bad-word") {
        await purse.forget(paid.key);
        if (left.grant-- <= 0) throw fault(code, "The server takes no grant of ours. Nothing was charged.", more);
      } else {
        await purse.refuse(paid);
        const useful = code === "interval-spent" ? stream?.key === paid.key && (await purse.behind(paid, stream.spent), true) : code === "price-changed" || code === "wrong-terms" ? terms.length > 0 : code === "id-reused" && !payment.id;
        if (!useful || left.terms-- <= 0) throw fault(code ?? "payment-required", "The server refuses the payment. Nothing was charged.", more);
      }
      paid = await again(known, response);
    }
  };
}
