// The way between a client and a server, which can be cut while something is on it.

import { connect, createServer } from "node:net";

/**
 * To the server at `url`. Gives `{ url, cutNext, freeze, close }`: `cutNext()` resolves when the next bytes that a client
 * sends on a connection that is open by now were swallowed, and all such connections cut; after `freeze()` nothing comes
 * through those that are open by now, and none of them ends.
 */
export async function tcpProxy(url) {
  const { hostname, port } = new URL(url);
  const open = new Set();
  let cut;
  const server = createServer((client) => {
    const onward = connect(Number(port), hostname);
    const pair = { client, onward, frozen: false };
    open.add(pair);
    const end = () => (open.delete(pair), client.destroy(), onward.destroy());
    client.on("data", (bytes) => {
      if (pair.frozen) return;
      if (cut?.pairs.has(pair)) {
        cut.pairs.forEach(({ client, onward }) => (client.destroy(), onward.destroy()));
        cut.done();
        cut = undefined;
      } else onward.write(bytes);
    });
    onward.on("data", (bytes) => pair.frozen || client.write(bytes));
    for (const side of [client, onward]) side.on("close", end).on("error", end);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cutNext = () => new Promise((done) => { cut = { pairs: new Set(open), done }; });
  const freeze = () => open.forEach((pair) => (pair.frozen = true));
  const close = () => new Promise((resolve) => (server.close(resolve), open.forEach(({ client }) => client.destroy())));
  return { url: `http://127.0.0.1:${server.address().port}`, cutNext, freeze, close };
}
