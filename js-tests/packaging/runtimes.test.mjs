// The package where there is no bundler: Node as it is and older, test runners, Deno, Bun, workerd.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build as esbuild } from "esbuild";
import { Miniflare } from "miniflare";
import { createWorld } from "../support/world.mjs";
import { node, run, tool, workFolder } from "./support/work.mjs";

/** What Jest says where something is still alive a second after the last test. */
const STAYS = /did not exit/;

const work = workFolder("runtimes");
const at = (path) => join(work, path);

const old = (major) => tool(`node${major}-linux-x64/bin/node`);
const [deno, bun] = [tool("@deno/linux-x64-glibc/deno"), tool("@oven/bun-linux-x64/bin/bun")];
/** Programs that npm has for this platform alone are left out where they are not. */
const without = (program) => ({ skip: existsSync(program) ? false : `npm has no ${program} for this platform` });

for (const [name, main] of [["import", "server/main.mjs"], ["require", "server/main.cjs"]]) {
  test(`Node, by ${name}`, async () => {
    assert.deepEqual(await node([at(main)]), { code: 0, said: "loaded, refused\n" });
  });

  for (const major of [18, 20]) {
    test(`Node ${major}, by ${name}, is told in one sentence`, without(old(major)), async () => {
      const { code, said } = await run(old(major), [at(main)]);
      assert.equal(code, 0, said);
      assert.match(said, /^loaded, FarthingError unsupported: There is no global WebSocket here\. Node has one from version 22 on; .*\n$/);
    });
  }
}

const TYPED = "loaded, refused, function, function\n";
const NODES = {
  "TypeScript as it is": ["typed/main.ts"],
  "the package loaded ahead, by --import": ["--import", at("typed/ahead.mjs"), "typed/main.ts"],
  "a thread": ["typed/thread.mjs"],
  "permission to read alone": ["--permission", `--allow-fs-read=${tool("../..")}`, "typed/main.ts"],
  "no code made of strings": ["--disallow-code-generation-from-strings", "--disable-proto=throw", "typed/main.ts"],
};
for (const [how, [...args]] of Object.entries(NODES)) {
  test(`Node with ${how}`, async () => {
    const main = at(args.pop());
    assert.deepEqual(await node(["--no-warnings", ...args, main]), { code: 0, said: TYPED });
  });
}

test("a store of the paywall where no thread may be started", async () => {
  const { said } = await node(["--no-warnings", "--permission", "--allow-fs-read=*", "--allow-fs-write=*", at("shop/main.mjs")]);
  assert.equal(said, "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a, 503, loaded, refused\n");
});

test("where there is no WebAssembly, one sentence says so", async () => {
  const { said } = await node(["--no-warnings", "--jitless", at("typed/codes.mjs")]);
  assert.match(said, /^not-loaded: There is no WebAssembly here, .*Allow it for this site\. Nothing was signed or sent\.\n$/);
});

test("a folder of packages that are links, as pnpm lays them", async () => {
  const folder = join(work, "linked");
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  const real = join(folder, "store/farthing@0/node_modules/farthing");
  cpSync(at("node_modules/farthing"), real, { recursive: true });
  symlinkSync(real, join(folder, "node_modules/farthing"));
  for (const app of ["shared", "shop", "server"]) cpSync(at(app), join(folder, app), { recursive: true });
  assert.match((await node([join(folder, "shop/main.mjs")])).said, /, 503, loaded, refused\n$/);
  assert.equal((await node([join(folder, "server/parts.cjs")])).said, "8 parts\n");
});

test("every part can be required, and is the one that import gives", async () => {
  const { code, said } = await node([at("server/parts.cjs")]);
  assert.deepEqual([code, said], [0, "8 parts\n"]);
});

for (const major of [18, 20]) {
  test(`npx farthing on Node ${major}: one sentence, no stack`, without(old(major)), async () => {
    const { code, said } = await run(old(major), [at("node_modules/farthing/bin/start.mjs"), "--help"]);
    assert.equal(code, 2);
    assert.match(said, /^farthing needs Node 22\.13 or newer, and this is Node \d+\.\d+\.\d+: nothing was done\.\n$/);
  });
}

