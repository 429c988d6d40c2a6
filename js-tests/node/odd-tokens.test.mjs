// Tokens as they are: each through deposit, payment, withdrawal and closing, or refused before money moves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clientsOf } from "../support/clients.mjs";
import { settled } from "../support/settled.mjs";
import { createWorld } from "../support/world.mjs";

const OTHER = "0x00000000000000000000000000000000000000aa";
const small = { channel_capacity: 1_000_000_000n, max_payment: 1_000_000_000n, collateral: 1_000_000n, max_collateral: 1_000_000_000n, min_relayed_withdrawal: 1n };
const TOKENS = {
  USDT: { contract: "WaryToken", decimals: 6, ...small },
  USDC: { contract: "ListedToken", decimals: 6, ...small },
  OLDDAI: { contract: "OldDai", decimals: 18, ...small },
  FEE: { contract: "FeeToken", decimals: 18, ...small },
  NONE: { contract: "DecimalToken", args: [0], decimals: 0, ...small },
  MANY: { contract: "DecimalToken", args: [24], decimals: 24, ...small },
  MKR: { contract: "WordToken", decimals: 18, ...small },
  BARE: { contract: "BareToken", decimals: 3, ...small },
  STOP: { contract: "StoppableToken", decimals: 18, ...small },
  LIAR: { contract: "LyingToken", decimals: 18, ...small },
  REBASE: { contract: "RebasingToken", decimals: 18, ...small },
  WRONG: { contract: "DecimalToken", args: [6], decimals: 18, ...small },
};
const STOPS = { none: 0, returnsFalse: 1, revertsWithoutReason: 2, paused: 3 };

let world;
const { local, disconnectAll } = clientsOf(() => world);
before(async () => {
  world = await createWorld({ tokens: TOKENS });
});
after(async () => {
  await disconnectAll();
  await world?.stop();
});

/** An account with so much of a token, and its client. */
async function holder(asset, amount = 10_000n) {
  const account = await world.account({ dai: 0n });
  if (amount > 0n) await world.chain.mint(world.tokens[asset], account.address, amount);
  return { ...account, client: await local(account) };
}
const held = ({ address }, asset) => world.balanceOf(address, asset);
const stop = (how) => world.chain.write("StoppableToken", world.tokens.STOP, "stop", [STOPS[how]]);
const block = (address, on) => world.chain.write("ListedToken", world.tokens.USDC, "setBlocked", [address, on]);
const inChannel = async (client, asset) => (await client.balances()).find((balance) => balance.asset === asset);
/** Leaves without the hub; the chain's time passes as far as it must. */
const leave = (client) =>
  client.exit({ onProgress: ({ endsAt }) => endsAt && world.chain.passTo(endsAt / 1_000 + 1) });

for (const asset of ["USDT", "USDC", "OLDDAI", "NONE", "MANY", "MKR", "BARE"]) {
  test(`${asset}: every unit goes in, is paid, and comes home`, async () => {
    const [alice, bob] = [await holder(asset), await holder(asset, 0n)];
    await alice.client.deposit({ asset, amount: 1_000n });
    assert.equal(await held(alice, asset), 9_000n);
    assert.equal((await alice.client.pay({ to: bob.address, asset, amount: 600n })).status, "completed");
    assert.equal((await settled(bob.client, asset)).available, 600n);
    await bob.client.withdraw({ asset, amount: 600n, relay: true });
    assert.equal(await held(bob, asset), 600n);
    await alice.client.close({ relay: true });
    assert.equal(await held(alice, asset), 9_400n);
  });
}

test("a token that takes a fee: what arrives counts, and what is paid out is what is in the channel, less its fee", async () => {
  const [alice, bob] = [await holder("FEE"), await holder("FEE", 0n)];
  await alice.client.deposit({ asset: "FEE", amount: 1_000n });
  assert.equal((await inChannel(alice.client, "FEE")).deposited, 990n);
  await assert.rejects(alice.client.pay({ to: bob.address, asset: "FEE", amount: 991n }), { code: "insufficient-funds" });
  await alice.client.pay({ to: bob.address, asset: "FEE", amount: 500n });
  await settled(bob.client, "FEE");
  await bob.client.withdraw({ asset: "FEE", amount: 500n, relay: true });
  assert.equal(await held(bob, "FEE"), 495n);
  await alice.client.close({ relay: true });
  assert.equal(await held(alice, "FEE"), 9_000n + 486n);
});

