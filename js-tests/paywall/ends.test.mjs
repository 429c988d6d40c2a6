// The rest of a grant, asked back from its site: by its payer alone, after which nobody sells by it, and what was sold is all that
// is taken. The engine is a stand-in that keeps the words that it takes.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { keccak_256 } from "@noble/hashes/sha3.js";
import pg from "pg";
import { packageFile } from "../support/env.mjs";
import { CONTRACT, ORIGIN, PAYEE, Payer, SITE, UNIT, encode, folder, furnish } from "../support/paying.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { settings } from "../support/properties.mjs";

const { paywall, postgres, sqlite } = await packageFile("paywall/index.mjs");

const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const random = (size) => hex(randomBytes(size));

/** A payer whose ids have the tail of its seal, as those of `farthing/pay`. */
class Page extends Payer {
  seal = random(32);
  id() {
    return `${random(6)}${hex(keccak_256(Buffer.from(this.seal.slice(2), "hex"))).slice(-20)}`;
  }
  payment(how = {}) {
    return super.payment({ id: this.id(), ...how });
  }
  /** What asks for the rest, to be changed by a test. */
  end(how = {}) {
    const { place } = this;
    return super.payment({ id: this.id(), from: 0, to: 0, word: this.seal, ...how }).finally(() => (this.place = place));
  }
}

class Incoming {
  proved = 0;
  ended = false;
  constructor(payer) {
    const { key, condition, params, token, symbol, units } = payer.stream();
    Object.assign(this, { payer, key, condition, params, token, asset: symbol, units, unitPrice: payer.unitPrice, revealBy: payer.expiresAt });
    this.gone = new Promise((resolve) => (this.go = resolve));
  }
  take({ to, word }) {
    assert.equal(word, this.payer.word(to));
    this.proved = to;
  }
  async giveUp() {
    if (this.away) throw new Error("not-connected");
    this.ended = true;
    this.go(this.proved);
  }
}

class Engine {
  streams = [];
  info = { address: PAYEE, chainId: SITE.chainId, contract: CONTRACT, connected: true, hub: { url: SITE.hub, assets: SITE.assets.map(({ symbol, token, decimals }) => ({ asset: symbol, token, decimals })) } };
  on(_, listener) {
    this.tell = listener;
    for (const stream of this.streams) listener({ stream });
    return () => {};
  }
  comes(stream) {
    this.streams.push(stream);
    this.tell?.({ stream });
    return stream;
  }
  balances = async () => [];
  payments = async () => [];
}

async function site(t, { store = sqlite(join(folder(t), "paywall.db")), client, ...options } = {}) {
  const errors = [];
  const wall = await paywall({ store, client, origin: ORIGIN, asset: "DAI", unitPrice: UNIT, onError: (error) => errors.push(error), ...options });
  t.after(() => wall.close());
  const served = [];
  const route = wall.route({ name: "article", price: UNIT });
  const ask = async (payment, { at = route, method = "GET", path = "/", serve = () => new Response("text") } = {}) => {
    const headers = payment && { "payment-signature": encode(await payment) };
    const response = await at.handle(new Request(`http://h${path}`, { method, headers }), (request) => (served.push(request.url), serve()));
    const text = await response.text();
    return response.ok ? response.status : JSON.parse(text).error.code;
  };
  return { store, wall, route, ask, served, errors };
}

test("who paid ends the grant: nobody sells by it from then on, and the rest goes back at once", async (t) => {
  const engine = new Engine();
  const { ask, served, store, errors } = await site(t, { client: engine });
  const page = new Page();
  const stream = engine.comes(new Incoming(page));
  const first = await page.payment();
  assert.equal(await ask(first), 200);
  // More was shown than what this costs.
  assert.equal(await ask(page.payment({ from: 5, units: 3 })), 200);
  assert.equal(await ask(page.end()), 204);
  assert.equal(await stream.gone, 6);
  assert.equal(served.length, 2);
  assert.equal(await ask(page.payment()), "stream-ended");
  // What was sold before is served again, and costs nothing more.
  assert.equal(await ask(first), 200);
  assert.deepEqual(await store.rows.spent(page.key), [[0, 1], [5, 6]]);
  // Said again it is true as before.
  assert.equal(await ask(page.end()), 204);
  assert.deepEqual(errors, []);
});

