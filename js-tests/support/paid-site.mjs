// A small site that sells, by the rules of `docs/content.md` and with no code of the package: it knows streams, proves words by
// hashing, sells each interval once, and counts all that it is asked.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { keccak_256 } from "@noble/hashes/sha3.js";

export const hexOf = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
export const bytesOf = (hex) => Buffer.from(hex.slice(2), "hex");
export const keccak = (hex, times = 1) => {
  let word = bytesOf(hex);
  for (let done = 0; done < times; done += 1) word = keccak_256(word);
  return hexOf(word);
};

/** The condition key of a stream. */
export function keyOf(tip, units, expiry) {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(units);
  const slot = (hex) => bytesOf(`0x${hex.padStart(64, "0")}`);
  return hexOf(keccak_256(Buffer.concat([slot("fa02"), keccak_256(Buffer.concat([bytesOf(tip), size])), slot(expiry.toString(16))])));
}

export const TERMS = {
  network: "eip155:31337",
  asset: "0x6b175474e89094c44da98b954eedeac495271d0f",
  payTo: "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
  contract: "0xfafafafafafafafafafafafafafafafafafafafa",
  hub: "https://hub.example",
  unitPrice: 1_000_000_000_000_000n,
};

const pack = (value) => Buffer.from(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one))).toString("base64");

/**
 * `{ url, log, streams, sold, ... }`. `routes` are `path: { units, serve(request, response, { id, charge }) }`; without `units` a
 * route is free. `wallet` is suggested; `allow` are origins of other pages.
 */
