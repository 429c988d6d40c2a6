// What `vectors/content.json` holds: the scheme by which content is paid for, as the package writes it, and what it refuses.
// `node js-tests/vectors/content.mjs` writes the file; a test compares.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const FILE = new URL("../../vectors/content.json", import.meta.url);

const of = (size, byte) => `0x${byte.repeat(size)}`;
const TOKEN = "0x6b175474e89094c44da98b954eedeac495271d0f";
const CONTRACT = of(20, "fa");
const PAYEE = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const ID = "0x000102030405060708090a0b0c0d0e0f";
const WORD = of(32, "5a");
/** Its last ten bytes are those of the hash of `WORD`, which is the seal here. */
const SEALED = "0x000102030405de6ac7e24dfd049bb8db";
const KEY = of(32, "4b");

export const TERMS = {
  network: "eip155:1",
  asset: TOKEN,
  amount: 2_000_000_000_000_000n,
  payTo: PAYEE,
  maxTimeoutSeconds: 60,
  hub: "https://hub.example",
  contract: CONTRACT,
  unitPrice: 1_000_000_000_000_000n,
  units: 2,
  minUnits: 100,
  symbol: "DAI",
  decimals: 18,
  wallet: "https://wallet.example/",
};
const PAYMENT = { network: "eip155:1", asset: TOKEN, payTo: PAYEE, key: KEY, from: 10, to: 12, word: WORD, id: ID, bind: of(32, "b1") };
const ANSWER = { network: "eip155:1", amount: 2_000_000_000_000_000n, key: KEY, id: ID, from: 10, to: 12, charged: 2 };
const RECEIPT = { payee: PAYEE, asset: TOKEN, network: "eip155:1", key: KEY, id: ID, from: 10, to: 12, charged: 1, unitPrice: 1_000_000_000_000_000n, method: "GET", url: "https://news.example/articles/7?a=1", at: 1_764_000_000 };
const SIGNED = { payload: "eyJhIjoxfQ", signature: of(64, "51"), signer: { publicKey: of(32, "9b"), payee: PAYEE, expires: 1_764_460_800, signature: of(65, "52") } };
const REQUEST = {
  id: ID, payee: PAYEE, hub: "https://hub.example", network: "eip155:1", contract: CONTRACT, asset: TOKEN,
  unitPrice: 1_000_000_000_000_000n, units: 500, tip: of(32, "71"), expiresIn: 604_800, title: "The Farthing Post",
};
const GRANT = { key: KEY, tip: of(32, "71"), payee: PAYEE, network: "eip155:1", contract: CONTRACT, hub: "https://hub.example", asset: TOKEN, unitPrice: 1_000_000_000_000_000n, units: 500, expiry: 1_764_460_800, symbol: "DAI", decimals: 18 };

const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");
const decode = (text) => JSON.parse(Buffer.from(text, "base64").toString());

/** The same with a change at a path: another value, or without it. */
function changed(value, path, to) {
  const copy = structuredClone(value);
  const names = path.split(".");
  const last = names.pop();
  const place = names.reduce((one, name) => one[name], copy);
  if (to === undefined) delete place[last];
  else place[last] = to;
  return copy;
}

const cases = (whole, changes) => changes.map(([name, path, to]) => ({ name, value: changed(whole, path, to) }));
const shown = (value) => JSON.parse(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one)));

