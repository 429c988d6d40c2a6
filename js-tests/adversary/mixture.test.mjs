// A hostile hub that does everything at random. A seed decides what it chooses; how its choices meet what the processes
// do at that moment is theirs. `FARTHING_SEEDS=N` plays N seeds, `FARTHING_SEED=S` one.

import { describe, it } from "node:test";
import { parseEther } from "viem";
import { nextBlock } from "./chain.mjs";
import { chance } from "./chance.mjs";
import { moves } from "./moves.mjs";
import { play } from "./stage.mjs";

const first = Number(process.env.FARTHING_SEED ?? 1);
const count = process.env.FARTHING_SEED ? 1 : Number(process.env.FARTHING_SEEDS ?? 15);

/** What a hub does to the messages between it and its clients, each with a chance of its own. */
function disturbance(stage, { draw, pick, shuffled }) {
  const odds = { lose: draw(4), double: draw(4), hold: draw(4), withhold: draw(3) === 0 ? pick(["accepted", "reveal", "withdrawSigned", "closeSigned", "sync", "held"]) : undefined };
  const held = [];
  return (direction) => (messages, id) => {
    const out = [];
    for (const message of messages) {
      const lot = draw(20);
      if (message.type === odds.withhold && direction === "down") stage.tried(`${message.type} withheld`);
      else if (lot < odds.lose) stage.tried("lost message");
      else if (lot < odds.lose + odds.hold) held.push([direction, id, message]), stage.tried("message held back");
      else if (lot < odds.lose + odds.hold + odds.double) out.push(message, message), stage.tried("doubled message");
      else out.push(message);
    }
    while (held.length > 3) {
      const [way, other, message] = held.splice(draw(held.length), 1)[0];
      way === "down" ? stage.proxy.toClient(other, [message]) : stage.proxy.toHub(other, [message]);
    }
    return draw(4) === 0 ? shuffled(out) : out;
  };
}

async function mixture(stage, seed) {
  const luck = chance(seed);
  const { draw, pick } = luck;
  const [alice, bob] = [await stage.actor({ deposit: parseEther("0.5") }), await stage.actor()];
  const carol = await stage.away();
  const hostile = moves(stage, luck);
  // Something is there to be abused before the abuse begins.
  await stage.pay(alice, bob, 5_000n, { wait: true });
  await stage.pay(bob, alice, 700n, { wait: true });
  const disturb = disturbance(stage, luck);
  stage.proxy.rules = { up: disturb("up"), down: disturb("down") };
  const steps = 14 + draw(10);
  const leaving = draw(2) === 0 ? steps : 6 + draw(8);
  for (let step = 0; step < steps; step += 1) {
    const [payer, payee] = luck.shuffled([alice, bob]);
    const lot = draw(12);
    if (lot < 5) stage.pay(payer, payee, 1n + BigInt(draw(100_000)), { wait: true });
    else if (lot === 5) stage.pay(payer, stage.world.hub.owner, 1n + BigInt(draw(1_000)));
    else if (lot === 6) stage.pay(payer, carol, 1n + BigInt(draw(50_000)));
    else if (lot === 7) payer.client.withdraw({ asset: "ETH", amount: 1n + BigInt(draw(10 ** 9)) }).catch(() => {});
    else if (lot === 8 && step > leaving) payer.client.close().catch(() => {});
    else await hostile.trick(pick([alice, bob]));
    if (draw(2) === 0) await hostile.trick(pick([alice, bob]));
    if (step === leaving) await hostile.alone();
    if (draw(3) === 0) await nextBlock(stage.chain);
  }
  stage.proxy.rules = {};
  for (const actor of [alice, bob]) if (draw(3) > 0) await hostile.exit(actor);
  await stage.judge(async () => {
    for (const actor of [alice, bob]) await hostile.during(actor);
  });
}

describe("a mixture of everything, by seed", { concurrency: 8 }, () => {
  for (let seed = first; seed < first + count; seed += 1) {
    const name = `seed ${seed}`;
    it(name, () => play(name, (stage) => mixture(stage, seed), { seed }));
  }
});

