// A hub that lies to a client whose device is lost.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { farthing } from "../support/env.mjs";
import { ETH, until } from "./chain.mjs";
import { chance } from "./chance.mjs";
import { play } from "./stage.mjs";

const { connect } = await farthing();
const scenario = (name, body, options) => it(name, () => play(name, body, options));

/** A second place that remembers everything it was given. */
function place() {
  const kept = [];
  return { kept, put: async (bytes) => void kept.push(bytes), get: async () => kept.at(-1) };
}

/** The hub gives this for a backup. */
const serve = (stage, give) => {
  stage.proxy.rules.call = (method, params, ask) => (method === "farthing_backupGet" ? { backup: give(params.channelId) } : ask());
};

/** The hub forgets all that was signed after a point, in what it says on a connect. */
const hide = (stage, newest) => {
  stage.proxy.rules.down = (messages) =>
    messages.map((message) => {
      if (message.type !== "sync") return message;
      const known = (signed, nonce) => (signed && signed.proof.nonce > nonce ? undefined : signed);
      const lanes = message.lanes.map((lane) => ({ ...lane, signed: known(lane.signed, newest.hub), accepted: known(lane.accepted, newest.client), acknowledgement: undefined }));
      return { ...message, lanes: lanes.filter(({ signed, accepted }) => signed || accepted) };
    });
};

/** Until the client holds a proof that hands over all that it was paid: a lock that only the lost store knows of is lost with it. */
const redeemed = (stage, { record }) =>
  until(stage.chain, "redemption", () => {
    const lane = record.lane("hub", ETH);
    return lane.states.get(lane.accepted).locks.size === 0;
  });

const lose = async (actor) => actor.client.disconnect();

/** Two payments, and then the device is gone; gives the nonces and the number of backups at that moment. */
async function life(stage, alice, bob) {
  await stage.pay(alice, bob, 1_000n, { wait: true });
  await stage.pay(bob, alice, 40n, { wait: true });
  await redeemed(stage, alice);
  await lose(alice);
  const early = { hub: alice.record.lane("hub", ETH).accepted, client: alice.record.lane("client", ETH).accepted, backups: stage.proxy.backups.get(alice.id).length };
  return early;
}

