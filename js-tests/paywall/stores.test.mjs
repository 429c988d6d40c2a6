// Every store by one suite: what it sells it sells once, whatever comes in together, and what dies between two steps goes on.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import pg from "pg";
import { packageFile } from "../support/env.mjs";
import { Payer, folder, furnish } from "../support/paying.mjs";
import { startPostgres } from "../support/postgres.mjs";

const { sqlite, postgres } = await packageFile("paywall/index.mjs");

const random = (size) => `0x${randomBytes(size).toString("hex")}`;

let server, pool;
before(async () => {
  server = await startPostgres();
  pool = new pg.Pool({ connectionString: server.url, max: 12 });
});
after(async () => {
  await pool.end();
  await server.stop();
});

const KINDS = {
  sqlite: (t) => {
    const path = join(folder(t), "paywall.db");
    return (options) => sqlite(path, options);
  },
  postgres: () => (options) => postgres(pool, options),
};

/** A stream's sale, as the paywall asks for it. */
function spend(payer, { from, to, id = random(16), amount = 1n, bind = `0x${"0".repeat(64)}`, session = null, opening, again = { times: 100, milliseconds: 1e9 }, route = "r" }) {
  return { claim: { key: payer.key, id, from, to, bind, session, route, method: "GET", url: "https://a/", amount }, word: payer.word(to), margin: 1_000, again, ...(opening && { opening: { key: payer.key, id: opening } }) };
}

