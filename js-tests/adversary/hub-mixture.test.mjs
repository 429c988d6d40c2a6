// Three clients who work together against the real hub, and do everything at random. A seed decides what they choose;
// `FARTHING_SEEDS=N` plays N seeds, `FARTHING_SEED=S` one.

import { describe, it } from "node:test";
import { parseEther } from "viem";
import { ETH, nextBlock } from "./chain.mjs";
import { chance } from "./chance.mjs";
import { playAgainstHub, secretOf } from "./hub-stage.mjs";
import { highS } from "./signing.mjs";

const first = Number(process.env.FARTHING_SEED ?? 1);
const count = process.env.FARTHING_SEED ? 1 : Number(process.env.FARTHING_SEEDS ?? 15);
const transfer = (amount) => [{ transfer: { amount: String(amount), memo: "" } }];

/** How a client answers what the hub signs: mostly as it should. */
function answers(client, stage, { draw }) {
  return (message) => {
    const { asset, update } = message;
    const lot = draw(8);
    if (lot === 0) return stage.tried("acceptance withheld");
    if (lot === 1) {
      stage.tried("update refused and kept");
      return client.say({ type: "refused", asset, nonce: update.proof.nonce, code: "bad-op", message: "" });
    }
    if (lot === 2) {
      stage.tried("acknowledgement withheld");
      return client.say({ type: "accepted", asset, nonce: update.proof.nonce });
    }
    return client.accept(message);
  };
}

