// Programs that a test starts and ends.

import { spawn } from "node:child_process";

/** Starts a program and waits for a line of its output in which `ready` finds something. */
export async function start(program, args, { env = {}, ready, name, patience = 30_000 } = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  const found = new Promise((resolve, reject) => {
    let rest = "";
    const timer = setTimeout(() => reject(new Error(`${name} is not ready after ${patience} ms:\n${said.join("")}`)), patience);
    const read = (chunk) => {
      said.push(chunk);
      if (said.length > 2_000) said.splice(0, 1_000);
      rest += chunk;
      const lines = rest.split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const answer = ready(line);
        if (answer !== undefined && answer !== null) {
          clearTimeout(timer);
          resolve(answer);
        }
      }
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${name} ended with ${code}:\n${said.join("").slice(-4_000)}`)));
  });
  found.catch(() => child.kill("SIGKILL"));
  const answer = await found;
  return { answer, said, pid: child.pid, stop: (signal = "SIGTERM") => stop(child, signal) };
}

function stop(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    child.on("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(signal);
  });
}
