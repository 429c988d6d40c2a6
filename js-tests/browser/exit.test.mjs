// The exit page of the package, opened from disk: a kit, an injected wallet, no hub, no server.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium as playwright } from "playwright-core";
import { parseEther } from "viem";
import { gasPaid } from "../demo/audit.mjs";
import { inject } from "../support/browser.mjs";
import { chromium, farthing, packageFolder } from "../support/env.mjs";
import { createWallet, rejection } from "../support/wallet.mjs";
import { createWorld } from "../support/world.mjs";

const PICTURES = process.env.FARTHING_PICTURES;
let world, browser;

before(async () => {
  [world, browser] = await Promise.all([createWorld(), playwright.launch({ executablePath: chromium(), args: ["--no-sandbox"] })]);
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test("a kit from disk and a wallet take everything out, with the hub gone", async () => {
  const { connect } = await farthing();
  const local = ({ privateKey }) => connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100 });
  const [a, b, c] = [await world.account(), await world.account(), await world.account()];
  const [bob, carol, dave] = [await local(b), await local(a), await local(c)];
  await dave.deposit({ asset: "ETH", amount: 1n });
  await dave.disconnect();
  await bob.deposit({ asset: "ETH", amount: parseEther("1") });
  await bob.deposit({ asset: "DAI", amount: parseEther("50") });
  await carol.deposit({ asset: "ETH", amount: 1n });
  await bob.pay({ to: a.address, asset: "ETH", amount: parseEther("0.001"), wait: true });
  await carol.disconnect();
  await bob.pay({ to: c.address, asset: "ETH", amount: parseEther("0.002") });
  await bob.cancel((await bob.pay({ to: c.address, asset: "ETH", amount: 1n })).id);
  const kit = join(world.folder, "kit.json");
  writeFileSync(kit, await bob.exportExitKit());
  await bob.disconnect();
  await world.hub.destroy();

  const context = await browser.newContext({ viewport: { width: 900, height: 1150 } });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  const wallet = createWallet({ privateKey: b.privateKey, rpcUrl: world.rpcUrl });
  await inject(page, wallet);
  await page.goto(pathToFileURL(join(packageFolder(), "exit/index.html")).href);
  const status = (text) => page.waitForFunction((wanted) => document.getElementById("status").textContent === wanted, text);
  const told = () => page.textContent("#told");
  const picture = (name) => PICTURES && page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  await picture("exit-empty");

  const damaged = join(world.folder, "damaged.json");
  writeFileSync(damaged, "{");
  await page.setInputFiles("#file", damaged);
  await status("that did not work");
  assert.match(await told(), /no sound exit kit/);

  await page.setInputFiles("#file", kit);
  await status("kit read; connect your wallet");
  await page.click("#wallets button");
  await status("1 to send");
  await picture("exit-ready");
  assert.equal(await page.textContent("#send"), "Start the exit");

  wallet.refuse.eth_sendTransaction = rejection();
  await page.click("#send");
  await status("you said no in your wallet");
  wallet.refuse.eth_sendTransaction = undefined;
  await page.click("#send");
  await status("waiting");
  assert.match(await told(), /for the challenge period/);
  await picture("exit-waiting");

  const passed = async () => world.chain.passTo((await world.chain.reader.getBlock()).timestamp + BigInt(90_000));
  await world.chain.passTo((await world.chain.reader.getBlock()).timestamp + 3_601n);
  // Both assets are settled by one call.
  await status("1 to send");
  await picture("exit-settling");
  await page.click("#send");
  await status("waiting");
  assert.match(await told(), /nobody has claimed/);
  await passed();
  await status("1 to send");
  assert.match(await page.textContent("#send"), /0\.002 ETH/);
  await page.click("#send");
  await status("done");
  await picture("exit-done");

  const { of } = await gasPaid(world, [b.address], 0n);
  assert.equal((await world.balanceOf(b.address)) + of(b.address), parseEther("9.999"));
  assert.equal(await world.balanceOf(b.address, "DAI"), parseEther("10000"));
  assert.deepEqual(problems, []);
  assert.ok(requests.every((url) => /^(file|data):/.test(url)), requests.join("\n"));
});