test("nobody else ends it: what is seen of payments, of other grants and of ends that were is of no use", async (t) => {
  const engine = new Engine();
  const { ask, store } = await site(t, { client: engine });
  const [page, other, next] = [new Page(), new Page(), new Page()];
  for (const one of [page, other, next]) engine.comes(new Incoming(one));
  const seen = await page.payment({ units: 4 });
  assert.equal(await ask(seen), 200);
  assert.equal(await ask(other.payment()), 200);
  assert.equal(await ask(next.payment()), 200);
  const ended = await other.end();
  const strangers = {
    "a payment's own id, with its word": page.end({ id: seen.id, word: seen.word }),
    "the tip": page.end({ word: page.chain.tip }),
    "a seal of one's own": page.end({ word: random(32) }),
    "a seal and ids of one's own": new Page().end({ key: page.key }),
    "another grant's end": page.end({ id: ended.id, word: ended.word }),
    "the id of a payment, with another grant's seal": page.end({ id: seen.id, word: ended.word }),
    "the seal, with an id that it did not make": page.end({ id: random(16) }),
  };
  for (const [name, how] of Object.entries(strangers)) assert.equal(await ask(how), "bad-word", name);
  assert.equal(await ask(page.end(), { path: "/elsewhere" }), "wrong-resource");
  assert.equal(await ask(page.end(), { method: "POST" }), "wrong-resource");
  assert.equal(await ask(page.end({ payTo: page.token })), "wrong-terms");
  assert.equal(await ask(page.end({ asset: SITE.assets[1].token })), "wrong-terms");
  assert.equal(await ask(page.end({ network: "eip155:1" })), "wrong-terms");
  assert.equal(await ask(page.end({ key: random(32) })), "unknown-stream");
  assert.equal(await ask(other.end()), 204);
  // One that was sent is sent again, as it was and for what came after it.
  assert.equal(await ask(ended), 204);
  assert.equal(await ask({ ...ended, key: next.key }), "bad-word");
  for (const one of [page, next]) {
    assert.equal((await store.rows.stream(one.key)).endedAt, null);
    assert.equal(await ask(one.payment()), 200);
  }
});

test("a grant by which nothing was paid here is nobody's to end", async (t) => {
  const engine = new Engine();
  const { ask, store } = await site(t, { client: engine });
  const page = new Page();
  engine.comes(new Incoming(page));
  assert.equal(await ask(page.end()), "bad-word");
  assert.equal((await store.rows.stream(page.key)).endedAt, null);
});

test("an end is for no handler, whatever its route says of money", async (t) => {
  const engine = new Engine();
  const { wall, ask, served } = await site(t, { client: engine });
  const page = new Page();
  const stream = engine.comes(new Incoming(page));
  assert.equal(await ask(page.payment()), 200);
  served.length = 0;
  const free = wall.route({ name: "free", price: () => 0n });
  const friends = wall.route({ name: "friends", price: UNIT, free: () => true });
  const broken = wall.route({ name: "broken", price: () => assert.fail("a price that can't be had without a query") });
  for (const at of [free, friends, broken]) assert.equal(await ask(page.end({ word: random(32) }), { at }), "bad-word");
  assert.equal(await ask(page.end(), { at: broken }), 204);
  assert.deepEqual(served, []);
  assert.equal(await stream.gone, 1);
});

test("what is being served when the end comes is waited for, and costs what it comes to", async (t) => {
  const engine = new Engine();
  const { ask, wall } = await site(t, { client: engine });
  const page = new Page();
  const stream = engine.comes(new Incoming(page));
  assert.equal(await ask(page.payment()), 200);
  assert.equal(await ask(page.payment()), 200);
  let open;
  const go = await new Promise((begun) => (open = ask(page.payment(), { serve: () => new Promise((done) => begun(done)) })));
  assert.equal(await ask(page.end()), 204);
  await wall.till.look();
  assert.equal(stream.ended, false);
  go(new Response(JSON.stringify({ error: { code: "failed" } }), { status: 500 }));
  assert.equal(await open, "failed");
  // It failed, so that it was for nothing.
  while (!stream.ended) await wall.till.look();
  assert.equal(await stream.gone, 2);
});