for (const how of ["returnsFalse", "revertsWithoutReason", "paused"]) {
  test(`a token that ${how}: a deposit is refused before money moves, a withdrawal moves nothing, and what a closing owes is kept`, async () => {
    const alice = await holder("STOP");
    await stop(how);
    const refused = await alice.client.deposit({ asset: "STOP", amount: 10n }).catch((error) => error);
    assert.equal(refused.code, "transaction-failed");
    assert.match(refused.message, /no money moved/i);
    assert.equal(await held(alice, "STOP"), 10_000n);

    await stop("none");
    await alice.client.deposit({ asset: "STOP", amount: 1_000n });
    await stop(how);
    await assert.rejects(alice.client.withdraw({ asset: "STOP", amount: 100n }), ({ code, message }) => code === "transaction-failed" && /No money moved/.test(message));
    await alice.client.close();
    assert.equal((await inChannel(alice.client, "STOP")).credit, 1_000n);
    await assert.rejects(alice.client.collectCredit({ asset: "STOP" }), { code: "transaction-failed" });
    await stop("none");
    await alice.client.collectCredit({ asset: "STOP" });
    assert.equal(await held(alice, "STOP"), 10_000n);
  });
}

test("an owner that USDC blocks: no deposit, no withdrawal to itself; to another account, and after closing, the money comes out", async () => {
  const alice = await holder("USDC");
  await block(alice.address, true);
  await assert.rejects(alice.client.deposit({ asset: "USDC", amount: 10n }), { code: "transaction-failed" });
  await block(alice.address, false);
  await alice.client.deposit({ asset: "USDC", amount: 1_000n });
  await block(alice.address, true);
  await alice.client.withdraw({ asset: "USDC", amount: 100n, to: OTHER });
  assert.equal(await world.balanceOf(OTHER, "USDC"), 100n);
  await assert.rejects(alice.client.withdraw({ asset: "USDC", amount: 200n }), ({ code, message }) => code === "transaction-failed" && message.includes("`to`"));
  await leave(alice.client);
  assert.equal((await inChannel(alice.client, "USDC")).credit, 900n);
  await alice.client.collectCredit({ asset: "USDC", to: OTHER });
  assert.equal(await world.balanceOf(OTHER, "USDC"), 1_000n);
  assert.equal((await inChannel(alice.client, "USDC")).credit, 0n);
});

test("a contract that USDC blocks: payments go on, and what a closing owes waits in the owner's name until it is let go", async () => {
  const [alice, bob] = [await holder("USDC"), await holder("USDC", 0n)];
  await alice.client.deposit({ asset: "USDC", amount: 1_000n });
  // The hub puts collateral into who is paid for the first time, which the token would refuse afterwards.
  await alice.client.pay({ to: bob.address, asset: "USDC", amount: 20n, wait: true });
  await block(world.contract, true);
  await alice.client.pay({ to: bob.address, asset: "USDC", amount: 30n });
  await settled(bob.client, "USDC");
  await settled(alice.client, "USDC");
  await alice.client.close();
  assert.equal((await inChannel(alice.client, "USDC")).credit, 950n);
  await assert.rejects(alice.client.collectCredit({ asset: "USDC", to: OTHER }), { code: "transaction-failed" });
  await block(world.contract, false);
  await alice.client.collectCredit({ asset: "USDC" });
  assert.equal(await held(alice, "USDC"), 9_950n);
});

test("a token whose balances are lies is refused before money moves", async () => {
  const alice = await holder("LIAR");
  await assert.rejects(alice.client.deposit({ asset: "LIAR", amount: 100n }), ({ code, message }) => code === "transaction-failed" && /no money moved/i.test(message));
  assert.equal((await inChannel(alice.client, "LIAR")).deposited, 0n);
});

test("a token whose balances shrink: what is left is paid to who comes first, and nobody's proofs are lost", async () => {
  const [alice, bob] = [await holder("REBASE"), await holder("REBASE")];
  for (const { client } of [alice, bob]) await client.deposit({ asset: "REBASE", amount: 1_000n });
  await world.chain.write("RebasingToken", world.tokens.REBASE, "rebase", [50n]);
  const lies = await world.balanceOf(world.contract, "REBASE");
  await alice.client.close();
  // What the contract has is less than what it owes.
  assert.equal((await inChannel(alice.client, "REBASE")).status, "closed");
  assert.ok(lies > 0n);
  await world.chain.write("RebasingToken", world.tokens.REBASE, "rebase", [100n]);
  await bob.client.close();
  assert.equal((await inChannel(bob.client, "REBASE")).status, "closed");
});

test("what the hub says of a token's decimals is held against the token, before money moves", async () => {
  const alice = await holder("WRONG");
  await assert.rejects(alice.client.deposit({ asset: "WRONG", amount: 100n }), ({ code, message }) => code === "bad-terms" && /nothing was signed or sent/.test(message));
  assert.equal(await held(alice, "WRONG"), 10_000n);
});
