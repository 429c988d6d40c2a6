// A process of a site, for those who measure it: Express or Hono, one route paid and unpaid, over SQLite or PostgreSQL, with the
// engine in it or beside it. With TILL it has the engine alone. It says on its output where it listens.

import { once } from "node:events";
import { createServer } from "node:http";
import { serve } from "@hono/node-server";
import Express from "express";
import { Hono } from "hono";
import pg from "pg";
import { farthing, packageFile } from "../support/env.mjs";
import { article } from "./article.mjs";

const { HUB, RPC, KEY, ENGINE, STORE, PRICE, FRAMEWORK = "express", TILL, ORIGIN, PAGE, WALLET } = process.env;
const { paywall, postgres, sqlite, till } = await packageFile("paywall/index.mjs");
const UNIT = BigInt(PRICE);

const store = STORE.startsWith("postgres:") ? postgres(new pg.Pool({ connectionString: STORE, max: 8 })) : sqlite(STORE);
const { connect } = await farthing();
const client = KEY && (await connect({ hub: HUB, rpc: RPC, wallet: { privateKey: KEY }, store: ENGINE, pollInterval: 500 }));
if (TILL) {
  await till({ client, store });
  process.stdout.write("listening 0\n");
} else {
  const listener = { server: undefined };
  if (FRAMEWORK === "express") {
    const app = Express();
    listener.server = createServer(app);
    await once(listener.server.listen(0, "127.0.0.1"), "listening");
    const paid = await route();
    if (PAGE) app.use(Express.static(PAGE, { cacheControl: false, etag: false, lastModified: false, setHeaders: (response) => response.setHeader("cache-control", "no-store") }));
    app.get("/free/:id", (req, res) => res.send(article(req.params.id)));
    app.get("/articles/:id", paid.express(), (req, res) => res.send(article(req.params.id)));
  } else {
    const app = new Hono();
    listener.server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1", overrideGlobalObjects: false });
    if (!listener.server.listening) await once(listener.server, "listening");
    const paid = await route();
    app.get("/free/:id", (c) => c.html(article(c.req.param("id"))));
    app.get("/articles/:id", paid.hono(), (c) => c.html(article(c.req.param("id"))));
  }
  const { port } = listener.server.address();
  process.stdout.write(`listening ${port}\n`);

  async function route() {
    const origin = ORIGIN ?? `http://127.0.0.1:${listener.server.address().port}`;
    const wall = await paywall({ store, origin, asset: "ETH", unitPrice: UNIT, minUnits: 10_000, ...(WALLET && { wallet: WALLET }), ...(client && { client }) });
    return wall.route({ name: "articles", price: UNIT });
  }
}
