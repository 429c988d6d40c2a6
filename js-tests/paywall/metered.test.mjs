// Answers whose price is known at the end: what is paid is delivered, what was delivered is charged, and the rest waits.

import assert from "node:assert/strict";
import { test } from "node:test";
import { packageFile } from "../support/env.mjs";
import { Payer, UNIT, answerOf, eventOf, opened, requiredOf } from "../support/paying.mjs";

const utf8 = new TextEncoder();
const ask = (route, headers, handler, { method = "GET", path = "/" } = {}) => route.handle(new Request(`http://10.0.0.7${path}`, { method, headers }), handler);
const codeOf = async (response) => (await response.json()).error.code;

/** A body that gives what it is told to, one piece for each time that it is asked. */
function body(pieces, type = "text/plain") {
  const left = [...pieces];
  const told = { asked: 0, left: false };
  const stream = new ReadableStream(
    {
      async pull(controller) {
        told.asked += 1;
        if (left.length === 0) return controller.close();
        const next = await left.shift();
        if (next instanceof Error) controller.error(next);
        else controller.enqueue(typeof next === "string" ? utf8.encode(next) : next);
      },
      cancel: () => void (told.left = true),
    },
    { highWaterMark: 0 },
  );
  return { told, handler: () => new Response(stream, { headers: { "content-type": type } }) };
}

/** Events of a stream, as a page reads them. */
async function* events(response) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      yield { event: field("event"), data: field("data") };
    }
  }
}

const side = async (route, payer, session, how = {}) => {
  const { headers, payment } = await payer.pays({ method: "POST", ...how });
  return { payment, response: await ask(route, { ...headers, "payment-session": session }, () => assert.fail("a side request runs no handler"), { method: "POST" }) };
};

test("bytes: what is paid goes out, the rest waits for the next word, and the end is charged in whole units", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  // Ten bytes a unit.
  const route = wall.route({ price: { perByte: UNIT / 10n }, first: 2 });
  assert.equal(requiredOf(await ask(route, {}, () => {})).terms[0].units, 2);
  const { handler } = body(["a".repeat(15), "b".repeat(10), "c".repeat(8)]);
  const { headers, payment } = await payer.pays({ units: 2 });
  const response = await ask(route, headers, handler);
  assert.equal(response.status, 200);
  assert.deepEqual([answerOf(response).metered, answerOf(response).charged], [true, undefined]);
  const reader = response.body.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  assert.equal(await read(), "a".repeat(15));
  assert.equal(await read(), "b".repeat(5));
  const rest = read();
  const more = await side(route, payer, payment.id, { units: 2 });
  assert.equal(more.response.status, 204);
  assert.equal(answerOf(more.response).metered, true);
  assert.equal(await rest, "b".repeat(5));
  assert.equal(await read(), "c".repeat(8));
  assert.equal((await reader.read()).done, true);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 2], [2, 4]]);
  // A side request tells afterwards, for each interval.
  for (const id of [payment.id, more.payment.id]) {
    const told = await ask(route, { "payment-session": id }, () => {}, { method: "POST" });
    assert.deepEqual([told.status, answerOf(told).charged], [204, 2]);
  }
});

test("bytes: a body that is not paid to its end is cut and does not pass for the whole", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer], patience: 1 });
  const route = wall.route({ price: { perByte: UNIT / 10n }, first: 1 });
  const { told, handler } = body(["a".repeat(30), "b"]);
  const response = await ask(route, (await payer.pays()).headers, handler);
  const reader = response.body.getReader();
  assert.equal((await reader.read()).value.length, 10);
  await assert.rejects(reader.read(), { code: "not-paid" });
  assert.equal(told.left, true);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 1]]);
});

test("what is not asked for is not fetched, and a reader who leaves pays for what it got", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: { perByte: UNIT / 10n }, first: 10 });
  const { told, handler } = body(Array.from({ length: 9 }, () => "x".repeat(10)));
  const { headers, payment } = await payer.pays({ units: 10 });
  const response = await ask(route, headers, handler);
  const reader = response.body.getReader();
  for (let piece = 0; piece < 3; piece += 1) await reader.read();
  assert.equal(told.asked, 3);
  await reader.cancel();
  assert.equal(told.left, true);
  for (;;) {
    const answer = answerOf(await ask(route, { "payment-session": payment.id }, () => {}, { method: "POST" }));
    if (answer.metered) {
      await new Promise(setImmediate);
      continue;
    }
    assert.equal(answer.charged, 3);
    break;
  }
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 3]]);
  // The rest may be used by another id.
  assert.equal((await ask(route, (await payer.pays({ from: 3, units: 10 })).headers, body(["y"]).handler)).status, 200);
});