for (const [kind, make] of Object.entries(KINDS)) {
  describe(kind, () => {
    /** Stores of so many processes on one database. */
    async function stores(t, count, payers, options) {
      const open = make(t);
      const all = Array.from({ length: count }, () => open(options));
      t.after(() => Promise.all(all.map((store) => store.end())));
      await furnish(all[0], ...payers);
      return all;
    }

    test("intervals in any order, with overlaps, gaps and replays: each unit is sold once", async (t) => {
      for (let seed = 1; seed <= 12; seed += 1) {
        const dice = mulberry(seed);
        const payer = new Payer({ units: 60, root: Buffer.alloc(32, seed + (kind === "sqlite" ? 0 : 100)) });
        const three = await stores(t, 3, [payer]);
        const owner = new Array(payer.units).fill(undefined);
        const known = [];
        for (let round = 0; round < 25; round += 1) {
          const together = Array.from({ length: 1 + Math.floor(dice() * 6) }, () => {
            const old = dice() < 0.25 && known[Math.floor(dice() * known.length)];
            if (old) return old;
            const from = Math.floor(dice() * (payer.units - 1));
            return { from, to: Math.min(payer.units, from + 1 + Math.floor(dice() * 6)), id: random(16) };
          });
          const outcomes = await Promise.all(together.map((one) => three[Math.floor(dice() * 3)].spend(spend(payer, one))));
          const settled = [];
          outcomes.forEach((outcome, index) => {
            const one = together[index];
            if (outcome.step === "refused") return assert.ok(["interval-spent", "in-progress"].includes(outcome.code), outcome.code);
            if (outcome.step === "again") return assert.ok(known.some(({ id }) => id === one.id));
            assert.equal(outcome.step, "serve");
            for (let unit = one.from; unit < one.to; unit += 1) {
              assert.ok(owner[unit] === undefined || owner[unit] === one.id, `unit ${unit} is sold twice (seed ${seed})`);
              owner[unit] = one.id;
            }
            known.push(one);
            const charged = Math.floor(dice() * (one.to - one.from + 1));
            const store = three.find(({ holder }) => holder === outcome.record.holder);
            settled.push(store.settle(outcome.record, charged).then((told) => {
              assert.equal(told.step, "settled");
              for (let unit = one.from + charged; unit < one.to; unit += 1) owner[unit] = undefined;
              if (charged === 0) known.splice(known.indexOf(one), 1);
            }));
          });
          await Promise.all(settled);
          const spent = (await three[0].rows.spent(payer.key)).flatMap(([from, to]) => Array.from({ length: to - from }, (_, step) => from + step));
          assert.deepEqual(spent, owner.flatMap((id, unit) => (id === undefined ? [] : [unit])), `seed ${seed}`);
        }
        const { best, word } = await three[0].rows.stream(payer.key);
        assert.equal(word, payer.word(best));
      }
    });

    test("of many that want the same at the same moment one gets it", async (t) => {
      const payer = new Payer({ units: 400 });
      const four = await stores(t, 4, [payer]);
      for (let round = 0; round < 20; round += 1) {
        const outcomes = await Promise.all(four.flatMap((store, index) => [0, 1].map((half) => store.spend(spend(payer, { from: round * 10 + half, to: round * 10 + 5 + index })))));
        assert.deepEqual(outcomes.map(({ step, code }) => code ?? step).sort(), [...new Array(7).fill("interval-spent"), "serve"]);
      }
    });

    test("the same id at the same moment is served once", async (t) => {
      const payer = new Payer();
      const four = await stores(t, 4, [payer]);
      const one = { from: 3, to: 5, id: random(16) };
      const outcomes = await Promise.all(four.flatMap((store) => [store, store].map((each) => each.spend(spend(payer, one)))));
      assert.deepEqual(outcomes.map(({ step, code }) => code ?? step).sort(), [...new Array(7).fill("in-progress"), "serve"]);
    });

    test("what a dead process served goes on at once when its lease is over, and its own word counts no more", async (t) => {
      const payer = new Payer();
      const [dying, other] = await stores(t, 2, [payer], { lease: 100 });
      const one = { from: 0, to: 4, id: random(16) };
      const first = await dying.spend(spend(payer, one));
      assert.equal((await other.spend(spend(payer, one))).code, "in-progress");
      // It dies: it says no more that it lives.
      const { beat } = dying.rows;
      dying.rows.beat = () => Promise.reject(new Error("dead"));
      let second;
      for (;;) {
        second = await other.spend(spend(payer, one));
        if (second.step === "serve") break;
        assert.equal(second.code, "in-progress");
        await new Promise(setImmediate);
      }
      assert.equal(second.record.attempt, 2);
      dying.rows.beat = beat;
      assert.equal((await dying.settle(first.record, 0)).step, "late");
      assert.equal((await other.settle(second.record, 3)).step, "settled");
      assert.deepEqual(await other.rows.spent(payer.key), [[0, 3]]);
      assert.equal((await other.settle(second.record, 0)).step, "late");
    });

    test("a session: side intervals join while it is served, and are charged in their order", async (t) => {
      const [payer, renewed] = [new Payer(), new Payer({ unitPrice: 2n * 10n ** 15n })];
      const [here, there] = await stores(t, 2, [payer, renewed]);
      const opening = await here.spend(spend(payer, { from: 0, to: 5, id: random(16) }));
      const { id } = opening.record;
      const side = { from: 5, to: 9, id: random(16), session: id, opening: id };
      assert.equal((await there.spend(spend(payer, side))).step, "joined");
      assert.equal((await there.spend(spend(payer, side))).step, "joined");
      const other = { ...spend(renewed, { from: 0, to: 5, session: id }), opening: { key: payer.key, id } };
      assert.equal((await there.spend(other)).step, "joined");
      assert.deepEqual((await here.rows.session(id)).map(({ from, to }) => [from, to]), [[0, 5], [5, 9], [0, 5]]);
      // A side interval opens nothing.
      assert.equal((await there.spend(spend(payer, { from: 20, to: 21, session: side.id, opening: side.id }))).code, "session-ended");
      const closed = await here.close(opening.record, 12n * 10n ** 15n);
      assert.deepEqual(closed.records.map(({ charged, state }) => [charged, state]), [[5, "served"], [4, "served"], [2, "served"]]);
      assert.deepEqual(await here.rows.spent(renewed.key), [[0, 2]]);
      assert.equal((await there.spend(spend(payer, { from: 9, to: 10, session: id, opening: id }))).code, "session-ended");
      assert.equal((await there.spend(spend(payer, { from: 9, to: 10, session: random(16) }))).code, "session-ended");
    });

    test("a stream that ends sells no more, and its last word is the best", async (t) => {
      const payer = new Payer();
      const [one, two] = await stores(t, 2, [payer]);
      const race = await Promise.all([...Array.from({ length: 20 }, (_, at) => one.spend(spend(payer, { from: at, to: at + 1 }))), two.rows.endStream(payer.key, Date.now())]);
      const { best } = await two.rows.stream(payer.key);
      const sold = race.slice(0, -1).flatMap((outcome) => (outcome.step === "serve" ? [outcome.record.to] : assert.equal(outcome.code, "stream-ended") ?? []));
      assert.equal(best, Math.max(0, ...sold));
      assert.equal((await two.spend(spend(payer, { from: 50, to: 51 }))).code, "stream-ended");
    });

    test("answers are bounded by age and by size", async (t) => {
      const payer = new Payer();
      const [store] = await stores(t, 1, [payer]);
      const ids = [];
      for (let at = 0; at < 6; at += 1) {
        const { record } = await store.spend(spend(payer, { from: at, to: at + 1 }));
        await store.settle(record, 1, { status: 201, headers: [["a", "b"]], body: new Uint8Array(100).fill(at) });
        ids.push(record.id);
      }
      assert.deepEqual(await store.rows.answer(payer.key, ids[5]), { status: 201, headers: [["a", "b"]], body: new Uint8Array(100).fill(5) });
      const left = async () => (await Promise.all(ids.map((id) => store.rows.answer(payer.key, id)))).filter(Boolean).length;
      await store.rows.purge({ answersBefore: 0, answerBytes: 350, recordsBefore: 0 });
      assert.equal(await left(), 3);
      await store.rows.purge({ answersBefore: Date.now() + 60_000, answerBytes: 350, recordsBefore: 0 });
      assert.equal(await left(), 0);
      assert.deepEqual(await store.rows.spent(payer.key), [[0, 6]].flatMap(() => Array.from({ length: 6 }, (_, at) => [at, at + 1])));
      await store.rows.purge({ answersBefore: 0, answerBytes: 0, recordsBefore: payer.expiresAt + 1 });
      assert.equal(await store.rows.stream(payer.key), undefined);
      assert.deepEqual(await store.rows.spent(payer.key), []);
    });

    test("a failure of a batch sells nothing, and the same id goes on", async (t) => {
      const payer = new Payer();
      const [store] = await stores(t, 1, [payer]);
      const one = spend(payer, { from: 0, to: 1 });
      const { run } = store.rows;
      // Durable, and the answer is lost.
      store.rows.run = async (...given) => (await run.apply(store.rows, given), Promise.reject(new Error("lost")));
      await assert.rejects(store.spend(one), /lost/);
      store.rows.run = run;
      const outcome = await store.spend(one);
      assert.deepEqual([outcome.step, outcome.record.attempt], ["serve", 2]);
      await store.settle(outcome.record, 1);
      assert.deepEqual(await store.rows.spent(payer.key), [[0, 1]]);
    });
  });
}

test("a database that goes away for a moment is met again", async (t) => {
  const payer = new Payer();
  const store = postgres(pool);
  t.after(() => store.end());
  await furnish(store, payer);
  await store.spend(spend(payer, { from: 0, to: 1 }));
  // Every connection of the pool is cut in the middle of its work.
  const cut = Array.from({ length: 8 }, (_, at) => store.spend(spend(payer, { from: 10 + at, to: 11 + at })).catch((error) => error));
  const knife = new pg.Client({ connectionString: server.url });
  await knife.connect();
  await knife.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'");
  await knife.end();
  await Promise.all(cut);
  let outcome;
  do outcome = await store.spend(spend(payer, { from: 50, to: 51 })).catch(() => undefined);
  while (outcome === undefined);
  assert.equal(outcome.step, "serve");
});

/** Numbers that a seed repeats. */
function mulberry(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
