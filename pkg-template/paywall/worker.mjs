// A thread beside the one that serves: it writes a store's file, or signs receipts. It does what it is asked, one thing after the
// other.
// @ts-check

import { createPrivateKey, sign } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { Sqlite } from "./store/database.mjs";

const port = /** @type {NonNullable<typeof parentPort>} */ (parentPort);

if (workerData.secret === undefined) {
  /** @type {any} */
  const database = new Sqlite(workerData.path);
  port.on("message", async ({ number, method, given }) => {
    try {
      port.postMessage({ number, value: await database[method](...given) });
    } catch (/** @type {any} */ error) {
      port.postMessage({ number, error: String(error?.message ?? error) });
    }
  });
} else {
  const key = createPrivateKey({ key: Buffer.from(workerData.secret, "base64"), format: "der", type: "pkcs8" });
  port.on("message", (/** @type {string[]} */ payloads) => port.postMessage(payloads.map((payload) => sign(null, Buffer.from(payload), key).toString("hex"))));
}
