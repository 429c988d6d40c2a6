// In what a block of the documentation runs. `before` and `after` are JavaScript around it; what they have beside is what
// `./world.mjs` gives: hub, rpc, key, to, port, articles, wallet, options, `joins(key)` and `reads(url)`. A name here is what a page
// writes in its comment `<!-- block: in NAME -->`. `inside` is what the block may call by a name that the world has, too.

const end = "await client.disconnect();";
const joined = "const client = await joins(key);";
const route = `
${joined}
const wall = await paywall({ client, store: sqlite("paywall.sqlite"), origin: \`http://127.0.0.1:\${port}\`, asset: "DAI", unitPrice: 10n ** 15n });`;
const walled = "await wall.close(); await client.disconnect();";
const frames = `
import express from "express"; import { Hono } from "hono"; import { getRequestListener } from "@hono/node-server"; import { createServer } from "node:http";
const app = express(); const hono = new Hono(); const text = (id) => \`article \${id}\`; const request = new Request("http://x/articles/7");`;
const served = `
assert.equal(response.status, 402);
assert.equal((await GET(new Request("http://x/articles/7"))).status, 402);
for (const listener of [app, getRequestListener(hono.fetch)]) {
  const server = createServer(listener).listen(port, "127.0.0.1");
  await once(server, "listening");
  assert.equal(await reads(\`http://127.0.0.1:\${port}/articles/7\`), "article 7");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}`;

export const CONTEXTS = {
  /** Nothing is there but hub, chain and an account with money. */
  connects: { before: "", after: end },
  gasless: { before: 'const client = await connect({ hub, rpc, wallet, store: "memory", pollInterval: 100 });', after: `assert.match(hash, /^0x/); assert.equal(fee, quote.fee);\n${end}` },
  /** A client with money in its channel. */
  client: { before: joined, after: end },
  fails: { before: joined, after: `assert.deepEqual(said.map((line) => line[1]), ["insufficient-funds"]);\n${end}` },
  kept: { before: "const kits = []; const upload = (name, kit) => void kits.push(kit);", after: `${end}\nassert.equal(JSON.parse(kits.at(-1)).owner.toLowerCase(), client.info.address.toLowerCase());` },
  kits: { before: `${joined}\nconst kits = []; const upload = (name, kit) => void kits.push(kit);`, after: `${end}\nawait fresh.disconnect();\nassert.equal(JSON.parse(kit).contract, JSON.parse(kits.at(-1)).contract);` },
  /** A device was lost: its backups are here. */
  lost: {
    before: `let kept; const put = (bytes) => void (kept = bytes); const get = () => kept;
const first = await connect({ hub, rpc, wallet, backup: { put, get }, store: "memory" });
await first.deposit({ asset: "ETH", amount: 10n ** 15n }); await first.pay({ to, asset: "ETH", amount: 5n }); await first.disconnect();`,
    after: `const [eth] = await client.balances();\nassert.equal(eth.available, 10n ** 15n - 5n);\n${end}\nassert.equal(said.length, 1);`,
  },
  /** A payer and a payee. */
  streams: { before: `${joined}\nconst payee = await joins(key2);`, after: `assert.equal(response.status, 200);\nawait stream.end();\nconst ended = (await client.streams()).find((one) => one.stream.key === stream.key);\nassert.equal(ended.stream.paid, 3);\n${end}\nawait payee.disconnect();`, payTo: "payee.info.address" },
  film: { before: `${joined}\nconst unitPrice = 10n ** 12n; const id = /** @type {const} */ ("0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"); let sent = 0; const send = (interval) => void (sent += interval.to - interval.from);`, after: "while (sent === 0) await new Promise((resolve) => setImmediate(resolve));\nawait film.end(); await client.disconnect(); process.exit(0);" },
  /** Somebody who has a budget, and no channel yet. */
  reads: { before: `{ const one = await connect({ hub, rpc, wallet }); await one.deposit({ asset: "DAI", amount: 10n ** 18n }); await one.disconnect(); }`, after: end, site: true },
  confirms: { before: "const { createWallet } = await import(`${process.env.SUPPORT}/wallet.mjs`);\nconst injected = createWallet({ privateKey: key, rpcUrl: rpc }); let asked = 0; const ask = (payee, asset, amount) => (asked += 1) > 0 && payee === to && asset === \"DAI\" && amount === 5n;", after: `await client.deposit({ asset: "DAI", amount: 10n });\nawait client.pay({ to, asset: "DAI", amount: 5n });\nassert.equal(asked, 1);\n${end}`, inside: "const wallet = injected;" },
  switches: { before: "const { createWallet } = await import(`${process.env.SUPPORT}/wallet.mjs`);\nconst injected = createWallet({ privateKey: key, rpcUrl: rpc });\nconst base = { id: 31337, name: \"Local\", nativeCurrency: { name: \"Ether\", symbol: \"ETH\", decimals: 18 }, rpcUrls: { default: { http: [rpc] } } };", after: end, inside: "const wallet = injected;" },
  /** A server, and after it a reader who pays. */
  server: { before: "", after: `await once(server, "listening");\nassert.equal(await reads(\`http://127.0.0.1:\${port}/articles/7\`), "The whole article.\\n");\nserver.closeAllConnections(); server.close(); ${walled}` },
  wall: { before: route, after: `assert.deepEqual([article, search, film, model, feed].map((one) => typeof one.handle), Array(5).fill("function"));\n${walled}` },
  frameworks: { before: `${frames}${route}\nconst article = wall.route({ name: "articles", price: 2n * 10n ** 15n });`, after: `${served}\n${walled}` },
  sells: { before: `${frames}\nconst privateKey = key;`, after: `${served}\n${walled}` },
  /** A stream is open. */
  closes: { before: `${joined}\nawait client.stream({ to, asset: "DAI", unitPrice: 10n ** 12n, units: 10 });`, after: `assert.equal((await client.streams())[0].status, "failed");\n${end}` },
  earned: { before: joined, after: `assert.equal((await client.balances()).find(({ asset }) => asset === "DAI").available, 0n);\n${end}` },
  /** A database of PostgreSQL, at `connectionString`. */
  processes: { before: `import pg from "pg";\n${joined}\nconst connectionString = process.env.POSTGRES; const [origin, asset, unitPrice] = ["https://news.example", "DAI", 10n ** 15n];`, after: "process.exit(0);", postgres: true },
  /** A receipt of a paid request. */
  receipt: { before: `${route}\nconst payee = client.info.address; const contract = client.info.contract;\nconst chainId = 31337;\nconst receipt = await sold(wall, \`http://127.0.0.1:\${port}/a\`);\nconst recover = (digest, signature) => recovered(digest, signature);`, after: `assert.equal(sold.charged, 1);\n${walled}` },

  /** In a browser, which has a wallet: `wallet.mjs` of the tests' support. */
  picks: { browser: "wallet" },
  /** In a page of a site that sells, beside a wallet page that grants: doubles of the tests' support. */
  page: { browser: "site" },

  /** Commands in the repository's folder. */
  repository: { shell: true, repository: true },
  /** Commands in a folder with the package; a client's kit is there, and its hub is of no more use. */
  exits: { shell: true, kit: true },
  report: { shell: true, paywall: true },
  upgrade: { shell: true, installs: true },
  hub: { shell: true, config: "docs/run-a-hub.md", file: "hub.toml", listen: 7190 },
  tower: { shell: true, config: "docs/watchtower.md", file: "watch.toml", listen: 7191 },
};