async function mixture(stage, seed) {
  const luck = chance(seed);
  const { draw, pick, shuffled } = luck;
  const clients = [await stage.client({ deposit: parseEther("0.5") }), await stage.client(), await stage.client({ deposit: 200_000n })];
  const kept = [];
  const secrets = [];
  for (const client of clients) client.onUpdate = answers(client, stage, luck);
  // An update that is not answered, as by a hub that has seen an exit or the end of the connection, is not waited for.
  const answered = (answer) => Promise.race([answer, nextBlock(stage.chain)]);
  const theirs = (client) => [...(client.record.lane("hub", ETH).states.get(client.record.lane("hub", ETH).accepted)?.locks ?? [])];
  const placed = (client, side, slot) => client.record.lane(side, ETH).updates.findLast(({ ops }) => ops.some(({ lock }) => lock?.slot === slot))?.proof.nonce ?? 1;

  const moves = {
    async "payment to another"(client) {
      const secret = draw(6) === 0 && secrets.length > 0 ? pick(secrets) : secretOf();
      secrets.push(secret);
      const { op } = await stage.lock(client, pick(clients.filter((other) => other !== client)), 1 + draw(300_000), { secret, expiresIn: 2_000 + draw(4_000) });
      await answered(client.update([op]));
    },
    "payment to the hub": (client) => answered(client.update(transfer(1 + draw(5_000)))),
    async "reveal"(client) {
      for (const [slot, lock] of theirs(client)) {
        const secret = secrets.find(({ condition }) => condition.params === lock.condition.params);
        if (secret && draw(3) > 0) client.say({ type: "reveal", asset: ETH, slot, placed: placed(client, "hub", slot), evidence: secret.evidence });
      }
    },
    async "redemption"(client) {
      const revealed = client.record.reveals("hub").map(({ slot }) => slot);
      const ops = [...new Set(revealed)].filter((slot) => client.lane.locks.has(slot)).map((slot) => ({ redeem: { slot, units: 1 } }));
      if (ops.length > 0) await answered(client.update(ops));
    },
    async "early release"(client) {
      const slots = [...client.lane.locks.keys()];
      if (slots.length === 0) return;
      const slot = pick(slots);
      client.say({ type: "cancel", asset: ETH, slot, placed: placed(client, "client", slot) });
      await answered(client.update([{ release: { slot } }]));
    },
    "lock given up"(client) {
      for (const [slot] of theirs(client)) if (draw(2) === 0) client.say({ type: "fail", asset: ETH, slot, placed: placed(client, "hub", slot), code: "payee-declined" });
    },
    async "update that breaks a rule"(client) {
      const change = pick([
        { change: (proof) => ({ ...proof, transferred: String(BigInt(proof.transferred) / 2n) }) },
        { change: (proof) => ({ ...proof, locksRoot: `0x${"77".repeat(32)}` }) },
        { alter: highS },
        { base: 0 },
        { nonce: client.record.lane("client", ETH).accepted || 1 },
      ]);
      await answered(client.update(transfer(pick([5, parseEther("3")])), change));
    },
    "replayed messages": (client) => {
      const said = client.record.said.filter(({ from }) => from === "client").map(({ message }) => message);
      if (said.length > 0) client.frame(shuffled(said).slice(0, 5));
    },
    async "connection cut"(client) {
      client.disconnect();
      await client.connect();
    },
    async "withdrawal"(client) {
      const { withdrawnA } = await client.contract.assetState(client.id);
      const total = withdrawnA + 1n + BigInt(draw(400_000));
      const withdrawal = { asset: ETH, side: "A", total: String(total), recipient: client.address, deadline: (await stage.now()) + 900 };
      const terms = { ...withdrawal, total, deadline: BigInt(withdrawal.deadline) };
      const signature = await client.sign.withdrawal(client.privateKey, terms);
      const signed = client.next("withdrawSigned");
      client.say({ type: "withdrawProposal", withdrawal, signature, submit: false });
      const answer = await Promise.race([signed, client.next("declined"), nextBlock(stage.chain)]);
      if (answer?.type === "withdrawSigned") kept.push(() => client.contract.withdraw(client.onChain, client.id, terms, signature, answer.signature));
    },
    async "withdrawal sent late"() {
      await kept.pop()?.().catch(() => stage.tried("refused on chain"));
    },
    async "evidence on chain"(client) {
      for (const [, lock] of theirs(client)) {
        const secret = secrets.find(({ condition }) => condition.params === lock.condition.params);
        if (secret && draw(3) === 0) await client.contract.recordEvidence(lock, secret.evidence).catch(() => {});
      }
    },
  };

  const steps = 20 + draw(15);
  for (let step = 0; step < steps; step += 1) {
    const [what, move] = draw(3) === 0 ? ["payment to another", moves["payment to another"]] : pick(Object.entries(moves));
    stage.tried(what);
    await move(pick(clients));
    if (step > steps / 2 && draw(12) === 0) {
      const leaver = pick(clients);
      stage.tried("exit in the middle");
      await leaver.contract.startExit(leaver.onChain, pick([[], leaver.showable().slice(-1), shuffled(leaver.showable()).slice(0, 1)])).catch(() => {});
    }
  }
  await stage.judge({
    shows: (client) => shuffled(client.showable()).slice(0, draw(3)).filter((proof, index, all) => all.findIndex(({ payer }) => payer === proof.payer) === index),
    async during() {
      for (const client of clients) {
        for (const proof of client.showable()) if (draw(2) === 0) await client.contract.submitProofs(client.onChain, [proof]).catch(() => {});
        await moves["evidence on chain"](client);
      }
      for (const send of kept) await send().catch(() => stage.tried("refused on chain"));
    },
    async after() {
      for (const client of clients) {
        const { nonce } = await client.contract.lane(client.id, 1);
        const locks = client.record.lane("hub", ETH).states.get(Number(nonce))?.locks ?? new Map();
        for (const slot of locks.keys()) await client.contract.claimLock(client.onChain, 1, locks, slot).catch(() => {});
      }
    },
  });
}

describe("hostile clients together, by seed", { concurrency: 8 }, () => {
  for (let seed = first; seed < first + count; seed += 1) {
    const name = `clients, seed ${seed}`;
    it(name, () => playAgainstHub(name, (stage) => mixture(stage, seed), { seed }));
  }
});
