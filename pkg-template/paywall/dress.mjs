// What every answer of a priced route wears: no shared cache keeps it, and pages of other origins may read its headers.
// @ts-check

/** @import { Cors } from "./index.js" */
/** @import { HeaderBag } from "./internal.js" */

import { REQUIRED, RESPONSE, SESSION, SIGNATURE } from "../pay/scheme.mjs";

/** Seconds for which a browser may remember a preflight. */
const PREFLIGHT = 7_200;

/** Adds to a list that is a header, once. @param {HeaderBag} headers @param {string} name @param {string} value */
function append(headers, name, value) {
  const had = headers.get(name);
  const names = (had ?? "").split(",").map((each) => each.trim().toLowerCase());
  const missing = value.split(", ").filter((each) => !names.includes(each.toLowerCase()) && !names.includes("*"));
  if (missing.length > 0) headers.set(name, [...(had ? [had] : []), ...missing].join(", "));
}

/** Which origin may read, if any. @param {Cors} cors @param {string | null} origin */
function allowed(cors, origin) {
  if (cors === false || origin === null) return undefined;
  if (cors === "*") return "*";
  return cors.includes(origin) ? origin : undefined;
}

/**
 * @param {HeaderBag} headers @param {{ cors: Cors, origin: string | null, secret: boolean }} how `secret`: it was paid for, or
 * it is a refusal; only what is free for everybody is not
 */
export function dress(headers, { cors, origin, secret }) {
  if (secret) headers.set("cache-control", "private, no-store");
  append(headers, "vary", SIGNATURE);
  const allow = allowed(cors, origin);
  if (allow === undefined) return;
  // Where the site says something itself, that stands.
  if (headers.get("access-control-allow-origin") === null) {
    headers.set("access-control-allow-origin", allow);
    if (allow !== "*") append(headers, "vary", "Origin");
  }
  append(headers, "access-control-expose-headers", `${REQUIRED}, ${RESPONSE}`);
}

/** The answer to a preflight. @param {{ cors: Cors, origin: string | null, headers: string | null }} asked @returns {[string, string][]} */
export function preflight({ cors, origin, headers: wanted }) {
  const allow = allowed(cors, origin);
  if (allow === undefined) return [["vary", "Origin"]];
  const ours = [SIGNATURE, SESSION];
  const plain = ["accept", "accept-language", "content-language", "content-type", "last-event-id", "range"];
  const more = (wanted ?? "").split(",").map((name) => name.trim().toLowerCase()).filter((name) => plain.includes(name));
  return [
    ["access-control-allow-origin", allow],
    ["access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"],
    ["access-control-allow-headers", [...ours, ...more].join(", ")],
    ["access-control-max-age", String(PREFLIGHT)],
    ["vary", "Origin"],
  ];
}

/** Whether a person looks at it. @param {string | null} accept */
export function wantsPage(accept) {
  let [page, data] = [0, 0];
  for (const part of (accept ?? "").slice(0, 1_000).toLowerCase().split(",")) {
    const [type, ...parameters] = part.split(";").map((each) => each.trim());
    const given = parameters.find((each) => each.startsWith("q="))?.slice(2);
    const weight = given === undefined ? 1 : Number(given) || 0;
    if (type === "text/html" || type === "application/xhtml+xml") page = Math.max(page, weight);
    if (type === "application/json" || type === "text/event-stream") data = Math.max(data, weight);
  }
  return page > 0 && page >= data;
}
