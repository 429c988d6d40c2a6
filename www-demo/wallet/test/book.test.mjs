import assert from "node:assert/strict";
import { test } from "node:test";
import { isOpen, next, paidBy, sites } from "../src/logic/book.ts";
import { asker } from "../src/logic/origin.ts";
import { ending, isUnknown } from "../src/logic/faults.ts";
import { span, until } from "../src/logic/readable.ts";
import { readRequest } from "../src/logic/request.ts";
import { sample } from "./sample.mjs";

const origin = "https://news.example";
const request = readRequest(sample(), "popup");
const record = (changes = {}) => ({ request, origin, streamId: "0x01", symbol: "DAI", decimals: 18, state: "allowed", at: 1_000_000, paid: 0, answered: false, ...changes });
const refusedAs = (code) => (error) => error.name === "Refused" && error.code === code;

test("a new request is for the reader", () => {
  assert.deepEqual(next(request, origin, undefined, undefined), { next: "ask" });
});

test("a tip that was seen is refused, under whatever id and from whatever page", () => {
  const known = record();
  assert.throws(() => next(readRequest(sample({ id: `0x${"02".repeat(16)}` }), "popup"), origin, undefined, known), refusedAs("tip-used"));
  assert.throws(() => next(request, "https://other.example", undefined, known), refusedAs("tip-used"));
});

test("a replayed request is refused, unless it is the very same from the very same page", () => {
  const known = record({ state: "granted", grant: { expiry: 2_000_000_000 } });
  assert.equal(next(request, origin, known, known).next, "again");
  assert.throws(() => next(request, "https://evil.example", known, known), refusedAs("bad-request"));
  for (const change of [{ units: 501 }, { payee: `0x${"66".repeat(20)}` }, { title: "Another" }, { reason: "more" }]) {
    assert.throws(() => next(readRequest(sample(change), "popup"), origin, known, known), refusedAs("bad-request"), Object.keys(change)[0]);
  }
  assert.equal(next(readRequest(sample({ returnTo: "https://news.example/b" }), "redirect"), origin, known, known).next, "again");
  const otherTip = readRequest(sample({ tip: `0x${"72".repeat(32)}` }), "popup");
  assert.throws(() => next(otherTip, origin, known, undefined), refusedAs("bad-request"));
});

test("what was allowed when the window died goes on with the same stream; what is over stays over", () => {
  const allowed = record();
  assert.deepEqual(next(request, origin, allowed, allowed), { next: "resume", record: allowed });
  for (const [state, code] of [["failed", "tip-used"], ["ended", "expired"]]) {
    const known = record({ state });
    assert.throws(() => next(request, origin, known, known), refusedAs(code));
  }
});

test("a grant is open until its expiry, and only while it stands", () => {
  const stands = record({ state: "granted", grant: { expiry: 2_000 } });
  assert.equal(isOpen(stands, 1_999_999), true);
  assert.equal(isOpen(stands, 2_000_000), false);
  assert.equal(isOpen({ ...stands, state: "ended" }, 1), false);
  assert.equal(isOpen(record(), 1_000_000 + 604_800_000), false);
});

test("sites are listed once, the last one first, with what they were paid", () => {
  const list = [record({ paid: 3 }), record({ at: 3_000_000, paid: 4, state: "ended" }), record({ origin: "https://film.example", at: 2_000_000 }), record({ state: "failed", at: 9e9 })];
  const shown = sites(list);
  assert.deepEqual(shown.map(({ origin, records }) => [origin, records.length]), [[origin, 2], ["https://film.example", 1]]);
  assert.equal(paidBy(shown[0].records)[0].units, 7n * 10n ** 15n);
});

test("who asks is an origin of the web, and is shown as the browser writes it", () => {
  assert.deepEqual(asker("https://news.example"), { origin: "https://news.example", shown: "news.example", lookalike: false });
  assert.equal(asker("https://news.example:8443").shown, "news.example:8443");
  assert.equal(asker("http://127.0.0.1").shown, "http://127.0.0.1");
  assert.equal(asker("https://xn--nws-jla.example").lookalike, true);
  for (const origin of ["null", "", "http://news.example", "https://news.example/", "https://NEWS.example", "file://", "data:", "chrome-extension://abc", "http://localhost.evil.example"]) {
    assert.throws(() => asker(origin), refusedAs("bad-request"), origin);
  }
});

test("an engine's refusal has an end for the page and words for the reader, and an open end is none", () => {
  for (const [code, answer] of [["no-capacity", "no-capacity"], ["payee-unfunded", "no-capacity"], ["insufficient-funds", "no-money"], ["unknown-payee", "unavailable"], ["bad-expiry", "expired"], ["channel-closed", "no-channel"], ["wallet-rejected", "unavailable"]]) {
    assert.equal(ending(code, "what happened").code, answer);
    assert.equal(isUnknown(code), false);
  }
  for (const code of [undefined, "unanswered", "aborted", "internal"]) assert.equal(isUnknown(code), true);
});

test("times are said as people say them", () => {
  assert.deepEqual([604_800, 86_400, 5_400, 3_600, 90, 59, 0].map(span), ["7 days", "1 day", "90 minutes", "1 hour", "90 seconds", "59 seconds", "0 seconds"]);
  assert.equal(until(Date.UTC(2026, 11, 6, 14, 30), undefined, "UTC"), "Sunday 6 December, 14:30");
});
