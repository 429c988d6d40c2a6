// Builds the wallet page and the magazines' pages into `target/www/`, with the package that is installed in `js-tests/`,
// or the one that FARTHING_PKG_DIR names. Run with Node 22 or newer.
// `node build.mjs --wallet OUT --package FOLDER` builds the wallet page alone, as the package takes it along.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build as bundle } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const OUT = join(here, "../target/www");

/** What the wallet page takes of the package: loaded from beside it, so that the package has one copy of its module. */
const ENGINE = ["farthing"];

export const packageFolder = () => process.env.FARTHING_PKG_DIR ?? join(here, "../js-tests/node_modules/farthing");

/** What a browser loads for `farthing` and its parts, as the package's own `exports` say: `[[name, file], …]`. */
function entriesOf(folder) {
  if (!existsSync(join(folder, "package.json"))) throw new Error(`The package is not in ${folder}: cargo xtask pkg makes it, cargo xtask demo installs it.`);
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const browser = (entry) => (typeof entry === "string" ? entry : browser(entry.browser ?? entry.import ?? entry.default));
  return Object.entries(exports).map(([name, entry]) => [`farthing${name.slice(1)}`, browser(entry).replace("./", "")]);
}

/** Where a browser's bundler finds them. */
const alias = (folder) =>
  entriesOf(folder).map(([name, file]) => ({ find: new RegExp(`^${name.replaceAll(/[.*+?^$(){}|[\]\\/]/g, "\\$&")}$`), replacement: join(folder, file) }));

const settings = (name, changes = {}) => ({
  root: join(here, name),
  base: "./",
  configFile: false,
  logLevel: "warn",
  build: { outDir: join(OUT, name), emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false, ...changes },
});

/** The files of the package that these entries load, sooner or later, and the module. By the bundler's own account. */
async function loadedBy(named, entries) {
  // As the bundler names what it reads.
  const folder = realpathSync(named);
  const input = entries.map((file) => join(folder, file));
  const made = await bundle({ root: folder, configFile: false, logLevel: "error", publicDir: false, build: { write: false, rollupOptions: { input, preserveEntrySignatures: "strict" } } });
  const files = [made].flat().flatMap(({ output }) => output).flatMap(({ modules }) => Object.keys(modules ?? {}));
  const inside = files.filter((file) => file.startsWith(`${folder}/`)).map((file) => file.slice(folder.length + 1));
  if (!inside.includes("core_bg.js")) throw new Error(`The bundler does not say what of ${folder} is loaded: ${files.join(", ")}`);
  return [...new Set([...entries, ...inside, "core_bg.wasm"])].sort();
}

/**
 * The wallet page, which loads the engine from a folder beside it that is named by its content; `engine.json` says what is in
 * it. Whoever serves or copies the page puts it there (`pkg-template/dev/page.mjs`).
 */
export async function buildWallet({ out = join(OUT, "wallet"), folder = packageFolder() } = {}) {
  const entries = entriesOf(folder).filter(([name]) => ENGINE.includes(name));
  const files = await loadedBy(folder, entries.map(([, file]) => file));
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(folder, file))).update("\0");
  const engine = `engine-${hash.digest("hex").slice(0, 12)}`;
  const beside = {
    name: "engine-beside",
    enforce: "pre",
    resolveId(id) {
      if (!/^farthing(\/|$)/.test(id)) return undefined;
      const file = entries.find(([name]) => name === id)?.[1];
      if (file === undefined) throw new Error(`The wallet page imports ${id}, which ENGINE in www-demo/build.mjs does not name.`);
      // Beside assets/, where the page's own scripts are; hosts send .js with its type, and not always .mjs.
      return { id: `../${engine}/${file.replace(/\.mjs$/, ".js")}`, external: true };
    },
  };
  await bundle({ ...settings("wallet", { outDir: out }), plugins: [beside] });
  writeFileSync(join(out, "engine.json"), `${JSON.stringify({ folder: engine, files }, null, 2)}\n`);
}

const buildMagazine = () =>
  bundle({ ...settings("magazine", { manifest: true, rollupOptions: { input: join(here, "magazine/src/magazine.ts") } }), resolve: { alias: alias(packageFolder()) } });

export async function build() {
  await buildWallet();
  await buildMagazine();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { wallet: { type: "string" }, package: { type: "string" } } });
  if (values.wallet === undefined) await build();
  else await buildWallet({ out: resolve(values.wallet), folder: values.package && resolve(values.package) });
}
