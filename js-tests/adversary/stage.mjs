// A scenario against honest clients: a node, the contract, a hub whose keys the test has, the proxy in front of it, and
// clients of the packed package who know only the proxy. At the end they go home, and what they have is added up.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { parseEther } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { farthing } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";
import { beforeGas, contractOf, ETH } from "./chain.mjs";
import { leave } from "./leave.mjs";
import { createProxy } from "./proxy.mjs";
import { entry } from "./report.mjs";
import { signing } from "./signing.mjs";

const { connect } = await farthing();

/** Short enough to be waited for in a test, and the contract's least. */
const CHALLENGE = { min: 60, max: 86_400, default: 90 };
const START = parseEther("10");

/** Plays a scenario to its end, and judges it by the theorem of section 7 of `docs/protocol.md`. */
export async function play(name, scenario, { seed, hub = {}, eth = {} } = {}) {
  const report = entry("client", name, seed);
  const world = await createWorld({ hub: { challenge_period: CHALLENGE, ...hub }, eth });
  const stage = new Stage(world, report);
  try {
    stage.proxy = await createProxy(() => world.hub.url);
    // The owner's account is the hub's own: it counts its nonces. The signer may do all that the owner may.
    const { address } = privateKeyToAccount(world.hub.signerKey);
    await world.chain.admin.setBalance({ address, value: parseEther("100") });
    stage.hub = contractOf(world, world.hub.signerKey);
    await Promise.race([scenario(stage).then(() => stage.report.judged || stage.judge()), patience(stage)]);
  } finally {
    await stage.end();
  }
}

/** Rejects with what was said last when a scenario does not end. */
async function patience(stage, milliseconds = 60_000) {
  await setTimeout(milliseconds, undefined, { ref: false });
  const last = stage.actors.map(({ record }) => record?.said.slice(-8).map(({ from, message }) => `${from}: ${JSON.stringify(message).slice(0, 300)}`).join("\n"));
  throw new Error(`the scenario does not end; last messages:\n${last.join("\n\n")}\nerrors: ${stage.actors.map(({ errors }) => errors.join())}`);
}

class Stage {
  constructor(world, report) {
    Object.assign(this, { world, report, actors: [], chain: world.chain });
  }

  /** Counts a trick. */
  tried(what, times = 1) {
    this.report.tried[what] = (this.report.tried[what] ?? 0) + times;
  }

  /** An honest user with a channel, whose store is `store` and who deposits so much. */
  async actor({ deposit = parseEther("1"), ...options } = {}) {
    const account = await this.world.account({ eth: START, dai: 0n });
    const actor = { account, issued: new Map(), received: new Map(), errors: [], options };
    this.actors.push(actor);
    await this.connect(actor);
    if (deposit > 0n) await actor.client.deposit({ asset: "ETH", amount: deposit });
    return actor;
  }

  /** A payee that the hub knows, who is away and has nothing in its channel. */
  async away() {
    const actor = await this.actor({ deposit: 0n });
    await actor.client.disconnect();
    return Object.assign(actor, { gone: true });
  }

  /** Connects an actor, or connects it again. */
  async connect(actor, options = {}) {
    const { account } = actor;
    const client = await connect({
      hub: this.proxy.url,
      rpc: this.world.rpcUrl,
      wallet: { privateKey: account.privateKey },
      store: "memory",
      pollInterval: 100,
      ...actor.options,
      ...options,
    });
    actor.client = client;
    actor.id = client.info.channelId;
    actor.channel = await channelOf(client);
    actor.sign = signing(this.world, actor.id);
    actor.record = this.proxy.record(actor.id);
    client.on("error", ({ error }) => actor.errors.push(error.code));
    client.on("payment", ({ payment }) => payment.direction === "received" && actor.received.set(payment.id, payment));
    return actor;
  }

  /** Pays, and remembers that it was meant. Rejections are for whoever waits. */
  pay(actor, to, amount, options = {}) {
    const id = `0x${randomBytes(16).toString("hex")}`;
    actor.issued.set(id, BigInt(amount));
    const address = typeof to === "string" ? to : to.account.address;
    const paying = actor.client.pay({ to: address, asset: "ETH", amount: BigInt(amount), id, ...options });
    paying.catch(() => {});
    return paying;
  }

  /** Pays, and waits until the hub has seen what `type` of message comes of it. */
  async offer(actor, to, amount, options) {
    const signed = this.proxy.next(({ from, channelId, message }) => from === "client" && channelId === actor.id && message.type === "update");
    const paying = this.pay(actor, to, amount, options);
    return { paying, update: (await Promise.race([signed, paying.then(() => signed)])).update };
  }

  /** The next message of a side in an actor's channel. */
  heard(from, actor, type, test = () => true) {
    return this.proxy.next((seen) => seen.from === from && seen.channelId === actor.id && seen.message.type === type && test(seen.message));
  }

