// The package in every bundler, as a stranger uses it: nothing is configured for its sake, and the page that comes out runs
// in Chromium.

import assert from "node:assert/strict";
import { cpSync, copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import webpack from "webpack";
import { closeBrowser, serve, titleOf } from "./support/site.mjs";
import { node, tool, whole, workFolder } from "./support/work.mjs";

const WELL = "loaded, refused, function";
/** What `shop/main.mjs` says: whose signature it read with the package's module, and that nobody can buy before its till is open. */
const SHOP = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a, 503, loaded, refused\n";
const work = workFolder("bundlers");
const at = (path) => join(work, path);
after(closeBrowser);

/** What the page says when a plain host serves the folder. */
async function shown(folder, headers) {
  const site = await serve(folder, headers);
  try {
    return await titleOf(site.url);
  } finally {
    await site.close();
  }
}

const wasms = (folder) => readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".wasm"));

for (const version of [5, 6, 7]) {
  const page = at(`vite${version}`);
  const settings = { root: page, base: "./", configFile: false, logLevel: "error" };

  test(`Vite ${version}, in development`, async () => {
    cpSync(at("page"), page, { recursive: true });
    const { createServer } = await import(`vite${version}`);
    const server = await createServer({ ...settings, cacheDir: at(`cache/vite${version}`), server: { port: 0, host: "127.0.0.1" } });
    try {
      await server.listen();
      assert.equal(await titleOf(`http://127.0.0.1:${server.httpServer.address().port}/`), WELL);
    } finally {
      await server.close();
    }
  });

  test(`Vite ${version}, built`, async () => {
    cpSync(at("page"), page, { recursive: true });
    const { build } = await import(`vite${version}`);
    const outDir = at(`out/vite${version}`);
    await build({ ...settings, build: { outDir, target: "es2022" } });
    assert.equal(wasms(outDir).length, 1);
    assert.equal(await shown(outDir), WELL);
  });
}

test("Vite, workers of a page: in development, built, and as its preview shows it", { skip: !whole }, async () => {
  const { build, createServer, preview } = await import("vite");
  const settings = { root: at("workers"), base: "./", configFile: false, logLevel: "error", worker: { format: "es" }, server: { port: 0, host: "127.0.0.1" } };
  const server = await createServer({ ...settings, cacheDir: at("cache/workers") });
  try {
    await server.listen();
    assert.equal(await titleOf(`http://127.0.0.1:${server.httpServer.address().port}/`), "loaded, refused; loaded, refused");
  } finally {
    await server.close();
  }
  await build({ ...settings, build: { outDir: at("out/workers"), target: "es2022" } });
  const shown = await preview({ ...settings, build: { outDir: at("out/workers") }, preview: { port: 0, host: "127.0.0.1" } });
  try {
    assert.equal(await titleOf(`http://127.0.0.1:${shown.httpServer.address().port}/`), "loaded, refused; loaded, refused");
  } finally {
    await shown.close();
  }
});

test("Vite, for servers: as its development runs it, and built with everything inside", { skip: !whole }, async () => {
  const { build, createServer } = await import("vite");
  const settings = { root: at("shop"), configFile: false, logLevel: "error", cacheDir: at("cache/ssr") };
  for (const noExternal of [[], true]) {
    const outDir = at(`out/ssr-${noExternal === true}`);
    await build({ ...settings, ssr: { noExternal }, build: { ssr: "main.mjs", outDir, target: "es2022" } });
    const [file] = readdirSync(outDir).filter((name) => /^main\.m?js$/.test(name));
    assert.equal((await node([join(outDir, file)])).said, SHOP, `${noExternal}`);
  }
  const server = await createServer({ ...settings, server: { middlewareMode: true }, appType: "custom" });
  try {
    const { errorCodes } = await server.ssrLoadModule("farthing");
    assert.ok((await errorCodes()).length > 40);
  } finally {
    await server.close();
  }
});

for (const mode of ["development", "production"]) {
  test(`webpack, ${mode}`, async () => {
    const folder = at(`out/webpack-${mode}`);
    const stats = await new Promise((resolve, reject) => {
      const settings = { mode, context: at("page"), entry: "./main.mjs", output: { path: folder, filename: "main.mjs", module: true }, experiments: { outputModule: true }, performance: { hints: false } };
      webpack(settings, (error, done) => (error ? reject(error) : resolve(done)));
    });
    assert.equal(stats.toString({ all: false, errors: true, warnings: true }), "");
    copyFileSync(at("page/index.html"), join(folder, "index.html"));
    assert.equal(wasms(folder).length, 1);
    assert.equal(await shown(folder), WELL);
  });
}

