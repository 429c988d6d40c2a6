// The same paywall in Express, in Hono, in plain Node and as a Next handler, over real sockets.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { describe, test } from "node:test";
import { Readable, pipeline } from "node:stream";
import { serve } from "@hono/node-server";
import Express from "express";
import { Hono } from "hono";
import { Payer, UNIT, answerOf, eventOf, opened, requiredOf } from "../support/paying.mjs";

/** Listens until the test is over, and gives the address. */
async function listening(t, server) {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}`;
}

const utf8 = new TextEncoder();

/** One site, as each framework has it: what its routes do is the same. */
const FRAMEWORKS = {
  async express(t, wall) {
    const app = Express();
    const route = wall.route({ name: "article", price: 2n * UNIT });
    const paid = route.express();
    app.get("/article", paid, (req, res) => res.set("cache-control", "public").send(`for ${req.payment.from}`));
    app.get("/late", paid, (req, res) => setImmediate(() => res.json({ late: true })));
    app.get("/fault", paid, () => { throw new Error("a fault"); });
    app.get("/broken", paid, (req, res) => pipeline(brokenStream(), res.type("text/plain"), () => {}));
    app.get("/long", paid, (req, res) => pipeline(longStream(), res.type("text/plain"), () => {}));
    app.post("/once", paid, (req, res) => res.status(201).send(`run ${(runs += 1)}`));
    app.get("/film", wall.route({ name: "film", price: { perByte: UNIT / 1000n }, first: 4 }).express(), (req, res) => pipeline(Readable.from(film()), res.type("video/mp4"), () => {}));
    app.get("/score", wall.route({ name: "score", price: { used: true }, first: 2, margin: 1 }).express(), async (req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.flushHeaders();
      for (let move = 0; move < 4; move += 1) {
        await req.payment.use(UNIT);
        res.write(`data: ${move}\n\n`);
      }
      res.end();
    });
    // A side request comes to the same URL by POST.
    app.post("/film", wall.route({ name: "film", price: { perByte: UNIT / 1000n }, first: 4 }).express(), () => assert.fail());
    app.post("/score", wall.route({ name: "score", price: { used: true }, first: 2 }).express(), () => assert.fail());
    app.options("/article", paid);
    app.use((error, req, res, next) => void (res.headersSent ? next(error) : res.status(500).send("sorry")));
    return listening(t, createServer(app));
  },

  async hono(t, wall) {
    const app = new Hono();
    const paid = wall.route({ name: "article", price: 2n * UNIT }).hono();
    app.on(["GET", "OPTIONS"], "/article", paid, (c) => c.text(`for ${c.get("payment").from}`, 200, { "cache-control": "public" }));
    app.get("/late", paid, (c) => new Promise((resolve) => setImmediate(() => resolve(c.json({ late: true })))));
    app.get("/fault", paid, () => { throw new Error("a fault"); });
    app.get("/broken", paid, () => new Response(Readable.toWeb(brokenStream()), { headers: { "content-type": "text/plain" } }));
    app.get("/long", paid, () => new Response(Readable.toWeb(longStream()), { headers: { "content-type": "text/plain" } }));
    app.post("/once", paid, (c) => c.text(`run ${(runs += 1)}`, 201));
    app.on(["GET", "POST"], "/film", wall.route({ name: "film", price: { perByte: UNIT / 1000n }, first: 4 }).hono(), () => new Response(Readable.toWeb(Readable.from(film())), { headers: { "content-type": "video/mp4" } }));
    app.on(["GET", "POST"], "/score", wall.route({ name: "score", price: { used: true }, first: 2, margin: 1 }).hono(), (c) => new Response(score(c.get("payment")), { headers: { "content-type": "text/event-stream" } }));
    app.onError((error, c) => c.text("sorry", 500));
    const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1", overrideGlobalObjects: false });
    await once(server, "listening");
    return listening(t, server);
  },

  async next(t, wall) {
    const route = wall.route({ name: "article", price: 2n * UNIT });
    const film_ = wall.route({ name: "film", price: { perByte: UNIT / 1000n }, first: 4 });
    const score_ = wall.route({ name: "score", price: { used: true }, first: 2, margin: 1 });
    const handlers = {
      "/article": route.next((request) => new Response(`for ${placeOf(request)}`, { headers: { "cache-control": "public" } })),
      "/late": route.next(() => new Promise((resolve) => setImmediate(() => resolve(Response.json({ late: true }))))),
      "/fault": route.next(() => { throw new Error("a fault"); }),
      "/broken": route.next(() => new Response(Readable.toWeb(brokenStream()), { headers: { "content-type": "text/plain" } })),
      "/long": route.next(() => new Response(Readable.toWeb(longStream()), { headers: { "content-type": "text/plain" } })),
      "/once": route.next(() => new Response(`run ${(runs += 1)}`, { status: 201 })),
      "/film": film_.next(() => new Response(Readable.toWeb(Readable.from(film())), { headers: { "content-type": "video/mp4" } })),
      "/score": (request) => score_.handle(request, (_, payment) => new Response(score(payment), { headers: { "content-type": "text/event-stream" } })),
    };
    const fetch = (request) => handlers[new URL(request.url).pathname](request).catch(() => new Response("sorry", { status: 500 }));
    const server = serve({ fetch, port: 0, hostname: "127.0.0.1", overrideGlobalObjects: false });
    await once(server, "listening");
    return listening(t, server);
  },
};

let runs = 0;
/** What the payment of a request says; a Next handler has the request alone. */
const placeOf = (request) => JSON.parse(Buffer.from(request.headers.get("payment-signature"), "base64")).payload.from;

function* film() {
  for (let piece = 0; piece < 6; piece += 1) yield Buffer.alloc(1_000, piece);
}

function score(payment) {
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  void (async () => {
    for (let move = 0; move < 4; move += 1) {
      await payment.use(UNIT);
      await writer.write(utf8.encode(`data: ${move}\n\n`));
    }
    await writer.close();
  })();
  return readable;
}

const brokenStream = () => {
  let sent = false;
  return new Readable({
    read() {
      if (sent) return this.destroy(new Error("the disk is gone"));
      sent = true;
      this.push("half");
    },
  });
};

let longGone;
const longStream = () => {
  let left;
  longGone = new Promise((resolve) => (left = resolve));
  return new Readable({ read() { this.push(Buffer.alloc(16_384, 120)); }, destroy: (error, done) => (left(), done(error)) });
};

for (const [name, start] of Object.entries(FRAMEWORKS)) {
  describe(name, () => {
    async function site(t, options) {
      const payer = new Payer();
      const { wall, store, errors } = await opened(t, { payers: [payer], ...options });
      const base = await start(t, wall);
      const ask = async (path, { method = "GET", headers = {}, ...how } = {}) => {
        const paid = how.pay === false ? { headers: {} } : await payer.pays({ url: path, method, units: 2, ...how });
        const response = await fetch(base + path, { method, headers: { ...paid.headers, ...headers } });
        return { response, ...paid };
      };
      // What is settled after the answer comes soon; a test that never sees it never ends.
      const until = async (wanted) => {
        for (;;) {
          const spent = await store.rows.spent(payer.key);
          if (JSON.stringify(spent) === JSON.stringify(wanted)) return;
          await new Promise(setImmediate);
        }
      };
      return { payer, store, errors, base, ask, until };
    }

    test("asked, paid, and asked again", async (t) => {
      const { ask, base, until } = await site(t);
      const asked = await ask("/article", { pay: false, headers: { accept: "text/html", origin: "https://reader.example" } });
      assert.equal(asked.response.status, 402);
      assert.equal(requiredOf(asked.response).terms[0].units, 2);
      assert.match(await asked.response.text(), /0\.002 DAI/);
      assert.equal(asked.response.headers.get("access-control-allow-origin"), "*");
      const first = await ask("/article");
      assert.equal(await first.response.text(), "for 0");
      assert.equal(answerOf(first.response).charged, 2);
      assert.equal(first.response.headers.get("cache-control"), "private, no-store");
      await until([[0, 2]]);
      const second = await fetch(`${base}/article`, { headers: first.headers });
      assert.equal(await second.text(), "for 0");
      assert.equal(answerOf(second).charged, 2);
      const late = await ask("/late");
      assert.deepEqual(await late.response.json(), { late: true });
      assert.equal(answerOf(late.response).charged, 2);
      const preflight = await fetch(`${base}/article`, { method: "OPTIONS", headers: { origin: "https://a.example", "access-control-request-method": "GET" } });
      assert.equal(preflight.status, 204);
      assert.match(preflight.headers.get("access-control-allow-headers"), /PAYMENT-SIGNATURE/);
    });

    test("a handler's fault is free", async (t) => {
      const { ask, until } = await site(t);
      const { response } = await ask("/fault");
      assert.equal(response.status, 500);
      assert.equal(await response.text(), "sorry");
      if (name !== "next") assert.equal(answerOf(response).charged, 0);
      assert.equal(response.headers.get("cache-control") === "private, no-store", name !== "next");
      await until([]);
    });

    test("a body that breaks is free, one whose reader leaves is not", async (t) => {
      const { ask, until } = await site(t);
      // Perhaps before its head was out.
      await assert.rejects(ask("/broken").then(({ response }) => response.text()));
      await until([]);
      const long = await ask("/long");
      const reader = long.response.body.getReader();
      await reader.read();
      await reader.cancel();
      await longGone;
      await until([[2, 4]]);
    });

    test("a POST runs once", async (t) => {
      const { ask, base, until } = await site(t);
      runs = 0;
      const { response, headers } = await ask("/once", { method: "POST" });
      assert.deepEqual([response.status, await response.text(), runs], [201, "run 1", 1]);
      const again = await fetch(`${base}/once`, { method: "POST", headers });
      assert.deepEqual([again.status, await again.text(), runs], [201, "run 1", 1]);
      await until([[0, 2]]);
    });

    test("a metered body goes on as it is paid, and is charged as it was read", async (t) => {
      const { ask, until } = await site(t);
      const { response, payment } = await ask("/film", { units: 4 });
      assert.equal(answerOf(response).metered, true);
      let size = 0;
      const reader = response.body.getReader();
      while (size < 4_000) size += (await reader.read()).value.length;
      assert.equal(size, 4_000);
      const rest = reader.read();
      const side = await ask("/film", { method: "POST", units: 5, headers: { "payment-session": payment.id } });
      assert.equal(side.response.status, 204);
      for (let read = await rest; !read.done; read = await reader.read()) size += read.value.length;
      assert.equal(size, 6_000);
      await until([[0, 4], [4, 6]]);
    });

    test("events are metered, and the reader is told", async (t) => {
      const { ask, until } = await site(t);
      const { response, payment } = await ask("/score", { units: 2 });
      const seen = [];
      let text = "";
      const decoder = new TextDecoder();
      for await (const bytes of response.body) {
        text += decoder.decode(bytes, { stream: true });
        for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
          const [line, data] = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          if (data === undefined) seen.push(line.slice(6));
          else if (eventOf(data.slice(6)).paid === 2 && !eventOf(data.slice(6)).end) {
            assert.equal((await ask("/score", { method: "POST", units: 3, headers: { "payment-session": payment.id } })).response.status, 204);
          }
        }
      }
      assert.deepEqual(seen, ["0", "1", "2", "3"]);
      await until([[0, 2], [2, 4]]);
    });

    test("a reader who is gone before the answer is charged when there is one, and gets it by the same id", async (t) => {
      const { base, payer, until } = await site(t);
      const { headers } = await payer.pays({ url: "/late", units: 2 });
      const request = httpRequest(`${base}/late`, { headers });
      request.on("error", () => {});
      request.end();
      await once(request, "socket");
      const socket = request.socket;
      if (socket.connecting) await once(socket, "connect");
      socket.write("");
      await new Promise(setImmediate);
      request.destroy();
      const again = async () => {
        for (;;) {
          const response = await fetch(`${base}/late`, { headers });
          if (response.status !== 409) return response;
          await response.arrayBuffer();
        }
      };
      assert.deepEqual(await (await again()).json(), { late: true });
      await until([[0, 2]]);
    });
  });
}