test("a handler that breaks half way is paid for what it gave, one that fails at once for nothing", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: { perByte: UNIT / 10n }, first: 5 });
  const response = await ask(route, (await payer.pays({ units: 5 })).headers, body(["x".repeat(11), new Error("disk")]).handler);
  await assert.rejects(response.text(), /disk/);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 2]]);
  const failed = await ask(route, (await payer.pays({ from: 5, units: 5 })).headers, () => new Response("no", { status: 503 }));
  assert.equal(answerOf(failed).charged, 0);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 2]]);
});

test("events: the reader is told between two of them, pays in time, and is told the end", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: { used: true }, first: 3, margin: 1 });
  let go;
  const gone = new Promise((resolve) => (go = resolve));
  const handler = (_, payment) => {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    void (async () => {
      for (let token = 0; token < 6; token += 1) {
        await payment.use(UNIT);
        // One event in two pieces: nothing of ours comes between.
        await writer.write(utf8.encode(`event: token\nda`));
        await writer.write(utf8.encode(`ta: ${token}\n\n`));
      }
      await writer.close();
      go();
    })();
    return new Response(readable, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
  };
  const { headers, payment } = await payer.pays({ units: 3 });
  const response = await ask(route, headers, handler);
  const seen = [];
  for await (const { event, data } of events(response)) {
    if (event === "token") seen.push(Number(data));
    else {
      const told = eventOf(data);
      seen.push(told.end ? ["end", told.from, told.used] : ["near", told.used, told.paid]);
      if (!told.end) assert.equal((await side(route, payer, payment.id, { units: 2 })).response.status, 204);
    }
  }
  await gone;
  const tokens = seen.filter((each) => typeof each === "number");
  assert.deepEqual(tokens, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(seen.filter((each) => each[0] === "end"), [["end", 0, 3], ["end", 3, 5], ["end", 5, 6], ["end", 7, 7]]);
  assert.ok(seen.findIndex((each) => each[0] === "near") <= 3);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 3], [3, 5], [5, 6]]);
  assert.equal(await codeOf((await side(route, payer, payment.id)).response), "session-ended");
});

test("events by the byte: nothing of ours comes into the middle of one", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: { perByte: UNIT / 10n }, first: 3, margin: 1 });
  // The margin is reached with the second half.
  const { handler } = body(["data: 123456789", "012345678\n", "\n", "data: 2\n\n"], "text/event-stream");
  const { headers, payment } = await payer.pays({ units: 3 });
  const seen = [];
  for await (const { event, data } of events(await ask(route, headers, handler))) {
    seen.push(event === "farthing" ? eventOf(data).used : data);
    if (seen.length === 2) assert.equal((await side(route, payer, payment.id)).response.status, 204);
  }
  assert.deepEqual(seen, ["123456789012345678", 3, 4, "2", 3, 4]);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 3], [3, 4]]);
});

test("use() says when nothing more is paid", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer], patience: 1 });
  const route = wall.route({ price: { used: true }, first: 2 });
  let failure;
  const response = await ask(route, (await payer.pays({ units: 2 })).headers, async (_, payment) => {
    await payment.use(UNIT + 1n);
    failure = await payment.use(UNIT).catch((error) => error.code);
    return new Response("what was used", { headers: { "content-type": "text/plain" } });
  });
  assert.equal(failure, "not-paid");
  await response.text().catch(() => {});
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 2]]);
});

