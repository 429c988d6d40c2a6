import assert from "node:assert/strict";
import { test } from "node:test";
import { NotSetUp, hostOf, limitsOf } from "../src/logic/host.ts";

const host = { hub: "https://hub.example" };
const limits = { perGrant: "0.5", perSite: "3", perDay: "6" };

test("what a host may say", () => {
  for (const given of [
    host,
    { hub: "http://127.0.0.1:7190", rpc: "http://127.0.0.1:8545", faucet: "faucet", browserKey: true },
    { ...host, name: "Zeitung & Söhne’s Wallet (Beta)" },
    { ...host, name: "財布" },
    { ...host, limits: {} },
    { ...host, limits: { DAI: limits, USDC: { perGrant: "0", perSite: "0", perDay: "0" } } },
  ]) {
    assert.equal(hostOf(given), given);
  }
});

test("what is not understood is refused by its name, and nothing of it is used", () => {
  for (const [given, said] of [
    [undefined, "no JSON object"],
    [[], "no JSON object"],
    [{}, "hub is no URL"],
    [{ hub: "hub.example" }, "hub is no URL"],
    [{ hub: "javascript:alert(1)" }, "hub is no URL"],
    [{ ...host, rpc: 8545 }, "rpc is no URL"],
    [{ ...host, Limits: {} }, "“Limits” in it is nothing"],
    [{ ...host, name: "" }, "name is up to 40"],
    [{ ...host, name: "a".repeat(41) }, "name is up to 40"],
    [{ ...host, name: "abc\u202Ecba" }, "name is up to 40"],
    [{ ...host, name: "<b>" }, "name is up to 40"],
    [{ ...host, browserKey: "yes" }, "browserKey is true or false"],
    [{ ...host, faucet: {} }, "faucet is no address"],
    [{ ...host, limits: [] }, "limits is no object"],
    [{ ...host, limits: { DAI: null } }, "limits.DAI needs perGrant, perSite, perDay"],
    [{ ...host, limits: { DAI: { perGrant: "1", perSite: "1" } } }, "limits.DAI needs"],
    [{ ...host, limits: { DAI: { ...limits, perWeek: "1" } } }, "limits.DAI needs"],
    [{ ...host, limits: { DAI: { ...limits, perDay: 6 } } }, "limits.DAI.perDay is no amount"],
    [{ ...host, limits: { DAI: { ...limits, perDay: "-6" } } }, "limits.DAI.perDay is no amount"],
    [{ ...host, limits: { DAI: { ...limits, perDay: "1e3" } } }, "limits.DAI.perDay is no amount"],
    [{ ...host, limits: { DAI: { ...limits, perGrant: "4" } } }, "limits.DAI: One approval can't be more than one site may have"],
  ]) {
    assert.throws(() => hostOf(given), (error) => error instanceof NotSetUp && error.message.includes(said), `${JSON.stringify(given)}: ${said}`);
  }
});

test("limits are of the asset's own fineness, and never more than was written", () => {
  assert.deepEqual(limitsOf(limits, 18), { perGrant: 5n * 10n ** 17n, perSite: 3n * 10n ** 18n, perDay: 6n * 10n ** 18n });
  assert.deepEqual(limitsOf({ perGrant: "0.0000019", perSite: "1.5", perDay: "2" }, 6), { perGrant: 1n, perSite: 1_500_000n, perDay: 2_000_000n });
  assert.deepEqual(limitsOf({ perGrant: "0.9", perSite: "1.9", perDay: "2" }, 0), { perGrant: 0n, perSite: 1n, perDay: 2n });
});
