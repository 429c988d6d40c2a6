// A hub that starts the exit itself, and shows what it likes.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { ETH } from "./chain.mjs";
import { highS } from "./signing.mjs";
import { play } from "./stage.mjs";

const scenario = (name, body, options) => it(name, () => play(name, body, options));

/** Everything of a lane that the hub may show by itself: all of the client's, and what was acknowledged of its own. */
const showable = (actor) => [
  ...actor.record.proofs("client", ETH),
  ...actor.record.proofs("hub", ETH).filter(({ acknowledgement }) => acknowledgement !== "0x"),
];

/** The oldest proof of each lane. */
const oldest = (proofs) => [0, 1].flatMap((payer) => proofs.filter((proof) => proof.payer === payer).slice(0, 1));

/** A lock that pays a client, with an envelope that it can't open: it is given up, and its release is acknowledged. */
const lockOp = (slot, unitPrice, expiry) => ({
  lock: { slot, condition: { address: "0x000000000000000000000000000000000000fa01", params: `0x${randomBytes(32).toString("hex")}` }, expiry, n: 1, unitPrice, to: null, envelope: "0x" },
});

/** Bob shows his secret of a payment of Alice's, and the hub, alone with her, keeps it and gives the payment back. */
async function cancelled(stage) {
  const [alice, bob] = [await stage.actor(), await stage.actor()];
  await stage.pay(alice, bob, 100n, { wait: true });
  const reveal = stage.heard("client", bob, "reveal");
  stage.proxy.rules.up = (messages, id) => (id === bob.id ? messages.filter(({ type }) => type !== "reveal") : messages);
  stage.pay(alice, bob, 80_000n, { wait: true });
  const { evidence } = await reveal;
  const lane = alice.record.lane("client", ETH);
  const shown = alice.record.proofs("client", ETH).at(-1);
  const [slot, lock] = [...lane.states.get(shown.nonce).locks].at(-1);
  await stage.alone();
  const release = stage.heard("client", alice, "update", ({ update }) => update.ops.some((op) => op.release));
  stage.say(alice, { type: "fail", asset: ETH, slot, placed: shown.nonce, code: "payee-declined" });
  const { update } = await release;
  return { alice, bob, evidence, shown, lock, update };
}