describe("a lost device and a hostile hub", { concurrency: 8 }, () => {
  scenario("an old backup and newer proofs hidden: the second place has the newest", async (stage) => {
    const own = place();
    const [alice, bob] = [await stage.actor({ backup: own }), await stage.actor()];
    const early = await life(stage, alice, bob);
    await stage.connect(alice);
    await stage.pay(bob, alice, 7_000n, { wait: true });
    await stage.pay(alice, bob, 20n, { wait: true });
    await lose(alice);
    serve(stage, (id) => stage.proxy.backups.get(id)[early.backups - 1]);
    hide(stage, early);
    stage.tried("old backup served");
    stage.tried("newer proofs hidden");
    await stage.connect(alice);
    await stage.judge();
    assert.equal(alice.verdict.paid, 7_040n);
  });

  scenario("an old backup, and the proofs betray it: nothing more is signed, and all comes home", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    const early = await life(stage, alice, bob);
    await stage.connect(alice);
    await stage.pay(bob, alice, 7_000n, { wait: true });
    await redeemed(stage, alice);
    await lose(alice);
    serve(stage, (id) => stage.proxy.backups.get(id)[early.backups - 1]);
    stage.tried("old backup served");
    await stage.connect(alice);
    await assert.rejects(alice.client.pay({ to: bob.account.address, asset: "ETH", amount: 5n }), { code: "state-outdated" });
    await stage.judge();
    assert.equal(alice.verdict.paid, 7_040n);
  });

  scenario("an old backup and newer proofs hidden, no second place: what was paid is not paid twice", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    const early = await life(stage, alice, bob);
    await stage.connect(alice);
    await stage.pay(alice, stage.world.hub.owner, 500n);
    await lose(alice);
    const spent = alice.record.proofs("client", ETH);
    serve(stage, (id) => stage.proxy.backups.get(id)[early.backups - 1]);
    hide(stage, early);
    stage.tried("old backup served");
    stage.tried("newer proofs hidden");
    await stage.connect(alice);
    await stage.alone();
    const signed = stage.heard("client", alice, "update");
    stage.pay(alice, stage.world.hub.owner, 20n);
    await stage.accept(alice, (await signed).update, true);
    stage.tried("two proofs with one nonce");
    await stage.hub.startExit(alice.channel, [spent.at(-1)]);
    await stage.judge(async () => {
      for (const proof of alice.record.proofs("client", ETH)) await stage.hub.submitProofs(alice.channel, [proof]);
    });
  });

  scenario("the backup is withheld: an error, or the second place", async (stage) => {
    const own = place();
    const [alice, bob] = [await stage.actor({ backup: own }), await stage.actor()];
    await life(stage, alice, bob);
    serve(stage, () => null);
    stage.tried("backup withheld");
    const alone = { hub: stage.proxy.url, rpc: stage.world.rpcUrl, wallet: { privateKey: alice.account.privateKey }, store: "memory", pollInterval: 100 };
    await assert.rejects(connect(alone), { code: "state-outdated" });
    await stage.connect(alice);
    await stage.pay(alice, bob, 3n, { wait: true });
  });

  scenario("backups with one byte changed, cut off, of another channel, of no sense", async (stage) => {
    const own = place();
    const [alice, bob] = [await stage.actor({ backup: own }), await stage.actor()];
    await life(stage, alice, bob);
    const sound = Buffer.from(stage.proxy.backups.get(alice.id).at(-1).slice(2), "hex");
    const { draw } = chance(5);
    const changed = Array.from({ length: 6 }, () => {
      const copy = Buffer.from(sound);
      copy[draw(copy.length)] ^= 1 << draw(8);
      return copy;
    });
    const alone = { hub: stage.proxy.url, rpc: stage.world.rpcUrl, wallet: { privateKey: alice.account.privateKey }, store: "memory", pollInterval: 100 };
    const broken = [...changed, sound.subarray(0, -1), sound.subarray(0, 10), Buffer.alloc(0), Buffer.from(stage.proxy.backups.get(bob.id).at(-1).slice(2), "hex")];
    for (const bytes of broken) {
      serve(stage, () => `0x${bytes.toString("hex")}`);
      stage.tried("backup tampered with");
      await assert.rejects(connect(alone));
    }
    for (const answer of ["not hex", 7, {}]) {
      serve(stage, () => answer);
      stage.tried("backup tampered with");
      await assert.rejects(connect(alone));
    }
    await stage.connect(alice);
    await stage.pay(alice, bob, 3n, { wait: true });
  });

  scenario("a sync that shows what the client never signed does not stop it; one that the hub signed ahead does", async (stage) => {
    const [alice, bob] = [await stage.actor(), await stage.actor()];
    await stage.pay(alice, bob, 1_000n, { wait: true });
    await stage.pay(bob, alice, 40n, { wait: true });
    await stage.alone();
    const { signerKey } = stage.world.hub;
    const newest = alice.record.lane("client", ETH).updates.at(-1);
    const ahead = { ...newest.proof, nonce: newest.proof.nonce + 3, transferred: "999999" };
    const forged = [
      { accepted: { proof: ahead, signature: newest.signature } },
      { accepted: { proof: ahead, signature: await alice.sign.proof(signerKey, { asset: ETH, payer: "A", proof: ahead }) } },
      { accepted: { proof: ahead, signature: await bob.sign.proof(signerKey, { asset: ETH, payer: "A", proof: ahead }) } },
      { signed: { proof: ahead, signature: newest.signature } },
    ];
    for (const lane of forged) {
      stage.tried("forged sync");
      const back = stage.back(alice);
      stage.proxy.cut(alice.id);
      await back;
      stage.say(alice, { type: "sync", lanes: [{ asset: ETH, ...lane }] });
      const signed = stage.heard("client", alice, "update");
      stage.pay(alice, stage.world.hub.owner, 5n);
      await stage.accept(alice, (await signed).update, false);
    }
    const own = { ...alice.record.lane("hub", ETH).updates.at(-1).proof, nonce: 99, transferred: "100000" };
    const back = stage.back(alice);
    stage.proxy.cut(alice.id);
    await back;
    stage.tried("forged sync");
    const told = new Promise((resolve) => alice.client.on("error", ({ error }) => resolve(error.code)));
    stage.say(alice, { type: "sync", lanes: [{ asset: ETH, signed: { proof: own, signature: await alice.sign.proof(signerKey, { asset: ETH, payer: "B", proof: own }) } }] });
    assert.equal(await told, "state-outdated");
    await stage.judge();
    assert.ok(alice.verdict.has > alice.verdict.due, "a hub that signs ahead pays for it");
  });
});
