// The paywall as middleware of Express, and of whatever has Node's `(req, res, next)`. The answer goes through `Outlet`, which
// lets it out when what it costs is settled, and a metered one as far as it is paid.
// @ts-check

/** @import { IncomingMessage, ServerResponse } from "node:http" */
/** @import { Asked, Ready } from "../internal.js" */
/** @import { Route } from "../wall.mjs" */

import { dress, preflight } from "../dress.mjs";
import { Outlet } from "./outlet.mjs";

/** @param {Route} route @returns {(req: IncomingMessage & { originalUrl?: string, payment?: unknown }, res: ServerResponse, next: (error?: unknown) => void) => void} */
export function express(route) {
  return (req, res, next) => void answer(route, req, res, next).catch(next);
}

/** @param {Route} route @param {IncomingMessage & { originalUrl?: string, payment?: unknown }} req @param {ServerResponse} res @param {(error?: unknown) => void} next */
async function answer(route, req, res, next) {
  const header = (/** @type {string} */ name) => {
    const value = req.headers[name.toLowerCase()];
    return value === undefined ? null : String(value);
  };
  /** @type {Asked} */
  const asked = { method: (req.method ?? "GET").toUpperCase(), url: route.urlOf(req.originalUrl ?? req.url ?? "/"), header, request: req };
  const how = { cors: route.wall.settings.cors, origin: header("origin"), secret: true };
  if (asked.method === "OPTIONS" && header("access-control-request-method") !== null) {
    return end(res, { status: 204, headers: preflight({ ...how, headers: header("access-control-request-headers") }), body: null });
  }
  const entry = await route.wall.enter(route, asked);
  if ("ready" in entry) {
    for (const [name, value] of entry.ready.headers) res.setHeader(name, value);
    dress(bag(res), how);
    return end(res, { ...entry.ready, headers: [] }, asked.method);
  }
  if ("free" in entry) {
    const { secret } = entry;
    for (const [name, value] of entry.headers ?? []) res.setHeader(name, value);
    new Outlet(res, () => dress(bag(res), { ...how, secret }));
    return next();
  }
  const { sale } = entry;
  // Its reader left while it was sold: nothing is served, so nothing is charged, and nobody would tell the handler.
  if (res.closed || res.destroyed) return sale.done({ broken: true });
  req.payment = sale.face();
  new Outlet(res, (status) => {
    sale.dress(bag(res), status);
    dress(bag(res), how);
  }, sale);
  next();
}

/** A response's headers, as `dress` reads and writes them. @param {ServerResponse} res */
export const bag = (res) => ({
  get: (/** @type {string} */ name) => {
    const value = res.getHeader(name);
    return value === undefined ? null : Array.isArray(value) ? value.join(", ") : String(value);
  },
  set: (/** @type {string} */ name, /** @type {string} */ value) => void res.setHeader(name, value),
});

/** @param {ServerResponse} res @param {Ready} ready @param {string} [method] */
function end(res, { status, headers, body }, method) {
  res.statusCode = status;
  for (const [name, value] of headers) res.setHeader(name, value);
  if (body === null || method === "HEAD") return void res.end();
  res.end(body);
}
