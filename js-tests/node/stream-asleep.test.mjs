// A payer that closes its device while words of its stream are still on their way: the hub pays its payee, the stream
// expires, days go by, and the channel lives. When the payer wakes up both sides agree to the wei.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseEther } from "viem";
import { clientsOf } from "../support/clients.mjs";
import { artifact } from "../support/env.mjs";
import { createWorld } from "../support/world.mjs";

const PRICE = parseEther("0.0001");
const UNITS = 40;
const DAY = 86_400;
const folder = mkdtempSync(join(tmpdir(), "farthing-asleep-"));

let world;
const { local, disconnectAll } = clientsOf(() => world);

after(() => rmSync(folder, { recursive: true, force: true }));

const read = (functionName, args) =>
  world.chain.reader.readContract({ address: world.contract, abi: artifact("Farthing").abi, functionName, args });

async function until(read, what) {
  for (let tries = 0; tries < 600; tries++) {
    const found = await read();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(what);
}

/** What the hub says that it has seen of the chain. */
async function hubSees() {
  const { number } = await world.chain.reader.getBlock();
  await until(async () => (await (await fetch(`${world.hubUrl}/ready`)).json()).head >= number, "the hub sees the block");
}

for (const [name, dust, recorded] of [
  ["what is worth its gas is recorded, and owed", {}, UNITS],
  ["what is not is carried as credit, and paid first", { dust: parseEther("0.1"), dust_cap: parseEther("1") }, 0],
]) {
  test(`a payer that sleeps over the expiry: ${name}`, async () => {
    world = await createWorld({ eth: dust });
    try {
      const [alice, bob] = [await world.account(), await world.account()];
      const options = { store: join(folder, `${recorded}.sqlite`) };
      const payer = await local(alice, options);
      const payee = await local(bob);
      await payer.deposit({ asset: "ETH", amount: parseEther("1") });
      const told = new Promise((resolve) => payee.on("stream", ({ stream }) => resolve(stream)));
      const stream = await payer.stream({ to: bob.address, asset: "ETH", unitPrice: PRICE, units: 100, expiresIn: 3_600 });
      const incoming = await told;
      const paid = stream.pay(UNITS);
      const { channelId } = payer.info;
      await payer.disconnect();

      // The lid is closed; the words arrive.
      assert.equal(incoming.take(paid), UNITS);
      await incoming.reveal();
      await until(() => incoming.handedOver === UNITS, "the payee is paid by the hub");
      const expiry = stream.expiresAt / 1_000;
      await world.chain.passTo(expiry - 300);
      await hubSees();
      const units = () => read("unitsOf", [stream.key]);
      if (recorded > 0) await until(async () => (await units()) === recorded, "the hub records what the words prove");
      await world.chain.passTo(expiry + 3 * DAY);
      await hubSees();
      assert.equal(await units(), recorded);
      assert.equal(await read("exitEndsAt", [channelId]), 0n, "the channel lives");

      const awake = await local(alice, options);
      assert.equal(awake.info.channelId, channelId);
      const known = async () => (await awake.payments()).find(({ id }) => id === stream.id);
      await until(async () => (await known()).status === "completed", "what was spent is paid, and the rest is back");
      assert.equal((await known()).amount, BigInt(UNITS) * PRICE);
      const [{ available }] = await awake.balances();
      assert.equal(available, parseEther("1") - BigInt(UNITS) * PRICE);
      // All of it can be used, and both sides sign what each has.
      await awake.close();
      assert.equal(await read("exitEndsAt", [channelId]), 0n);
      const { depositA, withdrawnA } = await read("assetState", [channelId, `0x${"0".repeat(40)}`]);
      assert.equal(depositA, parseEther("1"));
      assert.ok(withdrawnA >= 0n);
      assert.ok((await world.balanceOf(alice.address)) < parseEther("10"));
      assert.ok((await world.balanceOf(alice.address)) > parseEther("9.9"));
    } finally {
      await disconnectAll();
      await world.stop();
    }
  });
}
