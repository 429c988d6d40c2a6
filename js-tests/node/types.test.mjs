// The hand-written typings: they compile for a stranger, refuse what the client refuses, and name the same codes as Rust.
// And the hand-written JavaScript, which is what the types in its comments say.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { farthing, packageFolder } from "../support/env.mjs";

const folder = mkdtempSync(join(tmpdir(), "farthing-types-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "node_modules"));
symlinkSync(packageFolder(), join(folder, "node_modules/farthing"));
// As an application has them beside it.
for (const name of ["viem", "ethers", "@wagmi"]) symlinkSync(fileURLToPath(new URL(`../node_modules/${name}`, import.meta.url)), join(folder, "node_modules", name));
const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");

const GOOD = `
import { connect, errorCodes, initAsync } from "farthing";
import type { Client, ClientEvent, ErrorCode, ExitKit, FarthingError, Payment, Receipt, Store } from "farthing";
import { fileStore } from "farthing/store/file";
import { sqliteStore } from "farthing/store/sqlite";
import { paywall, postgres, report, sqlite, till } from "farthing/paywall";
import type { PaidRequest, Paywall, Report } from "farthing/paywall";
import { verifyReceipt } from "farthing/paywall/verify";

export async function main(ethereum: { request(call: { method: string; params?: unknown[] }): Promise<unknown> }) {
  await initAsync();
  const store: Store = await fileStore("x");
  await sqliteStore("y");
  await using client: Client = await connect({ hub: "https://hub.example", wallet: ethereum, store, signal: AbortSignal.timeout(1000) });
  const { hash } = await client.deposit({ asset: "ETH", amount: 1n, onProgress: ({ stage }) => void (stage === "mined") });
  const receipt: Receipt = await client.pay({ to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", asset: "DAI", amount: 5n, memo: "m", wait: true });
  const list: readonly Payment[] = await client.payments({ direction: "sent", limit: 3 });
  const kit: ExitKit = JSON.parse(await client.exportExitKit());
  const [first] = kit.transactions;
  if (first?.call === "settle") return first.assets[0];
  const stop = client.on("payment", ({ payment }) => console.log(payment.amount + 1n));
  stop();
  for await (const event of client.events()) {
    if (event.type === "exit") return event.endsAt;
    if (event.type === "error") return event.error.code;
  }
  try {
    await client.withdraw({ asset: "ETH", amount: 1n, relay: true });
    await client.close({ assets: ["ETH"], onProgress: ({ stage }) => void (stage === "relay-refused") });
    const [balance] = await client.balances();
    if (balance?.credit !== undefined && balance.credit > 0n) {
      const { hash: collected } = await client.collectCredit({ asset: balance.token, to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" });
      console.log(collected.length);
    }
    client.on("credit", ({ amount, token }) => console.log(amount + 1n, token));
  } catch (error) {
    const code: ErrorCode = (error as FarthingError).code;
    return code;
  }
  await connect({ hub: "h", rpc: "r", wallet: { mnemonic: "w" }, store: "memory", onExitKit: async (kit) => void kit.length });
  await connect({ hub: "h", rpc: "r", wallet: { privateKey: "0x12" } });
  return [hash.length, receipt.preimage, list.length, await errorCodes()];
}
export async function site(client: Client, pool: { connect(): Promise<any>; query(sql: string): Promise<any> }) {
  const wall: Paywall = await paywall({ client, store: sqlite("paywall.db"), origin: "https://news.example", asset: "DAI", unitPrice: 1000n, again: { times: 3 } });
  const route = wall.route({ price: async (request: Request) => BigInt(request.url.length), free: () => false });
  const response: Response = await route.handle(new Request("https://a"), (request, payment: PaidRequest | undefined) => (payment?.charge(1), new Response(request.url)));
  const GET = wall.route({ price: { perSecond: 1n }, first: 3 }).next((request, context: { params: { id: string } }) => new Response(context.params.id + request.url));
  await GET(new Request("https://a"), { params: { id: "x" } });
  await till({ client, store: postgres(pool), idle: 60 });
  const told: Report = await report({ store: postgres(pool), client });
  const sold = await verifyReceipt(JSON.parse(response.headers.get("x") ?? ""), { recover: () => "0x12", chainId: 1, contract: "0x12" });
  return [told.routes[0]?.income === 1n, sold.charged + 1];
}
export type Names = ClientEvent["type"];
`;

const PAYING = `
import { payer } from "farthing/pay";
import type { GrantState, PaidResponse, PayCode, PayError, Spent, Terms } from "farthing/pay";
import { bindOf, decodeGrantRequest, decodePayment, encodeGrantAnswer, encodeRequired, toFragment } from "farthing/pay/scheme";

export async function page() {
  const pay = payer({ wallet: "https://wallet.example/", title: "The Farthing Post", units: 500, perRequest: 5n, mode: "redirect" });
  const stop = pay.on("spent", ({ amount, symbol }: Spent) => console.log(amount + 1n, symbol));
  try {
    const response: PaidResponse = await pay.fetch("/articles/7", { method: "GET", payment: { most: 5n, ask: false, id: "0x00" } });
    const meter = pay.meter(response);
    if (meter && meter.used < meter.paid) meter.pause();
    const plain: Response = response;
    console.log(await plain.text(), response.payment?.units);
  } catch (error) {
    const { code, terms }: { code: PayCode; terms?: Terms } = error as PayError;
    return [code, terms?.amount];
  }
  const [state]: GrantState[] = await pay.state();
  const back = await pay.returned;
  if (back && "grant" in back) console.log(back.grant.units);
  const given: boolean = await pay.end(state?.key);
  pay.on("low", async (low) => console.log(given, low.left + 1, low.symbol, await pay.allow(low)));
  return stop();
}
export async function wallet(fragment: string) {
  const { id, unitPrice, units } = decodeGrantRequest(fragment);
  const { key, word } = decodePayment("");
  console.log(unitPrice * BigInt(units), key, word, await bindOf(id, "GET", "https://news.example/"), encodeRequired({ terms: [], code: "bad-word" }));
  return toFragment(encodeGrantAnswer({ id, error: { code: "denied", message: "No." } }));
}
self.addEventListener("fetch", (event) => payer().handle(event as unknown as { request: Request; respondWith(response: Promise<Response>): void }));
`;

const WALLETS = `
import { connect } from "farthing";
import { discoverWallets, pickWallet, switchChain } from "farthing/wallets";
import type { DiscoveredWallet } from "farthing/wallets";
import { createConfig, injected } from "@wagmi/core";
import { BrowserProvider, JsonRpcProvider, Wallet } from "ethers";
import { createWalletClient, custom, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";

// With the libraries' own types, which take long to read: once.
export async function page(stop: AbortSignal) {
  const discovery = discoverWallets();
  const off = discovery.onChange((wallets: readonly DiscoveredWallet[]) => console.log(wallets[0]?.icon, wallets.length));
  const { provider, name, rdns } = await pickWallet({ discovery, theme: "dark", signal: stop, texts: { title: "x", found: (count) => String(count + 1) } });
  await switchChain(provider, 1);
  await switchChain(provider, foundry);
  await connect({ hub: "h", wallet: provider, switchChain: foundry });
  await connect({ hub: "h", wallet: provider, switchChain: { chainName: "x", rpcUrls: ["r"], nativeCurrency: { name: "x", symbol: "X", decimals: 18 } } });
  const account = privateKeyToAccount("0x12");
  await connect({ hub: "h", rpc: "r", wallet: account });
  await connect({ hub: "h", wallet: createWalletClient({ account, chain: foundry, transport: http() }) });
  await connect({ hub: "h", wallet: createWalletClient({ chain: foundry, transport: custom(provider) }), switchChain: true });
  const config = createConfig({ chains: [foundry], connectors: [injected()], transports: { [foundry.id]: http() } });
  const [connector] = config.connectors;
  if (connector) await connect({ hub: "h", wallet: connector });
  const browser = new BrowserProvider(provider);
  await connect({ hub: "h", wallet: browser });
  await connect({ hub: "h", wallet: await browser.getSigner() });
  await connect({ hub: "h", wallet: new Wallet("0x12", new JsonRpcProvider("r")) });
  off();
  return [name, rdns];
}
`;

const BAD_WALLETS = [
  `await connect({ hub: "h", wallet: client, switchChain: 5 });`,
  `await connect({ hub: "h", wallet: { address: "0x12" } });`,
  `discoverWallets().wallets[0]!.name.toFixed();`,
  `await pickWallet({ theme: "blue" });`,
  `await switchChain("0x1", 1);`,
];

const BAD_PAYING = [
  `payer({ wallet: 5 });`,
  `payer({ walet: "https://wallet.example/" });`,
  `payer({ perRequest: 5 });`,
  `payer().on("paid", () => {});`,
  `await payer().fetch("/", { payment: { most: 5 } });`,
];

/** In the package as it is in the source: what is declared is what is there. */
const DECLARED = `
import * as told from "./pay/scheme.js";
import * as is from "./pay/scheme.mjs";
import { payer as toldPayer } from "./pay/index.js";
import { payer } from "./pay/index.mjs";
import * as toldWallets from "./wallets/index.js";
import * as wallets from "./wallets/index.mjs";
export const choice: typeof toldWallets = wallets;
export const scheme: typeof told = is;
export const face: typeof toldPayer = payer;
`;

const BAD = [
  `await client.pay({ to: "0x12", asset: "ETH", amount: 5 });`,
  `await client.pay({ to: "0x12", asset: "ETH" });`,
  `await client.pay({ to: "nobody", asset: "ETH", amount: 5n });`,
  `await client.pay({ to: "0x12", asset: "ETH", amount: 5n, ammount: 5n });`,
  `await client.exit({ onprogress: () => {} });`,
  `await connect({ hub: "h", wallet: { privateKey: "0x12" }, onExitKit: "kit.json" });`,
  `client.on("paymnt", () => {});`,
  `await client.collectCredit({ to: "0x12" });`,
  `await client.collectCredit({ asset: "ETH", amount: 1 });`,
  `(await client.balances())[0]!.available = 5n;`,
  `await connect({ hub: "h" });`,
];

function compile(name, source, options) {
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, source);
  const settings = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--lib", "esnext,dom,dom.iterable", "--skipLibCheck", "false", ...options];
  return check(folder, [...settings, file]);
}

/** In a folder of its own, where no types lie around that a stranger does not have. */
function check(cwd, settings) {
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...settings], { cwd, encoding: "utf8" });
  return { ok: status === 0, stdout };
}