  /** From here on the proxy is all that there is of the hub. */
  async alone() {
    this.proxy.alone = true;
    await this.world.hub.stop("SIGKILL");
  }

  /** Speaks to the client as the hub. */
  say(actor, ...messages) {
    return this.proxy.toClient(actor.id, messages);
  }

  /** Signs the next step of the hub's lane, or what `change` makes of it, and sends it. Gives the client's answer; if it hangs up instead, waits until it is back. */
  async forge(actor, ops, { change = (proof) => proof, nonce, base, asset = ETH, key = this.world.hub.signerKey, alter = (signature) => signature, what = "forged update" } = {}) {
    this.tried(what);
    const lane = actor.record.lane("hub", asset);
    const from = base ?? lane.accepted;
    const next = nonce ?? lane.highest + 1;
    const content = (lane.states.get(from) ?? lane.states.get(lane.accepted)).clone().apply(ops);
    const proof = change(content.proof(next));
    const signature = alter(await actor.sign.proof(key, { asset, payer: "B", proof }));
    const update = { base: from, ops, proof, signature };
    const answered = this.proxy.next(
      ({ from: who, channelId, message }) => who === "client" && channelId === actor.id && ["accepted", "refused"].includes(message.type) && message.asset === asset,
    );
    actor.record.see("hub", { type: "update", asset, update });
    const back = this.back(actor).then(() => ({ type: "hung up" }));
    this.say(actor, { type: "update", asset, update });
    return Promise.race([answered, back]);
  }

  /** The next time that the client connects. */
  back(actor) {
    return new Promise((resolve) => {
      const stop = actor.client.on("connected", () => (stop(), resolve()));
    });
  }

  /** The hub accepts what the real one is not told of, with an acknowledgement if it gives one. */
  async accept(actor, update, acknowledge, asset = ETH) {
    const { proof } = update;
    const acknowledgement = acknowledge
      ? await actor.sign.acknowledgement(this.world.hub.signerKey, { asset, payer: "A", proof })
      : undefined;
    const message = { type: "accepted", asset, nonce: proof.nonce, acknowledgement };
    actor.record.see("hub", message);
    this.say(actor, message);
  }

  /** Everybody who has not left leaves; then nobody may have less than the theorem says. */
  async judge(during) {
    await leave(this, this.actors.filter(({ gone }) => !gone), during);
    const there = this.actors.filter(({ gone }) => !gone);
    for (const actor of there) await this.#count(actor);
    for (const payer of there) await this.#delivered(payer);
    this.report.judged = true;
    assert.equal(this.report.lost, 0n, `${this.report.lost} wei were lost`);
  }

  async #count(actor) {
    const { account, client } = actor;
    const payments = await client.payments({ limit: 10_000 });
    const has = await beforeGas(this.world, account.address);
    for (const payment of payments) if (payment.direction === "received") actor.received.set(payment.id, payment);
    const failed = new Set(payments.filter(({ status }) => status === "failed").map(({ id }) => id));
    const meant = [...actor.issued].filter(([id]) => !failed.has(id)).reduce((sum, [, amount]) => sum + amount, 0n);
    const paid = [...actor.received.values()].reduce((sum, { amount }) => sum + amount, 0n);
    const due = START - meant + paid - (actor.forgotten ?? 0n);
    if (has < due) this.report.lost += due - has;
    assert.ok(has >= due, `${due - has} wei lost: has ${has}, meant to pay ${meant}, was paid ${paid}; ${JSON.stringify(payments, (_, value) => (typeof value === "bigint" ? String(value) : value), 1)}`);
    actor.verdict = { has, due, meant, paid };
  }

  /** A payment that its payer holds a preimage for has reached its payee, by the payee's own word. */
  async #delivered(payer) {
    const payees = new Map(this.actors.map((actor) => [actor.account.address.toLowerCase(), actor]));
    for (const { status, preimage, to } of await payer.client.payments({ direction: "sent", limit: 10_000 })) {
      const payee = payees.get(to?.toLowerCase());
      if (status !== "completed" || payee === undefined || payee.forgets) continue;
      // Of what the chain paid out the preimage is read later, in the background: until then it proves nothing to anybody.
      if (preimage === undefined) continue;
      const got = [...payee.received.values()].some((payment) => payment.preimage === preimage);
      assert.ok(got, "a payment counts as completed that its payee never got");
    }
  }

  async end() {
    this.proxy && (this.proxy.silent = true);
    await this.proxy?.stop();
    await Promise.all(this.actors.map(({ client }) => client?.disconnect()));
    await this.world.stop();
  }
}

/** A channel as the contract takes it. */
export async function channelOf(client) {
  const { channel } = JSON.parse(await client.exportExitKit());
  return { ...channel, salt: BigInt(channel.salt) };
}
