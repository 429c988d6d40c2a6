// Signs receipts with a key that the payee's engine has certified. The key is worth nothing but receipts; every process of
// the site has it from the store.
// @ts-check

/** @import { Hex, Receipt } from "./index.js" */
/** @import { Record, Site, Signer, Stream } from "./internal.js" */

import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { encodeReceipt } from "../pay/scheme.mjs";

/** A fresh key: the public half as raw bytes, the private one as it is stored. */
export function freshKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  return {
    publicKey: /** @type {Hex} */ (`0x${Buffer.from(x, "base64url").toString("hex")}`),
    secret: privateKey.export({ format: "der", type: "pkcs8" }).toString("base64"),
  };
}

/** @param {Signer} signer */
export const keyOf = ({ secret }) => createPrivateKey({ key: Buffer.from(secret, "base64"), format: "der", type: "pkcs8" });

/** What a settled sale was, signed. @param {Site} site @param {Signer} signer @param {import("node:crypto").KeyObject} key @param {Stream} stream @param {Record} record @returns {Receipt} */
export function receiptFor(site, { secret: _, ...signer }, key, stream, record) {
  const payload = encodeReceipt({
    payee: site.payTo,
    asset: /** @type {Hex} */ (stream.token),
    network: site.network,
    key: /** @type {Hex} */ (record.key),
    id: /** @type {Hex} */ (record.id),
    from: record.from,
    to: record.to,
    charged: record.charged,
    unitPrice: BigInt(stream.unitPrice),
    method: record.method,
    url: record.url,
    at: Math.floor(record.at / 1000),
  });
  return { payload, signature: `0x${sign(null, Buffer.from(payload), key).toString("hex")}`, signer };
}
