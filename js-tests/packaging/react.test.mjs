// What docs/react.md says, as it stands, in Vite and Chromium: StrictMode's double effects open one client, the balance that is
// shown follows a payment, and the last component lets the client go.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { createServer } from "vite";
import { blocksOf } from "../support/markdown.mjs";
import { createWorld } from "../support/world.mjs";
import { workFolder } from "./support/work.mjs";

const folder = join(workFolder("react"), "react");
const PAGE = join(import.meta.dirname, "../../docs/react.md");
let world, server, browser;

before(async () => {
  world = await createWorld();
  for (const { name, text } of blocksOf(PAGE)) writeFileSync(join(folder, name), text);
  const { privateKey } = await world.account();
  const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100 };
  writeFileSync(join(folder, "settings.json"), JSON.stringify({ options, payee: world.hub.owner }));
  // As React's plugin of Vite has it.
  server = await createServer({ root: folder, configFile: false, logLevel: "error", esbuild: { jsx: "automatic" }, server: { port: 0, host: "127.0.0.1" } });
  await server.listen();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  await server?.close();
  await world?.stop();
});

test("an application in React, in StrictMode", async () => {
  const page = await browser.newPage();
  // To the hub; Vite has one of its own.
  const sockets = [];
  page.on("websocket", (socket) => socket.url().includes(new URL(world.hubUrl).host) && sockets.push(socket));
  const said = [];
  page.on("pageerror", (error) => said.push(error.message));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
  await page.goto(`http://127.0.0.1:${server.httpServer.address().port}/`);
  const shows = (id, text) => page.waitForFunction(({ id, text }) => [...document.querySelectorAll(`#${id}`)].map(({ textContent }) => textContent).join() === `${text},${text}`, { id, text });
  await shows("status", "connected").catch((error) => assert.fail(`${error.message}; ${said.join("; ")}`));
  await shows("balance", "0");
  // Two components, each mounted twice: one client, one connection.
  assert.equal(sockets.length, 1);

  // Somebody else pays: nobody asks for the balance, and it is shown.
  const { connect } = await import(join(folder, "../node_modules/farthing/node.mjs"));
  const account = await world.account();
  const alice = await connect({ hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey: account.privateKey }, store: "memory", pollInterval: 100 });
  try {
    await alice.deposit({ asset: "ETH", amount: 1_000n });
    const to = await page.evaluate(async () => (await (await fetch("./settings.json")).json()).options.wallet.privateKey);
    const { privateKeyToAddress } = await import("viem/accounts");
    await alice.pay({ to: privateKeyToAddress(to), asset: "ETH", amount: 20n, wait: true });
    await shows("balance", "0.00000000000000002");
  } finally {
    await alice.disconnect();
  }
  await page.click("button");
  await shows("balance", "0.000000000000000015");

  assert.deepEqual(sockets.map((socket) => socket.isClosed()), [false]);
  const gone = sockets[0].waitForEvent("close");
  await page.evaluate(() => window.dispatchEvent(new Event("close-app")));
  await gone;
  assert.equal(sockets.length, 1);
  assert.deepEqual(said.filter((text) => !text.includes("React DevTools")), []);
});
