// What all of the scheme's texts have in common: base64 of JSON, and checks that name the field that failed and never its
// value, since a value may be a word or a root.
// @ts-check

/** @import { PayCode } from "./index.js" */
/** @template Value @typedef {(value: any, path: string) => Value} Check */

/** An error of paying, with its stable code. */
export class PayError extends Error {
  /** @param {PayCode} code @param {string} message @param {object} [more] */
  constructor(code, message, more) {
    super(message);
    this.name = "FarthingError";
    this.code = code;
    Object.assign(this, more);
  }
}

/** What a check throws; the decoder that ran it says what the field is of. */
class Wrong extends Error {}

/** @param {string} path @returns {never} */
export function wrong(path) {
  throw new Wrong(path);
}

/** Runs checks; what fails in them becomes one error with this code. @template Value
 * @param {PayCode} code @param {string} what @param {() => Value} work */
export function checked(code, what, work) {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new PayError(code, `${what}: ${error.message} is missing or not as it must be. Nothing was paid.`);
  }
}

/** @param {RegExp} form @returns {Check<any>} */
export const like = (form) => (value, path) => (typeof value === "string" && form.test(value) ? value : wrong(path));

/** Bytes, `0x` and lower-case hex. @param {number[]} sizes @returns {Check<`0x${string}`>} */
export const hex = (...sizes) => (value, path) =>
  typeof value === "string" && /^0x[0-9a-f]*$/.test(value) && sizes.includes(value.length / 2 - 1) ? /** @type {any} */ (value) : wrong(path);

export const address = hex(20);
export const bytes32 = hex(32);
export const id16 = hex(16);

/** @param {number} least @param {number} most @returns {Check<number>} */
export const int = (least, most) => (value, path) => (Number.isSafeInteger(value) && value >= least && value <= most ? value : wrong(path));

/** An amount of base units as a decimal string. @param {bigint} [least] @returns {Check<bigint>} */
export const amount = (least = 0n) => (value, path) => {
  if (typeof value !== "string" || !/^(0|[1-9]\d{0,38})$/.test(value)) wrong(path);
  const number = BigInt(value);
  return number >= least && number < 1n << 128n ? number : wrong(path);
};

/** One line for people: no control, no mark that turns the direction of what follows. @param {number} most @param {number} [least] @returns {Check<string>} */
export const line = (most, least = 1) => (value, path) =>
  typeof value === "string" && value.length >= least && value.length <= most && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value) ? value : wrong(path);

/** @template {string | number | boolean} Value @param {Value} wanted @returns {Check<Value>} */
export const only = (wanted) => (value, path) => (value === wanted ? value : wrong(path));

/** May be absent. @template Value @param {Check<Value>} check @returns {Check<Value | undefined>} */
export const maybe = (check) => (value, path) => (value === undefined ? undefined : check(value, path));

/** A web address as it is to be compared and opened: `https:`, or `http:` where `plain` allows it; no user, no fragment.
 * @param {(url: URL) => boolean} plain @returns {Check<string>} */
const web = (plain) => (value, path) => {
  /** @type {URL | undefined} */
  let url;
  try {
    if (typeof value === "string" && value.length <= 2048) url = new URL(value);
  } catch {
    // Refused below.
  }
  if (!url || (url.protocol !== "https:" && !(url.protocol === "http:" && plain(url))) || url.username || url.password || value.includes("#")) wrong(path);
  return value;
};

/** A hub's address or a resource's. */
export const link = web(() => true);
/** A page that a person is sent to: plain HTTP only to this machine. */
export const page = web(({ hostname }) => /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname));

/** An object, or not. @param {any} value @param {string} path */
export function object(value, path) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : wrong(path);
}

/**
 * The fields that are named, checked; others are ignored, or refused where `exact`. @template {Record<string, Check<any>>} Shape
 * @param {any} value @param {Shape} shape @param {string} [path] @param {boolean} [exact]
 * @returns {{ [Name in keyof Shape]: ReturnType<Shape[Name]> }}
 */
export function fields(value, shape, path = "it", exact = false) {
  object(value, path);
  const at = path === "it" ? "" : `${path}.`;
  if (exact) for (const name of Object.keys(value)) if (!Object.hasOwn(shape, name)) wrong(`${at}(a field that is not known)`);
  /** @type {any} */
  const taken = {};
  for (const [name, check] of Object.entries(shape)) {
    const one = check(Object.hasOwn(value, name) ? value[name] : undefined, at + name);
    if (one !== undefined) taken[name] = one;
  }
  return taken;
}

/** @template Value @param {Check<Value>} check @param {number} most @returns {Check<Value[]>} */
export const list = (check, most) => (value, path) =>
  Array.isArray(value) && value.length <= most ? value.map((one, index) => check(one, `${path}[${index}]`)) : wrong(path);

const utf8 = new TextEncoder();

/** @param {string} binary @returns {Uint8Array<ArrayBuffer>} */
function bytesOfBinary(binary) {
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
/** @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...utf8.encode(text)));

/** Base64 of JSON, for a header. Amounts are decimal strings. @param {unknown} value */
export const pack = (value) => base64(json(value));

/** The same for a fragment of a URL. @param {unknown} value */
export const packUrl = (value) => pack(value).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

/** @param {unknown} value */
export const json = (value) => JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one));

/** What `pack` made; `wrong` for anything else, padding and stray bits included. @param {unknown} text @param {number} most @returns {any} */
export function unpack(text, most) {
  if (typeof text !== "string" || text.length > most) wrong("it");
  try {
    const binary = atob(/** @type {string} */ (text));
    if (btoa(binary) === text) return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOfBinary(binary)));
  } catch {
    // Refused below.
  }
  return wrong("it");
}

/** What `packUrl` made. @param {unknown} text @param {number} most @returns {any} */
export function unpackUrl(text, most) {
  const form = typeof text === "string" && /^[\w-]*$/.test(text) ? text.replace(/-/g, "+").replace(/_/g, "/") : wrong("it");
  return unpack(form.padEnd(Math.ceil(form.length / 4) * 4, "="), most + 2);
}

/** @param {string} text `0x` and hex, already checked */
export const bytesOf = (text) => Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** @param {Uint8Array} bytes @returns {`0x${string}`} */
export const hexOf = (bytes) => `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/** Random bytes. @param {number} size */
export const random = (size) => crypto.getRandomValues(new Uint8Array(size));

/** @param {(string | Uint8Array)[]} parts */
export function joined(...parts) {
  const all = parts.map((part) => (typeof part === "string" ? utf8.encode(part) : part));
  const whole = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of all) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
