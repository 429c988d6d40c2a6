// Does what a page of documentation says, as a reader would: ```js NAME and ```json NAME are files, ```sh are commands one after the other, and
// ```text is what the last one says, in this order, among other things. A command that ends with "# keeps running" does.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KEEPS = /\s*# keeps running$/;

/** The blocks of a page, or of one of its sections: `[{ kind, name, text }]`. */
export function blocksOf(file, section) {
  let text = readFileSync(file, "utf8");
  if (section !== undefined) {
    const start = text.indexOf(`\n## ${section}\n`);
    assert.ok(start >= 0, `${file} has no section ${section}`);
    text = text.slice(start).split(/\n## /).slice(0, 2).join("\n## ");
  }
  return [...text.matchAll(/^```(\w*) ?(\S*)\n(.*?)^```$/gms)].map(([, kind, name, inner]) => ({ kind, name, text: inner }));
}

/** A program in a folder; `says(lines)` waits until it has said them, `ends()` for its end. */
export function run(command, { cwd, env }) {
  const child = spawn(command, { cwd, env, shell: "/bin/sh", detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let [out, all] = ["", ""];
  const heard = new Set();
  const hear = () => [...heard].forEach((check) => check());
  child.stdout.setEncoding("utf8").on("data", (chunk) => ((out += chunk), (all += chunk), hear()));
  child.stderr.setEncoding("utf8").on("data", (chunk) => (all += chunk));
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code: code ?? signal, out, all })));
  return {
    ends: () => ended,
    /** Fails if it ends without having said all. */
    async says(text) {
      const lines = text.split("\n").filter((line) => line !== "");
      const done = () => {
        let at = 0;
        return lines.every((line) => (at = out.indexOf(line, at)) >= 0 && ((at += line.length), true));
      };
      let check;
      const said = new Promise((resolve) => heard.add((check = () => done() && resolve())));
      check();
      await Promise.race([said, ended.then(() => assert.ok(done(), `${command} did not say ${JSON.stringify(lines)}:\n${all}`))]);
      heard.delete(check);
      return out;
    },
    /** To all that the command started, as a terminal does. */
    signal(name) {
      try {
        process.kill(-child.pid, name);
      } catch (error) {
        if (error.code !== "ESRCH") throw error;
      }
    },
  };
}

/** Does the blocks. `command(line)` may change what is run. Gives what keeps running, and counts. */
export async function follow(blocks, { cwd, env, command = (line) => line, running = [] }) {
  const count = { commands: 0, lines: 0 };
  let last;
  for (const { kind, name, text } of blocks) {
    if (["js", "json"].includes(kind) && name !== "") {
      writeFileSync(join(cwd, name), text);
      count.lines += text.split("\n").filter((line) => line.trim() !== "").length;
    } else if (kind === "sh") {
      for (const line of text.trimEnd().split("\n")) {
        last = run(command(line.replace(KEEPS, "")), { cwd, env });
        count.commands += 1;
        if (KEEPS.test(line)) running.push(last);
        else {
          const { code, all } = await last.ends();
          assert.equal(code, 0, `${line}:\n${all}`);
        }
      }
    } else {
      assert.equal(kind, "text", `a block that nobody runs: ${name || text}`);
      await last.says(text);
    }
  }
  return { count, running };
}
