// A headless Firefox as it is installed, driven by WebDriver BiDi, with pages of `servePage`. Only what the tests need.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { servePage } from "./browser.mjs";
import { start } from "./process.mjs";

/** The program: `FIREFOX`, or one on the path; `undefined` if there is none. */
export function firefox() {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  const places = (process.env.PATH ?? "").split(delimiter);
  return ["firefox", "firefox-esr"].flatMap((name) => places.map((place) => join(place, name))).find(existsSync);
}

/** `{ newPage(), close() }`; a page has `evaluate(function, argument)`, with JSON both ways, and `close()`. */
export async function openFirefox(program) {
  const served = await servePage();
  const profile = mkdtempSync(join(tmpdir(), "farthing-firefox-"));
  const running = await start(program, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"], {
    name: "Firefox",
    ready: (line) => line.match(/WebDriver BiDi listening on (ws:\S+)/)?.[1],
  });
  const socket = new WebSocket(`${running.answer}/session`);
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  const asked = new Map();
  socket.onmessage = ({ data }) => {
    const { id, result, message } = JSON.parse(data);
    if (result !== undefined) asked.get(id)?.resolve(result);
    else asked.get(id)?.reject(new Error(message));
    asked.delete(id);
  };
  let last = 0;
  const call = (method, params) =>
    new Promise((resolve, reject) => {
      asked.set((last += 1), { resolve, reject });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  await call("session.new", { capabilities: {} });
  return {
    async newPage() {
      const { context } = await call("browsingContext.create", { type: "tab" });
      await call("browsingContext.navigate", { context, url: served.url, wait: "complete" });
      const page = {
        async evaluate(work, argument) {
          const expression = `(async () => JSON.stringify(await (${work})(${JSON.stringify(argument)})))()`;
          const { result, exceptionDetails } = await call("script.evaluate", { expression, target: { context }, awaitPromise: true });
          if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text);
          return result.type === "undefined" ? undefined : JSON.parse(result.value);
        },
        close: () => call("browsingContext.close", { context }),
      };
      await page.evaluate(async () => {
        while (document.title !== "ready") await new Promise((resolve) => setTimeout(resolve, 10));
      });
      return page;
    },
    async close() {
      socket.close();
      await running.stop();
      await served.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
