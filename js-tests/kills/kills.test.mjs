// Payments both ways all the time, while a payer, a payee, their hub and a watchtower are killed at moments that a seed
// chooses among what the users say (a commit begun, a commit done, a payment further), and started again.
// `FARTHING_KILLS` is how many, `FARTHING_SEED` the seed.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { parseEther } from "viem";
import { createWorld } from "../support/world.mjs";
import { beforeGas, contractOf, until } from "../adversary/chain.mjs";
import { chance } from "../adversary/chance.mjs";
import { User } from "./mortal.mjs";
import { createTower } from "./tower.mjs";

const KILLS = Number(process.env.FARTHING_KILLS ?? 240);
const SEED = Number(process.env.FARTHING_SEED ?? 1);
/** Payments that each user has on their way at once. */
const AT_ONCE = 4;
/** Milliseconds in which a user that lost its hub has called again, with much to spare. */
const SILENCE = 45_000;
const START = parseEther("10");

const report = { seed: SEED, kills: { payer: 0, payee: 0, hub: 0, watchtower: 0 }, payments: 0, completed: 0, failed: 0, streams: 0, streamed: 0, wei_lost: "unknown" };
after(() => {
  const path = process.env.FARTHING_REPORT;
  if (path === undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
});

test(`${KILLS} kills (seed ${SEED}): every payment once, and every wei`, async (t) => {
  const { draw, pick } = chance(SEED);
  const world = await createWorld({ hub: { challenge_period: { min: 60, max: 86_400, default: 90 } } });
  const tower = await createTower(world);
  const hubStart = await world.balanceOf(world.hub.owner);
  const users = {};
  t.after(async () => {
    clearInterval(watchdog);
    await Promise.all(Object.values(users).map((user) => user.kill()));
    await tower.kill();
    await world.stop();
  });

  // Whoever waits for the next thing that somebody says. When nobody says anything for long, nothing goes on any more.
  let heard = 0;
  let stalled;
  const stall = new Promise((_, reject) => (stalled = reject));
  stall.catch(() => {});
  const watchdog = setInterval(() => {
    if (heard === watchdog.last) {
      clearInterval(watchdog);
      const said = Object.values(users).map(({ name, said: words }) => `${name}:\n${words}`);
      const before = `${said.join("\n\n")}\nhub:\n${world.hub.log().slice(-6_000)}`;
      // What is open comes last, where whoever sees only the end of it sees it.
      Promise.all(Object.values(users).map((user) => openAt({ name: user.name, ledger: user.ledger, asked: () => user.asked, ask: (command) => user.ask(command) }))).then((open) => stalled(new Error(`${before}\n${open.join("\n")}\nnothing goes on after ${JSON.stringify(report.kills)}`)));
    }
    watchdog.last = heard;
  }, SILENCE);
  const waiting = new Set();
  const onEvent = () => {
    heard += 1;
    for (const entry of [...waiting]) {
      if (heard < entry.at) continue;
      waiting.delete(entry);
      entry.resolve();
    }
  };
  const afterEvents = (count) => new Promise((resolve) => waiting.add({ at: heard + count, resolve }));

  for (const [name, kind] of [["payer", "sqlite"], ["payee", "file"]]) {
    const account = await world.account({ eth: START, dai: 0n });
    const settings = () => ({ hub: world.hubUrl, rpc: world.rpcUrl, privateKey: account.privateKey, path: join(world.folder, `${name}.${kind}`), kind, tower: tower.url });
    users[name] = Object.assign(new User(name, settings, onEvent), { account, ledger: new Map(), back: Promise.resolve() });
    await users[name].start();
    assert.equal((await users[name].ask("deposit", { amount: String(parseEther("1")) })).error, undefined);
  }

  // One payment after the other in each of the places. A payment that has no end yet is asked for again under its id.
  let ending = false;
  let hubIsBack = Promise.resolve();
  async function place(payer, payee) {
    while (!ending) {
      const id = `0x${randomBytes(16).toString("hex")}`;
      const payment = { amount: 1n + BigInt(draw(1_000_000)), status: undefined };
      payer.ledger.set(id, payment);
      for (;;) {
        await payer.back;
        const answer = await payer.ask("pay", { to: payee.account.address, amount: String(payment.amount), id }).catch((error) => {
          if (error.code !== "killed") throw error;
        });
        if (answer?.status === "completed" || answer?.status === "failed") {
          Object.assign(payment, answer);
          break;
        }
        // Nothing was signed, since the hub was away; or it is on its way, and goes on with what is said next.
        if (answer?.status === "unknown") await hubIsBack;
        else if (answer !== undefined) await afterEvents(1);
      }
    }
  }
  // And streams, one after the other: some words of each, and then the rest back.
  async function flow(payer, payee) {
    const asked = (user, command, options) => user.back.then(() => user.ask(command, options)).catch((error) => {
      if (error.code !== "killed") throw error;
    });
    while (!ending) {
      const id = `0x${randomBytes(16).toString("hex")}`;
      const terms = { to: payee.account.address, id, units: 20, unitPrice: String(1 + draw(1_000)) };
      const stream = { amount: undefined, status: undefined, stream: true };
      payer.ledger.set(id, stream);
      let key;
      for (let words = 1 + draw(4); words > 0; ) {
        const answer = await asked(payer, "word", { ...terms, more: 1 + draw(5) });
        if (answer?.ended || answer?.code === "payee-declined" || answer?.code === "payment-failed") break;
        key = answer?.key ?? key;
        if (answer?.paid === undefined) {
          if (answer?.key !== undefined) break;
          await Promise.all([hubIsBack, payee.back, afterEvents(1)]);
          continue;
        }
        const taken = await asked(payee, "take", { key, paid: answer.paid });
        if (taken?.known) words -= 1;
        else await afterEvents(1);
      }
      while (stream.status === undefined) {
        if (key !== undefined) await asked(payee, "take", { key });
        const listed = await asked(payer, "payments");
        const found = listed?.payments.find((payment) => payment.id === id);
        if (listed !== undefined && found === undefined) Object.assign(stream, { status: "failed" });
        if (found?.status === "completed" || found?.status === "failed") Object.assign(stream, { status: found.status, amount: BigInt(found.amount), key: found.stream.key });
        if (found !== undefined) key ??= found.stream.key;
        if (stream.status === undefined) await afterEvents(1);
      }
      report.streams += 1;
      if (stream.status === "completed") report.streamed += 1;
    }
  }
  const { payer, payee } = users;
  const streams = [flow(payer, payee), flow(payee, payer)];
  const places = Array.from({ length: AT_ONCE }, () => [place(payer, payee), place(payee, payer)]).flat();
  const failing = Promise.all([...places, ...streams]);

  const restart = {
    hub: () => world.hub.start(),
    watchtower: () => tower.start(),
    payer: () => payer.start(),
    payee: () => payee.start(),
  };
  const kill = { hub: () => world.hub.stop("SIGKILL"), watchtower: () => tower.kill(), payer: () => payer.kill(), payee: () => payee.kill() };
  const names = Object.keys(restart);
  async function strike(victims) {
    for (const name of victims) report.kills[name] += 1;
    const dead = victims.map((name) => kill[name]());
    // Whoever asks a user that is dead waits until it is back.
    const back = Promise.all(dead).then(async () => {
      for (const name of names) if (victims.includes(name)) await restart[name]();
    });
    for (const name of victims) if (users[name]) users[name].back = back;
    if (victims.includes("hub")) hubIsBack = back;
    await back;
  }
  for (let count = 0; count < KILLS; ) {
    await Promise.race([afterEvents(1 + draw(60)), failing, stall]);
    // The first of them are of each kind, so that a short run has all; now and then two die together.
    const victims = count < names.length ? [names[count]] : [pick(names)];
    if (draw(5) === 0) victims.push(pick(names.filter((name) => !victims.includes(name))));
    await strike(victims);
    count += victims.length;
  }
  ending = true;
  await Promise.race([failing, stall]);
  clearInterval(watchdog);

  // The tower has what each of them has, and answers for one who is dead.
  const ask = async (user, command) => {
    const answer = await user.ask(command);
    assert.equal(answer.error, undefined, JSON.stringify(answer.error));
    return answer;
  };
  const { info } = await ask(payee, "info");
  const newest = async () => (await ask(payee, "kit")).kit;
  await until(world.chain, "promise of the tower", async () => {
    const proofs = (await newest()).assets.flatMap((asset) => asset.proofs);
    const promised = await tower.promised(info.channelId);
    return proofs.every(({ payer: side, nonce }) => (side === 1 ? promised.B : promised.A) >= nonce);
  });
  const { channel, assets } = await newest();
  await payee.kill();
  await world.chain.admin.setBalance({ address: world.hub.signer, value: parseEther("1") });
  const hub = contractOf(world, world.hub.signerKey);
  await hub.startExit({ ...channel, salt: BigInt(channel.salt) }, []);
  for (const { payer: side, nonce } of assets.flatMap((asset) => asset.proofs)) {
    await until(world.chain, "answer of the tower", async () => (await hub.lane(info.channelId, side)).nonce >= BigInt(nonce));
  }
  await payee.start();
  await ask(payer, "close");
  await world.chain.passTo(Number(await hub.exitEndsAt(info.channelId)) + 1);
  await ask(payee, "exit");

  await account(world, users, hubStart);
});

/** What a user waits for, and what it says of the payments that have no end. */
async function openAt({ name, ledger, asked, ask }) {
  const silent = new Promise((resolve) => setTimeout(resolve, 5_000, { payments: [] }));
  const { payments } = await Promise.race([ask("payments"), silent]).catch(() => ({ payments: [] }));
  const ids = [...ledger].filter(([, { status }]) => !status).map(([id]) => id);
  const open = payments.filter(({ id, status }) => ids.includes(id) || !["completed", "failed"].includes(status));
  return `${name} has no end of ${ids}, waits for ${JSON.stringify(asked())}, and says ${JSON.stringify(open)}`;
}

/** Each payment once, at both ends, and each account to the wei. */
async function account(world, users, hubStart) {
  const listed = {};
  for (const [name, user] of Object.entries(users)) listed[name] = (await user.ask("payments")).payments;
  const moved = { payer: 0n, payee: 0n };
  for (const [name, other] of [["payer", "payee"], ["payee", "payer"]]) {
    const { ledger } = users[name];
    const sent = listed[name].filter(({ direction }) => direction === "sent");
    const received = listed[other].filter(({ direction }) => direction === "received");
    assert.equal(new Set(sent.map(({ id }) => id)).size, sent.length, "a payment is listed twice");
    assert.ok(sent.every(({ id }) => ledger.has(id)), "a payment that nobody asked for");
    const completed = [...ledger].filter(([, { status }]) => status === "completed");
    for (const [id, { amount, preimage, key }] of completed) {
      const own = sent.filter((payment) => payment.id === id);
      assert.deepEqual(own.map(({ status, amount: listedAmount }) => [status, listedAmount]), [["completed", String(amount)]]);
      const got = received.filter((payment) => (key ? payment.stream?.key === key : payment.preimage === preimage));
      assert.deepEqual(got.map(({ status, amount: listedAmount }) => [status, listedAmount]), [["completed", String(amount)]], `payment ${id} at its payee`);
      moved[name] += amount;
    }
    const taken = received.filter(({ status }) => status === "completed");
    assert.equal(taken.length, completed.length, "the payee has a payment that its payer does not know to be completed");
    report.payments += ledger.size;
    report.completed += completed.length;
    report.failed += ledger.size - completed.length;
  }
  const owners = { payer: users.payer.account.address, payee: users.payee.account.address, hub: world.hub.owner };
  const due = { payer: START - moved.payer + moved.payee, payee: START - moved.payee + moved.payer, hub: hubStart };
  const has = (address) => beforeGas(world, address);
  // The hub fetches its side in its own time.
  await until(world.chain, "hub's money", async () => (await has(owners.hub)) >= due.hub, 30).catch(() => {});
  let lost = 0n;
  for (const [name, address] of Object.entries(owners)) {
    const found = await has(address);
    if (found < due[name]) lost += due[name] - found;
    report.wei_lost = String(lost);
    assert.equal(found, due[name], `what the ${name} has`);
  }
  assert.equal(await world.balanceOf(world.contract), 0n, "what is left in the contract");
}
