// Signs receipts with a key that the payee's engine has certified. The key is worth nothing but receipts; every process of
// the site has it from the store.
// @ts-check

/** @import { Hex } from "./index.js" */
/** @import { Record, Site, Signer, Stream } from "./internal.js" */

import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";

/** A fresh key: the public half as raw bytes, the private one as it is stored. */
export function freshKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  return {
    publicKey: /** @type {Hex} */ (`0x${Buffer.from(x, "base64url").toString("hex")}`),
    secret: privateKey.export({ format: "der", type: "pkcs8" }).toString("base64"),
  };
}

/** What a settled sale was, as it is signed: the scheme's `encodeReceipt`, of what was checked already. @param {Site} site @param {Stream} stream @param {Record} record */
function payloadOf(site, stream, { key, id, from, to, charged, method, url, at }) {
  const text =
    `{"asset":"${stream.token}","at":${Math.floor(at / 1000)},"charged":${charged},"from":${from},"id":"${id}","key":"${key}","method":"${method}",` +
    `"network":"${site.network}","payee":"${site.payTo}","to":${to},"unitPrice":"${stream.unitPrice}","url":${JSON.stringify(url)}}`;
  return Buffer.from(text).toString("base64url");
}

/** The key of receipts, with what all of them say of it. */
export class Signing {
  signer;
  #key;
  #said;

  /** @param {Signer} signer */
  constructor(signer) {
    const { secret, ...said } = signer;
    this.signer = signer;
    this.#key = createPrivateKey({ key: Buffer.from(secret, "base64"), format: "der", type: "pkcs8" });
    this.#said = JSON.stringify(said);
  }

  /** A receipt as JSON. @param {Site} site @param {Stream} stream @param {Record} record */
  now(site, stream, record) {
    const payload = payloadOf(site, stream, record);
    return this.#written(payload, sign(null, Buffer.from(payload), this.#key));
  }

  /** The same, signed beside the thread that serves. @param {Site} site @param {Stream} stream @param {Record} record @returns {Promise<string>} */
  soon(site, stream, record) {
    const payload = payloadOf(site, stream, record);
    return new Promise((resolve, reject) => {
      sign(null, Buffer.from(payload), this.#key, (error, signature) => (error ? reject(error) : resolve(this.#written(payload, signature))));
    });
  }

  /** @param {string} payload @param {Buffer} signature */
  #written(payload, signature) {
    return `{"payload":"${payload}","signature":"0x${signature.toString("hex")}","signer":${this.#said}}`;
  }
}
