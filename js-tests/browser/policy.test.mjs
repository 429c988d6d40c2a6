// A page's Content-Security-Policy that leaves the hub out: what it refuses is named, with what to allow.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../support/browser.mjs";
import { createWorld } from "../support/world.mjs";

let world;

before(async () => {
  world = await createWorld();
});
after(() => world?.stop());

/** What `connect` says on a page that may connect to these. */
async function refusal(allowed, account) {
  const browser = await openBrowser({ policy: `connect-src 'self' ${allowed.join(" ")}` });
  try {
    const page = await browser.newPage();
    const options = { hub: world.hubUrl, rpc: world.rpcUrl, store: "memory", wallet: { privateKey: account.privateKey } };
    return await page.evaluate(async (options) => {
      try {
        await (await farthing.connect(options)).disconnect();
      } catch ({ code, message }) {
        return { code, message };
      }
      return { code: "no error" };
    }, options);
  } finally {
    await browser.close();
  }
}

test("a policy that refuses the hub, or its socket alone, is named, with what to allow", async () => {
  const [account, { hubUrl, rpcUrl }] = [await world.account(), world];
  const socket = hubUrl.replace("http:", "ws:");
  assert.equal((await refusal([hubUrl, rpcUrl, socket], account)).code, "no error");
  for (const [allowed, refused, wanted] of [[[hubUrl, rpcUrl], socket, "unsupported"], [[rpcUrl, socket], hubUrl, "not-connected"]]) {
    const { code, message } = await refusal(allowed, account);
    assert.equal(code, wanted, message);
    assert.ok(message.includes(`Content-Security-Policy refuses`) && message.includes(`allow ${refused} in its connect-src`), message);
  }
});
