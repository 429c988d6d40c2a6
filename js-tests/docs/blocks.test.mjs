// Every block of JavaScript and of commands in the documentation does what it says: it is checked by TypeScript, and run, on a real
// chain, hub and package, in the context that its page names.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../support/markdown.mjs";
import { startPostgres } from "../support/postgres.mjs";
import { PAGES, blocksIn, repository } from "./blocks.mjs";
import { CONTEXTS } from "./contexts.mjs";
import { runInBrowser } from "./page.mjs";
import { createSet, stand } from "./set.mjs";

/** Blocks that nobody runs. A further one is a decision. */
const NOT_RUN = 4;

const support = fileURLToPath(new URL("../support", import.meta.url));
const all = PAGES.flatMap(blocksIn);
const wanted = all.filter(({ runs, followed, reason }) => runs && !followed && reason === undefined);
const nameOf = ({ page, line }) => `${page}:${line}`;

let set;
before(async () => void (set = await createSet()));
after(() => set.close());

test("each block says where it runs, or why not", () => {
  for (const block of wanted) assert.ok(Object.hasOwn(CONTEXTS, block.context ?? ""), `${nameOf(block)} names no context of js-tests/docs/contexts.mjs`);
  const left = all.filter(({ reason }) => reason !== undefined);
  assert.ok(left.length <= NOT_RUN, `${left.length} blocks are not run: ${left.map(nameOf).join(", ")}`);
  const used = new Set(wanted.map(({ context }) => context));
  assert.deepEqual(Object.keys(CONTEXTS).filter((name) => !used.has(name)), [], "contexts that no page uses");
});

