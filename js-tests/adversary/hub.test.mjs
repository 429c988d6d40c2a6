// Clients that keep no rule, alone and together, against the real hub.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEther } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { ETH } from "./chain.mjs";
import { playAgainstHub, secretOf } from "./hub-stage.mjs";
import { call, publicKeyOf } from "./raw-client.mjs";
import { highS } from "./signing.mjs";

const scenario = (name, body, options) => it(name, () => playAgainstHub(name, body, options));
const transfer = (amount) => [{ transfer: { amount: String(amount), memo: "" } }];
const oldest = (proofs) => [0, 1].flatMap((payer) => proofs.filter((proof) => proof.payer === payer).slice(0, 1));

describe("hostile clients", { concurrency: 8 }, () => {
  scenario("updates that break one rule each are refused", async (stage) => {
    const eve = await stage.client();
    assert.equal((await eve.update(transfer(1_000))).type, "accepted");
    const { op } = await stage.lock(eve, eve, 10, {});
    const far = (await stage.now()) + 10 ** 8;
    const broken = [
      ["double spending of one proof", transfer(1), { nonce: 1, base: 0 }],
      ["transferred that falls", transfer(5), { change: (proof) => ({ ...proof, transferred: "3" }) }],
      ["less than the ops say", transfer(5), { change: (proof) => ({ ...proof, transferred: "1004" }) }],
      ["wrong root", transfer(5), { change: (proof) => ({ ...proof, locksRoot: `0x${"77".repeat(32)}` }) }],
      ["wrong locked", transfer(5), { change: (proof) => ({ ...proof, locked: "1" }) }],
      ["nonce that was used", transfer(5), { nonce: 1 }],
      ["nonce that jumps", transfer(5), { nonce: 2 ** 30 }],
      ["nonce of an update that was refused", transfer(5), { again: true }],
      ["base that was never accepted", transfer(5), { base: 77 }],
      ["more than there is", transfer(parseEther("1")), {}],
      ["nothing", transfer(0), {}],
      ["signed by another", transfer(5), { key: generatePrivateKey() }],
      ["high-s", transfer(5), { alter: highS }],
      ["has seen what was never signed", transfer(5), { change: (proof) => ({ ...proof, seen: 99 }) }],
      ["release of nothing", [{ release: { slot: 3 } }], {}],
      ["redeem of nothing", [{ redeem: { slot: 3, units: 1 } }], {}],
      ["two locks in one slot", [op, { lock: { ...op.lock, condition: secretOf().condition } }], {}],
      ["lock that has expired", [{ lock: { ...op.lock, expiry: 1_000 } }], {}],
      ["lock for years", [{ lock: { ...op.lock, expiry: far } }], {}],
      ["lock whose worth overflows", [{ lock: { ...op.lock, n: 4_000_000_000, unitPrice: String(2n ** 127n) } }], { change: (proof) => ({ ...proof, locked: String(BigInt(proof.locked) % 2n ** 128n) }) }],
      ["unknown condition", [{ lock: { ...op.lock, condition: { address: `0x${"ab".repeat(20)}`, params: "0x" } } }], {}],
    ];
    for (const [what, ops, options] of broken) {
      stage.tried("update that breaks a rule");
      const lane = eve.record.lane("client", ETH);
      const highest = lane.highest;
      const answer = await eve.update(ops, options.again ? { nonce: highest } : options);
      assert.ok(answer.type === "refused" || (answer.nonce === 1 && lane.accepted === 1), what);
      if (lane.highest > highest + 2 ** 20) lane.highest = highest;
    }
    assert.equal((await eve.update(transfer(7))).type, "accepted");
    await stage.judge();
    assert.equal(stage.earned(), 1_007n);
  });

  scenario("an exit with nothing to show, after payments to the hub and to others", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    await eve.update(transfer(5_000));
    const payment = await stage.forwarded(eve, mallory, 70_000);
    const redeemed = mallory.next("update");
    stage.reveal(mallory, payment);
    await redeemed;
    stage.tried("exit without proofs", 2);
    // Mallory shows what she was paid; Eve, who has not redeemed, shows nothing.
    await stage.judge({ shows: (client) => (client === mallory ? client.showable().slice(-1) : []) });
  });

  scenario("the payer leaves while its payment is in flight, and the payee reveals afterwards", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    const payment = await stage.forwarded(eve, mallory, 400_000);
    stage.tried("exit in the middle of a payment");
    await eve.contract.startExit(eve.onChain, []);
    const redeemed = mallory.next("update");
    stage.reveal(mallory, payment);
    await redeemed;
    await stage.judge({ shows: (client) => client.showable().slice(-1) });
  });

  scenario("the payee shows its secret only on chain, and the payer redeems nothing", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    const payment = await stage.forwarded(eve, mallory, 400_000, { expiresIn: 2_500 });
    stage.tried("evidence on chain only");
    await stage.pass(payment.expiry - 20);
    await mallory.contract.recordEvidence(payment.lock, payment.secret.evidence);
    const claim = async () => {
      const { lane, proof } = stateOf(mallory);
      // The hub redeems what the chain proves, and may have done so before the exit; then there is no lock to claim.
      if (lane.locks.has(payment.theirs.slot)) await mallory.contract.claimLock(mallory.onChain, 1, lane.locks, payment.theirs.slot).catch(() => {});
      return proof;
    };
    await stage.judge({ shows: (client) => (client === mallory ? client.showable().slice(-1) : []), after: claim });
  });

  scenario("a secret that comes within the margin before the expiry is not paid for", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    const payment = await stage.forwarded(eve, mallory, 400_000, { expiresIn: 2_500 });
    await stage.pass(payment.expiry - 100);
    stage.tried("late reveal");
    const declined = mallory.next("declined");
    stage.reveal(mallory, payment);
    assert.equal((await declined).what, "reveal");
    await stage.judge({ shows: (client) => (client === mallory ? client.showable().slice(-1) : []) });
  });

  scenario("the payer takes its lock back before the payee has ended", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    const payment = await stage.forwarded(eve, mallory, 90_000);
    stage.tried("early release", 2);
    assert.equal((await eve.update([{ release: { slot: payment.mine.slot } }])).code, "release-refused");
    eve.say({ type: "cancel", asset: ETH, ...payment.mine });
    const redeemed = mallory.next("update");
    stage.reveal(mallory, payment);
    await redeemed;
    // The hub has the evidence now: fewer units than it proves, and a release with it, are refused.
    assert.equal((await eve.update([{ release: { slot: payment.mine.slot } }])).code, "release-refused");
    await stage.judge({ shows: (client) => oldest(client.showable()) });
  });

  scenario("the payee gives a payment up, keeps its acknowledgement, and shows the older proof", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    const payment = await stage.forwarded(eve, mallory, 90_000);
    mallory.onUpdate = undefined;
    const released = mallory.next("update", ({ update }) => update.ops.some((op) => op.release));
    mallory.say({ type: "fail", ...payment.theirs, code: "payee-declined" });
    const { update } = await released;
    stage.tried("acknowledgement withheld");
    mallory.say({ type: "accepted", asset: ETH, nonce: update.proof.nonce });
    // The payer asks for its money, which the hub can't give back yet.
    assert.equal((await eve.update([{ release: { slot: payment.mine.slot } }])).code, "release-refused");
    stage.tried("old proof on chain");
    await stage.judge({
      shows: (client) => (client === mallory ? client.showable().filter(({ nonce, payer }) => payer === 1 && nonce === payment.theirs.placed) : []),
      during: () => mallory.contract.recordEvidence(payment.lock, payment.secret.evidence),
      after: () => mallory.contract.claimLock(mallory.onChain, 1, mallory.record.lane("hub", ETH).states.get(payment.theirs.placed).locks, payment.theirs.slot),
    });
  });

  scenario("the payee refuses the hub's update, keeps the signature, and shows it", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client()];
    mallory.onUpdate = ({ update: { proof } }) => mallory.say({ type: "refused", asset: ETH, nonce: proof.nonce, code: "bad-op", message: "" });
    const payment = await stage.forwarded(eve, mallory, 90_000);
    stage.tried("update refused and kept");
    assert.equal((await eve.update([{ release: { slot: payment.mine.slot } }])).code, "release-refused");
    await stage.judge({
      shows: (client) => (client === mallory ? client.showable().filter(({ nonce, payer }) => payer === 1 && nonce === payment.theirs.placed) : []),
      during: () => mallory.contract.recordEvidence(payment.lock, payment.secret.evidence),
      after: () => mallory.contract.claimLock(mallory.onChain, 1, mallory.record.lane("hub", ETH).states.get(payment.theirs.placed).locks, payment.theirs.slot),
    });
  });

  scenario("what was not accepted is spent", async (stage) => {
    const [eve, mallory] = [await stage.client(), await stage.client({ deposit: 1_000n })];
    mallory.onUpdate = (message) => message.update.ops.some((op) => op.lock) && mallory.accept(message);
    const payment = await stage.forwarded(eve, mallory, 500_000);
    const redeemed = mallory.next("update", ({ update }) => update.ops.some((op) => op.redeem));
    stage.reveal(mallory, payment);
    await redeemed;
    stage.tried("spending what was not accepted");
    assert.equal((await mallory.update(transfer(200_000), { change: (proof) => ({ ...proof, seen: 0 }) })).code, "insufficient-funds");
    await stage.judge({ shows: (client) => (client === mallory ? client.showable().slice(-1) : []) });
  });

  scenario("a withdrawal is kept back, the money is spent, and then it is withdrawn", async (stage) => {
    const eve = await stage.client({ deposit: 100_000n });
    await eve.update(transfer(1_000));
    const withdrawal = { asset: ETH, side: "A", total: "60000", recipient: eve.address, deadline: (await stage.now()) + 600 };
    const terms = { ...withdrawal, total: 60_000n, deadline: BigInt(withdrawal.deadline) };
    const signature = await eve.sign.withdrawal(eve.privateKey, terms);
    const proposal = { type: "withdrawProposal", withdrawal, signature, submit: false };
    const signed = eve.next("withdrawSigned");
    eve.say(proposal, proposal);
    const cosigned = (await signed).signature;
    stage.tried("withdrawal kept back");
    assert.equal((await eve.update(transfer(50_000))).code, "insufficient-funds");
    assert.equal((await eve.update(transfer(38_000))).type, "accepted");
    const more = { ...withdrawal, total: "60001" };
    const declined = eve.next("declined");
    eve.say({ ...proposal, withdrawal: more, signature: await eve.sign.withdrawal(eve.privateKey, { ...terms, total: 100_000n }) });
    await declined;
    await eve.contract.withdraw(eve.onChain, eve.id, terms, signature, cosigned);
    await assert.rejects(eve.contract.withdraw(eve.onChain, eve.id, terms, signature, cosigned));
    await stage.judge();
  });

  scenario("a closing is kept back, and more is paid or the channel left instead", async (stage) => {
    const eve = await stage.client({ deposit: 100_000n });
    await eve.update(transfer(40_000));
    const { depositB } = await eve.contract.assetState(eve.id);
    const deadline = (await stage.now()) + 600;
    const closing = { assets: [{ asset: ETH, totals: { a: "60000", b: String(depositB + 40_000n) }, deposits: { a: "100000", b: String(depositB) } }], deadline };
    const terms = { assets: [{ asset: ETH, totals: { a: 60_000n, b: depositB + 40_000n }, deposits: { a: 100_000n, b: depositB } }], deadline: BigInt(deadline) };
    const unfair = { assets: [{ ...closing.assets[0], totals: { a: "60001", b: String(depositB + 39_999n) } }], deadline };
    const declined = eve.next("declined");
    stage.tried("unfair proposal");
    eve.say({ type: "closeProposal", closing: unfair, signature: await eve.sign.closing(eve.privateKey, { assets: [{ ...terms.assets[0], totals: { a: 60_001n, b: depositB + 39_999n } }], deadline: terms.deadline }), submit: false });
    assert.equal((await declined).what, "close");
    const signed = eve.next("closeSigned");
    const signature = await eve.sign.closing(eve.privateKey, terms);
    eve.say({ type: "closeProposal", closing, signature, submit: false });
    const cosigned = (await signed).signature;
    stage.tried("closing kept back");
    assert.equal((await eve.update(transfer(1_000))).code, "channel-closing");
    await stage.judge({ during: () => assert.rejects(eve.contract.close(eve.onChain, eve.id, terms, signature, cosigned)) });
  });

  scenario("one secret for two payments", async (stage) => {
    const [eve, mallory, trudy] = [await stage.client(), await stage.client(), await stage.client()];
    const secret = secretOf();
    const first = await stage.forwarded(eve, mallory, 30_000, { secret });
    const second = await stage.forwarded(eve, trudy, 20_000, { secret, expiry: first.expiry });
    stage.tried("secret used twice");
    const redeemed = mallory.next("update");
    stage.reveal(mallory, first);
    await redeemed;
    stage.reveal(trudy, second);
    const third = await stage.lock(eve, mallory, 9_000, { secret, expiry: first.expiry });
    await eve.update([third.op]);
    await stage.judge({ shows: (client) => client.showable().filter(({ payer }) => payer === 1).slice(-1) });
  });

  scenario("one secret for the payments of two payers to two payees", async (stage) => {
    const [eve, oscar, mallory, trudy] = [await stage.client(), await stage.client(), await stage.client(), await stage.client()];
    const secret = secretOf();
    const first = await stage.forwarded(eve, mallory, 300_000, { secret });
    const second = await stage.forwarded(oscar, trudy, 200_000, { secret, expiry: first.expiry });
    stage.tried("secret used twice");
    // Each reveal is passed on to the payer of that payment, and to no other.
    for (const [payer, payee, payment] of [[eve, mallory, first], [oscar, trudy, second]]) {
      const passed = payer.next("reveal");
      stage.reveal(payee, payment);
      await passed;
    }
    await stage.judge({ shows: (client) => client.showable().filter(({ payer }) => payer === 1).slice(-1) });
  });

  scenario("a channel that names somebody else, and a binding that nobody signed", async (stage) => {
    const honest = await stage.client();
    const eve = await stage.client();
    const { owner, signer } = stage.world.hub;
    const stolen = { a: { owner: honest.address, signer: eve.address }, b: { owner, signer }, challengePeriod: 90, salt: 0 };
    stage.tried("registration under another's address", 3);
    const { channelId } = await call(stage.world, "farthing_register", { channel: stolen, publicKey: publicKeyOf(eve.privateKey) });
    const binding = await eve.sign.binding(eve.privateKey, honest.address, eve.address);
    await assert.rejects(call(stage.world, "farthing_register", { channel: stolen, publicKey: publicKeyOf(eve.privateKey), binding }));
    await assert.rejects(call(stage.world, "farthing_register", { channel: { ...stolen, a: honest.channel.a, salt: 4 }, publicKey: publicKeyOf(eve.privateKey) }));
    assert.ok(channelId);
    assert.equal((await call(stage.world, "farthing_lookup", { address: honest.address })).channel.a.signer, honest.address.toLowerCase());
    // Nor does a stranger get in on somebody's channel.
    const thief = Object.assign(Object.create(Object.getPrototypeOf(eve)), eve, { id: honest.id, sign: honest.sign, next: () => new Promise(() => {}) });
    await assert.rejects(thief.connect());
  });

  scenario("floods of frames, calls, channels and messages without end", async (stage) => {
    const eve = await stage.client();
    const honest = await stage.client();
    stage.tried("flood", 4);
    for (let count = 0; count < 200; count += 1) {
      eve.frame(Array.from({ length: 200 }, (_, slot) => ({ type: "reveal", asset: ETH, slot, placed: count, evidence: `0x${"31".repeat(32)}` })));
    }
    for (let count = 0; count < 200; count += 1) eve.socket.send("{");
    const assets = Array.from({ length: 500 }, (_, index) => ({ type: "funds", asset: privateKeyToAccount(`0x${(index + 1).toString(16).padStart(64, "0")}`).address, deposits: { a: "1", b: "1" } }));
    eve.frame(assets);
    const registering = Array.from({ length: 100 }, (_, salt) => call(stage.world, "farthing_register", { channel: { ...eve.channel, salt: salt + 1 }, publicKey: publicKeyOf(eve.privateKey) }));
    assert.equal((await honest.update(transfer(11))).type, "accepted");
    await Promise.allSettled(registering);
    eve.socket.send("x".repeat(70_000));
    await eve.ended;
    assert.equal((await honest.update(transfer(12))).type, "accepted");
  });
});

/** The hub's newest lane to a client, with its proof. */
function stateOf(client) {
  const lane = client.record.lane("hub", ETH);
  return { lane: lane.states.get(lane.accepted), proof: client.record.proofs("hub", ETH).at(-1) };
}