test("seconds: the clock runs while the reader waits for us, stands while it does not, and stops where payment ends", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer], patience: 5 });
  const route = wall.route({ price: { perSecond: UNIT }, first: 10, margin: 3 });
  let give;
  const stream = new ReadableStream({ pull: (controller) => new Promise((resolve) => (give = (text) => (controller.enqueue(utf8.encode(text)), resolve()))) }, { highWaterMark: 0 });
  const { headers, payment } = await payer.pays({ units: 10 });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const settled = () => new Promise(setImmediate);
  const pass = async (milliseconds) => {
    await settled();
    now += milliseconds;
    t.mock.timers.tick(milliseconds);
    await settled();
  };
  const response = await ask(route, headers, () => new Response(stream, { headers: { "content-type": "text/event-stream" } }));
  const reader = response.body.getReader();
  const read = async () => new TextDecoder().decode((await reader.read()).value);
  const place = (text) => eventOf(text.split("data: ")[1]);

  const first = read();
  await pass(2_500);
  give("data: 1\n\n");
  assert.equal(await first, "data: 1\n\n");
  // It asks for nothing more: a minute costs nothing.
  await pass(60_000);
  const near = read();
  await pass(4_501);
  assert.deepEqual([place(await near).used, place(await near).paid], [8, 10]);
  // The pull is still open, and its clock runs to the end of what is paid.
  await pass(3_000);
  let got;
  const second = read().then((text) => (got = text));
  give("data: 2\n\n");
  await pass(2_000);
  assert.equal(got, undefined);
  assert.equal((await side(route, payer, payment.id, { units: 5 })).response.status, 204);
  assert.equal(await second, "data: 2\n\n");
  const third = read();
  await pass(2_001);
  assert.deepEqual([place(await third).from, place(await third).used], [10, 13]);
  const fourth = read();
  await pass(5_000);
  // Nobody pays on: it ends after five seconds of patience, and what was paid is charged.
  await pass(5_000);
  const ends = [place(await fourth)];
  for (let text = await read(); text !== ""; text = await read()) ends.push(place(text));
  assert.deepEqual(ends.map(({ from, used, end }) => [from, used, end]), [[0, 10, true], [10, 15, true]]);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 10], [10, 15]]);
});

test("a session that another process serves is paid by whichever is asked, and a crash does not charge it twice", async (t) => {
  const payer = new Payer();
  const { sqlite } = await packageFile("paywall/index.mjs");
  const { wall, store } = await opened(t, { payers: [payer] });
  const { wall: other } = await opened(t, { store: sqlite(store.rows.path) });
  const price = { price: { perByte: UNIT / 10n }, first: 1 };
  const [here, there] = [wall.route(price), other.route(price)];
  const { headers, payment } = await payer.pays();
  const response = await ask(here, headers, body(["x".repeat(20)]).handler);
  const reader = response.body.getReader();
  assert.equal((await reader.read()).value.length, 10);
  const rest = reader.read();
  assert.equal((await side(there, payer, payment.id)).response.status, 204);
  assert.equal((await rest).value.length, 10);
  assert.equal((await reader.read()).done, true);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 1], [1, 2]]);
  // Again by the same id: no more than was paid, and nothing is charged.
  const second = await ask(there, headers, body(["x".repeat(10)]).handler);
  assert.equal((await second.text()).length, 10);
  assert.deepEqual(await store.rows.spent(payer.key), [[0, 1], [1, 2]]);
});

test("side requests are for their own resource, by POST, and need a session", async (t) => {
  const payer = new Payer();
  const { wall, store } = await opened(t, { payers: [payer] });
  const route = wall.route({ price: { perByte: UNIT / 10n }, first: 1 });
  const { headers, payment } = await payer.pays();
  const response = await ask(route, headers, body(["x".repeat(20)]).handler);
  const reader = response.body.getReader();
  await reader.read();
  const no = async (code, how, session = payment.id, at = { method: "POST" }) => {
    const { headers: paid } = await payer.pays({ method: "POST", ...how });
    assert.equal(await codeOf(await ask(route, { ...paid, "payment-session": session }, () => {}, at)), code);
  };
  await no("session-ended", {}, `0x${"12".repeat(16)}`);
  await no("bad-payment", {}, "nonsense");
  await no("wrong-resource", { url: "/other" }, payment.id, { method: "POST", path: "/other" });
  await no("wrong-resource", { method: "GET" }, payment.id, { method: "GET" });
  await no("wrong-resource", { method: "GET" });
  await no("interval-spent", { from: 0, units: 1 });
  await reader.cancel();
  assert.equal((await store.rows.session(payment.id)).length, 1);
});
