// Asks a server as fast as it answers: requests made beforehand as bytes, sockets that stay open, and of an answer no more is read
// than its status and its length. So who asks takes as little of the machine as it can, and the same for both sides.

import { connect } from "node:net";

/** The bytes of a request. */
export const asked = (path, headers = {}) =>
  Buffer.from(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);

/** Open sockets to some servers, which are asked in turn. */
export class Askers {
  #idle = new Map();

  /** The head of a whole answer with its body's length: `{ head, length }`. */
  async ask(url, bytes) {
    const idle = this.#idle.get(url) ?? this.#idle.set(url, []).get(url);
    const line = idle.pop() ?? (await open(url));
    const answer = await line.ask(bytes);
    idle.push(line);
    return answer;
  }

  close() {
    for (const line of [...this.#idle.values()].flat()) line.socket.destroy();
    this.#idle.clear();
  }
}

async function open(url) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  let waiting;
  let had = Buffer.alloc(0);
  const lost = (error) => waiting?.reject(error ?? new Error("the server has closed the connection"));
  socket.on("error", lost).on("close", () => lost());
  socket.on("data", (chunk) => {
    had = had.length === 0 ? chunk : Buffer.concat([had, chunk]);
    const answer = answerIn(had);
    if (answer === undefined) return;
    had = Buffer.alloc(0);
    const { resolve } = waiting;
    waiting = undefined;
    resolve(answer);
  });
  return {
    socket,
    ask: (bytes) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(bytes);
      }),
  };
}

const END = Buffer.from("\r\n\r\n");
const LAST = Buffer.from("0\r\n\r\n");

/** An answer, if it is whole: one is asked for at a time, so nothing follows it. */
function answerIn(bytes) {
  const body = bytes.indexOf(END) + 4;
  if (body < 4) return undefined;
  const head = bytes.latin1Slice(0, body);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  const whole = length === null ? bytes.subarray(-5).equals(LAST) : bytes.length === body + Number(length[1]);
  return whole ? { head, length: bytes.length - body } : undefined;
}
