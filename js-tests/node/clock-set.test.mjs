// The device's clock is set while a client runs, and nothing but the time of day changes: no pause gets longer by it, and no
// transaction older.

import { setClock } from "../support/clock.mjs";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { farthing } from "../support/env.mjs";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createWorld } from "../support/world.mjs";

const { connect } = await farthing();
const ends = [];
let world;

before(async () => (world = await createWorld()));
after(async () => {
  setClock(0);
  for (const end of ends) await end();
  await world?.stop();
});

async function open() {
  const rpc = await faultyRpc(world.rpcUrl, []);
  const client = await connect({ hub: world.hubUrl, rpc: rpc.url, wallet: await world.account(), store: "memory", pollInterval: 100 });
  ends.push(() => client.disconnect(), rpc.close);
  return { rpc, client };
}

const deposited = async (client) => (await client.balances()).find(({ asset }) => asset === "ETH").deposited;

test("an RPC that wants to be left alone is asked again when the clock was set back", async () => {
  const { rpc, client } = await open();
  let limited = false;
  rpc.rules.answer = () => (limited ? undefined : ((limited = true), { status: 429, headers: { "retry-after": "3" }, body: () => "" }));
  while (!limited) await sleep(20);
  setClock(-3_600);
  await client.deposit({ asset: "ETH", amount: 1_000n });
  setClock(0);
  assert.equal(await deposited(client), 1_000n);
});

test("a deposit that may have arrived is not sent anew when the clock was set forward", async () => {
  const { rpc, client } = await open();
  const sent = new Set();
  const watch = ({ method, params }) => method === "eth_sendRawTransaction" && sent.add(params[0]);
  await world.chain.admin.setIntervalMining({ interval: 0 });
  await world.chain.admin.setAutomine(false);
  const unknown = { body: ({ id }) => JSON.stringify({ jsonrpc: "2.0", id, result: null }) };
  rpc.rules.answer = (call) => (watch(call) ? { lost: true } : call.method === "eth_getTransactionByHash" ? unknown : undefined);
  await assert.rejects(client.deposit({ asset: "ETH", amount: 777n }), /goes on with it and sends no other/);
  setClock(3_600);
  rpc.rules.answer = (call) => void watch(call);
  const again = client.deposit({ asset: "ETH", amount: 777n });
  // Blocks that keep coming say that the clock is wrong.
  await world.chain.admin.setIntervalMining({ interval: 1 });
  await again;
  setClock(0);
  assert.equal(sent.size, 1);
  assert.equal(await deposited(client), 777n);
});