test("webpack, where the application is CommonJS", async () => {
  const folder = at("out/webpack-cjs");
  const stats = await new Promise((resolve, reject) => {
    webpack({ mode: "production", context: at("required"), entry: "./main.cjs", output: { path: folder, filename: "main.mjs" }, performance: { hints: false } }, (error, done) => (error ? reject(error) : resolve(done)));
  });
  assert.equal(stats.toString({ all: false, errors: true, warnings: true }), "");
  copyFileSync(at("page/index.html"), join(folder, "index.html"));
  assert.equal(wasms(folder).length, 1);
  assert.equal(await shown(folder), WELL);
});

async function bundled(name, main) {
  const outdir = at(`out/${name}`);
  await esbuild({ entryPoints: [{ in: at(main), out: "main" }], bundle: true, format: "esm", outdir, outExtension: { ".js": ".mjs" }, logLevel: "error" });
  copyFileSync(at("page/index.html"), join(outdir, "index.html"));
  return outdir;
}

async function rolled(name, main) {
  const dir = at(`out/${name}`);
  const bundle = await rollup({ input: at(main), plugins: [nodeResolve({ browser: true, exportConditions: ["production"] })] });
  await bundle.write({ dir, format: "es", entryFileNames: "main.mjs" });
  copyFileSync(at("page/index.html"), join(dir, "index.html"));
  return dir;
}

for (const [name, build] of [["esbuild", bundled], ["Rollup", rolled]]) {
  test(`${name} copies no module: one sentence says what to do`, async () => {
    const said = await shown(await build(`${name}-bare`, "page/main.mjs"));
    assert.match(said, /^FarthingError not-loaded: The wasm module at http:\S+core_bg\.wasm is not there: the server answers 404\. .*initAsync\(url\).*farthing\/inline/);
  });

  test(`${name}, with the module's address`, async () => {
    const folder = await build(`${name}-address`, "address/main.mjs");
    copyFileSync(at("node_modules/farthing/core_bg.wasm"), join(folder, "farthing.wasm"));
    assert.equal(await shown(folder), WELL);
  });

  test(`${name}, with the module inside`, async () => {
    assert.equal(await shown(await build(`${name}-inline`, "inline/main.mjs")), WELL);
  });
}

test("esbuild for servers", async () => {
  for (const format of ["esm", "cjs"]) {
    const outfile = at(`out/server.${format === "esm" ? "mjs" : "cjs"}`);
    await esbuild({ entryPoints: [at("shop/main.mjs")], bundle: true, platform: "node", format, outfile, logLevel: "error" });
    const { said } = await node([outfile]);
    assert.equal(said, SHOP, format);
  }
});

for (const module of [true, false]) {
  test(`webpack for servers, ${module ? "as an ES module" : "as CommonJS"}`, { skip: !whole }, async () => {
    const folder = at(`out/webpack-server-${module}`);
    const filename = `main.${module ? "mjs" : "cjs"}`;
    const stats = await new Promise((resolve, reject) => {
      const settings = { mode: "production", target: "node", context: at("shop"), entry: "./main.mjs", output: { path: folder, filename, module }, experiments: { outputModule: module }, performance: { hints: false } };
      webpack(settings, (error, done) => (error ? reject(error) : resolve(done)));
    });
    assert.equal(stats.toString({ all: false, errors: true, warnings: true }), "");
    assert.equal((await node([join(folder, filename)])).said, SHOP);
  });
}

const self = "'self'";
const policy = (script) => ({ "content-security-policy": `default-src 'none'; script-src ${script}; connect-src ${self}; require-trusted-types-for 'script'` });

test("a page with a strict Content-Security-Policy", async () => {
  const folder = await bundled("strict", "address/main.mjs");
  copyFileSync(at("node_modules/farthing/core_bg.wasm"), join(folder, "farthing.wasm"));
  assert.equal(await shown(folder, policy("'self' 'wasm-unsafe-eval'")), WELL);
  assert.match(await shown(folder, policy("'self'")), /^FarthingError not-loaded: .*Content-Security-Policy must have 'wasm-unsafe-eval' in script-src\./);
});

test("a service worker", async () => {
  const outdir = at("out/service-worker");
  await esbuild({ entryPoints: [at("service-worker/worker.mjs"), at("service-worker/main.mjs")], bundle: true, format: "esm", outdir, outExtension: { ".js": ".mjs" }, logLevel: "error" });
  copyFileSync(at("page/index.html"), join(outdir, "index.html"));
  copyFileSync(at("node_modules/farthing/core_bg.wasm"), join(outdir, "farthing.wasm"));
  assert.equal(await shown(outdir), "loaded, refused");
});

test("Parcel", { skip: !whole }, async () => {
  cpSync(at("page"), at("parcel"), { recursive: true });
  const { code, said } = await node([tool("parcel/lib/bin.js"), "build", "index.html", "--no-cache", "--dist-dir", at("out/parcel")], { cwd: at("parcel") });
  assert.equal(code, 0, said);
  assert.equal(wasms(at("out/parcel")).length, 1);
  assert.equal(await shown(at("out/parcel")), WELL);
});
