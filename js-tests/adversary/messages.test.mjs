// A hub that says what is not so, twice, late, in another order, or not at all.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEther } from "viem";
import { generatePrivateKey } from "viem/accounts";
import { ETH, nextBlock } from "./chain.mjs";
import { chance } from "./chance.mjs";
import { highS } from "./signing.mjs";
import { play } from "./stage.mjs";

const scenario = (name, body, options) => it(name, () => play(name, body, options));
const collateral = parseEther("5");
const transfer = (amount) => [{ transfer: { amount: String(amount), memo: "" } }];
const lock = (changes = {}) => [
  { lock: { slot: 7, condition: { address: "0x000000000000000000000000000000000000fa01", params: `0x${"11".repeat(32)}` }, expiry: 0, n: 1, unitPrice: "5", to: null, envelope: "0x", ...changes } },
];

describe("messages of a hostile hub", { concurrency: 8 }, () => {
  scenario("updates that break one rule each are refused, and the next sound one is taken", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(bob, alice, 500n, { wait: true });
    await stage.pay(alice, bob, 20n, { wait: true });
    await stage.alone();
    const now = Number((await stage.chain.reader.getBlock()).timestamp);
    const stranger = generatePrivateKey();
    const lane = alice.record.lane("hub", ETH);
    const broken = [
      [transfer(5), { change: (proof) => ({ ...proof, transferred: "3" }) }, "transferred that falls"],
      [transfer(5), { change: (proof) => ({ ...proof, transferred: String(BigInt(proof.transferred) + 1n) }) }, "wrong total"],
      [transfer(5), { change: (proof) => ({ ...proof, locksRoot: `0x${"77".repeat(32)}` }) }, "wrong root"],
      [transfer(5), { change: (proof) => ({ ...proof, locked: "1" }) }, "wrong locked"],
      [transfer(5), { change: (proof) => ({ ...proof, seen: 1_000 }) }, "claims to have seen what was never signed"],
      [transfer(0), {}, "transfer of nothing"],
      [transfer(collateral + 1n), {}, "more than the hub has"],
      [transfer(5), { key: stranger }, "signed by a stranger"],
      [transfer(5), { alter: highS }, "high-s"],
      [transfer(5), { alter: (signature) => `${signature.slice(0, -2)}05` }, "wrong recovery id"],
      [transfer(5), { base: 9_999 }, "unknown base"],
      [transfer(5), { nonce: lane.highest + 2 ** 22 }, "nonce that jumps"],
      [transfer(5), { again: true }, "nonce of an update that was refused"],
      [lock({ expiry: now + 10 }), {}, "lock that expires at once"],
      [lock({ expiry: now + 10 ** 8 }), {}, "lock that expires in years"],
      [lock({ expiry: now + 4_000, condition: { address: `0x${"ab".repeat(20)}`, params: "0x" } }), {}, "condition that nobody knows"],
      [[{ release: { slot: 99 } }], {}, "release of no lock"],
      [[{ redeem: { slot: 99, units: 1 } }], {}, "redeem of no lock"],
      [transfer(5), { asset: `0x${"cd".repeat(20)}` }, "asset that has no deposit"],
    ];
    for (const [ops, change, what] of broken) {
      const highest = lane.highest;
      const nonce = change.again ? highest : change.nonce;
      const answer = await stage.forge(alice, ops, { ...change, nonce, what: "update that breaks a rule" });
      assert.notEqual(answer.type, "accepted", what);
      // Rebuilt as the client sees it: a nonce far away was never taken for seen.
      if (lane.highest > highest + 2 ** 20) lane.highest = highest;
    }
    const again = lane.updates.find(({ proof }) => proof.nonce === lane.accepted);
    stage.tried("replayed update");
    stage.say(alice, { type: "update", asset: ETH, update: again }, { type: "update", asset: ETH, update: again });
    assert.equal((await stage.forge(alice, transfer(77), { what: "transfer of the hub" })).type, "accepted");
    await stage.judge();
    assert.equal(alice.verdict.paid, 577n);
  });

  scenario("deposits that do not exist", async (stage) => {
    const alice = await stage.actor({ deposit: 1_000n });
    const huge = { a: String(parseEther("500")), b: String(parseEther("500")) };
    stage.proxy.rules.down = (messages) => messages.map((message) => (message.type === "funds" ? { ...message, deposits: huge } : message));
    stage.proxy.rules.call = async (method, params, ask) => {
      const answer = await ask();
      return method === "farthing_channel" ? { ...answer, exitEndsAt: 1, assets: answer.assets.map((one) => ({ ...one, deposits: huge, status: "open" })) } : answer;
    };
    stage.proxy.cut(alice.id);
    await stage.back(alice);
    stage.tried("forged funds", 2);
    stage.say(alice, { type: "funds", asset: ETH, deposits: huge });
    await assert.rejects(alice.client.pay({ to: stage.world.hub.owner, asset: "ETH", amount: 1_001n }), { code: "insufficient-funds" });
    assert.equal((await alice.client.balances()).find(({ asset }) => asset === "ETH").deposited, 1_000n);
    await stage.pay(alice, stage.world.hub.owner, 400n);
    await stage.alone();
    assert.equal((await stage.forge(alice, transfer(parseEther("200")), { what: "payment out of a deposit that does not exist" })).type, "refused");
  });

  scenario("an exit, an end and an expiry that only the hub speaks of", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    const carol = await stage.away();
    await stage.pay(bob, alice, 40n, { wait: true });
    const { update } = await stage.offer(alice, carol, 3_000n);
    const placed = update.proof.nonce;
    const { slot } = update.ops[0].lock;
    await stage.alone();
    for (const code of ["channel-exiting", "channel-closed", "payment-expired", "state-outdated", "no-such-code"]) {
      stage.tried("claim that only the hub makes", 4);
      stage.say(
        alice,
        { type: "refused", asset: ETH, nonce: placed, code, message: "it is over" },
        { type: "fail", asset: ETH, slot, placed, code },
        { type: "declined", what: "reveal", code, message: "it is over" },
        { type: "cancel", asset: ETH, slot: 0, placed: 1 },
      );
    }
    // The offer may come back on paper, but until the chain or an acknowledgement says so it counts.
    const signed = stage.heard("client", alice, "update");
    stage.pay(alice, stage.world.hub.owner, 9n);
    await signed;
    const { available } = (await alice.client.balances()).find(({ asset }) => asset === "ETH");
    assert.ok(available <= parseEther("1") + 40n - 3_000n - 9n, `${available} can be spent`);
    await stage.judge(async () => {
      for (const proof of alice.record.proofs("client", ETH)) await stage.hub.submitProofs(alice.channel, [proof]);
    });
  });

  scenario("acceptances of what was never sent, acknowledgements of others", async (stage) => {
    const alice = await stage.actor({ deposit: 10_000n });
    await stage.alone();
    const signed = stage.heard("client", alice, "update");
    stage.pay(alice, stage.world.hub.owner, 6_000n);
    const { update } = await signed;
    const { signerKey } = stage.world.hub;
    const sign = (key, proof) => alice.sign.acknowledgement(key, { asset: ETH, payer: "A", proof });
    stage.tried("forged acceptance", 5);
    stage.say(
      alice,
      { type: "accepted", asset: ETH, nonce: 55 },
      { type: "accepted", asset: ETH, nonce: 0 },
      { type: "accepted", asset: `0x${"cd".repeat(20)}`, nonce: update.proof.nonce },
      { type: "accepted", asset: ETH, nonce: update.proof.nonce, acknowledgement: await sign(generatePrivateKey(), update.proof) },
      { type: "accepted", asset: ETH, nonce: update.proof.nonce, acknowledgement: await sign(signerKey, { ...update.proof, transferred: "1" }) },
    );
    stage.say(alice, { type: "refused", asset: ETH, nonce: update.proof.nonce, code: "bad-op", message: "", last: { proof: { ...update.proof, nonce: 9, transferred: "0" }, signature: update.signature } });
    await assert.rejects(alice.client.pay({ to: stage.world.hub.owner, asset: "ETH", amount: 6_000n }), { code: "insufficient-funds" });
    // A forged acknowledgement is not shown as one: with it, the contract would refuse the client's exit.
    const { assets } = JSON.parse(await alice.client.exportExitKit());
    assert.deepEqual(assets.flatMap(({ proofs }) => proofs.filter(({ payer }) => payer === 0)), []);
    stage.tried("old proof on chain");
    await stage.judge(() => stage.hub.submitProofs(alice.channel, [alice.record.proofs("client", ETH).at(-1)]));
  });

  for (const seed of [11, 12, 13]) {
    scenario(`messages of both directions lost, doubled, held back and in another order (seed ${seed})`, async (stage) => {
      const { draw, shuffled } = chance(seed);
      const [alice, bob] = [await stage.actor(), await stage.actor()];
      const held = { up: [], down: [] };
      const disturb = (direction) => (messages, id) => {
        const out = [];
        for (const message of messages) {
          const lot = draw(10);
          if (lot === 0) stage.tried("lost message");
          else if (lot === 1) held[direction].push([id, message]), stage.tried("message held back");
          else if (lot === 2) out.push(message, message), stage.tried("doubled message");
          else out.push(message);
        }
        while (held[direction].length > 2) {
          const [other, message] = held[direction].shift();
          if (other === id) out.push(message);
          else direction === "down" ? stage.say({ id: other }, message) : stage.proxy.toHub(other, [message]);
        }
        return out.length > 1 && draw(2) === 0 ? (stage.tried("frame in another order"), shuffled(out)) : out;
      };
      stage.proxy.rules = { up: disturb("up"), down: disturb("down") };
      for (let round = 0; round < 4; round += 1) {
        const paying = [];
        for (let count = 0; count < 5; count += 1) {
          paying.push(stage.pay(alice, bob, 100n + BigInt(draw(900)), { wait: true }), stage.pay(bob, alice, 1n + BigInt(draw(90)), { wait: true }));
        }
        // Each connect sets right what was lost before it; where a sync was lost, nothing is signed until then.
        await Promise.race([nextBlock(stage.chain), Promise.allSettled(paying)]);
        const back = [alice, bob].map((actor) => stage.back(actor));
        for (const actor of [alice, bob]) stage.proxy.cut(actor.id);
        await Promise.all(back);
      }
    });
  }

  scenario("no answer is ever given to what was signed, on two connections", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    stage.proxy.rules.down = (messages) => messages.filter(({ type }) => type !== "accepted");
    const signed = stage.heard("client", alice, "update");
    for (let count = 0; count < 12; count += 1) stage.pay(alice, bob, 10n, { wait: true });
    await signed;
    stage.tried("acceptance withheld", 12);
    const back = stage.back(alice);
    stage.proxy.cut(alice.id);
    await back;
    await stage.judge();
  });

  scenario("frames that are no messages: too large, too many, not JSON, unknown fields", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 10n, { wait: true });
    const frame = (messages) => JSON.stringify({ jsonrpc: "2.0", method: "farthing_messages", params: { channelId: alice.id, messages } });
    const accepted = { type: "accepted", asset: ETH, nonce: 1 };
    const broken = [
      frame([{ type: "declined", what: "x", code: "x", message: "y".repeat(70_000) }]),
      "{",
      "[]",
      frame([{ ...accepted, extra: 1 }]),
      frame([{ ...accepted, nonce: -1 }]),
      frame([{ ...accepted, nonce: 2 ** 70 }]),
      frame([{ type: "no such type" }]),
      frame("no list"),
      Buffer.from([1, 2, 3]),
      "[".repeat(60_000),
    ];
    for (const data of broken) {
      stage.tried("frame that is no message");
      const back = stage.back(alice);
      stage.proxy.rawToClient(alice.id, data);
      // It hangs up or ignores it; a message to another channel, or one that says nothing, is no reason to.
      const sound = stage.heard("client", alice, "sync");
      await Promise.race([back, sound, stage.pay(alice, bob, 1n, { wait: true })]);
    }
    await stage.pay(alice, bob, 5n, { wait: true });
  });

  scenario("a hub that takes everything and answers nothing", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 1_000n, { wait: true });
    stage.proxy.silent = true;
    stage.tried("silence");
    stage.pay(alice, stage.world.hub.owner, 20n);
    stage.pay(bob, alice, 30n, { wait: true });
    await stage.world.hub.stop("SIGKILL");
    await stage.judge();
  });

  scenario("evidence of another payment, a failure after the secret, a secret after the failure", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    const carol = await stage.away();
    const { update } = await stage.offer(alice, carol, 3_000n);
    const { slot } = update.ops.at(-1).lock;
    const place = { asset: ETH, slot, placed: update.proof.nonce };
    stage.tried("wrong evidence", 4);
    stage.say(
      alice,
      { type: "reveal", ...place, evidence: `0x${"22".repeat(32)}` },
      { type: "reveal", ...place, evidence: "0x" },
      { type: "reveal", ...place, slot: slot + 1, evidence: `0x${"22".repeat(32)}` },
      { type: "reveal", ...place, placed: 77, evidence: `0x${"22".repeat(32)}` },
    );
    // The hub takes Bob's secret, charges Alice, and gives Bob a failure instead of his money.
    const revealed = stage.heard("client", bob, "reveal");
    stage.proxy.rules.up = (messages, id) => (id === bob.id ? messages.filter(({ type }) => type !== "reveal") : messages);
    const signed = stage.heard("client", alice, "update", ({ update: { ops } }) => ops.some(({ lock: one }) => one?.unitPrice === "50000"));
    const paying = stage.pay(alice, bob, 50_000n, { wait: true });
    const { evidence } = await revealed;
    const { proof, ops } = (await signed).update;
    await stage.alone();
    stage.tried("secret passed on, and nothing redeemed");
    stage.say(alice, { type: "reveal", asset: ETH, slot: ops[0].lock.slot, placed: proof.nonce, evidence });
    stage.say(alice, { type: "fail", asset: ETH, slot: ops[0].lock.slot, placed: proof.nonce, code: "payee-declined" });
    assert.equal((await paying).status, "completed");
    await stage.judge();
    assert.equal(bob.verdict.paid, 50_000n);
  });
});
