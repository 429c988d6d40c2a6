// The declarations, as strangers' compilers read them, and a snapshot of all that they declare.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { node, tool, whole, workFolder } from "./support/work.mjs";

const work = workFolder("types");
const pack = join(work, "node_modules/farthing");
const SNAPSHOT = join(import.meta.dirname, "api.txt");

const PROGRAM = `
import { connect, errorCodes, preload } from "farthing";
import type { Client, ErrorCode } from "farthing";
import { payer } from "farthing/pay";
import { bindOf } from "farthing/pay/scheme";
import { paywall, sqlite } from "farthing/paywall";
import { verifyReceipt } from "farthing/paywall/verify";
import { fileStore } from "farthing/store/file";
import { sqliteStore } from "farthing/store/sqlite";
import { connect as inline } from "farthing/inline";

export async function main(key: string) {
  preload();
  const client: Client = await connect({ hub: "https://hub.example", wallet: { privateKey: key }, store: await fileStore("x") });
  const codes: ErrorCode[] = await errorCodes();
  const end: Promise<void> = client[Symbol.asyncDispose]();
  const missing: ErrorCode = "not-loaded";
  const wall = await paywall({ client, store: sqlite("p.db"), origin: "https://news.example", asset: "DAI", unitPrice: 1n });
  return [codes, end, missing, wall, payer, bindOf, verifyReceipt, sqliteStore, inline] as const;
}
`;

const RESOLUTIONS = {
  bundler: { module: "esnext", moduleResolution: "bundler" },
  node16: { module: "node16", moduleResolution: "node16" },
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
};

/** Of these the others differ least. */
const QUICK = ["bundler module page", "node16 commonjs server"];

async function compiled(name, kind, options, program = PROGRAM) {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: kind }));
  writeFileSync(join(folder, "main.ts"), program);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { strict: true, noEmit: true, target: "es2022", skipLibCheck: false, exactOptionalPropertyTypes: true, ...options }, files: ["main.ts"] }));
  return node([tool("typescript/bin/tsc"), "-p", folder]);
}

for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
  for (const kind of ["module", "commonjs"]) {
    if (resolution === "bundler" && kind === "commonjs") continue;
    for (const [libraries, more] of Object.entries({ page: { lib: ["es2022", "dom"], types: [] }, server: { lib: ["es2022"], types: ["node"], typeRoots: [tool("@types")] } })) {
      test(`${resolution}, ${kind}, ${libraries}, with lib ES2022 and without skipLibCheck`, { skip: !whole && !QUICK.includes(`${resolution} ${kind} ${libraries}`) }, async () => {
        const { code, said } = await compiled(`${resolution}-${kind}-${libraries}`, kind, { ...options, ...more });
        assert.equal(code, 0, said);
      });
    }
  }
}

const STRICTER = { ...RESOLUTIONS.bundler, verbatimModuleSyntax: true, isolatedModules: true, noUncheckedIndexedAccess: true, noPropertyAccessFromIndexSignature: true, noImplicitOverride: true, erasableSyntaxOnly: true, useUnknownInCatchVariables: true };
const MORE = {
  "the strictest options": { ...STRICTER, lib: ["es2022", "dom"], types: [] },
  "module: preserve": { ...STRICTER, module: "preserve", lib: ["esnext", "dom", "dom.iterable"], types: [] },
  "a worker's library": { ...STRICTER, lib: ["es2022", "webworker"], types: [] },
};
for (const [name, options] of Object.entries(MORE)) {
  test(`${name}, without skipLibCheck`, { skip: !whole }, async () => {
    const { code, said } = await compiled(name.replaceAll(/\W+/g, "-"), "module", options);
    assert.equal(code, 0, said);
  });
}

test("what is not there does not compile", async () => {
  const { code, said } = await compiled("refused", "commonjs", { ...RESOLUTIONS.node16, lib: ["es2022", "dom"], types: [] }, 'import { connekt } from "farthing";\nconnekt();\n');
  assert.notEqual(code, 0);
  assert.match(said, /TS2724|TS2305/);
});

// `UPDATE_API=1` writes it anew; the difference is what reviewers look at.
test("the public API is as it was written down", () => {
  const { exports } = JSON.parse(readFileSync(join(pack, "package.json"), "utf8"));
  const entries = Object.entries(exports).filter(([, { import: of }]) => of !== undefined).map(([name, { import: { types } }]) => [`farthing${name.slice(1)}`, join(pack, types)]);
  const program = ts.createProgram(entries.map(([, file]) => file), { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, strict: true, types: [] });
  const checker = program.getTypeChecker();
  const printer = ts.createPrinter({ removeComments: true });
  const told = entries.map(([name, file]) => {
    const source = program.getSourceFile(file);
    const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(source));
    const lines = symbols.map((symbol) => {
      const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return real.declarations.map((one) => `${symbol.name}: ${printer.printNode(ts.EmitHint.Unspecified, one, one.getSourceFile()).replaceAll(/\s+/g, " ")}`).join("\n");
    });
    return `## ${name}\n${lines.sort().join("\n")}\n`;
  });
  const text = told.filter((part, index) => !entries[index][0].endsWith("/inline")).join("\n");
  if (process.env.UPDATE_API) writeFileSync(SNAPSHOT, text);
  assert.equal(text, readFileSync(SNAPSHOT, "utf8"), "if the change is meant: UPDATE_API=1 cargo xtask test --only packaging, and commit js-tests/packaging/api.txt");
});