export async function paidSite({ routes = {}, wallet, files = {}, headers = {} } = {}) {
  /** By key: `{ tip, units, unitPrice, sold: [{ from, to, id, bind, charged, answer }] }`. */
  const streams = new Map();
  const log = [];
  const site = { routes, streams, log, faults: [], others: [], sessions: new Map(), unitPrice: TERMS.unitPrice, terms: {} };

  const termsOf = (route) => {
    const { network, asset, payTo, contract, hub } = { ...TERMS, ...site.terms };
    const units = route.units;
    return {
      scheme: "farthing", network, asset, payTo, amount: site.unitPrice * BigInt(units), maxTimeoutSeconds: route.seconds ?? 60,
      extra: { hub, contract, unitPrice: site.unitPrice, units, minUnits: route.minUnits ?? 100, symbol: "DAI", decimals: 18, ...(wallet && { wallet: wallet() }) },
    };
  };

  /** Who paid wants the rest back: its seal's hash is in the ids of its payments. */
  function ends(url, { method }, { payload: { key, id, word, bind }, accepted }) {
    const stream = streams.get(key);
    const tail = keccak(word).slice(-20);
    const bound = createHash("sha256").update(bytesOf(id)).update(`${method} ${url.href}`).digest();
    if (accepted.payTo !== { ...TERMS, ...site.terms }.payTo || bind !== hexOf(bound) || !id.endsWith(tail) || !stream?.sold.some((one) => one.id.endsWith(tail))) return 402;
    stream.ended = true;
    return 204;
  }

  /** What the payment is worth, or its code. */
  function judge(request, url, route, text) {
    let header;
    try {
      header = JSON.parse(Buffer.from(text, "base64").toString());
    } catch {
      return { code: "bad-payment" };
    }
    const { accepted = {}, payload = {} } = header;
    const { key, from, to, word, id, bind } = payload;
    if (header.x402Version !== 2 || accepted.scheme !== "farthing" || !(from < to)) return { code: "bad-payment" };
    const stream = streams.get(key);
    if (!stream) return { code: "unknown-stream" };
    if (stream.ended) return { code: "stream-ended", stream };
    const terms = { ...TERMS, ...site.terms };
    if (accepted.payTo !== terms.payTo || accepted.asset !== terms.asset || accepted.network !== terms.network) return { code: "wrong-terms", stream };
    const wanted = createHash("sha256").update(bytesOf(id)).update(`${request.method} ${url.href}`);
    if (bind !== hexOf(wanted.digest())) return { code: "wrong-resource", stream };
    if (to > stream.units || keccak(word, to) !== stream.tip) return { code: "bad-word", stream };
    const same = stream.sold.find((one) => one.id === id);
    if (same) {
      if (same.from !== from || same.to !== to || same.bind !== bind) return { code: "id-reused", stream };
      return same.serving ? { code: "in-progress", stream } : { sale: same, again: true, stream };
    }
    if (stream.unitPrice !== site.unitPrice || (route && to - from < route.units)) return { code: "price-changed", stream };
    if (stream.sold.some((one) => one.from < to && from < one.from + one.charged)) return { code: "interval-spent", stream };
    const sale = { key, from, to, id, bind, charged: to - from };
    stream.sold.push(sale);
    return { sale, stream };
  }

  function refuse(response, url, route, { code, stream }) {
    const status = { "bad-payment": 400, "id-reused": 409, "in-progress": 409, "paywall-unavailable": 503 }[code] ?? 402;
    const header = {
      x402Version: 2, error: "payment required", resource: { url: url.href }, accepts: [...site.others, termsOf(route)],
      ...(code !== "payment-required" && { code }),
      ...(stream && { stream: { key: stream.key, spent: stream.sold.filter(({ charged }) => charged > 0).map(({ from, charged }) => [from, from + charged]) } }),
    };
    response.writeHead(status, { "payment-required": pack(header), "content-type": "application/json" });
    response.end(JSON.stringify({ error: { code, message: "No." } }));
  }

  const answerTo = ({ key, id, from, to, charged }, metered) =>
    pack({ success: true, network: TERMS.network, transaction: "", payer: "", amount: site.unitPrice * BigInt(charged), extra: { key, id, from, to, ...(metered ? { metered: true } : { charged }) } });

  async function handle(request, response) {
    const url = new URL(request.url, site.url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const signature = request.headers["payment-signature"];
    const entry = { method: request.method, path: url.pathname, paid: signature !== undefined, headers: request.headers, body: body.toString(), payload: signature && JSON.parse(Buffer.from(signature, "base64")).payload };
    log.push(entry);
    response.setHeader("cache-control", "private, no-store");
    response.setHeader("vary", "PAYMENT-SIGNATURE");
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.headers.origin) {
      response.setHeader("access-control-allow-origin", request.headers.origin);
      response.setHeader("access-control-allow-headers", "PAYMENT-SIGNATURE, PAYMENT-SESSION");
      response.setHeader("access-control-allow-methods", "GET, POST");
      response.setHeader("access-control-expose-headers", "PAYMENT-REQUIRED, PAYMENT-RESPONSE");
    }
    if (request.method === "OPTIONS") return response.writeHead(204).end();
    if (Object.hasOwn(files, url.pathname)) {
      const { type, body, headers } = files[url.pathname];
      return response.writeHead(200, { "content-type": type, "cache-control": "no-store", ...headers }).end(typeof body === "function" ? body() : body);
    }
    if (entry.payload?.to === 0 && site.gives !== false) {
      if (site.gives !== undefined) return site.gives(request, response);
      return response.writeHead(ends(url, request, JSON.parse(Buffer.from(signature, "base64")))).end();
    }
    const route = routes[url.pathname] ?? routes[`${url.pathname.split("/").slice(0, -1).join("/")}/*`];
    if (!route) return response.writeHead(404).end();
    const fault = signature !== undefined || route.units === undefined ? site.faults.shift() : undefined;
    if (fault?.before) return fault.before(request, response, { refuse: (code, stream) => refuse(response, url, route, { code, stream }) });
    if (request.headers["payment-session"]) {
      const session = site.sessions.get(request.headers["payment-session"]);
      if (!session) return refuse(response, url, route, { code: "bad-payment" });
      const { code, sale, stream } = judge(request, url, undefined, signature);
      if (code) return refuse(response, url, route, { code, stream });
      response.writeHead(204, { "payment-response": answerTo(sale) }).end();
      if (!session.sales.includes(sale)) session.pay(sale);
      return undefined;
    }
    if (route.units === undefined) return route.serve(request, response, { url, body });
    if (signature === undefined) return refuse(response, url, route, { code: "payment-required" });
    const found = judge(request, url, route, signature);
    if (found.code) return refuse(response, url, route, found);
    const { sale } = found;
    if (route.charge !== undefined && !found.again) sale.charged = route.charge;
    if (fault?.after) return fault.after(request, response, { sale, header: answerTo(sale) });
    response.setHeader("payment-response", answerTo(sale, route.metered));
    return route.serve(request, response, { url, body, sale, again: found.again === true, header: answerTo(sale, route.metered) });
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => response.destroy(error));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return Object.assign(site, {
    port,
    // By name, so that several are several sites to a browser.
    url: `http://127.0.0.1:${port}`,
    /** A stream that the payee's engine tells of. */
    learn({ tip, units, unitPrice = site.unitPrice, expiry }) {
      const key = keyOf(tip, units, expiry);
      streams.set(key, { key, tip, units, unitPrice, sold: [] });
      return key;
    },
    /** All that was sold, over all streams: `charged` may be less than what was sent. */
    sold: () => [...streams.values()].flatMap((stream) => stream.sold),
    charged: () => site.sold().reduce((sum, { charged }) => sum + charged, 0),
    /** Requests of a path: all, or those that carried a payment. */
    asked: (path, paid) => log.filter((one) => one.path === path && one.method !== "OPTIONS" && (paid === undefined || one.paid === paid)).length,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** No unit of a stream was sold twice. */
export function soldOnce(site) {
  for (const { sold } of site.streams.values()) {
    const taken = new Set();
    for (const { from, charged } of sold) {
      for (let unit = from; unit < from + charged; unit += 1) {
        if (taken.has(unit)) return false;
        taken.add(unit);
      }
    }
  }
  return true;
}

/** An engine's `stream`, as far as `fetch` needs it: chains of its own, told to these sites. Streams outlive it, as they do on disk. */
export function engine(sites, { durable = new Map() } = {}) {
  const calls = [];
  return {
    calls,
    durable,
    info: { chainId: 31337, contract: TERMS.contract, hub: { url: TERMS.hub, assets: [{ asset: "DAI", token: TERMS.asset, decimals: 18 }] } },
    async stream(options) {
      calls.push(options);
      const { id, units, unitPrice, expiresIn } = options;
      if (!durable.has(id)) {
        const words = [hexOf(randomBytes(32))];
        for (let done = 0; done < units; done += 1) words.unshift(keccak(words[0]));
        const expiry = Math.floor(Date.now() / 1000) + expiresIn;
        durable.set(id, { words, expiry, paid: 0 });
        for (const site of sites()) site.learn({ tip: words[0], units, unitPrice, expiry });
      }
      const { words, expiry, paid } = durable.get(id);
      return {
        key: keyOf(words[0], units, expiry),
        expiresAt: expiry * 1000,
        revealBy: expiry * 1000,
        ended: false,
        units,
        paid,
        get remaining() {
          return this.units - this.paid;
        },
        pay(count) {
          const from = this.paid;
          if (from + count > units) throw new Error("the stream has no more");
          this.paid += count;
          return { from, to: this.paid, word: words[this.paid] };
        },
        async end() {},
      };
    },
  };
}
