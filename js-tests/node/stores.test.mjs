// The stores of the package in Node, against the suite that all stores pass, and each one's own dangers.

import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, test } from "node:test";
import { farthing, packageFile } from "../support/env.mjs";
import { cases, casesFor } from "../support/store-conformance.mjs";

const folder = fs.mkdtempSync(join(tmpdir(), "farthing-stores-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = (ending) => join(folder, `${(count += 1)}.${ending}`);

const { _testing } = await farthing();
const { openStore } = await _testing();
const { fileStore } = await packageFile("store/file.mjs");
const { sqliteStore } = await packageFile("store/sqlite.mjs");

/** The disk refuses to sync so many times. */
function failingSync(times) {
  const real = fs.fdatasyncSync;
  let failures = times;
  fs.fdatasyncSync = (descriptor) => {
    failures -= 1;
    if (failures < 0) return real(descriptor);
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  };
  syncBuiltinESMExports();
  return () => {
    fs.fdatasyncSync = real;
    syncBuiltinESMExports();
  };
}

/** Refuses the key that the suite's case of a refused commit uses. */
function prepareRefusal(path) {
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT");
  database.exec("CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.key = 'half' BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END");
  database.close();
}

const places = {
  memory: () => ({ open: () => openStore("memory"), forgets: true }),
  file() {
    const path = fresh("log");
    return { open: () => fileStore(path), refuse: () => failingSync(1) };
  },
  sqlite() {
    const path = fresh("sqlite");
    prepareRefusal(path);
    return { open: () => sqliteStore(path), refuse: () => () => {} };
  },
  "file, through the client's adapter"() {
    const path = fresh("log");
    return { open: async () => openStore(await fileStore(path)), refuse: () => failingSync(1) };
  },
  "sqlite, through the client's adapter"() {
    const path = fresh("sqlite");
    prepareRefusal(path);
    return { open: async () => openStore(await sqliteStore(path)), refuse: () => () => {} };
  },
};

for (const [name, place] of Object.entries(places)) {
  describe(name, () => {
    for (const title of casesFor(place())) test(title, () => cases[title](place()));
  });
}

describe("file", () => {
  async function filled() {
    const path = fresh("log");
    const store = await fileStore(path);
    for (let index = 0; index < 3; index += 1) await store.commit([[`k${index}`, Uint8Array.of(index)], ["last", Uint8Array.of(index)]]);
    await store.close();
    return path;
  }
  const lastOf = async (path) => {
    const store = await fileStore(path);
    const [, value] = (await store.load("last"))[0];
    await store.close();
    return value[0];
  };

  test("a record that is torn anywhere at the end is dropped, whole", async () => {
    const path = await filled();
    const whole = fs.readFileSync(path);
    const start = whole.length - (whole.length - 8) / 3;
    for (let length = start + 1; length < whole.length; length += 1) {
      fs.writeFileSync(path, whole.subarray(0, length));
      assert.equal(await lastOf(path), 1, `cut at ${length}`);
    }
    fs.writeFileSync(path, Buffer.concat([whole, Buffer.alloc(4096)]));
    assert.equal(await lastOf(path), 2, "zeros at the end");
  });

  test("damage before the end is an error", async () => {
    const path = await filled();
    const whole = fs.readFileSync(path);
    whole[30] ^= 1;
    fs.writeFileSync(path, whole);
    await assert.rejects(fileStore(path), { code: "storage-corrupt" });
    fs.writeFileSync(path, "something else entirely");
    await assert.rejects(fileStore(path), { code: "storage-corrupt" });
  });

  test("a length that is damaged is no torn end: nothing is dropped", async () => {
    const path = await filled();
    const whole = fs.readFileSync(path);
    const size = (whole.length - 8) / 3;
    for (let record = 0; record < 3; record += 1) {
      for (let bit = 0; bit < 32; bit += 1) {
        const damaged = Buffer.from(whole);
        damaged[8 + record * size + (bit >> 3)] ^= 1 << (bit & 7);
        fs.writeFileSync(path, damaged);
        await assert.rejects(fileStore(path), { code: "storage-corrupt" }, `record ${record}, bit ${bit}`);
        assert.ok(fs.readFileSync(path).equals(damaged), "it is left as it is");
      }
    }
  });

  test("after a write that could not be taken back either, it refuses until it is opened again", async () => {
    const path = await filled();
    const store = await fileStore(path);
    const allow = failingSync(2);
    await assert.rejects(store.commit([["last", Uint8Array.of(9)]]), { code: "storage-failed" });
    allow();
    await assert.rejects(store.commit([["last", Uint8Array.of(9)]]), { code: "storage-failed" });
    await assert.rejects(store.load(""), { code: "storage-failed" });
    await store.close();
    assert.equal(await lastOf(path), 2);
  });

  test("history is compacted and nothing is lost", async () => {
    const path = fresh("log");
    const store = await fileStore(path);
    const large = new Uint8Array(60_000).fill(7);
    for (let index = 0; index < 60; index += 1) await store.commit([["large", large], [`n${index % 5}`, Uint8Array.of(index)]]);
    assert.ok(fs.statSync(path).size < 1_500_000, "the file has shrunk");
    await store.close();
    const again = await fileStore(path);
    assert.deepEqual((await again.load("n")).map(([, value]) => value[0]), [55, 56, 57, 58, 59]);
    await again.close();
  });

  test("who has it open already is said: this process, or another one", async () => {
    for (const [open, path] of [[fileStore, fresh("log")], [sqliteStore, fresh("sqlite")]]) {
      const store = await open(path);
      await assert.rejects(open(path), ({ code, message }) => code === "storage-locked" && message.startsWith("This process has"));
      await store.close();
      await (await open(path)).close();
    }
    const path = await filled();
    fs.writeFileSync(`${path}.lock`, JSON.stringify({ pid: process.ppid, started: 1 }));
    await assert.rejects(fileStore(path), { message: /^Another process has/ });
    fs.rmSync(`${path}.lock`);
  });

  test("the lock of a process that died is taken over", async () => {
    const path = await filled();
    fs.writeFileSync(`${path}.lock`, JSON.stringify({ pid: 2 ** 22 + 1, started: 1 }));
    assert.equal(await lastOf(path), 2);
    fs.writeFileSync(`${path}.lock`, JSON.stringify({ pid: process.ppid, started: 1 }));
    await assert.rejects(fileStore(path), { code: "storage-locked" });
    fs.rmSync(`${path}.lock`);
  });
});

test("a store of a newer version is refused, and one that holds something else", async () => {
  for (const [entries, code] of [
    [[["format", Uint8Array.of(9)]], "storage-version"],
    [[["format", Uint8Array.of(0)]], "storage-corrupt"],
    [[["something", Uint8Array.of(1)]], "storage-corrupt"],
  ]) {
    const store = await openStore("memory");
    await store.commit(entries);
    await assert.rejects(store.checkFormat(), { code });
  }
});

test("a build with a newer format raises it with its first write, all in one; until then the older one goes on", async () => {
  const path = fresh("log");
  const format = async (store) => (await store.load("format"))[0][1][0];
  const opened = async () => openStore(await fileStore(path));
  const first = await opened();
  await first.checkFormat();
  const older = await format(first);
  await first.commit([["kept", Uint8Array.of(1)]]);
  await first.close();

  const newer = await opened();
  await newer.checkFormat(older + 2);
  assert.equal(await format(newer), older);
  const between = await openStore(newer);
  await between.checkFormat();
  // A write that fails leaves the mark out as well, and the next one has it.
  const allow = failingSync(1);
  await assert.rejects(newer.commit([["new", Uint8Array.of(2)]]), { code: "storage-failed" });
  allow();
  assert.equal(await format(newer), older);
  await newer.commit([["new", Uint8Array.of(3)]]);
  assert.equal(await format(newer), older + 2);
  await newer.close();

  const again = await opened();
  const before = await again.load("");
  await assert.rejects(again.checkFormat(), { code: "storage-version" });
  await assert.rejects(again.checkFormat(older + 1), { code: "storage-version" });
  assert.deepEqual(await again.load(""), before);
  await again.checkFormat(older + 2);
  await again.close();
});

test("an object that is no store is refused, and one that answers nonsense", async () => {
  await assert.rejects(openStore({ load: async () => [], commit: async () => {} }), { code: "invalid-argument" });
  const answers = [undefined, [1], [["a", "text"]], [["b", Uint8Array.of()], ["a", Uint8Array.of()]], [["other", Uint8Array.of()]]];
  for (const answer of answers) {
    const store = await openStore({ load: async () => answer, commit: async () => {}, close: async () => {} });
    const prefix = Array.isArray(answer) && answer[0]?.[0] === "other" ? "x" : "";
    await assert.rejects(store.load(prefix), { code: "storage-failed" });
  }
  const throwing = await openStore({ load: () => { throw new Error("no"); }, commit: () => { throw new Error("no"); }, close: async () => {} });
  await assert.rejects(throwing.load(""), { code: "storage-failed" });
  await assert.rejects(throwing.commit([]), { code: "storage-failed" });
});