for (const [name, options] of Object.entries({
  nodenext: ["--module", "nodenext"],
  bundler: ["--module", "esnext", "--moduleResolution", "bundler"],
})) {
  test(`a program compiles (${name})`, () => {
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    for (const [what, source] of [["good", GOOD], ["paying", PAYING], ...(name === "nodenext" ? [["wallets", WALLETS]] : [])]) {
      const { ok, stdout } = compile(`${what}-${name}`, source, options);
      assert.ok(ok, stdout);
    }
  });
}

test("what the client refuses does not compile", () => {
  const head = `import { connect } from "farthing"; import type { Client } from "farthing"; declare const client: Client;\n`;
  const lines = (bad) => bad.map((line) => `// @ts-expect-error\n${line}\n`).join("");
  const source = `import { payer } from "farthing/pay"; import { discoverWallets, pickWallet, switchChain } from "farthing/wallets";\n${head}${lines(BAD)}${lines(BAD_PAYING)}${lines(BAD_WALLETS)}export {};\n`;
  const { ok, stdout } = compile("bad", source, ["--module", "nodenext"]);
  assert.ok(ok, stdout);
});

test("ErrorCode has the codes that the module has", async () => {
  const { errorCodes } = await farthing();
  const text = readFileSync(join(packageFolder(), "index.d.ts"), "utf8");
  const union = text.match(/export type ErrorCode =([^;]+);/)[1];
  assert.deepEqual([...union.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code), [...(await errorCodes())]);
});