test("JSON is JSON", () => {
  for (const block of all.filter(({ kind }) => kind === "json")) {
    // A page about the wire shortens values, and says two alternatives one after the other.
    for (const part of block.text.split(/\n(?=\{)/)) {
      try {
        JSON.parse(part.replaceAll(/: …/g, ": 0").replaceAll("{ … }", "{}"));
      } catch (error) {
        assert.fail(`${nameOf(block)}: ${error.message}\n${part}`);
      }
    }
  }
});

/** A block as a program: imports first, then what is there before it, itself, and what has to be so afterwards. */
function program(block) {
  const { before: prelude, after: end } = CONTEXTS[block.context];
  const lines = (text) => text.split(/\n|(?<=;) (?=import )/);
  const own = lines(stand(block.text, set, { port: block.port, site: CONTEXTS[block.context].site, payTo: CONTEXTS[block.context].payTo }));
  const isImport = (line) => /^import .* from /.test(line);
  const inside = [...lines(prelude), ...own];
  const taken = inside.join("\n");
  const need = (name, from) => (new RegExp(`import \\{[^}]*\\b${name}\\b[^}]*\\} from "${from}"`).test(taken) ? "" : `import { ${name} } from "${from}";`);
  return [
    'import assert from "node:assert/strict"; import { once } from "node:events";',
    'import { hub, joins, key, key2, options, port, reads, recovered, rpc, said, sold, to, wallet } from "./world.mjs";',
    need("connect", "farthing"), need("errorCodes", "farthing"), need("paywall", "farthing/paywall"), need("sqlite", "farthing/paywall"),
    ...inside.filter(isImport),
    "const { log } = console; console.log = (...what) => { said.push(what); log(...what); };",
    ...lines(prelude).filter((line) => !isImport(line)),
    // A scope of its own: a block may call something as the world around it does.
    "{",
    CONTEXTS[block.context].inside ?? "",
    ...own.filter((line) => !isImport(line)).map((line) => line.replace(/^export (?=const )/, "")),
    ...lines(end),
    "}",
    "export {};",
  ].join("\n");
}

const scripts = wanted.filter(({ context }) => CONTEXTS[context]?.before !== undefined);
const fileOf = (block) => `${nameOf(block).replaceAll(/[^\w]/g, "-")}.mjs`;

test("TypeScript finds nothing wrong with them", async () => {
  for (const block of scripts) {
    block.port = await set.freePort();
    writeFileSync(join(set.folder, fileOf(block)), program(block));
  }
  const compilerOptions = { target: "ES2023", module: "NodeNext", moduleResolution: "NodeNext", checkJs: true, noEmit: true, skipLibCheck: true, strict: false, types: ["node"] };
  writeFileSync(join(set.folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: scripts.map(fileOf) }));
  const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", set.folder], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

/** Two accounts of its own with money, for whoever asks. One after the other: they come from one account. */
let last = Promise.resolve();
const accounts = () =>
  (last = last.then(async () => {
    const [one, two] = [await set.world.account(), await set.world.account()];
    await set.world.chain.mint(set.world.usdc, one.address, 100_000_000n);
    return { KEY: one.privateKey, KEY2: two.privateKey };
  }));

describe("programs", { concurrency: 3 }, () => {
  for (const block of scripts) {
    test(nameOf(block), async () => {
      const env = { ...set.env, ...(await accounts()), PORT: String(block.port), SUPPORT: support };
      const cwd = join(set.folder, fileOf(block).replace(".mjs", ""));
      mkdirSync(cwd);
      const postgres = CONTEXTS[block.context].postgres ? await startPostgres() : undefined;
      if (postgres) env.POSTGRES = postgres.url;
      const { code, all: told } = await run(`exec node ${join(set.folder, fileOf(block))}`, { cwd, env }).ends();
      await postgres?.stop();
      assert.equal(code, 0, `${told}\n${program(block)}`);
    });
  }
});

describe("pages", () => {
  for (const block of wanted.filter(({ context }) => CONTEXTS[context]?.browser !== undefined)) {
    test(nameOf(block), () => runInBrowser(CONTEXTS[block.context].browser, stand(block.text, set), set));
  }
});

/** A kit and a paywall, made once for all that want one: `{ folder, key }` by what is in it. */
const made = new Map();

/** What has to lie in a folder before commands are run there. */
async function lay(cwd, { kit, paywall, installs, config, file }) {
  if (!made.has(kit) || !(kit || paywall)) symlinkSync(join(set.folder, "node_modules"), join(cwd, "node_modules"));
  if (installs) writeFileSync(join(cwd, "wallet.sqlite"), "");
  if (config !== undefined) {
    const block = all.find((one) => one.page === config && one.name === file);
    writeFileSync(join(cwd, file), stand(block.text, set));
  }
  const { KEY: key } = await accounts();
  if (!kit && !paywall) return key;
  const known = made.get(kit);
  if (known !== undefined) {
    cpSync(known.folder, cwd, { recursive: true });
    return known.key;
  }
  made.set(kit, { folder: cwd, key });
  const make = kit
    ? 'const client = await joins(key); await client.pay({ to, asset: "ETH", amount: 7n }); writeFileSync("kit.json", await client.exportExitKit()); await client.disconnect();'
    : 'const client = await joins(key); for (const name of ["paywall.db", "paywall.sqlite"]) await (await paywall({ client, store: sqlite(name), origin: "http://x.example", asset: "DAI", unitPrice: 1n })).close(); await client.disconnect();';
  const source = `import { writeFileSync } from "node:fs"; import { paywall, sqlite } from "farthing/paywall"; import { joins, key, to } from "../world.mjs";\n${make}`;
  writeFileSync(join(cwd, "make.mjs"), source);
  const { code, all: told } = await run("exec node make.mjs", { cwd, env: { ...set.env, ...(await accounts()), KEY: key } }).ends();
  assert.equal(code, 0, told);
  return key;
}

/** Commands that are run by a person who waits, or asks others than we have: the same, as far as a test can. */
const adapted = (line, context) => {
  const bare = line.replace(/ +#.*$/, "");
  if (context.kit) return / exit /.test(bare) && !/--print-only/.test(bare) ? `${bare} --yes --no-wait` : bare;
  if (context.installs) return line.replace("npm install farthing", `npm install --prefix installed ${process.env.FARTHING_PKG_TGZ}`).replace("npm ls farthing", "npm ls --prefix installed farthing");
  return line;
};

describe("commands", () => {
  for (const block of wanted.filter(({ context }) => CONTEXTS[context]?.shell)) {
    test(nameOf(block), async () => {
      const context = CONTEXTS[block.context];
      let key;
      const cwd = context.repository ? repository : join(set.folder, fileOf(block).replace(".mjs", ""));
      if (!context.repository) {
        mkdirSync(cwd);
        key = await lay(cwd, context);
      }
      const port = context.listen === undefined ? undefined : await set.freePort();
      const env = { ...set.env, ...(key && { FARTHING_KEY: key }), ...(port !== undefined && { FARTHING_HUB_LISTEN: `127.0.0.1:${port}`, FARTHING_WATCH_LISTEN: `127.0.0.1:${port}`, FARTHING_HUB_GAS__RESERVE: "1" }) };
      const running = [];
      try {
        for (const line of block.text.trimEnd().split("\n")) {
          const keeps = / # keeps running$/.test(line);
          const command = stand(adapted(line.replace(/ # keeps running$/, ""), context), set, { key }).replace(`127.0.0.1:${context.listen}`, `127.0.0.1:${port}`);
          const one = run(keeps ? command.replace(/(\S+=\S+ )?/, "$1exec ") : command, { cwd, env });
          if (keeps) {
            running.push(one);
            await one.says('"listening":');
            continue;
          }
          const { code, all: told } = await one.ends();
          // 3: to be continued, since the challenge period is not over.
          assert.ok(code === 0 || (context.kit && code === 3), `${line} (${code}):\n${told}`);
        }
      } finally {
        for (const one of running) one.signal("SIGTERM");
        await Promise.all(running.map((one) => one.ends()));
      }
    });
  }
});
