// The hand-written typings: they compile for a stranger, refuse what the client refuses, and name the same codes as Rust.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { farthing, packageFolder } from "../support/env.mjs";

const folder = mkdtempSync(join(tmpdir(), "farthing-types-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "node_modules"));
symlinkSync(packageFolder(), join(folder, "node_modules/farthing"));
const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");

const GOOD = `
import { connect, errorCodes, initAsync } from "farthing";
import type { Client, ClientEvent, ErrorCode, ExitKit, FarthingError, Payment, Receipt, Store } from "farthing";
import { fileStore } from "farthing/store/file";
import { sqliteStore } from "farthing/store/sqlite";

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
  if (first?.call === "settle") return first.asset;
  const stop = client.on("payment", ({ payment }) => console.log(payment.amount + 1n));
  stop();
  for await (const event of client.events()) {
    if (event.type === "exit") return event.endsAt;
    if (event.type === "error") return event.error.code;
  }
  try {
    await client.withdraw({ asset: "ETH", amount: 1n, relay: true });
    await client.close({ assets: ["ETH"] });
  } catch (error) {
    const code: ErrorCode = (error as FarthingError).code;
    return code;
  }
  await connect({ hub: "h", rpc: "r", wallet: { mnemonic: "w" }, store: "memory", onExitKit: async (kit) => void kit.length });
  await connect({ hub: "h", rpc: "r", wallet: { privateKey: "0x12" } });
  return [hash.length, receipt.preimage, list.length, await errorCodes()];
}
export type Names = ClientEvent["type"];
`;

const BAD = [
  `await client.pay({ to: "0x12", asset: "ETH", amount: 5 });`,
  `await client.pay({ to: "0x12", asset: "ETH" });`,
  `await client.pay({ to: "nobody", asset: "ETH", amount: 5n });`,
  `await client.pay({ to: "0x12", asset: "ETH", amount: 5n, ammount: 5n });`,
  `await client.exit({ onprogress: () => {} });`,
  `await connect({ hub: "h", wallet: { privateKey: "0x12" }, onExitKit: "kit.json" });`,
  `client.on("paymnt", () => {});`,
  `(await client.balances())[0]!.available = 5n;`,
  `await connect({ hub: "h" });`,
];

function compile(name, source, options) {
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, source);
  const settings = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--lib", "esnext,dom,dom.iterable", "--skipLibCheck", "false", ...options];
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...settings, file], { encoding: "utf8" });
  return { ok: status === 0, stdout };
}

for (const [name, options] of Object.entries({
  nodenext: ["--module", "nodenext"],
  bundler: ["--module", "esnext", "--moduleResolution", "bundler"],
})) {
  test(`a program compiles (${name})`, () => {
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    const { ok, stdout } = compile(`good-${name}`, GOOD, options);
    assert.ok(ok, stdout);
  });
}

test("what the client refuses does not compile", () => {
  const head = `import { connect } from "farthing"; import type { Client } from "farthing"; declare const client: Client;\n`;
  const source = head + BAD.map((line) => `// @ts-expect-error\n${line}\n`).join("") + "export {};\n";
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
