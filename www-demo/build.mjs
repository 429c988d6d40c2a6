// Builds the wallet page and the magazines' pages into `target/www/`, with the package that is installed in `js-tests/`,
// or the one that FARTHING_PKG_DIR names. Run with Node 22 or newer.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build as bundle } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const OUT = join(here, "../target/www");

const packageFolder = () => process.env.FARTHING_PKG_DIR ?? join(here, "../js-tests/node_modules/farthing");

/** Where a browser's bundler finds `farthing` and its parts: as the package's own `exports` say. */
function alias() {
  const folder = packageFolder();
  if (!existsSync(join(folder, "package.json"))) throw new Error(`The package is not in ${folder}: cargo xtask pkg makes it, cargo xtask demo installs it.`);
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const browser = (entry) => (typeof entry === "string" ? entry : browser(entry.browser ?? entry.import ?? entry.default));
  return Object.entries(exports).map(([name, entry]) => {
    const wanted = `farthing${name.slice(1)}`;
    return { find: new RegExp(`^${wanted.replaceAll(/[.*+?^$(){}|[\]\\/]/g, "\\$&")}$`), replacement: join(folder, browser(entry)) };
  });
}

const settings = (name, changes = {}) => ({
  root: join(here, name),
  base: "./",
  configFile: false,
  logLevel: "warn",
  resolve: { alias: alias() },
  build: { outDir: join(OUT, name), emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false, ...changes },
});

const buildWallet = () => bundle(settings("wallet"));

const buildMagazine = () => bundle(settings("magazine", { manifest: true, rollupOptions: { input: join(here, "magazine/src/magazine.ts") } }));

export async function build() {
  await buildWallet();
  await buildMagazine();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
