// One program at a time in a folder. Who holds it stands in a file that is there as a whole or not at all.
// @ts-check

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { DevError } from "./problem.mjs";

/** @param {number} pid */
function lives(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (/** @type {any} */ error) {
    return error.code === "EPERM";
  }
}

/** @param {string} file @returns {string | undefined} */
function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (/** @type {any} */ error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** @param {string} text @returns {number | undefined} */
function holder(text) {
  try {
    const { pid } = JSON.parse(text);
    return Number.isInteger(pid) && pid !== process.pid && lives(pid) ? pid : undefined;
  } catch {
    // Nobody's: it was not written by this.
    return undefined;
  }
}

/** `from` under another name, if that one is free. @param {string} from @param {string} to */
function linked(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (/** @type {any} */ error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Gives what ends it; refuses while another process that lives has it. @param {string} file */
export function lock(file) {
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex");
  const [ours, aside] = [`${file}.${nonce}.new`, `${file}.${nonce}.old`];
  const text = JSON.stringify({ pid: process.pid, nonce });
  const refuse = (/** @type {number} */ pid) =>
    new DevError("already-running", `farthing dev runs in this folder already, as process ${pid}; end it, or delete ${file} if that process is another program.`);
  writeFileSync(ours, text, { mode: 0o600 });
  try {
    while (!linked(ours, file)) {
      const found = read(file);
      if (found === undefined) continue;
      const pid = holder(found);
      if (pid !== undefined) throw refuse(pid);
      // Left by one that died. Another process may see that too, and be faster: then this is its file, and goes back.
      try {
        renameSync(file, aside);
      } catch (/** @type {any} */ error) {
        if (error.code === "ENOENT") continue;
        throw error;
      }
      const living = holder(read(aside) ?? "");
      if (living !== undefined) {
        linked(aside, file);
        throw refuse(living);
      }
    }
  } finally {
    rmSync(ours, { force: true });
    rmSync(aside, { force: true });
  }
  return () => {
    if (read(file) === text) rmSync(file, { force: true });
  };
}
