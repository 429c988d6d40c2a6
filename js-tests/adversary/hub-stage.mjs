// A scenario against an honest hub: the real process, and clients that keep no rule. At the end every channel is left,
// and the hub may not have less than it put in and was paid.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { parseEther } from "viem";
import { createWorld } from "../support/world.mjs";
import { beforeGas, ETH, until } from "./chain.mjs";
import { call, RawClient } from "./raw-client.mjs";
import { entry } from "./report.mjs";
import { HASH_LOCK } from "./signing.mjs";

const CHALLENGE = { min: 60, max: 86_400, default: 90 };

/** A secret and the condition that it meets. */
export function secretOf(bytes = randomBytes(32)) {
  const evidence = `0x${bytes.toString("hex")}`;
  return { evidence, condition: { address: HASH_LOCK, params: `0x${createHash("sha256").update(bytes).digest("hex")}` } };
}

const hashOf = (evidence) => `0x${createHash("sha256").update(Buffer.from(evidence.slice(2), "hex")).digest("hex")}`;

export async function playAgainstHub(name, scenario, { seed, hub = {}, eth = {} } = {}) {
  const report = entry("hub", name, seed);
  const world = await createWorld({ hub: { challenge_period: CHALLENGE, ...hub }, eth });
  const stage = new HubStage(world, report);
  try {
    stage.start = await world.balanceOf(world.hub.owner);
    await Promise.race([scenario(stage).then(() => report.judged || stage.judge()), patience(stage)]);
  } finally {
    for (const client of stage.clients) client.disconnect();
    await world.stop();
  }
}

async function patience(stage) {
  await setTimeout(60_000, undefined, { ref: false });
  const last = stage.clients.map(({ record }) => record.said.slice(-6).map(({ from, message }) => `${from}: ${JSON.stringify(message).slice(0, 300)}`).join("\n"));
  throw new Error(`the scenario does not end; last messages:\n${last.join("\n\n")}`);
}

class HubStage {
  constructor(world, report) {
    Object.assign(this, { world, report, clients: [], chain: world.chain });
  }

  tried(what, times = 1) {
    this.report.tried[what] = (this.report.tried[what] ?? 0) + times;
  }

  /** A client with a channel and money in it. */
  async client({ deposit = parseEther("1"), connect = true } = {}) {
    const client = new RawClient(this.world, await this.world.account({ dai: 0n }));
    this.clients.push(client);
    await client.register();
    if (connect) await client.connect();
    if (deposit > 0n) await client.deposit(deposit);
    return client;
  }

  /** Seconds of the newest block. */
  async now() {
    return Number((await this.chain.reader.getBlock()).timestamp);
  }

  /** Time passes, and the hub has seen that it did. */
  async pass(time) {
    await this.chain.passTo(time);
    const number = await this.chain.reader.getBlockNumber({ cacheTime: 0 });
    const [{ id }] = this.clients;
    await until(this.chain, "head at the hub", async () => (await call(this.world, "farthing_channel", { channelId: id })).finalBlock > number);
  }

  /** A lock to a payee, as an op; its secret is known to both. */
  async lock(payer, payee, amount, { secret = secretOf(), expiresIn = 4_000, ...changes } = {}) {
    const expiry = changes.expiry ?? (await this.now()) + expiresIn;
    const op = { lock: { slot: payer.lane.freeSlot, condition: secret.condition, expiry, n: 1, unitPrice: String(amount), to: payee.address, envelope: "0x", ...changes } };
    return { op, expiry, secret };
  }

  /** The payer locks, the hub forwards: gives the hub's update to the payee, and the place of its lock. */
  async forwarded(payer, payee, amount, options) {
    const { op, expiry, secret } = await this.lock(payer, payee, amount, options);
    const arrived = payee.next("update", ({ update: { ops } }) => ops.some(({ lock }) => lock?.condition.params === secret.condition.params));
    const answer = await payer.update([op]);
    assert.equal(answer.type, "accepted", JSON.stringify(answer));
    const message = await arrived;
    const { lock } = message.update.ops.find(({ lock: one }) => one?.condition.params === secret.condition.params);
    const mine = { slot: op.lock.slot, placed: answer.nonce };
    return { message, secret, expiry, lock: { ...op.lock, unitPrice: BigInt(amount) }, mine, theirs: { asset: ETH, slot: lock.slot, placed: message.update.proof.nonce } };
  }

