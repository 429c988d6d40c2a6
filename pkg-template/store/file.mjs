// A store in one append-only file, for Node without node:sqlite. Each commit is one record with a checksum, synced
// to the disk before `commit` resolves. A record that a crash tore at the end is dropped, since nobody was told that
// it was durable; damage anywhere else is an error. When most of the file is history, it is written anew.
// @ts-check

/** @import { Store } from "../index.js" */
/** @typedef {Iterable<[key: string, value: Uint8Array | null]>} Writes */
/** @typedef {{ pid: number, started: number }} Self */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { storageError } from "./error.mjs";

const MAGIC = Buffer.from("FARTHNG\x01", "latin1");
const HEAD = 12; // length (4) and checksum (8)
const COMPACT_ABOVE = 1 << 20;

/** Opens or creates the file; `storage-locked` if another process has it. @param {string} path */
export async function fileStore(path) {
  const file = resolve(path);
  fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const unlock = lock(`${file}.lock`);
  try {
    return new FileStore(file, unlock);
  } catch (/** @type {any} */ error) {
    unlock();
    throw error.code?.startsWith?.("storage-") ? error : storageError("storage-failed", `${file}: ${error.message}`, error);
  }
}

class FileStore {
  #file;
  #unlock;
  #descriptor;
  #end;
  /** @type {Map<string, Buffer>} */
  #entries = new Map();
  #live = 0;
  /** @type {string | undefined} */
  #broken;

