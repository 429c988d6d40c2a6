// One process of a site, for the tests that kill it. It says on its output what its handler has run for, and dies at the
// point that it was told: `CRASH=after-sale` and so on.

import { createServer } from "node:http";
import pg from "pg";
import { packageFile } from "./env.mjs";
import { ORIGIN, UNIT } from "./paying.mjs";

const { paywall, postgres, sqlite } = await packageFile("paywall/index.mjs");
const { STORE, CRASH, LEASE = "300" } = process.env;

const options = { lease: Number(LEASE) };
const store = STORE.startsWith("postgres:") ? postgres(new pg.Pool({ connectionString: STORE, max: 6 }), options) : sqlite(STORE, options);
const die = () => process.kill(process.pid, "SIGKILL");

// The points between any two steps: a batch with a sale in it or with a settlement, before and after it is durable.
const { run } = store.rows;
store.rows.run = async (ops, ...rest) => {
  const kind = ops.some(({ type }) => type === "spend") ? "sale" : "settlement";
  if (CRASH === `before-${kind}`) die();
  const outcomes = await run.call(store.rows, ops, ...rest);
  if (CRASH === `after-${kind}`) die();
  return outcomes;
};

const wall = await paywall({ store, origin: ORIGIN, asset: "DAI", unitPrice: UNIT, again: { times: 1_000 }, onError: (error) => process.stderr.write(`${error.message}\n`) });
const route = wall.route({ name: "article", price: 2n * UNIT });
const express = route.express();

const server = createServer((req, res) =>
  express(req, res, (error) => {
    if (error) return res.writeHead(500).end();
    // A pipe is written to at once, so what is said survives the kill.
    process.stdout.write(`ran ${req.payment.id}\n`);
    if (CRASH === "in-handler") die();
    if (CRASH === "half-way") {
      res.writeHead(200, { "content-length": 10 });
      res.write("half");
      return void setImmediate(die);
    }
    if (req.url.startsWith("/fails")) return res.writeHead(500).end("sorry");
    res.end(`read ${req.payment.id}`);
  }),
);
server.listen(0, "127.0.0.1", () => process.stdout.write(`listening ${server.address().port}\n`));
