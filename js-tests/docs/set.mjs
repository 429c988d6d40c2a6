// What the blocks run against: a real chain and hub, a payee who takes everything, a site that sells, and folders as a reader has them.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hubProgram, packageFile, packageFolder } from "../support/env.mjs";
import { clientsOf } from "../support/clients.mjs";
import { createWorld } from "../support/world.mjs";

const modules = fileURLToPath(new URL("../node_modules", import.meta.url));
const NAMES = ["farthing", "viem", "ethers", "express", "hono", "@hono", "@types", "pg", "@noble", "playwright-core"];

/** What each program imports beside what it says itself. */
const WORLD = (set) => `// @ts-nocheck
import { connect as plain } from "farthing";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
export const [hub, rpc] = ${JSON.stringify([set.world.hubUrl, set.world.rpcUrl])};
export const to = /** @type {const} */ (${JSON.stringify(set.payee.info.address)});
export const key = process.env.KEY; export const key2 = process.env.KEY2; export const port = Number(process.env.PORT);
export const wallet = { privateKey: key };
export const options = { hub, rpc, wallet: { privateKey: key2 }, store: "memory", pollInterval: 100 };
export const said = [];
export const joins = async (privateKey) => {
  const client = await plain({ hub, rpc, wallet: { privateKey }, store: "memory", spending: "memory", pollInterval: 100, budget: { perRequest: { DAI: 10n ** 16n }, perDay: { DAI: 10n ** 18n } } });
  for (const asset of ["ETH", "DAI"]) await client.deposit({ asset, amount: 10n ** 18n });
  return client;
};
/** A reader of another account, who pays. */
export const reads = async (url) => {
  const client = await joins(key2);
  try {
    return await (await client.fetch(url)).text();
  } finally {
    await client.disconnect();
  }
};
/** Sells one request, and gives its receipt. */
export const sold = async (wall, url) => {
  const { createServer } = await import("node:http");
  const route = wall.route({ name: "a", price: 10n ** 15n }).express();
  const server = createServer((request, response) => route(request, response, () => response.end("a"))).listen(new URL(url).port, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", () => resolve(undefined)));
  const client = await joins(key2);
  const response = await client.fetch(url);
  await response.text();
  await client.disconnect();
  server.closeAllConnections();
  server.close();
  return response.payment.receipt;
};
export const recovered = (digest, signature) => {
  const bytes = typeof signature === "string" ? Uint8Array.from(Buffer.from(signature.slice(2), "hex")) : signature;
  const point = secp256k1.Signature.fromBytes(bytes.slice(0, 64)).addRecoveryBit(bytes[64] - 27).recoverPublicKey(digest);
  return "0x" + Buffer.from(keccak_256(point.toBytes(false).slice(1)).slice(12)).toString("hex");
};
`;

export async function createSet() {
  const folder = mkdtempSync(join(tmpdir(), "farthing-docs-"));
  const world = await createWorld({ relay: {} });
  const { local, disconnectAll } = clientsOf(() => world);
  const set = { folder, world, port: undefined };
  set.payee = await local(await world.account());
  set.payee.on("stream", () => {});
  set.seller = await local(await world.account());
  const { paywall, sqlite } = await packageFile("paywall/index.mjs");
  const server = createServer((request, response) => (new URL(request.url, "http://x").pathname === "/dear" ? dear : route)(request, response, () => response.end("paid for\n")));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const wall = await paywall({ client: set.seller, store: sqlite(join(folder, "site.sqlite")), origin: url, asset: "DAI", unitPrice: 10n ** 15n });
  const route = wall.route({ name: "report", price: 10n ** 15n }).express();
  const dear = wall.route({ name: "dear", price: 10n ** 17n }).express();
  set.site = { url };

  mkdirSync(join(folder, "node_modules/.bin"), { recursive: true });
  for (const name of NAMES) symlinkSync(name === "farthing" ? packageFolder() : join(modules, name), join(folder, "node_modules", name));
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "node_modules/.bin/farthing"), `#!/bin/sh\nexec "${process.execPath}" "${join(packageFolder(), "bin/start.mjs")}" "$@"\n`, { mode: 0o755 });
  symlinkSync(hubProgram(), join(folder, "bin/farthing-hub"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "reader", private: true, type: "module" }));
  writeFileSync(join(folder, "world.mjs"), WORLD(set));

  set.env = {
    ...process.env, HOME: folder, PATH: `${join(folder, "bin")}:${dirname(process.execPath)}:${process.env.PATH}`,
    npm_config_offline: "true", npm_config_audit: "false", npm_config_fund: "false", npm_config_update_notifier: "false",
  };
  /** A port that nobody has at this moment. */
  set.freePort = async () => {
    const probe = createServer();
    await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
    const { port } = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    return port;
  };
  set.close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await wall.close();
    await disconnectAll();
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return set;
}

/** What stands for something else on a page, as it is here. */
export const stand = (text, set, { port, key = "", site = false, payTo = `"${set.payee.info.address}"` } = {}) =>
  text
    .replaceAll("https://hub.example", set.world.hubUrl)
    .replaceAll("https://rpc.example", set.world.rpcUrl)
    // The same node by another name.
    .replaceAll("https://node.example", set.world.rpcUrl.replace("127.0.0.1", "localhost"))
    .replaceAll(/https:\/\/(api|site)\.example/g, set.site.url)
    .replaceAll("https://news.example", site ? set.site.url : `http://127.0.0.1:${port}`)
    .replaceAll("listen(3000)", `listen(${port}, "127.0.0.1")`)
    .replaceAll("contract = \"0x…\"", `contract = "${set.world.contract}"`)
    .replaceAll("KEY=0x…", `KEY=${key}`)
    .replaceAll('"0x…"', payTo);
