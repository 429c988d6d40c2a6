// A priced route as `Request → Response`: bodies are passed on as they come, and the sale ends with them.
// @ts-check

/** @import { Handler } from "./index.js" */
/** @import { Ready } from "./internal.js" */
/** @import { Route } from "./wall.mjs" */
/** @import { Sale } from "./sale.mjs" */

import { dress, preflight } from "./dress.mjs";
import { meteredBody } from "./metered.mjs";
import { PaywallError } from "./problem.mjs";
import { refuse } from "./refuse.mjs";
import { isServed } from "./sale.mjs";

/** Of an answer that is kept, what belongs to one connection or one visitor. */
const OWN = new Set(["connection", "content-length", "date", "keep-alive", "set-cookie", "transfer-encoding"]);

/** @param {Iterable<[string, string]>} headers @returns {[string, string][]} */
export const lasting = (headers) => [...headers].filter(([name]) => !OWN.has(name.toLowerCase()));

/** @param {Route} route @param {Request} request @param {Handler} handler @returns {Promise<Response>} */
export async function serve(route, request, handler) {
  const { pathname, search } = new URL(request.url);
  const header = (/** @type {string} */ name) => request.headers.get(name);
  const asked = { method: request.method.toUpperCase(), url: route.urlOf(pathname + search), header, request };
  const { cors } = route.wall.settings;
  const how = { cors, origin: header("origin"), secret: true };
  if (asked.method === "OPTIONS" && header("access-control-request-method") !== null) {
    return new Response(null, { status: 204, headers: preflight({ ...how, headers: header("access-control-request-headers") }) });
  }
  const entry = await route.wall.enter(route, asked);
  if ("ready" in entry) return made(entry.ready, asked.method, how);
  if ("free" in entry) {
    const response = await handler(request, undefined);
    const headers = new Headers(response.headers);
    for (const [name, value] of entry.headers ?? []) headers.set(name, value);
    dress(headers, { ...how, secret: entry.secret });
    return again(response, response.body, headers);
  }
  const { sale } = entry;
  try {
    return await sold(sale, request, handler, how);
  } catch (error) {
    if (!(error instanceof Unsettled)) throw error;
    route.wall.settings.onError(error.cause);
    return made(await refuse(route.wall, route, asked, undefined, "paywall-unavailable"), asked.method, how);
  }
}

/** What was served could not be settled, so it is not told. */
class Unsettled extends Error {}

/** @param {Sale} sale @param {Request} request @param {Handler} handler @param {Parameters<typeof dress>[1]} how */
async function sold(sale, request, handler, how) {
  /** @type {Response} */
  let response;
  try {
    response = await handler(request, sale.face());
    if (typeof response?.status !== "number" || response.headers === undefined) throw new PaywallError("invalid-argument", "The handler gave no Response.");
  } catch (error) {
    // The error is the handler's; where the store fails too, the same id goes on.
    await sale.done({ broken: true }).catch(() => {});
    throw error;
  }
  const { status } = response;
  const headers = new Headers(response.headers);
  try {
    await sale.answered(status);
  } catch (error) {
    throw new Unsettled("", { cause: error });
  }
  sale.dress(headers, status);
  dress(headers, how);
  if (!isServed(status)) return again(response, response.body, headers);
  if (sale.meter !== undefined) {
    if (response.body === null) {
      await sale.done({ broken: false });
      return again(response, null, headers);
    }
    const events = (headers.get("content-type") ?? "").startsWith("text/event-stream");
    if (events) headers.delete("content-length");
    return again(response, meteredBody(sale, response.body, events), headers);
  }
  if (sale.keeps(status)) return again(response, await keptBody(sale, response), headers);
  if (response.body === null) {
    later(sale, sale.done({ broken: false }));
    return again(response, null, headers);
  }
  return again(response, watched(sale, response.body), headers);
}

/** Nobody waits for it: what is charged was durable before. @param {Sale} sale @param {Promise<void>} settled */
const later = (sale, settled) => void settled.catch(sale.route.wall.settings.onError);

/** A response is not ours to change. @param {Response} response @param {ReadableStream | Uint8Array<ArrayBuffer> | null} body @param {Headers} headers */
const again = ({ status, statusText }, body, headers) => new Response(NO_BODY.has(status) ? null : body, { status, statusText, headers });

const NO_BODY = new Set([101, 204, 205, 304]);

/** @param {Ready} ready @param {string} method @param {Parameters<typeof dress>[1]} how */
function made({ status, headers: list, body }, method, how) {
  const headers = new Headers(list);
  dress(headers, how);
  return new Response(method === "HEAD" || NO_BODY.has(status) ? null : /** @type {any} */ (body), { status, headers });
}

/** A body that is passed on as its reader asks for it; its end, its break or its reader's leave ends the sale. @param {Sale} sale @param {ReadableStream<Uint8Array>} body @param {Uint8Array[]} [first] */
function watched(sale, body, first = [], reader = body.getReader()) {
  // A server may drop a response without a word: then it was answered, and nobody took it.
  const dropped = setTimeout(() => later(sale, sale.done({ broken: false })), sale.route.maxTimeoutSeconds * 1_000);
  dropped.unref();
  return new ReadableStream(
    {
      async pull(controller) {
        clearTimeout(dropped);
        try {
          const early = first.shift();
          if (early !== undefined) return controller.enqueue(early);
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          later(sale, sale.done({ broken: false }));
          controller.close();
        } catch (error) {
          await sale.done({ broken: true }).catch(sale.route.wall.settings.onError);
          controller.error(error);
        }
      },
      async cancel(reason) {
        clearTimeout(dropped);
        later(sale, sale.done({ broken: false }));
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The body, once the answer is durable: the same id gets it again, and the handler does not run twice. @param {Sale} sale @param {Response} response */
async function keptBody(sale, response) {
  const most = sale.route.wall.settings.keep.bytes;
  /** @type {Uint8Array[]} */
  const chunks = [];
  const reader = response.body?.getReader();
  let size = 0;
  try {
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      size += value.length;
      if (size > most) return watched(sale, /** @type {ReadableStream<Uint8Array>} */ (response.body), chunks, reader);
    }
  } catch (error) {
    await sale.done({ broken: true }).catch(() => {});
    throw error;
  }
  const body = new Uint8Array(Buffer.concat(chunks));
  try {
    await sale.keep({ status: response.status, headers: lasting(response.headers), body });
  } catch (error) {
    throw new Unsettled("", { cause: error });
  }
  return body;
}

