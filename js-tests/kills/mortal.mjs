// Processes that are killed and started again, under one name.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const USER = fileURLToPath(new URL("./user.mjs", import.meta.url));

const killed = () => Object.assign(new Error("killed"), { code: "killed" });

/** A user's process: `{ start, kill, ask }`. What it says besides answers goes to `onEvent`. */
export class User {
  #child;
  #calls = new Map();
  #last = 0;
  #said = [];

  constructor(name, settings, onEvent) {
    Object.assign(this, { name, settings, onEvent });
  }

  /** Resolves when it is connected. */
  async start() {
    const child = spawn(process.execPath, [USER], { env: { ...process.env, FARTHING_USER: JSON.stringify(this.settings()) }, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stdin.on("error", () => {});
    child.stderr.setEncoding("utf8").on("data", (text) => this.#keep(text));
    const ready = new Promise((resolve, reject) => {
      let rest = "";
      child.stdout.setEncoding("utf8").on("data", (chunk) => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          this.#keep(line);
          const said = JSON.parse(line);
          if (said.event === "ready") resolve();
          this.#hear(child, said);
        }
      });
      child.on("exit", (code, signal) => reject(Object.assign(new Error(`${this.name} ended with ${code ?? signal}:\n${this.#said.slice(-30).join("\n")}`), { signal })));
    });
    await ready;
    return this;
  }

  #keep(text) {
    this.#said.push(text);
    if (this.#said.length > 200) this.#said.splice(0, 100);
  }

  /** Its last words, for a report. */
  get said() {
    return this.#said.slice(-30).join("\n");
  }

  /** What it was asked and has not answered. */
  get asked() {
    return [...this.#calls.values()].map(({ command, options }) => ({ command, ...options }));
  }

  #hear(child, said) {
    if (child !== this.#child) return;
    if (said.call === undefined) return this.onEvent(this.name, said);
    this.#calls.get(said.call)?.resolve(said);
    this.#calls.delete(said.call);
  }

  /** Asks the process that runs now; rejects with `killed` if it is killed before it answers. */
  ask(command, options = {}) {
    this.#last += 1;
    const call = this.#last;
    if (this.#child === undefined) return Promise.reject(killed());
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { command, options, resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ call, command, ...options })}\n`);
    });
  }

  async kill() {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.#child = undefined;
    child.kill("SIGKILL");
    await once(child, "exit");
    for (const { reject } of this.#calls.values()) reject(killed());
    this.#calls.clear();
  }
}
