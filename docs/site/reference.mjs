// The reference of the package, made by TypeDoc of the declarations that it ships.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { Application } from "typedoc";
import { ENTRIES, root } from "./pages.mjs";

const template = join(root, "pkg-template");

/** `[{ source, html, title, called, text, trusted }]`; fails where a comment links to what is not there. */
export async function reference() {
  const folder = mkdtempSync(join(tmpdir(), "farthing-reference-"));
  try {
    const files = Object.keys(ENTRIES).map((file) => join(template, file));
    const tsconfig = join(folder, "tsconfig.json");
    writeFileSync(tsconfig, JSON.stringify({ compilerOptions: { target: "ES2022", module: "NodeNext", moduleResolution: "NodeNext", strict: true, types: [], lib: ["es2022", "dom"], noEmit: true }, files }));
    const app = await Application.bootstrapWithPlugins({
      entryPoints: files, tsconfig, out: folder, basePath: template, plugin: ["typedoc-plugin-markdown"], readme: "none", logLevel: "Warn", disableSources: true, disableGit: true,
      sort: ["source-order"], groupOrder: ["Functions", "Classes", "Interfaces", "Type Aliases", "*"], excludeExternals: true,
      outputFileStrategy: "modules", hidePageHeader: true, hideBreadcrumbs: true,
      interfacePropertiesFormat: "table", typeAliasPropertiesFormat: "table", typeDeclarationFormat: "table", parametersFormat: "table", enumMembersFormat: "table",
    });
    const project = await app.convert();
    if (project === undefined || app.logger.hasErrors()) throw new Error("TypeDoc can't read the declarations");
    await app.generateOutputs(project);
    if (app.logger.hasWarnings()) throw new Error("TypeDoc warns of the declarations: a link in a comment leads nowhere");
    return Object.entries(ENTRIES).map(([file, name]) => {
      const path = fileOf(file);
      const text = readFileSync(join(folder, path), "utf8");
      return {
        source: `api/${path}`, html: `api/${name.replaceAll("/", "-")}.html`, title: name, called: name, trusted: true,
        text: text.replace(/^# .*$/m, `# ${name}`).replace(/^\*\*\*$/gm, "").replaceAll("| - |", "| |"),
      };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where TypeDoc writes an entry. */
const fileOf = (entry) => {
  const module = entry.replace(/\.d\.ts$/, "");
  return module === "index" ? "index.md" : `${posix.basename(module) === "index" ? posix.dirname(module) : module}.md`;
};