/** @param scheme the package's `pay/scheme.mjs` @param chain its `pay/chain.mjs` */
export async function vectors(scheme, chain) {
  const required = { terms: [TERMS], resource: { url: "https://news.example/articles/7", description: "An article", mimeType: "text/html" } };
  const texts = (encoder, decoder, values) => values.map(([name, value]) => ({ name, text: scheme[encoder](value), value: shown(scheme[decoder](scheme[encoder](value))) }));
  const header = {
    required: texts("encodeRequired", "decodeRequired", [
      ["terms and a resource", required],
      ["without a resource and a wallet", { terms: [{ ...TERMS, wallet: undefined }] }],
      ["two assets, and a scheme of others", { terms: [TERMS, { ...TERMS, asset: of(20, "00"), symbol: "ETH" }], others: [{ scheme: "exact", network: "eip155:8453", amount: "1" }] }],
      ["others alone", { terms: [], others: [{ scheme: "exact" }] }],
      ["after a payment that was refused", { ...required, error: "payment refused", code: "interval-spent", stream: { key: KEY, spent: [[0, 12], [14, 15]] } }],
    ]),
    payment: texts("encodePayment", "decodePayment", [
      ["a word of a chain", PAYMENT],
      ["the longest chain's last", { ...PAYMENT, from: 0, to: 16_384 }],
      ["a voucher", { ...PAYMENT, word: of(65, "5b") }],
    ]),
    end: texts("encodePayment", "decodeEnd", [["the rest is wanted back", { ...PAYMENT, from: 0, to: 0, word: WORD, id: SEALED }]]),
    answer: texts("encodeAnswer", "decodeAnswer", [
      ["all charged", ANSWER],
      ["nothing charged", { ...ANSWER, amount: 0n, charged: 0 }],
      ["metered", { ...ANSWER, charged: undefined, metered: true }],
      ["with a receipt", { ...ANSWER, receipt: SIGNED }],
    ]),
    event: texts("encodeEvent", "decodeEvent", [
      ["used all but a margin", { key: KEY, id: ID, from: 10, paid: 20, used: 18 }],
      ["the last", { key: KEY, id: ID, from: 10, paid: 20, used: 10, end: true }],
    ]),
    receipt: texts("encodeReceipt", "decodeReceipt", [["an article", RECEIPT]]),
  };
  const grants = {
    request: [
      { name: "by pop-up", message: scheme.encodeGrantRequest(REQUEST) },
      { name: "by redirect", message: scheme.encodeGrantRequest({ ...REQUEST, reason: "One article a day", returnTo: "https://news.example/articles/7" }) },
    ],
    answer: [
      { name: "granted", message: scheme.encodeGrantAnswer({ id: ID, grant: GRANT }) },
      { name: "denied", message: scheme.encodeGrantAnswer({ id: ID, error: { code: "denied", message: "The reader said no." } }) },
    ],
  };
  for (const one of [...grants.request, ...grants.answer]) one.fragment = scheme.toFragment(one.message);
  return {
    about: "the scheme of docs/content.md: text is the header as it is written, value what is read from it, amounts as decimal strings; each of refused gets its code from its decoder, and nothing else changes",
    bind: await Promise.all(
      [
        ["GET", "https://news.example/articles/7"],
        ["get", "https://news.example:443/articles/7#below"],
        ["POST", "https://api.example/v1/quote?b=2&a=1"],
        ["GET", "https://news.example/%C3%A4/a b"],
      ].map(async ([method, url]) => ({ id: ID, method, url, resource: scheme.resourceOf(url), bind: await scheme.bindOf(ID, method, url) })),
    ),
    chains: [1, 2, 127, 128, 129, 300, 1024].map((units) => {
      const whole = chain.chainOf(Buffer.from(WORD.slice(2), "hex"), units);
      const places = [...new Set([0, 1, 2, 127, 128, 129, units - 1, units])].filter((place) => place <= units).sort((a, b) => a - b);
      return { root: WORD, units, tip: whole.tip, expiry: 1_764_460_800, key: chain.streamKey(whole.tip, units, 1_764_460_800), words: places.map((place) => ({ place, word: chain.wordAt(whole.marks, place) })) };
    }),
    ...header,
    grants,
    refused: refused(header, grants),
  };
}

