// Error codes as tests provoke them: through the public face, with real parts. `node/codes.test.mjs` finds who does.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Codes that nothing outside can provoke, and why they are there. */
export const UNREACHABLE = new Map([
  ["internal", "a defect of the package; what a hub calls so is its own fault, and told as hub-fault"],
]);

/** What a person can read: sentences, none of which shows how the program is made. */
function assertReadable(message) {
  assert.ok(message.length >= 20, `it says too little: ${message}`);
  assert.match(message, /^[A-Za-z0-9"'].*[.?!)]$/s, "it is made of sentences");
  assert.doesNotMatch(message, /undefined|\[object|NaN|unwrap|panicked/);
}

/** Asserts that an error, of a call or of an event, has the code, and says something. */
export function provoked(code, error, says = /./) {
  assert.ok(error instanceof Error, `no error: ${error}`);
  assert.equal(error.name, "FarthingError");
  assert.equal(error.code, code, error.message);
  assertReadable(error.message);
  assert.match(error.message, says);
  return error;
}

/** Asserts that the work fails with the code. */
export async function provokes(code, work, says) {
  let value;
  try {
    value = await work();
  } catch (error) {
    return provoked(code, error, says);
  }
  return assert.fail(`${code} was to be provoked, and there is ${typeof value}`);
}

const USES = [/\bprovoke[sd]\(\s*"([a-z-]+)"/g, /\bassert\.(?:rejects|throws)\(.*\{ code: "([a-z-]+)"/g];

/** Who provokes which code: each place is an assertion that fails when it does not. */
export function provocations(folder = join(import.meta.dirname, "..")) {
  const found = new Map();
  for (const room of ["node", "browser", "adversary", "faults"]) {
    for (const name of readdirSync(join(folder, room)).filter((file) => file.endsWith(".test.mjs"))) {
      const text = readFileSync(join(folder, room, name), "utf8");
      for (const use of USES) for (const [, code] of text.matchAll(use)) found.set(code, [...(found.get(code) ?? []), `${room}/${name}`]);
    }
  }
  return found;
}