test("an end that another process was told, and one that a crash came after", async (t) => {
  const path = join(folder(t), "paywall.db");
  const engine = new Engine();
  const { wall, store } = await site(t, { client: engine, store: sqlite(path) });
  const { ask } = await site(t, { store: sqlite(path) });
  const page = new Page();
  const stream = engine.comes(new Incoming(page));
  let status;
  // Until it has heard of the site.
  do status = await ask(page.payment({ from: 1, units: 1 }));
  while (status === "paywall-unavailable");
  assert.equal(status, 200);
  assert.equal(await ask(page.end()), 204);
  await wall.till.look(false);
  assert.equal(await stream.gone, 2);

  // The hub can't be told, and then the till is gone.
  const [second, late, old] = [new Page(), new Page(), new Page()];
  const left = engine.comes(new Incoming(second));
  left.away = true;
  assert.equal(await ask(second.payment({ from: 2, units: 1 })), 200);
  assert.equal(await ask(second.end()), 204);
  await wall.till.look(false);
  assert.equal(left.ended, false);
  // Of one it is long ago.
  await furnish(store, old);
  await store.rows.endStream(old.key, Date.now() - 3_600_000);
  await wall.close();
  const again = new Engine();
  again.streams = [new Incoming(second), new Incoming(late), new Incoming(old)];
  const reopened = await site(t, { client: again, store: sqlite(path) });
  await reopened.wall.till.look(false);
  assert.equal(await again.streams[0].gone, 3);
  assert.equal(await again.streams[2].gone, 0);
  assert.equal(again.streams[1].ended, false);
});

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
    return () => sqlite(path);
  },
  postgres: () => () => postgres(pool),
};

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind}: an end that races with payments: what is answered with goods was sold before it, once, and is all that is taken`, async (t) => {
    const open = make(t);
    const walls = [await site(t, { store: open() }), await site(t, { store: open() })];
    await walls[0].store.rows.putFact("site", JSON.stringify(SITE));
    const step = fc.record({ at: fc.nat(1), from: fc.nat(9), units: fc.integer({ min: 1, max: 3 }), end: fc.boolean(), fails: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 10 }), fc.nat(9), async (steps, when) => {
        const page = new Page({ units: 12 });
        await furnish(walls[0].store, page);
        assert.equal(await walls[0].ask(page.payment()), 200);
        const bought = new Array(12).fill(0);
        bought[0] = 1;
        let over = false;
        let spentThen;
        await Promise.all(
          steps.map(async ({ at, from, units, end, fails }, index) => {
            if (end && index >= when) {
              assert.equal(await walls[at].ask(page.end()), 204);
              over = true;
              spentThen ??= await walls[at].store.rows.spent(page.key);
              return;
            }
            const began = over;
            const status = await walls[at].ask(page.payment({ from, units }), { serve: () => new Response(fails ? JSON.stringify({ error: { code: "failed" } }) : "text", { status: fails ? 500 : 200 }) });
            if (status === 200) {
              bought[from] += 1;
              assert.equal(began, false, "it was sold after the end");
            } else assert.ok(["failed", "interval-spent", "stream-ended"].includes(status), status);
          }),
        );
        assert.ok(bought.every((times) => times <= 1));
        if (!over) return;
        assert.equal(await walls[1].ask(page.payment({ from: 11, units: 1 })), "stream-ended");
        const places = (all) => new Set(all.flatMap(([from, to]) => Array.from({ length: to - from }, (_, index) => from + index)));
        const [then, now] = [places(spentThen), places(await walls[1].store.rows.spent(page.key))];
        assert.ok(now.isSubsetOf(then), "a unit was sold after the end was stored");
        assert.ok(bought.every((times, place) => times === 0 || now.has(place)), "goods for a unit that is not sold");
      }),
      settings(kind === "sqlite" ? 30 : 15),
    );
    for (const { errors } of walls) assert.deepEqual(errors, []);
  });
}