  /** The payee shows the hub a secret. */
  reveal(payee, { theirs, secret }) {
    payee.say({ type: "reveal", ...theirs, evidence: secret.evidence });
  }

  /** What the hub was paid for itself: transfers in updates that it accepted. */
  earned() {
    let sum = 0n;
    for (const { record } of this.clients) {
      const { updates, accepted } = record.lane("client", ETH);
      for (let nonce = accepted; nonce > 0; ) {
        // Of several with one nonce the hub took the first that follows its base.
        const update = updates.find(({ base, proof }) => proof.nonce === nonce && base < nonce);
        if (update === undefined) break;
        for (const { transfer } of update.ops) sum += BigInt(transfer?.amount ?? 0);
        nonce = update.base;
      }
    }
    return sum;
  }

  has() {
    return beforeGas(this.world, this.world.hub.owner);
  }

  /**
   * Every channel that is still open is left by its client, with what `shows` gives; `during` is what else is done in
   * the challenge period. Then the hub has what it put in and earned, or money is lost.
   */
  async judge({ shows = () => [], during = async () => {}, after = async () => {} } = {}) {
    const open = [];
    for (const client of this.clients) {
      const { depositA, depositB, status } = await client.contract.assetState(client.id);
      if (status !== 0 || depositA + depositB === 0n) continue;
      open.push(client);
      if ((await client.contract.exitEndsAt(client.id)) === 0n) await client.contract.startExit(client.onChain, shows(client));
    }
    await during();
    await Promise.all(open.map((client) => this.#answered(client)));
    const ends = await Promise.all(open.map((client) => client.contract.exitEndsAt(client.id)));
    const last = ends.reduce((latest, end) => (end > latest ? end : latest), 0n);
    await this.chain.passTo(Number(last) + 1);
    for (const client of open) await until(this.chain, "settlement", async () => (await client.contract.assetState(client.id)).status !== 0);
    await after();
    await Promise.all(open.map((client) => this.#recorded(client)));
    const locks = this.clients.flatMap(({ record }) => ["client", "hub"].flatMap((side) => [...record.lane(side, ETH).states.values()].flatMap((lane) => [...lane.locks.values()])));
    const expiry = Math.max(0, ...locks.map((lock) => lock.expiry));
    if (expiry > 0) await this.chain.passTo(expiry + 1);
    const due = this.start + this.earned();
    // It claims in its own time; what it has not after many blocks it does not get.
    await until(this.chain, "money", async () => (await this.has()) >= due, 25).catch(() => {});
    const has = await this.has();
    this.report.judged = true;
    if (has < due) this.report.lost += due - has;
    assert.ok(has >= due, `the hub has lost ${due - has} wei\n${this.world.hub.log().slice(-3_000)}`);
    this.verdict = { has, due, gained: has - due };
  }

  /** Until the hub has shown its newest proofs, and recorded its evidence. */
  async #answered(client) {
    const lane = client.record.lane("client", ETH);
    await until(this.chain, "answer of the hub", async () => (await client.contract.lane(client.id, 0)).nonce >= BigInt(lane.accepted));
    await this.#recorded(client);
  }

  /** Until the chain has the evidence that the hub has shown to a payer, for its locks. */
  async #recorded(client) {
    // Of two locks with one secret and two expiries, the hub knows only what it was shown for each.
    const known = client.record.reveals("hub").map(({ slot, evidence }) => `${slot}/${hashOf(evidence)}`);
    const locks = [...client.lane.locks].filter(([slot, { condition }]) => known.includes(`${slot}/${condition.params}`)).map(([, lock]) => lock);
    await until(this.chain, "evidence of the hub", async () => {
      for (const lock of locks) if ((await client.contract.units(lock)) === 0) return false;
      return true;
    });
  }
}