  /** @param {string} file @param {() => void} unlock */
  constructor(file, unlock) {
    this.#file = file;
    this.#unlock = unlock;
    fs.rmSync(`${file}.new`, { force: true });
    this.#descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    const content = fs.readFileSync(this.#descriptor);
    if (content.length < MAGIC.length && MAGIC.subarray(0, content.length).equals(content)) {
      fs.ftruncateSync(this.#descriptor, 0);
      writeAll(this.#descriptor, MAGIC, 0);
      fs.fsyncSync(this.#descriptor);
      syncFolder(file);
      this.#end = MAGIC.length;
    } else {
      this.#end = this.#replay(content);
      fs.ftruncateSync(this.#descriptor, this.#end);
      fs.fdatasyncSync(this.#descriptor);
    }
  }

  /** @param {Buffer} content */
  #replay(content) {
    const magic = content.subarray(0, MAGIC.length);
    if (!magic.subarray(0, 7).equals(MAGIC.subarray(0, 7))) throw storageError("storage-corrupt", `${this.#file} is no store`);
    if (magic[7] > MAGIC[7]) throw storageError("storage-version", `${this.#file} is of a newer version`);
    let offset = MAGIC.length;
    while (offset < content.length) {
      const payload = record(content, offset);
      if (payload === undefined) {
        if (isTorn(content, offset)) return offset;
        throw storageError("storage-corrupt", `${this.#file} is damaged at byte ${offset}`);
      }
      for (const [key, value] of decode(payload)) this.#apply(key, value);
      offset += HEAD + payload.length;
    }
    return offset;
  }

  /** @param {string} key @param {Buffer | null} value */
  #apply(key, value) {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#live -= key.length + old.length;
    if (value === null) this.#entries.delete(key);
    else {
      this.#entries.set(key, value);
      this.#live += key.length + value.length;
    }
  }

  /** @type {Store["load"]} */
  async load(prefix) {
    this.#check();
    const found = [...this.#entries].filter(([key]) => key.startsWith(prefix));
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, Uint8Array.from(value)]);
  }

  /** @type {Store["commit"]} */
  async commit(writes) {
    this.#check();
    const payload = encode(writes);
    const bytes = frame(payload);
    try {
      writeAll(this.#descriptor, bytes, this.#end);
      fs.fdatasyncSync(this.#descriptor);
    } catch (/** @type {any} */ cause) {
      this.#retract();
      throw storageError("storage-failed", `${this.#file} can't be written: ${cause.message}`, cause);
    }
    this.#end += bytes.length;
    for (const [key, value] of decode(payload)) this.#apply(key, value);
    if (this.#end > COMPACT_ABOVE && this.#end > 4 * this.#live) this.#compact();
  }

  /** Takes a record back that was not written whole. If that fails, too, nobody knows what is on the disk. */
  #retract() {
    try {
      fs.ftruncateSync(this.#descriptor, this.#end);
      fs.fdatasyncSync(this.#descriptor);
    } catch {
      this.#broken = `${this.#file} could not be written; open it again`;
    }
  }

  /** Writes the entries into a new file and puts it in the old one's place. A failure leaves the old one. */
  #compact() {
    const fresh = `${this.#file}.new`;
    let descriptor;
    try {
      descriptor = fs.openSync(fresh, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC, 0o600);
      const content = Buffer.concat([MAGIC, frame(encode([...this.#entries]))]);
      writeAll(descriptor, content, 0);
      fs.fsyncSync(descriptor);
      fs.renameSync(fresh, this.#file);
      syncFolder(this.#file);
      fs.closeSync(this.#descriptor);
      [this.#descriptor, this.#end] = [descriptor, content.length];
    } catch {
      if (descriptor !== undefined) fs.closeSync(descriptor);
      fs.rmSync(fresh, { force: true });
    }
  }

  #check() {
    if (this.#broken !== undefined) throw storageError("storage-failed", this.#broken);
    if (this.#descriptor === undefined) throw storageError("storage-failed", `${this.#file} is closed`);
  }

  async close() {
    if (this.#descriptor === undefined) return;
    fs.closeSync(this.#descriptor);
    // `#check` lets nobody pass from here on.
    this.#descriptor = /** @type {any} */ (undefined);
    this.#unlock();
  }
}

/** @param {Buffer} payload */
function checksum(payload) {
  return createHash("sha256").update(payload).digest().subarray(0, 8);
}

/** @param {Buffer} payload */
function frame(payload) {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(payload.length);
  return Buffer.concat([head, checksum(payload), payload]);
}

/** The payload of the record at `offset`, or undefined if it is not whole. @param {Buffer} content @param {number} offset */
function record(content, offset) {
  if (offset + HEAD > content.length) return undefined;
  const start = offset + HEAD;
  const end = start + content.readUInt32BE(offset);
  if (end > content.length || end === start) return undefined;
  const payload = content.subarray(start, end);
  return checksum(payload).equals(content.subarray(offset + 4, start)) ? payload : undefined;
}

/**
 * A crash leaves a record that ends beyond or at the end of the file, or zeros to the end of it. Where a whole record
 * comes later, or this one is whole but for its length, it is no crash: what was durable would be dropped.
 * @param {Buffer} content @param {number} offset
 */
function isTorn(content, offset) {
  const start = offset + HEAD;
  if (start > content.length) return true;
  const rest = content.subarray(offset);
  if (rest.every((byte) => byte === 0)) return true;
  if (start + content.readUInt32BE(offset) < content.length) return false;
  if (checksum(content.subarray(start)).equals(content.subarray(offset + 4, start))) return false;
  for (let later = offset + 1; later + HEAD < content.length; later += 1) if (record(content, later) !== undefined) return false;
  return true;
}

/** @param {Writes} writes */
function encode(writes) {
  const parts = [];
  for (const [key, value] of writes) {
    const name = Buffer.from(key, "utf8");
    const head = Buffer.alloc(7);
    head.writeUInt8(value === null ? 0 : 1, 0);
    head.writeUInt16BE(name.length, 1);
    head.writeUInt32BE(value?.length ?? 0, 3);
    parts.push(head, name);
    if (value !== null) parts.push(value);
  }
  // An empty commit is a record all the same: a length of zero would look like torn zeros.
  return parts.length === 0 ? Buffer.from([2]) : Buffer.concat(parts);
}

/** @param {Buffer} payload @returns {Generator<[key: string, value: Buffer | null]>} */
function* decode(payload) {
  let offset = 0;
  while (offset < payload.length && payload[offset] !== 2) {
    const isPut = payload.readUInt8(offset) === 1;
    const keyEnd = offset + 7 + payload.readUInt16BE(offset + 1);
    const end = keyEnd + payload.readUInt32BE(offset + 3);
    const key = payload.toString("utf8", offset + 7, keyEnd);
    yield [key, isPut ? Buffer.from(payload.subarray(keyEnd, end)) : null];
    offset = end;
  }
}

/** @param {number} descriptor @param {Uint8Array} bytes @param {number} position */
function writeAll(descriptor, bytes, position) {
  for (let done = 0; done < bytes.length; ) done += fs.writeSync(descriptor, bytes, done, bytes.length - done, position + done);
}

/** @param {string} file */
function syncFolder(file) {
  if (process.platform === "win32") return;
  const folder = fs.openSync(dirname(file), "r");
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}

// The lock file names its process and when that started, since numbers of processes are used again.
/** @param {string} path */
function lock(path) {
  const self = { pid: process.pid, started: Math.round(Date.now() / 1000 - process.uptime()) };
  const create = () => fs.writeFileSync(path, JSON.stringify(self), { flag: "wx", mode: 0o600 });
  try {
    create();
  } catch (/** @type {any} */ error) {
    if (error.code !== "EEXIST") throw storageError("storage-failed", `${path}: ${error.message}`, error);
    takeOver(path, self, create);
  }
  return () => fs.rmSync(path, { force: true });
}

/** Replaces the lock of a dead process. Of several that try at once, one wins. @param {string} path @param {Self} self @param {() => void} create */
function takeOver(path, self, create) {
  const locked = (/** @type {string} */ who) => storageError("storage-locked", `${who} the store open; if none does, remove ${path}`);
  const turn = `${path}.turn`;
  try {
    fs.writeFileSync(turn, "", { flag: "wx" });
  } catch {
    throw locked("Another process has");
  }
  try {
    const holder = holderOf(path, self);
    if (holder === self.pid) throw storageError("storage-locked", `This process has ${path.replace(/\.lock$/, "")} open`);
    if (holder !== undefined) throw locked("Another process has");
    fs.rmSync(path, { force: true });
    create();
  } finally {
    fs.rmSync(turn, { force: true });
  }
}

/** The process that has it, if that lives. @param {string} path @param {Self} self */
function holderOf(path, self) {
  let holder;
  try {
    holder = JSON.parse(fs.readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
  if (holder.pid === self.pid) return Math.abs(holder.started - self.started) <= 2 ? holder.pid : undefined;
  try {
    process.kill(holder.pid, 0);
    return holder.pid;
  } catch (/** @type {any} */ error) {
    return error.code === "EPERM" ? holder.pid : undefined;
  }
}
