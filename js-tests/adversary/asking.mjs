// What a hostile page asks the wallet page for. Each entry is a trick: what is sent, and the code that it has to end with.

import { randomBytes } from "node:crypto";

const hex = (bytes) => `0x${randomBytes(bytes).toString("hex")}`;
const MARKS = "\u0300\u0301\u0302\u0303\u0304\u0305";

/** One field that is not as it must be; `undefined` leaves it out. */
const FIELDS = {
  v: [0, 2, "1", null, undefined],
  type: [],
  id: ["0x", hex(15), hex(17), `0x${"A".repeat(32)}`, 7, undefined],
  payee: ["0x", hex(32), `0x${"AB".repeat(20)}`, "news.example", undefined],
  hub: ["http://hub.example", "javascript:alert(1)", "https://user:pass@hub.example", "//hub.example", `https://hub.example/${"x".repeat(3_000)}`, 5, undefined],
  network: ["eip155:0", "eip155:01", "eip155:-1", "eip155:99999999999999999", "solana:1", 31337, undefined],
  contract: ["0x", hex(19), undefined],
  asset: ["ETH", hex(21), undefined],
  unitPrice: ["0", "-1", "+1", "1e18", "0x10", "1.5", " 1", "007", "", "9".repeat(39), String(2n ** 128n), "1".repeat(100_000), 1_000, null, undefined],
  units: [0, -1, 1.5, 16_385, 2 ** 53, 2 ** 31, Number.NaN, Number.POSITIVE_INFINITY, "500", null, undefined],
  tip: ["0x", hex(31), hex(33), undefined],
  expiresIn: [0, -1, 299, 31_622_401, 2 ** 53, 600.5, "604800", undefined],
  title: ["", "   ", "x".repeat(81), "x".repeat(1_000_000), "Bank\nof everything", "Bank\u202Eelpmaxe", "Bank\u200Bexample", "Bank\u0000", "Bank\u2028of", "\u2066Bank\u2069", "\uFEFFBank", "Bank\u00AD", "\uD800", "\uE000", `Free${MARKS}`, ["Bank"], undefined],
  reason: ["", "x".repeat(121), "Free\u202E", "Free\r", `Free${MARKS}${MARKS}`, 5, null],
};
/** Fields that no request has. */
const MORE = [{ origin: "https://bank.example" }, { allow: true }, { perGrant: "1" }, { returnTo: "https://bank.example/" }, { constructor: 1 }, { "": 1 }, { grant: {} }, { [`${"x".repeat(10_000)}`]: 1 }];

/** All that is wrong with a request by itself. @param {() => object} honest */
export function malformed(honest) {
  const tricks = [];
  for (const [name, values] of Object.entries(FIELDS)) {
    for (const value of values) {
      const request = honest();
      const { id } = request;
      if (value === undefined) delete request[name];
      else request[name] = value;
      tricks.push({ trick: `a request whose ${name} is not in order`, id, request, code: "bad-request" });
    }
  }
  for (const more of MORE) {
    const request = honest();
    tricks.push({ trick: "a request with a field too many", id: request.id, request: { ...request, ...more }, code: "bad-request" });
  }
  const { id } = honest();
  tricks.push({ trick: "a request for another window", id, request: honest(), code: "bad-request" });
  const much = honest();
  tricks.push({ trick: "a price that is more than there can be", id: much.id, request: { ...much, unitPrice: String(2n ** 127n), units: 16_384 }, code: "bad-request" });
  return tricks;
}

/** Messages that are none, before one that is. */
export const noise = (draw) =>
  Array.from({ length: 60 }, () => [null, 7, "farthing-grant-request", [], {}, { type: 5 }, { type: "farthing-wallet-ready" }, { type: "farthing-grant", grant: {} }, { type: "farthing-grant-request ".repeat(2) }, { deep: { type: "farthing-grant-request" } }, "x".repeat(draw(10_000))][draw(11)]);
