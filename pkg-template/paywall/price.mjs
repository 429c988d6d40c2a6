// What a route costs, in whole units: of a request, by the byte, by the second, or as its handler says.
// @ts-check

/** @import { Price, RouteOptions } from "./index.js" */
/** @import { Asked, Quote, Rate } from "./internal.js" */

import { MOST_UNITS } from "../pay/scheme.mjs";
import { PaywallError, invalid } from "./problem.mjs";
import { unitsFor } from "./spend.mjs";

/** Units that a metered answer is opened with, unless the route says otherwise. */
const FIRST = 10;

/** Reads a price once, when the route is made. A fixed price that is not whole units is refused; what a function gives is rounded up
 * to whole units. @param {Price} price @param {bigint} unitPrice @param {number} [first] @returns {(asked: Asked) => Promise<Quote> | Quote} */
export function priced(price, unitPrice, first = FIRST) {
  if (typeof price === "bigint") return fixed(price, unitPrice);
  if (typeof price === "function") return async ({ request }) => quoteOf(await price(request), unitPrice);
  const rate = rateOf(price);
  if (!Number.isSafeInteger(first) || first < 1 || first > MOST_UNITS) throw invalid(`\`first\` must be a number of units from 1 to ${MOST_UNITS}.`);
  const quote = { units: first, amount: BigInt(first) * unitPrice, rate };
  return () => quote;
}

/** @param {bigint} price @param {bigint} unitPrice */
function fixed(price, unitPrice) {
  if (price < 0n) throw invalid("A price can't be negative.");
  if (price % unitPrice !== 0n) throw invalid(`The price ${price} is not a whole number of units of ${unitPrice}. Take a multiple, or another unitPrice.`);
  const quote = quoteOf(price, unitPrice);
  return () => quote;
}

/** @param {unknown} price @param {bigint} unitPrice @returns {Quote} */
function quoteOf(price, unitPrice) {
  if (typeof price !== "bigint" || price < 0n) throw invalid("A price must be a bigint of base units, 0n or more.");
  const units = unitsFor(price, unitPrice);
  if (units > BigInt(MOST_UNITS)) throw invalid(`The price ${price} is more than ${MOST_UNITS} units of ${unitPrice}. Take a larger unitPrice.`);
  return { units: Number(units), amount: units * unitPrice, rate: undefined };
}

/** @param {any} price @returns {Rate} */
function rateOf(price) {
  const given = typeof price === "object" && price !== null ? Object.keys(price) : [];
  if (given.length === 1) {
    const [name] = given;
    if ((name === "perByte" || name === "perSecond") && typeof price[name] === "bigint" && price[name] > 0n) return { per: name === "perByte" ? "byte" : "second", price: price[name] };
    if (name === "used" && price.used === true) return { per: "use", price: 1n };
  }
  throw invalid("A price is a bigint of base units, a function of the request, { perByte }, { perSecond }, or { used: true }.");
}

/** The options of a route, checked. @param {RouteOptions} options */
export function checkRoute(options) {
  if (typeof options !== "object" || options === null) throw invalid("A route is described by an object: { price: 2n * unitPrice }.");
  const known = ["name", "price", "free", "asset", "unitPrice", "minUnits", "first", "margin", "description", "mimeType", "others", "keep", "maxTimeoutSeconds"];
  const strange = Object.keys(options).filter((name) => !known.includes(name));
  if (strange.length > 0) throw invalid(`A route has no option ${strange.join(", ")}; it has ${known.join(", ")}.`);
  if (options.free !== undefined && typeof options.free !== "function") throw invalid("`free` must be a function of the request.");
  if (options.name !== undefined && (typeof options.name !== "string" || options.name.length === 0 || options.name.length > 200)) throw invalid("A route's name must be a text of at most 200 letters.");
  return options;
}

/** @param {unknown} value @param {string} name @returns {bigint} */
export function positive(value, name) {
  if (typeof value !== "bigint" || value < 1n || value >= 1n << 128n) throw invalid(`\`${name}\` must be a bigint of base units above 0.`);
  return value;
}

/** @param {unknown} error */
export const isOurs = (error) => error instanceof PaywallError;
