// `fetch` that pays as an answer runs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UNIT, article, open, payerOf, read } from "../support/fetching.mjs";

/** An event stream that is paid by the tick: it tells one tick before it has to stop. */
function film(site, ticks) {
  const route = {
    units: 5,
    metered: true,
    serve(request, response, { sale }) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const session = { sales: [], used: 0, told: 0, pay: (one) => (session.sales.push(one), session.go()) };
      session.go = () => {
        const paid = () => session.sales.reduce((sum, { from, to }) => sum + to - from, 0);
        const place = (used) => session.sales.find(({ from, to }) => ((used -= to - from) <= 0 ? ((session.left = used + to - from), true) : false)) ?? session.sales.at(-1);
        const tell = (one, used, end) => response.write(`event: farthing\ndata: ${JSON.stringify({ key: one.key, id: one.id, from: one.from, paid: one.to, used, ...(end && { end }) })}\n\n`);
        while (session.used < Math.min(paid(), ticks)) {
          session.used += 1;
          response.write(`data: tick ${session.used}\n\n`);
          if (session.used < ticks && paid() - session.used === 1 && session.told !== paid()) {
            session.told = paid();
            const one = place(session.used);
            tell(one, one.from + session.left);
          }
        }
        if (session.used < ticks) return;
        let left = session.used;
        for (const one of session.sales) {
          one.charged = Math.min(left, one.to - one.from);
          left -= one.charged;
          tell(one, one.from + one.charged, true);
        }
        response.end();
      };
      site().sessions.set(sale.id, session);
      session.pay(sale);
    },
  };
  return route;
}

test("a film is paid as it runs, by further intervals, and what it did not use is used again", async () => {
  const { site, client, get, spending, told } = await payerOf({ "/film": film(() => open[0], 13), "/articles/*": article });
  const response = await get("/film");
  const { meter } = response.payment;
  const seen = await response.text();
  assert.equal(seen.match(/^data: tick/gm).length, 13);
  assert.deepEqual([meter.paid, meter.used, meter.error], [15, 13, undefined]);
  assert.equal(site.charged(), 13);
  assert.equal(told.reduce((sum, { units }) => sum + units, 0), 13);
  assert.equal((await read(await get("/articles/1"))).text, "the article");
  assert.equal(site.log.at(-1).payload.from, 13);
  assert.equal((await spending())[0].amount, 15n * UNIT);
  assert.equal(client.calls.length, 1);
});

test("a film that is paused is not paid, and goes on when it is wanted", async () => {
  const { site, get } = await payerOf({ "/film": film(() => open[0], 13) });
  const response = await get("/film");
  const { meter } = response.payment;
  meter.pause();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  while (!seen.includes("tick 5")) seen += (await reader.read()).value;
  assert.equal(site.asked("/film"), 2);
  assert.deepEqual([meter.paid, site.charged()], [5, 5]);
  meter.resume();
  for (let next; !(next = await reader.read()).done; ) seen += next.value;
  assert.match(seen, /tick 13/);
  assert.equal(site.charged(), 13);
});

test("further payments of a film that the server refuses are not counted, and said", async () => {
  const { site, get } = await payerOf({ "/film": film(() => open[0], 13), "/articles/*": article });
  const response = await get("/film");
  site.sessions.clear();
  const reader = response.body.getReader();
  const { meter } = response.payment;
  await reader.read();
  while (!meter.error) await new Promise((done) => setImmediate(done));
  assert.match(String(meter.error), /refused/);
  assert.equal(meter.paid, 5);
  await reader.cancel();
  await read(await get("/articles/1"));
  assert.equal(site.log.at(-1).payload.from, 5);
});
