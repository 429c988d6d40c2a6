// A process that has done what it came for ends by itself: nothing of a client that was disconnected keeps it alive.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { packageFolder } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

/** A process that is alive then is one that does not end. */
const PATIENCE = 60_000;

let world;
before(async () => (world = await createWorld()));
after(async () => world?.stop());

const DEPOSIT = `await client.deposit({ asset: "ETH", amount: 1_000n });`;
const PAY = `await client.pay({ to: hub, asset: "ETH", amount: 1n });`;

/** By what the script does with a client before it disconnects it. */
const SCRIPTS = {
  "pays": `const client = await open(); ${DEPOSIT} ${PAY}`,
  "keeps its state in a file": `const client = await open({ store }); ${DEPOSIT} ${PAY}`,
  "has each payment confirmed, with a patience": `const client = await open({ confirm: () => true }); ${DEPOSIT}
    await client.pay({ to: hub, asset: "ETH", amount: 1n, timeout: 3_600_000, signal: new AbortController().signal });`,
  "pays a stream that goes on": `const [client, payee] = [await open(), await open({ wallet: { privateKey: other } })]; ${DEPOSIT}
    const arrived = new Promise((resolve) => payee.on("stream", resolve));
    const stream = await client.stream({ to: payee.info.address, asset: "ETH", unitPrice: 1n, units: 100, renew: true });
    stream.pay(3);
    await arrived;
    await payee.disconnect();`,
  "listens, and was asked for a report": `const client = await open({ log: () => {} }); client.on("balance", () => {}); client.on("error", () => {}); await client.inspect();`,
  "does not wait for what it asked": `const client = await open(); ${DEPOSIT} client.pay({ to: "0x" + "ab".repeat(20), asset: "ETH", amount: 1n, wait: true, timeout: 3_600_000 }).catch(() => {});`,
  "reads what a site sells": `const client = await open({ budget: { perDay: { ETH: 10n } } }); await client.fetch(rpc, { method: "POST", body: "{}" }); await client.spending();`,
  "was refused": `const client = { disconnect: async () => {} }; const refused = await open({ hub: rpc, timeout: 3_600_000 }).catch((error) => error.code); if (refused !== "not-a-hub") throw new Error(refused);`,
};

/** It says at the end which timers still keep it alive, but for those that have a moment only. */
const script = (body, given) => `
  const { setTimeout, clearTimeout } = globalThis;
  const timers = new Map();
  globalThis.setTimeout = (work, ms, ...rest) => {
    const timer = setTimeout((...passed) => (timers.delete(timer), work(...passed)), ms, ...rest);
    timers.set(timer, ms);
    return timer;
  };
  globalThis.clearTimeout = (timer) => (timers.delete(timer), clearTimeout(timer));
  const { connect } = await import(${JSON.stringify(pathToFileURL(join(packageFolder(), "node.mjs")).href)});
  const { hub, rpc, store, other, options } = ${JSON.stringify(given)};
  const open = (more) => connect({ ...options, ...more });
  ${body}
  await client.disconnect();
  const left = () => [...timers].filter(([timer, ms]) => timer.hasRef() && ms >= 1_000).map(([, ms]) => ms).join();
  // A request that was under way hears of the end in a moment.
  for (let turn = 0; turn < 50 && left() !== ""; turn += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  console.log("done", left());
`;

for (const [at, [what, body]] of Object.entries(SCRIPTS).entries()) {
  test(`a script that ${what}`, async () => {
    const [{ privateKey }, { privateKey: other }] = [await world.account(), await world.account()];
    const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100 };
    const given = { hub: world.hub.owner, rpc: world.rpcUrl, store: join(world.folder, `ends-${at}.sqlite`), other, options };
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script(body, given)], { env: { ...process.env, NODE_OPTIONS: "" }, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (said += bytes));
    const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    const [code, signal] = await new Promise((resolve) => child.on("close", (...ended) => resolve(ended)));
    clearTimeout(late);
    assert.deepEqual([said, code, signal], ["done \n", 0, null]);
  });
}
