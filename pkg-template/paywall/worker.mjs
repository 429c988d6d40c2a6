// The thread that writes a store's file: it does what it is asked, one thing after the other.
// @ts-check

import { parentPort, workerData } from "node:worker_threads";
import { Sqlite } from "./store/database.mjs";

const port = /** @type {NonNullable<typeof parentPort>} */ (parentPort);
/** @type {any} */
const database = new Sqlite(workerData.path);

port.on("message", async ({ number, method, given }) => {
  try {
    port.postMessage({ number, value: await database[method](...given) });
  } catch (/** @type {any} */ error) {
    port.postMessage({ number, error: String(error?.message ?? error) });
  }
});
