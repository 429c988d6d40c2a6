// Whether a word proves so many units of a stream. Of each stream the best word is remembered, so that the next one costs as
// many hashes as it pays units; what was proved once stays so, whatever becomes of the payment.
// @ts-check

/** @import { Hex } from "./index.js" */
/** @import { Recover, Site, Stream } from "./internal.js" */

import { bytesOf, hexOf } from "../pay/wire.mjs";
import { hashed } from "./keccak.mjs";
import { voucherDigest } from "./typed.mjs";

/** Streams that are remembered. */
const MOST = 8_192;

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
  #load;
  /** @type {Recover | undefined} */
  #recover;

  /** @param {() => Promise<Recover>} load gives who signed, for vouchers */
  constructor(load) {
    this.#load = load;
  }

  /** @param {Site} site @param {Stream} stream @param {number} to @param {string} word */
  prove(site, stream, to, word) {
    const bytes = bytesOf(word);
    const known = this.#best.get(stream.key);
    if (known?.to === to && same(known.word, bytes)) return true;
    if (stream.condition === "voucher" ? !this.#signed(site, stream, to, bytes) : !this.#linked(stream, to, bytes)) return false;
    if (known === undefined || to > known.to) this.#remember(stream.key, { to, word: bytes });
    return true;
  }

  /** Vouchers need who signed, and that may have to be loaded. @param {Stream | undefined} stream */
  async ready(stream) {
    if (stream?.condition === "voucher") this.#recover = await this.#load();
  }

  /** Hashes the way to the nearest word that is known: the tip, or the best. @param {Stream} stream @param {number} to @param {Uint8Array} word */
  #linked(stream, to, word) {
    if (word.length !== 32) return false;
    const known = this.#best.get(stream.key) ?? (stream.word === null ? undefined : { to: stream.best, word: bytesOf(stream.word) });
    if (known !== undefined && known.to <= to) return same(hashed(word, to - known.to), known.word);
    if (known !== undefined && known.to - to < to) return same(hashed(known.word, known.to - to), word);
    return same(hashed(word, to), bytesOf(stream.params.slice(0, 66)));
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
    this.#best.set(key, best);
    if (this.#best.size > MOST) this.#best.delete(/** @type {string} */ (this.#best.keys().next().value));
  }
}

/** @param {Uint8Array} one @param {Uint8Array} other */
const same = (one, other) => one.length === other.length && hexOf(one) === hexOf(other);