test("import and require give one instance", async () => {
  const require = createRequire(join(folder, "x.cjs"));
  assert.equal(require("farthing").connect, (await import(join(packageFolder(), "node.mjs"))).connect);
});

// What wasm-bindgen writes is not ours to annotate, and the exit page's engine is a script for a page.
test("the package's own JavaScript is what the types in its comments say", () => {
  const copy = join(folder, "package");
  cpSync(packageFolder(), copy, { recursive: true });
  // What ships has no comments any more, so its source is checked, beside the rest of the package.
  cpSync(fileURLToPath(new URL("../../pkg-template", import.meta.url)), copy, { recursive: true });
  const parts = ["", "store", "bin", "dev", "pay", "paywall", "paywall/store", "paywall/adapters", "wallets"];
  const files = parts.flatMap((part) => readdirSync(join(copy, part)).filter((name) => name.endsWith(".mjs")).map((name) => join(part, name)));
  rmSync(join(copy, "node_modules"), { recursive: true, force: true });
  mkdirSync(join(copy, "node_modules"));
  symlinkSync(join(createRequire(import.meta.url).resolve("@noble/hashes/sha3.js"), "../../"), join(copy, "node_modules/@noble"));
  writeFileSync(join(copy, "declared.ts"), DECLARED);
  assert.ok(files.includes("tabs.mjs") && files.length > 12, String(files));
  for (const file of files) assert.match(readFileSync(join(copy, file), "utf8"), /^\/\/ @ts-check$/m, `${file} is not checked`);
  const types = join(createRequire(import.meta.url).resolve("@types/node/package.json"), "../..");
  const settings = ["--noEmit", "--allowJs", "--strict", "--module", "nodenext", "--target", "esnext", "--lib", "esnext,dom,dom.iterable", "--typeRoots", types, "--types", "node"];
  const { ok, stdout } = check(copy, [...settings, "declared.ts", ...files]);
  assert.ok(ok, stdout);
});
