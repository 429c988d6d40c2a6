// Honest clients go home at once, and time passes only when each has done what the theorem asks of it: shown its newest
// proofs within the challenge period, and recorded its evidence before it expires.

import { contractOf, until } from "./chain.mjs";

/** `during` is what others do in the challenge period. */
export async function leave(stage, actors, during = async () => {}) {
  const { chain } = stage;
  const exits = actors.map((actor) => follow(actor));
  const failing = Promise.all(exits.map(({ done }) => done));
  const all = (promises) => Promise.race([Promise.all(promises), failing.then(() => Promise.all(promises))]);
  await all(exits.map(({ started }) => started));
  await during();
  await Promise.all(exits.map(({ actor, over }) => over() || protectedOnChain(stage, actor)));
  await chain.passTo(Math.max(0, ...exits.map(({ ends }) => ends())) + 1);
  await all(exits.map(({ settled }) => settled));
  const reader = contractOf(stage.world, actors[0]?.account.privateKey ?? stage.world.hub.signerKey);
  // Whatever was learned only now is recorded before the leap to the last expiry.
  await Promise.all(exits.map(({ actor, over }) => over() || recorded(stage, reader, actor)));
  const last = Math.max(0, ...exits.map(({ locksUntil }) => locksUntil()));
  if (last > 0) await chain.passTo(last + 1);
  for (const exit of exits) exit.pass = (time) => chain.passTo(time + 1);
  await failing;
}

function follow(actor) {
  const state = { ends: 0, locksUntil: 0, over: false };
  let start, settle;
  const exit = {
    actor,
    started: new Promise((resolve) => (start = resolve)),
    settled: new Promise((resolve) => (settle = resolve)),
    ends: () => state.ends,
    locksUntil: () => state.locksUntil,
    over: () => state.over,
    pass: undefined,
  };
  const onProgress = ({ stage, endsAt, locks }) => {
    const time = endsAt === undefined ? 0 : Math.floor(endsAt / 1_000);
    if (stage === "challenge") {
      state.ends = time;
      start();
    }
    if (stage === "settled") {
      if (locks > 0) {
        state.locksUntil = time;
        exit.pass?.(time);
      }
      start();
      settle();
    }
  };
  exit.done = actor.client
    .exit({ onProgress })
    .catch((error) => {
      // A closing that both had signed was mined: nothing is left to leave with.
      if (error.code !== "channel-closed") throw error;
    })
    .then(() => {
      state.over = true;
      start();
      settle();
    });
  return exit;
}

/** Until the chain shows the client's newest proofs, and what it can prove of the locks that pay it. */
export async function protectedOnChain(stage, actor) {
  const reader = contractOf(stage.world, actor.account.privateKey);
  await until(stage.chain, "answer to the exit", async () => {
    const { assets } = JSON.parse(await actor.client.exportExitKit());
    for (const { asset, proofs } of assets) {
      for (const { payer, nonce } of proofs) {
        if ((await reader.lane(actor.id, payer, asset)).nonce < BigInt(nonce)) return false;
      }
    }
    return true;
  });
  await recorded(stage, reader, actor);
}

async function recorded(stage, reader, actor) {
  await until(stage.chain, "evidence", async () => {
    const { transactions } = JSON.parse(await actor.client.exportExitKit());
    for (const { condition, params, expiry, units } of transactions.flatMap(({ items = [] }) => items)) {
      if ((await reader.units({ condition: { address: condition, params }, expiry })) < units) return false;
    }
    return true;
  });
}
