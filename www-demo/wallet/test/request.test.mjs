import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode, encode, granted, homeward, opened, readRequest, refused, samePlace } from "../src/logic/request.ts";
import { sample } from "./sample.mjs";

const refusedAs = (code) => (error) => error.name === "Refused" && error.code === code && error.message.length > 10;

test("a request is taken as it is written in the contract", () => {
  const request = readRequest(sample(), "popup");
  assert.equal(request.unitPrice, 10n ** 15n);
  assert.equal(request.hub, "https://hub.example");
  assert.ok(samePlace(request.hub, "https://HUB.example:443/") && !samePlace(request.hub, "https://hub.example/a"));
  assert.equal(request.returnTo, undefined);
  assert.equal(readRequest(sample({ returnTo: "https://news.example/a#b" }), "redirect").returnTo, "https://news.example/a#b");
});

test("each field that is wrong, missing or too many is refused, and nothing else is looked at", () => {
  const wrong = {
    v: [0, "1", 2, null], type: ["farthing-grant", ""], id: ["0x", `0x${"0".repeat(31)}`, `0x${"A".repeat(32)}`, 1],
    payee: ["0x00", `0x${"g".repeat(40)}`], hub: ["http://hub.example", "hub", "https://a:b@hub.example", "javascript:0", 1],
    network: ["eip155:0", "eip155:01", "solana:1", 1], contract: ["", null], asset: ["ETH"],
    unitPrice: ["0", "-1", "01", "1.5", 1, "1e3", String(2n ** 128n)], units: [0, -1, 1.5, 16_385, "5", Number.NaN],
    tip: [`0x${"0".repeat(66)}`, null], expiresIn: [0, 299, 31_622_401, "300"], title: ["", "   ", "a".repeat(81), "a\u202eb", "a\nb", 5],
    reason: ["", "a".repeat(121), 1, "\u200b"],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) assert.throws(() => readRequest(sample({ [name]: value }), "popup"), refusedAs("bad-request"), `${name}: ${value}`);
    if (name === "reason") continue;
    const { [name]: _, ...rest } = sample();
    assert.throws(() => readRequest(rest, "popup"), refusedAs("bad-request"), `without ${name}`);
  }
  for (const value of [null, [], "text", 5, undefined]) assert.throws(() => readRequest(value, "popup"), refusedAs("bad-request"));
  assert.throws(() => readRequest(sample({ more: 1 }), "popup"), refusedAs("bad-request"));
  assert.throws(() => readRequest(sample({ returnTo: "https://news.example/" }), "popup"), refusedAs("bad-request"));
  assert.throws(() => readRequest(sample(), "redirect"), refusedAs("bad-request"));
  assert.throws(() => readRequest(sample({ returnTo: "http://news.example/" }), "redirect"), refusedAs("bad-request"));
  assert.throws(() => readRequest(sample({ unitPrice: String(2n ** 127n), units: 2 }), "popup"), /more than there can be/);
});

test("the address says what the page was opened for", () => {
  const id = `0x${"ab".repeat(16)}`;
  assert.deepEqual(opened(`#farthing-popup=${id}`), { way: "popup", id });
  assert.deepEqual(opened("#farthing-request=abc"), { way: "redirect", text: "abc" });
  for (const hash of ["", "#sites", "#farthing"]) assert.deepEqual(opened(hash), { way: "none" });
  for (const hash of ["#farthing-popup=", "#farthing-popup=0x12", `#farthing-popup=${id}00`]) assert.throws(() => opened(hash), refusedAs("bad-request"));
});

test("a redirect's request goes there and back, and garbage is refused", () => {
  const request = sample({ returnTo: "https://news.example/", title: "Přítomnost – Ω" });
  assert.deepEqual(decode(encode(request)), request);
  for (const text of ["", "a b", "=", "%7B", "e30=", "x".repeat(8_193), "_____w", encode({}).slice(1)]) {
    assert.throws(() => decode(text), refusedAs("bad-request"), text.slice(0, 20));
  }
});

test("the way home keeps the address and what was in its fragment", () => {
  const answer = refused(sample().id, "denied", "no");
  const home = new URL(homeward("https://news.example/a?b=c#d=e&f", answer));
  assert.equal(home.origin + home.pathname + home.search, "https://news.example/a?b=c");
  const parts = new URLSearchParams(home.hash.slice(1));
  assert.deepEqual(decode(parts.get("farthing-grant")), answer);
  assert.equal(parts.get("farthing-was"), "d=e&f");
  assert.equal(new URLSearchParams(new URL(homeward("https://news.example/", answer)).hash.slice(1)).has("farthing-was"), false);
  assert.equal(granted(sample().id, {}).error, undefined);
});

test("what every reader of the scheme agrees on", () => {
  const { grants, refused: others } = JSON.parse(readFileSync(new URL("../../../vectors/content.json", import.meta.url), "utf8"));
  for (const { name, message, fragment } of grants.request) {
    const way = message.returnTo === undefined ? "popup" : "redirect";
    const { unitPrice, ...rest } = readRequest(message, way);
    assert.deepEqual({ v: 1, type: message.type, ...rest, unitPrice: String(unitPrice) }, message, name);
    assert.deepEqual(decode(fragment), message, name);
    assert.equal(encode(message), fragment, name);
  }
  const wrong = others.filter(({ decoder }) => decoder === "decodeGrantRequest");
  assert.ok(wrong.length > 5);
  for (const { name, message, text } of wrong) {
    const read = (way) => readRequest(text === undefined ? message : decode(text), way);
    for (const way of ["popup", "redirect"]) assert.throws(() => read(way), refusedAs("bad-request"), name);
  }
});

test("an answer's message is one line that its reader takes", () => {
  const { error } = refused(sample().id, "unavailable", `a\nb\u202e${"c".repeat(400)}`);
  assert.equal(error.message.length, 300);
  assert.match(error.message, /^a b c+…$/);
});
