// Programs of a local set: started, waited for, ended.
// @ts-check

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { DevError } from "./problem.mjs";

/** How long a program may take to start, and to end before it is killed, in milliseconds. */
const PATIENCE = 60_000;
const ENDING = 15_000;

/** @typedef {{ stop(): Promise<unknown> }} Running */

/** What runs, to be ended whatever comes: the last that was started first. */
export class Keeper {
  /** @type {Running[]} */
  #running = [];
  #closed = false;
  /** @type {(error?: Error) => void} */
  end = () => {};
  /** Fulfilled when it is to end, rejected when something has ended by itself. @type {Promise<void>} */
  ended = new Promise((done, fail) => (this.end = (error) => (error === undefined ? done() : fail(error))));

  constructor() {
    this.ended.catch(() => {});
  }

  /** Nothing more is started once all of it ends. */
  demandOpen() {
    if (this.#closed) throw new DevError("ended", "It ends.");
  }

  /** @template {Running} T @param {T} one */
  keep(one) {
    if (this.#closed) void one.stop();
    else this.#running.push(one);
    return one;
  }

  async stop() {
    this.#closed = true;
    for (let one = this.#running.pop(); one !== undefined; one = this.#running.pop()) await one.stop();
  }
}

/**
 * Starts a program whose output goes to a file. When it ends and nobody asked it to, all ends.
 * @param {Keeper} keeper @param {{ name: string, program: string, args: string[], log: string, env?: Record<string, string> }} options
 */
export function start(keeper, { name, program, args, log, env = {} }) {
  keeper.demandOpen();
  const file = createWriteStream(log);
  // A group of its own: Ctrl-C reaches this process alone, which ends the others in their order.
  // What is set for a hub of one's own, with money, is nothing to this one.
  const others = Object.entries(process.env).filter(([name]) => !/^FARTHING_HUB_/i.test(name));
  const child = spawn(program, args, { env: { ...Object.fromEntries(others), ...env }, stdio: ["ignore", "pipe", "pipe"], detached: process.platform !== "win32" });
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  let last = "";
  child.stderr.setEncoding("utf8").on("data", (/** @type {string} */ said) => (last = said.trim().split("\n").at(-1) ?? last));
  let stopping = false;
  const over = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const gone = (/** @type {string} */ how) => new DevError("program-ended", `${name} ${how}${last && ` (${last})`}; what it said is in ${log}`);
  const ended = new Promise((resolve) => {
    child.on("error", (error) => {
      if (!stopping) keeper.end(gone(`can't be started (${error.message})`));
      resolve(undefined);
    });
    child.on("close", (code, signal) => {
      file.end();
      if (!stopping) keeper.end(gone(`ended by itself with ${code ?? signal}`));
      resolve(undefined);
    });
  });
  return keeper.keep({
    /** Waits until `ask` gives something; fails when the program ends before. @template T @param {() => Promise<T | undefined>} ask @returns {Promise<T>} */
    async until(ask) {
      for (const end = Date.now() + PATIENCE; ; await pause(50)) {
        keeper.demandOpen();
        const answer = await ask().catch(() => undefined);
        if (over()) throw gone("ended before it was ready");
        if (answer !== undefined) return answer;
        if (Date.now() > end) throw gone(`is not ready after ${PATIENCE / 1_000} seconds`);
      }
    },
    async stop() {
      stopping = true;
      if (!over()) {
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), ENDING);
        await ended;
        clearTimeout(timer);
      }
      if (!file.closed) await once(file, "close").catch(() => {});
    },
  });
}
