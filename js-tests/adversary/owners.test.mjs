// Bindings of owners that are contracts, as a client that keeps no rule shows them to the hub, and nodes that lie about them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hashTypedData } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { faultyRpc } from "../support/rpc-faults.mjs";
import { createSafe } from "../support/safe.mjs";
import { createWorld } from "../support/world.mjs";
import { call, publicKeyOf } from "./raw-client.mjs";
import { signing } from "./signing.mjs";

const YES = `0x1626ba7e${"00".repeat(28)}`;
let world;
/** Of the second node: what it says of contracts' signatures in place of the truth. */
let said;
const told = [];

before(async () => {
  world = await createWorld();
  const liar = await faultyRpc(world.rpcUrl, []);
  liar.rules.change = (text, asked) => {
    const lies = ({ method, params }) => said !== undefined && method === "eth_call" && (params[0].input ?? params[0].data).startsWith("0x1626ba7e");
    const changed = (call, answer) => (lies(call) ? (told.push(said), { jsonrpc: "2.0", id: answer.id, ...said }) : answer);
    const answers = JSON.parse(text);
    // The hub asks many questions in one request.
    if (!Array.isArray(asked)) return JSON.stringify(changed(asked, answers));
    return JSON.stringify(answers.map((answer) => changed(asked.find(({ id }) => id === answer.id), answer)));
  };
  world.liar = liar;
  await world.hub.stop();
  world.hub.over({ rpc_url: [world.rpcUrl, liar.url] });
  await world.hub.start();
});
after(async () => {
  await world.stop();
  await world.liar.close();
});

/** A channel of a contract's, and the contract's binding of its signer. */
async function candidate(safe) {
  const privateKey = generatePrivateKey();
  const signer = privateKeyToAccount(privateKey).address;
  const { owner: hubOwner, signer: hubSigner } = world.hub;
  const channel = { a: { owner: safe.address, signer }, b: { owner: hubOwner, signer: hubSigner }, challengePeriod: 90, salt: 0 };
  const publicKey = publicKeyOf(privateKey);
  const { channelId } = await call(world, "farthing_register", { channel, publicKey });
  const message = { owner: safe.address, signer, channelId };
  const types = { Binding: [{ name: "owner", type: "address" }, { name: "signer", type: "address" }, { name: "channelId", type: "bytes32" }] };
  const domain = { name: "Farthing", version: "1", chainId: world.chainId, verifyingContract: world.contract };
  const json = JSON.stringify({ domain, types: { ...types, EIP712Domain: [] }, primaryType: "Binding", message });
  assert.ok(hashTypedData({ domain, types, primaryType: "Binding", message }));
  const binding = await safe.own.eth_signTypedData_v4([safe.address, json]);
  const show = (shown = binding) => call(world, "farthing_register", { channel, publicKey, binding: shown });
  return { binding, show, channelId, privateKey, signer };
}

const code = (wanted) => (error) => {
  assert.equal(error.data?.code, wanted, error.message);
  return true;
};

/** What is on chain now is final, also for the hub. */
async function final(safe) {
  await world.chain.admin.mine({ blocks: 3 });
  const number = Number(await world.chain.reader.getBlockNumber());
  while (((await (await fetch(`${world.hubUrl}/ready`)).json()).head ?? 0) < number) await world.chain.reader.getBlockNumber();
  return safe;
}

test("a contract binds its signer by its own signature, and by no other's", async () => {
  const safe = await final(await createSafe(world));
  const { binding, show, channelId, privateKey, signer } = await candidate(safe);
  assert.equal(binding.length, 2 + 2 * 130);
  const forged = await signing(world, channelId).binding(privateKey, safe.address, signer);
  await assert.rejects(show(forged), code("bad-signature"));
  await assert.rejects(show(`0x${"11".repeat(4_097)}`), code("limit-exceeded"));
  assert.equal((await show()).channelId, channelId);
});

test("one node that lies binds nobody, and keeps nobody from being bound for good", async () => {
  const safe = await final(await createSafe(world));
  const { show, channelId, privateKey, signer } = await candidate(safe);
  const forged = await signing(world, channelId).binding(privateKey, safe.address, signer);
  said = { result: YES };
  await assert.rejects(show(forged), code("chain-unavailable"));
  said = { result: `0x${"00".repeat(32)}` };
  await assert.rejects(show(), code("chain-unavailable"));
  said = { error: { code: 3, message: "execution reverted" } };
  await assert.rejects(show(), code("chain-unavailable"));
  said = undefined;
  assert.ok(told.length >= 3, "it has lied each time");
  assert.equal((await show()).channelId, channelId);
});

test("what was bound stays bound when the contract changes its mind, also over a restart", async () => {
  const safe = await final(await createSafe(world));
  const { show, channelId } = await candidate(safe);
  await show();
  await safe.retire();
  await final(safe);
  assert.equal((await show()).channelId, channelId);
  await world.hub.stop();
  await world.hub.start();
  assert.equal((await show()).channelId, channelId);
  const later = await candidate(safe);
  await assert.doesNotReject(later.show(), "what it signs now counts");
});

test("a contract that is not final yet is no owner yet", async () => {
  const safe = await createSafe(world);
  const { show, channelId } = await candidate(safe);
  await assert.rejects(show(), code("bad-signature"));
  await final(safe);
  assert.equal((await show()).channelId, channelId);
});
