// Codes of a module that does not load: before anything is signed, and the next call tries again.

import { test } from "node:test";
import { provokes } from "../support/codes.mjs";
import { packageFile } from "../support/env.mjs";

const { connect, initAsync } = await packageFile("browser.mjs");

test("a module that is none, is not there, or is of another version says what to do", async () => {
  await provokes("not-loaded", () => initAsync(new Uint8Array([1, 2, 3, 4])), /can't be compiled.*farthing\/inline.*Nothing was signed or sent/);
  await provokes("not-loaded", () => initAsync("http://127.0.0.1:1/core_bg.wasm"), /can't be fetched.*Nothing was signed or sent/);
  await provokes("not-loaded", () => initAsync(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 2, 7, 1, 1, 97, 1, 98, 1, 112])), /Nothing was signed or sent/);
});

test("no module is loaded where there is nothing to connect with", async () => {
  const { fetch } = globalThis;
  globalThis.fetch = undefined;
  try {
    await provokes("unsupported", () => connect({ hub: "https://hub.example", wallet: { privateKey: "0x" } }), /no global fetch.*Nothing was signed or sent/);
  } finally {
    globalThis.fetch = fetch;
  }
});
