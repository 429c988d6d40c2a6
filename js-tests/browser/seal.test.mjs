// A session key that is drawn at random, in Chromium: what is stored of it, who can open that, and what is left when it is lost.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { openBrowser } from "../support/browser.mjs";
import { createWorld } from "../support/world.mjs";

let world, browser;

before(async () => {
  [world, browser] = await Promise.all([createWorld(), openBrowser()]);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

/** Connects in a page by an injected wallet; gives the key's address, and how often the wallet was asked to sign. */
const join = (page, privateKey) =>
  page.evaluate(
    async (asked) => {
      const wallet = createWallet({ privateKey: asked.privateKey, rpcUrl: asked.rpcUrl });
      globalThis.client = await farthing.connect({ hub: asked.hub, wallet, sessionKey: "random", pollInterval: 100 });
      return { signer: client.info.signer, signed: wallet.asked.filter((method) => method === "eth_signTypedData_v4").length };
    },
    { hub: world.hubUrl, rpcUrl: world.rpcUrl, privateKey },
  );

/** All that this origin's databases hold, bytes as hex. */
const stored = (page) =>
  page.evaluate(async () => {
    const done = (request) => new Promise((resolve, reject) => ((request.onsuccess = () => resolve(request.result)), (request.onerror = () => reject(request.error))));
    const hex = (value) => (value instanceof Uint8Array ? [...value].map((byte) => byte.toString(16).padStart(2, "0")).join("") : String(value));
    const all = [];
    for (const { name } of await indexedDB.databases()) {
      const database = await done(indexedDB.open(name));
      for (const from of database.objectStoreNames) {
        const store = database.transaction(from).objectStore(from);
        const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
        values.forEach((value, index) => all.push({ name, key: String(keys[index]), value: hex(value.value ?? value) }));
      }
      database.close();
    }
    return all;
  });

test("it is stored sealed, is the same in all tabs and after a reload, and nobody is asked for it again", async () => {
  const { privateKey } = await world.account();
  const [one, two] = [await browser.newPage(), await browser.newPage()];
  const [first, other] = await Promise.all([join(one, privateKey), join(two, privateKey)]);
  assert.equal(other.signer, first.signer);
  const exported = await two.evaluate(() => client.exportSessionKey());
  assert.match(exported, /^0x[0-9a-f]{64}$/);
  const all = await stored(one);
  assert.equal(all.filter(({ key }) => key.startsWith("session/")).length, 1);
  const bare = exported.slice(2);
  assert.deepEqual(all.filter(({ value }) => value.includes(bare) || value.includes(Buffer.from(bare).toString("hex"))), []);
  for (const page of [one, two]) await browser.reload(page);
  const again = await join(one, privateKey);
  assert.deepEqual(again, { signer: first.signer, signed: 0 });
  assert.ok(!JSON.stringify(await one.evaluate(() => client.inspect())).includes(bare));
  for (const page of [one, two]) await page.close();
});

test("a seal opens for what it was made for, whole, by the key of this origin, which no script can read", async () => {
  const page = await browser.newPage();
  const said = await page.evaluate(async () => {
    const { seal, unseal } = await import("/farthing/seal.mjs");
    const secret = crypto.getRandomValues(new Uint8Array(32));
    // Two that make the key of this origin at once make one.
    const [sealed, other] = await Promise.all([seal(secret, "this"), seal(secret, "this")]);
    const same = (bytes) => bytes !== undefined && bytes.every((byte, index) => byte === secret[index]);
    const flipped = sealed.slice();
    flipped[20] ^= 1;
    const opened = await Promise.all([
      unseal(sealed, "this"), unseal(other, "this"), unseal(sealed, "that"), unseal(flipped, "this"), unseal(sealed.slice(0, 30), "this"), unseal(new Uint8Array(), "this"),
    ]);
    const database = await new Promise((resolve) => (indexedDB.open("farthing-seal").onsuccess = ({ target }) => resolve(target.result)));
    const key = await new Promise((resolve) => (database.transaction("keys").objectStore("keys").get("session").onsuccess = ({ target }) => resolve(target.result)));
    database.close();
    const raw = await crypto.subtle.exportKey("raw", key).then(() => "read", ({ name }) => name);
    return { opened: opened.map((bytes) => (bytes === undefined ? "nothing" : same(bytes))), raw, extractable: key.extractable };
  });
  assert.deepEqual(said, { opened: [true, true, "nothing", "nothing", "nothing", "nothing"], raw: "InvalidAccessError", extractable: false });
  await page.close();
});

test("where the seal is lost the money is not: the channel opens for reading, and leaves", async () => {
  const { privateKey, address } = await world.account();
  const page = await browser.newPage();
  await page.exposeFunction("passTo", (time) => world.chain.passTo(time / 1_000 + 1));
  const { signer } = await join(page, privateKey);
  await page.evaluate((amount) => client.deposit({ asset: "DAI", amount: BigInt(amount) }), String(parseEther("1")));
  const before = await world.balanceOf(address, "DAI");
  await browser.reload(page);
  await page.evaluate(() => new Promise((resolve, reject) => Object.assign(indexedDB.deleteDatabase("farthing-seal"), { onsuccess: resolve, onerror: reject })));
  assert.equal((await join(page, privateKey)).signer, signer);
  const said = await page.evaluate(async (to) => {
    const code = await client.pay({ to, asset: "DAI", amount: 1n }).catch(({ code }) => code);
    await client.exit({ onProgress: ({ endsAt }) => endsAt && passTo(endsAt) });
    return code;
  }, world.hub.owner);
  assert.equal(said, "unsupported");
  assert.equal(await world.balanceOf(address, "DAI"), before + parseEther("1"));
  await page.close();
});
