// Signs receipts with a key that the payee's engine has certified. The key is worth nothing but receipts; every process of
// the site has it from the store.
// @ts-check

/** @import { Hex } from "./index.js" */
/** @import { Record, Site, Signer, Stream } from "./internal.js" */

import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { Worker } from "node:worker_threads";
import { program } from "./thread.mjs";

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

/** @typedef {{ payload: string, resolve(receipt: string): void, reject(error: Error): void }} Asked */

/** The key of receipts, with what all of them say of it. */
export class Signing {
  signer;
  #key;
  #said;
  /** A thread that signs, since one message for all that comes at once takes less of this thread than a job for each; none once it failed. @type {Worker | undefined} */
  #worker;
  /** @type {Asked[]} */
  #gathered = [];
  /** Sent, in the order in which they are answered. @type {Asked[][]} */
  #sent = [];

  /** @param {Signer} signer */
  constructor(signer) {
    const { secret, ...said } = signer;
    this.signer = signer;
    this.#key = createPrivateKey({ key: Buffer.from(secret, "base64"), format: "der", type: "pkcs8" });
    this.#said = JSON.stringify(said);
    this.#worker = this.#start(secret);
  }

  /** @param {string} secret */
  #start(secret) {
    const path = program();
    if (path === undefined) return undefined;
    try {
      const worker = new Worker(path, { workerData: { secret }, execArgv: [] });
      const gone = () => {
        this.#worker = undefined;
        for (const asked of this.#sent.splice(0).flat()) this.#alone(asked);
      };
      worker.on("message", (signatures) => {
        this.#sent.shift()?.forEach(({ payload, resolve }, index) => resolve(this.#written(payload, signatures[index])));
        if (this.#sent.length === 0) worker.unref();
      });
      worker.on("error", gone);
      worker.on("exit", gone);
      worker.unref();
      return worker;
    } catch {
      return undefined;
    }
  }

  /** Nothing more is signed by its thread. */
  end() {
    void this.#worker?.terminate();
  }

  /** A receipt as JSON. @param {Site} site @param {Stream} stream @param {Record} record */
  now(site, stream, record) {
    const payload = payloadOf(site, stream, record);
    return this.#written(payload, sign(null, Buffer.from(payload), this.#key).toString("hex"));
  }

  /** The same, signed beside the thread that serves. @param {Site} site @param {Stream} stream @param {Record} record @returns {Promise<string>} */
  soon(site, stream, record) {
    const payload = payloadOf(site, stream, record);
    return new Promise((resolve, reject) => {
      if (this.#gathered.push({ payload, resolve, reject }) === 1) setImmediate(() => this.#send());
    });
  }

  #send() {
    const gathered = this.#gathered.splice(0);
    if (this.#worker === undefined) return gathered.forEach((asked) => this.#alone(asked));
    this.#sent.push(gathered);
    this.#worker.ref();
    this.#worker.postMessage(gathered.map(({ payload }) => payload));
  }

  /** @param {Asked} asked */
  #alone({ payload, resolve, reject }) {
    sign(null, Buffer.from(payload), this.#key, (error, signature) => (error ? reject(error) : resolve(this.#written(payload, signature.toString("hex")))));
  }

  /** @param {string} payload @param {string} signature */
  #written(payload, signature) {
    return `{"payload":"${payload}","signature":"0x${signature}","signer":${this.#said}}`;
  }
}
