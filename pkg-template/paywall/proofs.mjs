// Whether a word proves so many units of a stream. Of each stream the best word is remembered, so that the next one costs as
// many hashes as it pays units; what was proved once stays so, whatever becomes of the payment.
// @ts-check

/** @import { Hex } from "./index.js" */
/** @import { Recover, Site, Stream } from "./internal.js" */

import { hashed } from "./keccak.mjs";
import { voucherDigest } from "./typed.mjs";

/** Streams that are remembered. */
const MOST = 8_192;

/** Hashes that a word may always cost: a payer that goes on where it was is nearer than this. */
const NEAR = 256;

/** Hashes that words of one stream may cost beyond that within `SPAN` milliseconds and prove nothing new. */
const SPARE = 16_384;
const SPAN = 60_000;

const CHAIN = /^0x[0-9a-f]{72}$/;
const VOUCHER = /^0x[0-9a-f]{104}$/;

/** Whether a stream's parameters are those of its condition. @param {Stream} stream */
export function sound({ condition, params, units }) {
  if (condition === "voucher") return VOUCHER.test(params);
  return CHAIN.test(params) && parseInt(params.slice(66), 16) === units;
}

export class Proofs {
  /** @type {Map<string, { to: number, word: Uint8Array }>} */
  #best = new Map();
  /** Hashes that were for nothing, by stream. @type {Map<string, { hashes: number, since: number }>} */
  #wasted = new Map();
  #load;
  /** @type {Recover | undefined} */
  #recover;

  /** @param {() => Promise<Recover>} load gives who signed, for vouchers */
  constructor(load) {
    this.#load = load;
  }

  /** `undefined`: it was not tried, since too much was false before. @param {Site} site @param {Stream} stream @param {number} to @param {string} word @returns {boolean | undefined} */
  prove(site, stream, to, word) {
    const bytes = raw(word);
    const known = this.#best.get(stream.key);
    if (known?.to === to && same(known.word, bytes)) return true;
    const proved = stream.condition === "voucher" ? this.#signed(site, stream, to, bytes) : this.#linked(stream, to, bytes, known);
    if (proved && (known === undefined || to > known.to)) this.#remember(stream.key, { to, word: bytes });
    return proved;
  }

  /** Vouchers need who signed, and that may have to be loaded. @param {Stream | undefined} stream */
  async ready(stream) {
    if (stream?.condition === "voucher") this.#recover = await this.#load();
  }

  /** Hashes the way to the nearest word that is known: the tip, or the best. @param {Stream} stream @param {number} to @param {Uint8Array} word @param {{ to: number, word: Uint8Array } | undefined} best */
  #linked(stream, to, word, best) {
    if (word.length !== 32) return false;
    const known = best ?? (stream.word === null ? undefined : { to: stream.best, word: raw(stream.word) });
    const up = known === undefined || known.to <= to;
    const hashes = up ? to - (known?.to ?? 0) : Math.min(to, known.to - to);
    if (hashes > NEAR && this.#wastedBy(stream.key) + hashes > SPARE) return undefined;
    const proved =
      known !== undefined && up ? same(hashed(word, hashes), known.word)
      : known !== undefined && hashes < to ? same(hashed(known.word, hashes), word)
      : same(hashed(word, hashes), raw(stream.params.slice(0, 66)));
    // What is true and new is worth its hashes, and can come but once.
    if (hashes > NEAR && !(proved && up)) this.#waste(stream.key, hashes);
    return proved;
  }

  /** @param {string} key */
  #wastedBy(key) {
    const wasted = this.#wasted.get(key);
    if (wasted === undefined || Date.now() - wasted.since < SPAN) return wasted?.hashes ?? 0;
    this.#wasted.delete(key);
    return 0;
  }

  /** @param {string} key @param {number} hashes */
  #waste(key, hashes) {
    const wasted = this.#wasted.get(key);
    if (wasted !== undefined) wasted.hashes += hashes;
    else put(this.#wasted, key, { hashes, since: Date.now() });
  }

  /** @param {Site} site @param {Stream} stream @param {number} units @param {Uint8Array} word */
  #signed(site, stream, units, word) {
    if (word.length !== 65) return false;
    try {
      return /** @type {Recover} */ (this.#recover)(voucherDigest(site, /** @type {Hex} */ (stream.key), units), word).toLowerCase() === stream.params.slice(0, 42);
    } catch {
      return false;
    }
  }

  /** @param {string} key @param {{ to: number, word: Uint8Array }} best */
  #remember(key, best) {
    this.#best.delete(key);
    put(this.#best, key, best);
  }
}

/** The oldest leaves where there are too many. @template Value @param {Map<string, Value>} map @param {string} key @param {Value} value */
function put(map, key, value) {
  map.set(key, value);
  if (map.size > MOST) map.delete(/** @type {string} */ (map.keys().next().value));
}

/** @param {string} text `0x` and hex, already checked @returns {Uint8Array} */
const raw = (text) => Buffer.from(text.slice(2), "hex");

/** @param {Uint8Array} one @param {Uint8Array} other */
const same = (one, other) => Buffer.compare(one, other) === 0;