function refused(header, grants) {
  const texts = [
    ["no text", ""],
    ["no base64", "{}"],
    ["base64 without its padding", encode({ a: 1 }).replace(/=+$/, "")],
    ["base64 with stray bits", "e31="],
    ["a space", `${encode({})} `],
    ["no JSON", encode("{")],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]).toString("base64")],
    ["null", encode("null")],
    ["a list", encode("[]")],
  ].map(([name, text]) => ({ name, text }));
  const [required, payment, end, answer] = ["required", "payment", "end", "answer"].map((name) => decode(header[name][0].text));
  const under = (decoder, code, list) => list.map(({ name, text, value }) => ({ decoder, code, name, text: text ?? encode(value) }));
  const event = JSON.parse(header.event[0].text);
  const [{ message: request }] = grants.request;
  const [{ message: granted }, { message: denied }] = grants.answer;
  const messages = (decoder, code, list) => list.map(({ name, value }) => ({ decoder, code, name, message: value }));
  return [
    ...under("decodeRequired", "bad-answer", [
      ...texts,
      ...cases(required, [
        ["another version", "x402Version", 1],
        ["no accepts", "accepts"],
        ["more accepts than anybody reads", "accepts", Array.from({ length: 33 }, () => ({ scheme: "exact" }))],
        ["an amount as a number", "accepts.0.amount", 2],
        ["an amount that is not units times price", "accepts.0.amount", "2000000000000001"],
        ["an amount with a leading zero", "accepts.0.amount", "02000000000000000"],
        ["an asset in mixed case", "accepts.0.asset", "0x6B175474E89094C44Da98b954EedeAC495271d0F"],
        ["a chain that is none", "accepts.0.network", "eip155:0"],
        ["another kind of chain", "accepts.0.network", "solana:1"],
        ["no payee", "accepts.0.payTo"],
        ["no time", "accepts.0.maxTimeoutSeconds", 0],
        ["no extra", "accepts.0.extra"],
        ["no hub", "accepts.0.extra.hub"],
        ["a hub by script", "accepts.0.extra.hub", "javascript:alert(1)"],
        ["a hub with a password", "accepts.0.extra.hub", "https://a:b@hub.example"],
        ["no unit", "accepts.0.extra.units", 0],
        ["half a unit", "accepts.0.extra.units", 1.5],
        ["units as text", "accepts.0.extra.units", "2"],
        ["more units than a chain has", "accepts.0.extra.minUnits", 16_385],
        ["a price of nothing", "accepts.0.extra.unitPrice", "0"],
        ["a price below nothing", "accepts.0.extra.unitPrice", "-1"],
        ["a price of 2^128", "accepts.0.extra.unitPrice", String(1n << 128n)],
        ["a symbol of two lines", "accepts.0.extra.symbol", "DAI\nUSDC"],
        ["a symbol that turns the text", "accepts.0.extra.symbol", "DAI\u202e"],
        ["too many decimals", "accepts.0.extra.decimals", 37],
        ["a wallet without TLS", "accepts.0.extra.wallet", "http://wallet.example/"],
        ["a wallet with a fragment", "accepts.0.extra.wallet", "https://wallet.example/#farthing-request="],
        ["a code with a space", "code", "bad word"],
        ["a stream without its key", "stream", { spent: [] }],
        ["an interval backwards", "stream", { key: KEY, spent: [[2, 1]] }],
        ["an empty interval", "stream", { key: KEY, spent: [[2, 2]] }],
        ["an interval of three", "stream", { key: KEY, spent: [[1, 2, 3]] }],
      ]),
    ]),
    ...under("decodeEnd", "bad-payment", [
      ...texts,
      ...cases(end, [
        ["a payment", "payload.to", 1],
        ["from another place", "payload.from", 1],
        ["a voucher for a seal", "payload.word", of(65, "5a")],
        ["no seal", "payload.word"],
        ["no bind", "payload.bind"],
        ["a field more in the payload", "payload.end", true],
        ["another scheme", "accepted.scheme", "exact"],
      ]),
    ]),
    ...under("decodePayment", "bad-payment", [
      ...texts,
      ...cases(payment, [
        ["another version", "x402Version", "2"],
        ["another scheme", "accepted.scheme", "exact"],
        ["a field more", "extra", 1],
        ["a field more in accepted", "accepted.amount", "1"],
        ["a field more in the payload", "payload.charged", 1],
        ["a field of every object", "payload.toString", 1],
        ["no payload", "payload"],
        ["no key", "payload.key"],
        ["a short key", "payload.key", of(31, "4b")],
        ["a key in capitals", "payload.key", KEY.toUpperCase().replace("X", "x")],
        ["no word", "payload.word"],
        ["a word of 33 bytes", "payload.word", of(33, "5a")],
        ["an empty interval", "payload.to", 10],
        ["an interval backwards", "payload.to", 9],
        ["beyond every chain", "payload.to", 16_385],
        ["below nothing", "payload.from", -1],
        ["half a unit", "payload.from", 0.5],
        ["a place as text", "payload.from", "10"],
        ["a place beyond counting", "payload.to", 2 ** 53],
        ["a short id", "payload.id", of(15, "00")],
        ["no bind", "payload.bind"],
      ]),
      { name: "null in place of a field", value: changed(payment, "payload.bind", null) },
    ]),
    ...under("decodeAnswer", "bad-answer", [
      ...texts,
      ...cases(answer, [
        ["no success", "success", false],
        ["more charged than was sent", "extra.charged", 3],
        ["less than nothing charged", "extra.charged", -1],
        ["neither charged nor metered", "extra.charged"],
        ["charged and metered", "extra.metered", true],
        ["an empty interval", "extra.to", 10],
        ["no id", "extra.id"],
        ["no amount", "amount"],
        ["a receipt that is none", "extra.receipt", "eyJhIjoxfQ"],
      ]),
    ]),
    ...[
      ["no JSON", "{"],
      ["null", "null"],
      ["used before it begins", JSON.stringify({ ...event, used: 9 })],
      ["used more than is paid", JSON.stringify({ ...event, used: 21 })],
      ["no id", JSON.stringify({ ...event, id: undefined })],
      ["too long", JSON.stringify({ ...event, more: "x".repeat(1_024) })],
    ].map(([name, text]) => ({ decoder: "decodeEvent", code: "bad-answer", name, text })),
    ...[
      ["no base64url", "a+b"],
      ["fields in another order", Buffer.from(JSON.stringify(Object.fromEntries(Object.entries(decodeUrl(header.receipt[0].text)).reverse()))).toString("base64url")],
      ["a field more", Buffer.from(JSON.stringify({ a: 1, ...decodeUrl(header.receipt[0].text) })).toString("base64url")],
    ].map(([name, text]) => ({ decoder: "decodeReceipt", code: "bad-answer", name, text })),
    ...messages("decodeGrantRequest", "bad-request", [
      ...cases(request, [
        ["another version", "v", 2],
        ["another type", "type", "farthing-grant"],
        ["a field more", "amount", "1"],
        ["no id", "id"],
        ["no tip", "tip"],
        ["no title", "title", ""],
        ["a title of two lines", "title", "a\nb"],
        ["a title that turns the text", "title", "\u202egnp.exe"],
        ["a title too long", "title", "x".repeat(81)],
        ["a reason too long", "reason", "x".repeat(121)],
        ["no units", "units", 0],
        ["more units than a chain has", "units", 16_385],
        ["a price as a number", "unitPrice", 1],
        ["more than all money", "unitPrice", String((1n << 128n) - 1n)],
        ["too short", "expiresIn", 299],
        ["too long", "expiresIn", 31_622_401],
        ["a return by script", "returnTo", "javascript:alert(1)"],
        ["a return without TLS", "returnTo", "http://news.example/"],
        ["a return with a password", "returnTo", "https://a:b@news.example/#a"],
      ]),
      { name: "a list", value: [] },
      { name: "nothing", value: null },
      { name: "a number", value: 7 },
      { name: "a text that is none", value: "%%%" },
    ]),
    ...messages("decodeGrantAnswer", "bad-answer", [
      ...cases(granted, [
        ["another type", "type", "farthing-wallet-ready"],
        ["neither grant nor error", "grant"],
        ["both", "error", denied.error],
        ["no key", "grant.key"],
        ["no expiry", "grant.expiry", "soon"],
        ["no units", "grant.units", 0],
        ["no symbol", "grant.symbol"],
      ]),
      ...cases(denied, [
        ["a code of two words", "error.code", "de nied"],
        ["no message", "error.message"],
      ]),
      { name: "nothing", value: null },
    ]),
  ];
}

const decodeUrl = (text) => JSON.parse(Buffer.from(text, "base64url").toString());

export const read = () => JSON.parse(readFileSync(FILE, "utf8"));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { packageFile } = await import("../support/env.mjs");
  writeFileSync(FILE, `${JSON.stringify(await vectors(await packageFile("pay/scheme.mjs"), await packageFile("pay/chain.mjs")), null, 2)}\n`);
}
