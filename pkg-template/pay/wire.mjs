// What all of the scheme's texts have in common: base64 of JSON, and checks that name the field that failed and never its
// value, since a value may be a word or a root.
// @ts-check

/** @import { PayCode, PayError } from "./index.js" */
/** @template Value @typedef {(value: any) => Value | undefined} Check */
/** @typedef {{ [name: string]: Check<any> | Shape }} Shape */

/** An error of paying, with its stable code. @param {PayCode} code @param {string} message @param {object} [more] @returns {PayError} */
export const fault = (code, message, more) => Object.assign(Error(message), { name: /** @type {const} */ ("FarthingError"), code }, more);

/** Thrown where a field is not as it must be; the decoder says what it is a field of. @param {string} path @returns {never} */
export function wrong(path) {
  throw { path };
}

/** Runs checks; what fails in them becomes one error with this code. @template Value
 * @param {PayCode} code @param {string} what @param {() => Value} work */
export function checked(code, what, work) {
  try {
    return work();
  } catch (/** @type {any} */ error) {
    throw error.path ? fault(code, `${what}: ${error.path} is not as it must be. Nothing was paid.`) : error;
  }
}

// A check gives the value as it is worked with, or nothing.

/** @param {RegExp} form @returns {Check<any>} */
export const like = (form) => (value) => (typeof value === "string" && form.test(value) ? value : undefined);

/** Bytes, `0x` and lower-case hex. @param {number} size @returns {Check<`0x${string}`>} */
export const hex = (size) => like(RegExp(`^0x[0-9a-f]{${size * 2}}$`));

export const address = hex(20);
export const bytes32 = hex(32);
export const id16 = hex(16);

/** @param {number} least @param {number} most @returns {Check<number>} */
export const int = (least, most) => (value) => (Number.isSafeInteger(value) && value >= least && value <= most ? value : undefined);

const decimal = like(/^(0|[1-9]\d{0,38})$/);
/** An amount of base units as a decimal string. @param {number} least @returns {Check<bigint>} */
const units = (least) => (value) => {
  const number = BigInt(decimal(value) ?? -1);
  return number >= least && number < 1n << 128n ? number : undefined;
};
export const amount = units(0);
export const price = units(1);

/** One line for people: no control, no mark that turns the direction of what follows. @param {number} most @returns {Check<string>} */
export const line = (most) => like(RegExp(`^[^\\p{C}\\p{Zl}\\p{Zp}]{1,${most}}$`, "u"));

/** @template {string | number | boolean} Value @param {Value} wanted @returns {Check<Value>} */
export const only = (wanted) => (value) => (value === wanted ? value : undefined);

/** A web address as it is to be compared and opened: `https:`, or `http:` where `plain` allows it; no user, no fragment.
 * @param {RegExp} form of scheme and host @returns {Check<string>} */
const web = (form) => (value) => {
  try {
    const { protocol, hostname, username, password } = new URL(value);
    return value.length <= 2048 && form.test(protocol + hostname) && !username && !password && !value.includes("#") ? value : undefined;
  } catch {
    return undefined;
  }
};

/** A hub's address or a resource's. */
export const link = web(/^https?:/);
/** A page that a person is sent to: plain HTTP only to this machine. */
export const page = web(/^(https:.*|http:(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\]))$/);

/** An object. @type {Check<any>} */
export const object = (value) => (typeof value === "object" && value && !Array.isArray(value) ? value : undefined);

/**
 * The fields of the shape, checked; one that may be absent has a `?` behind its name. Others are ignored, or refused where
 * `exact`. @param {any} value @param {Shape} shape @param {string} [path] @param {boolean} [exact] @returns {any}
 */
export function fields(value, shape, path = "", exact = false) {
  if (!object(value)) wrong(path || "it");
  /** @type {any} */
  const taken = {};
  for (const [field, check] of Object.entries(shape)) {
    const [name, free] = field.split("?");
    const at = path && `${path}.`;
    const one = value[name];
    if (one !== undefined || free === undefined) taken[name] = typeof check === "object" ? fields(one, check, at + name, exact) : (check(one) ?? wrong(at + name));
  }
  if (exact) for (const name of Object.keys(value)) if (!Object.hasOwn(taken, name)) wrong(`${path} (a field that is not known)`);
  return taken;
}

/** @template Value @param {Check<Value>} check @param {number} most @returns {Check<Value[]>} */
export const list = (check, most) => (value) => {
  const all = Array.isArray(value) && value.length <= most ? value.map(check) : [undefined];
  return /** @type {any} */ (all.includes(undefined) ? undefined : all);
};

const utf8 = new TextEncoder();

/** @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...utf8.encode(text)));

/** Base64 of JSON, for a header. Amounts are decimal strings. @param {unknown} value */
export const pack = (value) => base64(json(value));

/** The same for a fragment of a URL. @param {unknown} value */
export const packUrl = (value) => pack(value).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

/** @param {unknown} value */
export const json = (value) => JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one));

/** JSON of at most so many letters, `wrong` for anything else. @param {any} text @param {number} most @param {(text: string) => string} [plain] what the JSON is in it @returns {any} */
export function parsed(text, most, plain = (text) => text) {
  try {
    if (typeof text === "string" && text.length <= most) return JSON.parse(plain(text));
  } catch {
    // Refused below.
  }
  return wrong("it");
}

/** What `pack` made; `wrong` for anything else, padding and stray bits included. @param {unknown} text @param {number} most @returns {any} */
export const unpack = (text, most) =>
  parsed(text, most, (text) => {
    const binary = atob(text);
    return btoa(binary) === text ? new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))) : "";
  });

const base64Url = like(/^[\w-]*$/);
/** What `packUrl` made. @param {unknown} text @param {number} most @returns {any} */
export function unpackUrl(text, most) {
  const form = (base64Url(text) ?? wrong("it")).replace(/-/g, "+").replace(/_/g, "/");
  return unpack(form + "===".slice((form.length + 3) % 4), most);
}

/** @param {string} text `0x` and hex, already checked */
export const bytesOf = (text) => Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** @param {Uint8Array} bytes @returns {`0x${string}`} */
export const hexOf = (bytes) => bytes.reduce((text, byte) => /** @type {`0x${string}`} */ (text + byte.toString(16).padStart(2, "0")), /** @type {`0x${string}`} */ ("0x"));

/** Random bytes. @param {number} size */
export const random = (size) => crypto.getRandomValues(new Uint8Array(size));

/** Of short ones. @param {(string | Uint8Array)[]} parts */
export function joined(...parts) {
  return Uint8Array.from(parts.flatMap((part) => [...(typeof part === "string" ? utf8.encode(part) : part)]));
}
