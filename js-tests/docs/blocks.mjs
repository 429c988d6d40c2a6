// The code blocks of the documentation, each with what its page says about it in an invisible comment right before it:
// `<!-- block: in CONTEXT -->`, or `<!-- block: not run: REASON -->` where it can't be.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../", import.meta.url));

export const PAGES = ["README.md", "pkg-template/README.md", "hub/README.md", ...readdirSync(join(repository, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];

/** What tests of their own follow as a whole, or by section. */
const FOLLOWED = { "docs/quick-start.md": "", "docs/host-a-wallet.md": "", "docs/react.md": "", "pkg-template/README.md": "From an empty folder to a payment" };

const RUN = new Set(["js", "mjs", "ts", "jsx", "tsx", "sh", "bash"]);

/** `[{ page, line, kind, name, text, context, reason, followed }]`, of one page. */
export function blocksIn(page) {
  const blocks = [];
  let [open, note, section] = [undefined, "", ""];
  for (const [at, line] of readFileSync(join(repository, page), "utf8").split("\n").entries()) {
    if (open !== undefined) {
      if (line !== "```") open.lines.push(line);
      else {
        const { lines, ...block } = open;
        blocks.push({ ...block, text: `${lines.join("\n")}\n` });
        open = undefined;
      }
      continue;
    }
    const fence = line.match(/^```(\w*) ?(\S*)$/);
    if (fence) {
      const followed = page in FOLLOWED && (FOLLOWED[page] === "" || FOLLOWED[page] === section);
      open = { page, line: at + 1, kind: fence[1], name: fence[2], lines: [], context: note.match(/^in (\S+)$/)?.[1], reason: note.match(/^not run: (.+)$/)?.[1], followed, runs: RUN.has(fence[1]) };
    }
    if (line.startsWith("## ")) section = line.slice(3);
    if (line.trim() !== "") note = line.match(/^<!-- block: (.*) -->$/)?.[1] ?? "";
  }
  return blocks;
}
