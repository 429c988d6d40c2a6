// Four server processes over one store, and SIGKILL: at every point between two steps, and at random under load. The payer, who
// asks again with the same id until it has its answer, is never charged twice, and no unit is sold twice.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { packageFile } from "../support/env.mjs";
import { Payer, answerOf, folder, furnish, requiredOf } from "../support/paying.mjs";
import { startPostgres } from "../support/postgres.mjs";

const { report, sqlite, postgres } = await packageFile("paywall/index.mjs");
const KILLS = Number(process.env.FARTHING_KILLS ?? 24);
const PROGRAM = fileURLToPath(new URL("../support/paywall-server.mjs", import.meta.url));

let database;
before(async () => (database = await startPostgres()));
after(() => database.stop());

const KINDS = {
  sqlite: (t) => {
    const path = join(folder(t), "paywall.db");
    return { url: path, open: () => sqlite(path) };
  },
  async postgres(t) {
    const name = `site_${randomBytes(4).toString("hex")}`;
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`CREATE DATABASE ${name}`);
    await client.end();
    const url = database.url.replace(/postgres$/, name);
    const pool = new pg.Pool({ connectionString: url, max: 2 });
    t.after(() => pool.end());
    return { url, open: () => postgres(pool) };
  },
};

/** A server process: its address, and for whom its handler ran. */
async function start(t, url, ran, crash) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], { env: { ...process.env, STORE: url, ...(crash && { CRASH: crash }) }, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(() => child.kill("SIGKILL"));
  const port = await new Promise((resolve, reject) => {
    void ended.then(() => reject(new Error("the server ended before it listened")));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [what, value] = line.split(" ");
      if (what === "listening") resolve(Number(value));
      else ran.push(value);
    });
  });
  return { base: `http://127.0.0.1:${port}`, ended, kill: () => (child.kill("SIGKILL"), ended) };
}

/** Asks until there is an answer: whatever comes between, with the same id. */
async function persist(baseOf, path, headers) {
  for (;;) {
    let response, text;
    try {
      response = await fetch(baseOf() + path, { headers });
      text = await response.text();
    } catch {
      // It died, or is not there yet.
      await new Promise(setImmediate);
      continue;
    }
    if (response.status !== 503 && !(response.status === 409 && JSON.parse(text).error.code === "in-progress")) return { response, text };
    await new Promise(setImmediate);
  }
}

for (const [kind, make] of Object.entries(KINDS)) {
  describe(kind, () => {
    for (const crash of ["before-sale", "after-sale", "in-handler", "half-way", "before-settlement", "after-settlement"]) {
      test(`a process dies ${crash}: the same id goes on in another`, async (t) => {
        const { url, open } = await make(t);
        const payer = new Payer();
        const store = open();
        t.after(() => store.end());
        await furnish(store, payer);
        const ran = [];
        const [dying, other] = await Promise.all([start(t, url, ran, crash), start(t, url, ran)]);
        const { headers, payment } = await payer.pays({ units: 2, url: "/a" });
        await fetch(`${dying.base}/a`, { headers }).then((response) => response.text()).catch(() => {});
        await dying.ended;
        // Nobody else gets its units meanwhile.
        if (crash !== "before-sale") {
          const thief = await payer.pays({ from: 1, units: 2, url: "/a" });
          const { response } = await persist(() => other.base, "/a", thief.headers);
          assert.equal(requiredOf(response).code, "interval-spent");
        }
        const { response, text } = await persist(() => other.base, "/a", headers);
        assert.deepEqual([response.status, text, answerOf(response).charged], [200, `read ${payment.id}`, 2]);
        for (;;) {
          const { routes } = await report({ store });
          if (routes[0]?.open > 0) {
            await new Promise(setImmediate);
            continue;
          }
          assert.deepEqual(routes.map(({ requests, free, income }) => [requests, free, income]), [[1, 0, 2n * 10n ** 15n]]);
          break;
        }
        assert.deepEqual(await store.rows.spent(payer.key), [[0, 2]]);
        assert.ok(ran.every((id) => id === payment.id) && ran.length <= 2, String(ran));
      });
    }

    test(`four processes, ${KILLS} kills, and readers who ask again`, { timeout: 240_000 }, async (t) => {
      const { url, open } = await make(t);
      const payers = Array.from({ length: 4 }, () => new Payer({ units: 8_000 }));
      const store = open();
      t.after(() => store.end());
      await furnish(store, ...payers);
      const ran = [];
      const servers = await Promise.all(Array.from({ length: 4 }, () => start(t, url, ran)));
      const baseOf = () => servers[Math.floor(Math.random() * servers.length)].base;
      let kills = 0;
      let done = false;
      const results = [];

      const reader = async (payer) => {
        while (!done) {
          // Forward, with gaps; at times over what somebody has, at times one that fails.
          const back = Math.random() < 0.15 && payer.place > 6;
          const from = back ? Math.floor(Math.random() * payer.place) : payer.place + (Math.random() < 0.2 ? 1 : 0);
          if (from + 3 > payer.units) return;
          const path = Math.random() < 0.1 ? "/fails" : "/article";
          const { headers, payment } = await payer.pays({ from, units: 2 + Math.floor(Math.random() * 2), url: path });
          const { response, text } = await persist(baseOf, path, headers);
          if (response.status === 200) {
            assert.equal(text, `read ${payment.id}`);
            // By the price; who sent more has the rest back.
            assert.equal(answerOf(response).charged, 2);
          } else if (response.status === 500) assert.equal(answerOf(response).charged, 0);
          else assert.equal(requiredOf(response).code, "interval-spent");
          results.push({ ...payment, status: response.status });
        }
      };
      const readers = payers.flatMap((payer) => [reader(payer), reader(payer), reader(payer)]);
      while (kills < KILLS) {
        // So many answers later.
        const next = results.length + 5 + Math.floor(Math.random() * 25);
        while (results.length < next) await new Promise((resolve) => setTimeout(resolve, 1));
        const victim = Math.floor(Math.random() * servers.length);
        await servers[victim].kill();
        servers[victim] = await start(t, url, ran);
        kills += 1;
      }
      done = true;
      await Promise.all(readers);

      const sold = results.filter(({ status }) => status === 200);
      t.diagnostic(`${results.length} asked for, ${sold.length} sold, ${results.filter(({ status }) => status === 500).length} failed, ${ran.length} runs, ${kills} kills`);
      assert.ok(sold.length > KILLS && ran.length >= sold.length);
      for (const payer of payers) {
        const units = new Map();
        for (const { key, id, from } of sold) {
          if (key !== payer.key) continue;
          for (let unit = from; unit < from + 2; unit += 1) {
            assert.equal(units.get(unit), undefined, `unit ${unit} is sold to ${id} and ${units.get(unit)}`);
            units.set(unit, id);
          }
        }
        // What was charged is what was served, to the unit.
        for (;;) {
          const spent = (await store.rows.spent(payer.key)).flatMap(([from, to]) => Array.from({ length: to - from }, (_, step) => from + step));
          if (spent.length > units.size) {
            await new Promise(setImmediate);
            continue;
          }
          assert.deepEqual(spent, [...units.keys()].sort((a, b) => a - b));
          break;
        }
        const { best, word } = await store.rows.stream(payer.key);
        assert.equal(word, payer.word(best));
      }
      assert.ok(sold.every(({ id }) => ran.includes(id)));
    });
  });
}