describe("exits of a hostile hub", { concurrency: 8 }, () => {
  scenario("an exit with nothing to show, after payments both ways", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 1_000n, { wait: true });
    await stage.pay(bob, alice, 300n, { wait: true });
    await stage.alone();
    stage.tried("exit without proofs", 2);
    for (const actor of [alice, bob]) await stage.hub.startExit(actor.channel, []);
  });

  scenario("the oldest proofs of both lanes, nothing pending", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 700n, { wait: true });
    await stage.pay(bob, alice, 50n, { wait: true });
    await stage.pay(bob, alice, 4_000n, { wait: true });
    await stage.pay(alice, stage.world.hub.owner, 5n);
    await stage.alone();
    // Its own lane: a lock that the client gave up, taken back with an acknowledgement, and then a payment.
    const { timestamp } = await stage.chain.reader.getBlock();
    const gaveUp = stage.heard("client", alice, "fail");
    const slot = alice.record.lane("hub", ETH).states.get(alice.record.lane("hub", ETH).accepted).freeSlot;
    assert.equal((await stage.forge(alice, [lockOp(slot, "9", Number(timestamp) + 4_000)], { what: "lock that nobody can open" })).type, "accepted");
    await gaveUp;
    const released = await stage.forge(alice, [{ release: { slot } }], { what: "release that is acknowledged" });
    assert.ok(released.acknowledgement);
    assert.equal((await stage.forge(alice, [{ transfer: { amount: "90000", memo: "" } }], { what: "transfer of the hub" })).type, "accepted");
    stage.tried("old proof on chain", 4);
    await stage.hub.startExit(alice.channel, oldest(showable(alice)));
    await stage.hub.startExit(bob.channel, oldest(showable(bob)));
    await stage.judge();
    assert.ok(alice.verdict.paid >= 94_050n);
  });

  scenario("a payment pending in each lane, the oldest proofs, and every proof of the payer once more", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    const carol = await stage.away();
    await stage.pay(alice, bob, 100n, { wait: true });
    await stage.pay(alice, carol, 7_000n);
    // Bob has the secret, and the hub redeems nothing.
    stage.proxy.rules.up = (messages, id) => (id === bob.id ? messages.filter(({ type }) => type !== "reveal") : messages);
    const revealed = stage.heard("client", bob, "reveal");
    stage.pay(alice, bob, 60_000n, { wait: true });
    await revealed;
    await stage.alone();
    stage.tried("reveal not redeemed");
    for (const actor of [alice, bob]) {
      await stage.hub.startExit(actor.channel, oldest(showable(actor)));
      for (const proof of showable(actor)) await stage.hub.submitProofs(actor.channel, [proof]);
      stage.tried("old proof on chain", showable(actor).length);
    }
    await stage.judge();
    assert.equal(bob.verdict.paid, 60_100n);
  });

  scenario("a payment is cancelled, its secret is taken all the same, and the proof that held it is shown", async (stage) => {
    const { alice, bob, evidence, shown, lock, update } = await cancelled(stage);
    stage.tried("payment failed and its secret kept");
    const failed = new Promise((resolve) => alice.client.on("payment", ({ payment }) => payment.status === "failed" && resolve()));
    await stage.accept(alice, update, true);
    await failed;
    stage.tried("old proof on chain");
    await stage.hub.startExit(alice.channel, [shown]);
    await stage.hub.recordEvidence(lock, evidence);
    await stage.judge();
    assert.equal(alice.verdict.meant, 100n);
    assert.equal(bob.verdict.paid, 80_100n);
  });

  scenario("the same without the acknowledgement: the payment does not count as failed", async (stage) => {
    const { alice, evidence, shown, lock, update } = await cancelled(stage);
    stage.tried("acknowledgement withheld");
    await stage.accept(alice, update, false);
    stage.tried("old proof on chain");
    await stage.hub.startExit(alice.channel, [shown]);
    await stage.hub.recordEvidence(lock, evidence);
    await stage.judge(() => stage.hub.submitProofs(alice.channel, alice.record.proofs("client", ETH)));
    assert.equal(alice.verdict.has, alice.verdict.due);
  });

  scenario("an update is refused, and shown on chain", async (stage) => {
    const alice = await stage.actor({ deposit: 100_000n });
    await stage.pay(alice, stage.world.hub.owner, 5n);
    await stage.alone();
    const signed = stage.heard("client", alice, "update");
    stage.pay(alice, stage.world.hub.owner, 60_000n);
    const { update } = await signed;
    stage.tried("update refused and kept");
    const rebased = stage.heard("client", alice, "update");
    stage.say(alice, { type: "refused", asset: ETH, nonce: update.proof.nonce, code: "chain-stale", message: "later" });
    await rebased;
    // What was refused counts: there is no second 60,000 in 100,000.
    await assert.rejects(alice.client.pay({ to: stage.world.hub.owner, asset: "ETH", amount: 60_000n }), { code: "insufficient-funds" });
    stage.tried("old proof on chain");
    await stage.hub.startExit(alice.channel, [alice.record.proofs("client", ETH).find(({ nonce }) => nonce === update.proof.nonce)]);
    await stage.judge();
  });

  scenario("proofs with signatures of others, high-s ones, and those of another channel, are no proofs on chain", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 100n, { wait: true });
    await stage.pay(bob, alice, 30n, { wait: true });
    await stage.alone();
    await stage.hub.startExit(alice.channel, []);
    const proof = alice.record.proofs("client", ETH).at(-1);
    const more = { ...proof, nonce: proof.nonce + 5, transferred: "900000" };
    const { signerKey } = stage.world.hub;
    const lane = { asset: ETH, payer: "A", proof: { nonce: more.nonce, transferred: more.transferred, locked: more.locked, locksRoot: more.locksRoot, seen: more.seen } };
    const forged = {
      "signed by the hub": { ...more, signature: await alice.sign.proof(signerKey, lane) },
      "signature of the proof before": more,
      "high-s": { ...proof, signature: highS(proof.signature) },
      "of another channel": bob.record.proofs("client", ETH).at(-1),
      "of the hub, that the client never took": {
        ...lane.proof, asset: ETH, payer: 1, nonce: 99, transferred: "0",
        signature: await alice.sign.proof(signerKey, { ...lane, payer: "B", proof: { ...lane.proof, nonce: 99, transferred: "0" } }),
        acknowledgement: await alice.sign.acknowledgement(signerKey, { ...lane, payer: "B", proof: { ...lane.proof, nonce: 99, transferred: "0" } }),
      },
    };
    for (const [what, one] of Object.entries(forged)) {
      stage.tried("forged proof on chain");
      await assert.rejects(stage.hub.submitProofs(alice.channel, [one]), what);
    }
  });
});
