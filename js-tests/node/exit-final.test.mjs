// The program `farthing` says that it is done when no block that it stands on may be taken back any more.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseEther } from "viem";
import { farthingProgram, waitsUntil } from "../support/cli.mjs";
import { clientsOf } from "../support/clients.mjs";
import { createWorld } from "../support/world.mjs";

let world;
const { local, disconnectAll } = clientsOf(() => world);

before(async () => {
  world = await createWorld();
});
after(async () => {
  await disconnectAll();
  await world?.stop();
});

/** Somebody with 1 ETH in a channel, and the kit to take it out. */
async function leaver() {
  const account = await world.account();
  const client = await local(account);
  await client.deposit({ asset: "ETH", amount: parseEther("1") });
  const kit = join(world.folder, `${account.address}.json`);
  writeFileSync(kit, await client.exportExitKit());
  await client.disconnect();
  const had = await world.balanceOf(account.address);
  const leave = (more, onLine) =>
    farthingProgram(["exit", "--kit", kit, "--rpc", world.rpcUrl, "--yes", "--poll", "0.2", ...more], {
      env: { FARTHING_KEY: account.privateKey },
      onLine,
    });
  const gained = async () => (await world.balanceOf(account.address)) - had;
  return { leave, gained };
}

const got = (gained) => assert.ok(gained > parseEther("0.99") && gained < parseEther("1"), `${gained}`);
const told = (out, what) => [...out.matchAll(what)].length;

test("what a reorganisation takes back before that is sent again", async () => {
  const { leave, gained } = await leaver();
  let [last, taken] = [0n, false];
  const { code, out, err } = await leave(["--confirmations", "4"], async (line) => {
    if (waitsUntil(line)) await world.chain.passTo(Number(waitsUntil(line)) + 1);
    last = BigInt(line.match(/^ {2}in block (\d+)/)?.[1] ?? last);
    if (!line.startsWith("nothing is left to do") || taken) return;
    taken = true;
    await world.chain.reorg(Number((await world.chain.reader.getBlockNumber()) - last) + 1);
  });
  assert.equal(code, 0, out + err);
  assert.ok(taken, out);
  assert.equal(told(out, /^settle/gm), 2, out);
  assert.equal(told(out, /^startExit/gm), 1, out);
  got(await gained());
});

test("who does not wait is told that it is not over yet, and later that it is", async () => {
  const { leave, gained } = await leaver();
  const first = await leave(["--no-wait", "--confirmations", "3"]);
  assert.equal(first.code, 3, first.out + first.err);
  const until = first.out.split("\n").map(waitsUntil).find(Boolean);
  await world.chain.passTo(Number(until) + 1);
  const second = await leave(["--no-wait", "--confirmations", "1000"]);
  assert.equal(second.code, 3, second.out + second.err);
  assert.match(second.out, /^nothing is left to do at block \d+; waiting for 1000 more, since the newest may be taken back$/m);
  // Another run has sent nothing itself, and looks at what was there so many blocks ago.
  const third = await leave(["--no-wait", "--confirmations", "1000"]);
  assert.equal(third.code, 3, third.out + third.err);
  await world.chain.admin.mine({ blocks: 4 });
  const fourth = await leave(["--no-wait", "--confirmations", "3"]);
  assert.equal(fourth.code, 0, fourth.out + fourth.err);
  assert.match(fourth.out, /^Done: nothing of yours is left to take out \(0 transactions sent\)\.$/m);
  got(await gained());
});

test("what is no number of blocks is refused", async () => {
  const { leave } = await leaver();
  for (const wrong of ["-1", "1.5", "x", "1001", ""]) {
    const { code, err } = await leave([`--confirmations=${wrong}`]);
    assert.equal(code, 2, wrong);
    assert.match(err, /^farthing: bad-usage: --confirmations takes a number of blocks, up to 1000\./);
  }
});