test("npx farthing", async () => {
  const { code, said } = await node([at("node_modules/farthing/bin/start.mjs"), "--help"]);
  assert.equal(code, 0);
  assert.match(said, /^Usage:/);
});

test("Vitest, with its environments node and jsdom", async () => {
  const { code, said } = await node([tool("vitest/vitest.mjs"), "run", "--root", "."], { cwd: at("vitest"), env: { NO_COLOR: "1" } });
  assert.equal(code, 0, said);
  assert.match(said, /Tests +2 passed/);
});

for (const [kind, options] of [["cjs", []], ["esm", ["--experimental-vm-modules"]]]) {
  test(`Jest with ${kind} modules, with its environments node and jsdom`, async () => {
    const { code, said } = await node([...options, tool("jest/bin/jest.js"), "--runInBand"], { cwd: at(`jest/${kind}`), env: { NO_COLOR: "1" } });
    assert.equal(code, 0, said);
    assert.match(said, /Tests: +2 passed, 2 total/);
    assert.doesNotMatch(said, STAYS);
  });
}

test("Jest ends by itself after a client that paid", async () => {
  const world = await createWorld();
  try {
    const { privateKey } = await world.account();
    const options = { hub: world.hubUrl, rpc: world.rpcUrl, wallet: { privateKey }, store: "memory", pollInterval: 100, payee: world.hub.owner };
    const { code, said } = await node([tool("jest/bin/jest.js"), "--runInBand"], { cwd: at("jest/pays"), env: { NO_COLOR: "1", PAYS: JSON.stringify(options) } });
    assert.equal(code, 0, said);
    assert.doesNotMatch(said, STAYS);
  } finally {
    await world.stop();
  }
});

test("Deno", without(deno), async () => {
  assert.deepEqual(await run(deno, ["run", "--quiet", "--allow-all", "--node-modules-dir=manual", at("server/main.mjs")], { cwd: work }), { code: 0, said: "loaded, refused\n" });
});

for (const main of ["server/main.mjs", "server/main.cjs"]) {
  test(`Bun, ${main}`, without(bun), async () => {
    assert.deepEqual(await run(bun, [at(main)]), { code: 0, said: "loaded, refused\n" });
  });
}

// As wrangler does it: the module stays outside of the bundle, and is compiled when the worker is deployed.
test("workerd", async () => {
  const outfile = at("out/worker.mjs");
  const apart = { name: "wasm", setup: (build) => build.onResolve({ filter: /\.wasm$/ }, () => ({ path: "./core_bg.wasm", external: true })) };
  await esbuild({ entryPoints: [at("worker/main.mjs")], bundle: true, format: "esm", outfile, conditions: ["workerd", "worker", "browser"], plugins: [apart], logLevel: "error" });
  const modules = [
    { type: "ESModule", path: outfile, contents: readFileSync(outfile, "utf8") },
    { type: "CompiledWasm", path: at("out/core_bg.wasm"), contents: readFileSync(at("node_modules/farthing/core_bg.wasm")) },
  ];
  const worker = new Miniflare({ modules, modulesRoot: at("out"), compatibilityDate: "2026-01-01", cf: false });
  try {
    const response = await worker.dispatchFetch("http://worker.example/");
    assert.equal(await response.text(), "loaded, refused");
  } finally {
    await worker.dispose();
  }
});

test("publint has nothing to say", async () => {
  const { code, said } = await node([tool("publint/src/cli.js"), "--strict", at("node_modules/farthing")], { env: { NO_COLOR: "1" } });
  assert.equal(code, 0, said);
  assert.match(said, /All good!/);
});

test("attw has nothing to say", async () => {
  // TypeScript has no declarations of a .wasm file, and needs none.
  const { code, said } = await node([tool("@arethetypeswrong/cli/dist/index.js"), process.env.FARTHING_PKG_TGZ, "--exclude-entrypoints", "core_bg.wasm", "--no-emoji"], { env: { NO_COLOR: "1" } });
  assert.equal(code, 0, said);
  assert.match(said, /No problems found/);
});
