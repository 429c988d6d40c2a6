// A headless Firefox as it is installed, driven by WebDriver BiDi, with pages of `servePage`. Only what the tests need.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { servePage } from "./browser.mjs";
import { start } from "./process.mjs";

/** A process for each page, so that one can be stopped without the others; none is kept for later. */
const PREFERENCES = { "dom.ipc.processCount.webIsolated": 64, "dom.ipc.processPrelaunch.enabled": false };

function program() {
  const chosen = process.env.FIREFOX;
  if (!chosen || !existsSync(chosen)) throw new Error(`There is no Firefox at ${chosen}: run this by cargo xtask test`);
  return chosen;
}

/**
 * `{ newPage(), close() }`; a page has `evaluate(function, argument)`, with JSON and bigints both ways,
 * `exposeFunction(name, function)`, `signal(name)` to its process, and `close()`.
 */
export async function openFirefox({ more } = {}) {
  const served = await servePage({ more });
  const profile = mkdtempSync(join(tmpdir(), "farthing-firefox-"));
  const preferences = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${value});\n`);
  writeFileSync(join(profile, "user.js"), preferences.join(""));
  const args = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "--remote-allow-system-access"];
  const running = await start(program(), args, {
    name: "Firefox",
    env: { MOZ_CRASHREPORTER_DISABLE: "1" },
    ready: (line) => line.match(/WebDriver BiDi listening on (ws:\S+)/)?.[1],
  });
  const session = await connect(`${running.answer}/session`);
  await session.call("session.new", { capabilities: {} });
  await session.call("session.subscribe", { events: ["script.message", "browsingContext.contextDestroyed"] });
  const chrome = (await session.call("browsingContext.getTree", { "moz:scope": "chrome" })).contexts[0].context;
  const pages = new Map();
  const told = new Map();
  session.hear("browsingContext.contextDestroyed", ({ context }) => pages.get(context)?.());
  session.hear("script.message", ({ channel, data }) => told.get(channel)?.(...decode(data.value)));
  let opened = 0;

  async function newPage() {
    const url = `${served.url}?${(opened += 1)}`;
    const { context } = await session.call("browsingContext.create", { type: "tab" });
    await session.call("browsingContext.navigate", { context, url, wait: "complete" });
    // Who waits for an answer of a page that is gone would wait for ever.
    const gone = new Promise((_, reject) => pages.set(context, () => reject(new Error("the page is gone"))));
    gone.catch(() => {});
    const ask = (target, expression) => session.call("script.evaluate", { expression, target: { context: target }, awaitPromise: true });
    const evaluate = async (target, work, argument) => {
      const expression = `(async () => (${encode})(await (${work})((${decode})(${JSON.stringify(encode(argument))}))))()`;
      const { result, exceptionDetails } = await Promise.race([ask(target, expression), gone]);
      if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text);
      return decode(result.value);
    };
    const pid = await evaluate(
      chrome,
      // This runs in the browser's own window.
      (url) => globalThis.gBrowser.browsers.find(({ currentURI }) => currentURI.spec === url).browsingContext.currentWindowGlobal.osPid,
      url,
    );
    const page = {
      evaluate: (work, argument) => evaluate(context, work, argument),
      async exposeFunction(name, heard) {
        const channel = `${name}/${context}`;
        told.set(channel, heard);
        await session.call("script.callFunction", {
          functionDeclaration: `(tell) => (globalThis.${name} = (...said) => tell((${encode})(said)))`,
          arguments: [{ type: "channel", value: { channel } }],
          target: { context },
          awaitPromise: false,
        });
      },
      signal(name) {
        process.kill(pid, name);
        if (name === "SIGKILL") pages.get(context)();
      },
      async close() {
        await session.call("browsingContext.close", { context });
        pages.get(context)();
      },
    };
    await page.evaluate(async () => {
      while (document.title !== "ready") await new Promise((resolve) => setTimeout(resolve, 10));
    });
    return page;
  }

  /** A page of any site, as a reader has it: `evaluate` is as if it came of a click, `press` is a click. */
  const visitor = (context) => {
    const call = async (expression) => {
      const { result, exceptionDetails } = await session.call("script.evaluate", { expression, target: { context }, awaitPromise: true, userActivation: true });
      if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text);
      return decode(result.value);
    };
    const evaluate = (work, argument) => call(`(async () => (${encode})(await (${work})((${decode})(${JSON.stringify(encode(argument))}))))()`);
    const until = (work, argument) =>
      call(`(async () => { const given = (${decode})(${JSON.stringify(encode(argument))}); for (;;) { const found = await (${work})(given); if (found) return (${encode})(found); await new Promise((next) => setTimeout(next, 20)); } })()`);
    return {
      context,
      evaluate,
      until,
      async press(selector) {
        await until((wanted) => document.querySelector(wanted) !== null, selector);
        const { nodes } = await session.call("browsingContext.locateNodes", { context, locator: { type: "css", value: selector } });
        await evaluate((wanted) => document.querySelector(wanted).scrollIntoView({ block: "center", behavior: "instant" }), selector);
        const origin = { type: "element", element: { sharedId: nodes[0].sharedId } };
        const actions = [{ type: "pointerMove", x: 0, y: 0, origin }, { type: "pointerDown", button: 0 }, { type: "pointerUp", button: 0 }];
        await session.call("input.performActions", { context, actions: [{ type: "pointer", id: "finger", parameters: { pointerType: "touch" }, actions }] });
      },
      size: (width, height) => session.call("browsingContext.setViewport", { context, viewport: { width, height } }),
    };
  };

  return {
    newPage,
    async visit(url) {
      const { context } = await session.call("browsingContext.create", { type: "tab" });
      await session.call("browsingContext.navigate", { context, url, wait: "complete" });
      return visitor(context);
    },
    /** The window whose address has this in it, when it is there; `null` if `gone` is asked for and it is not. */
    async opened(part, { gone = false } = {}) {
      for (;;) {
        const { contexts } = await session.call("browsingContext.getTree", {});
        const found = contexts.find(({ url }) => url.includes(part));
        if (gone && found === undefined) return null;
        if (!gone && found !== undefined) return visitor(found.context);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      session.close();
      await running.stop();
      await served.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Ways to stop a tab, by its process; a frozen one can be thawed. */
export const stop = {
  closed: (tab) => tab.page.close(),
  crashed: async (tab) => tab.page.signal("SIGKILL"),
  async frozen(tab) {
    tab.page.signal("SIGSTOP");
    tab.thaw = async () => tab.page.signal("SIGCONT");
  },
};

/** These two are also sent to pages, as source. */
function encode(value) {
  // What has amounts in it has a toJSON that makes strings of them; here they stay what they are.
  return JSON.stringify(value, function (key, inner) {
    const own = this[key];
    if (typeof own === "bigint") return { bigint: String(own) };
    return own instanceof Date ? inner : own;
  });
}

function decode(text) {
  return text === undefined ? undefined : JSON.parse(text, (_, inner) => (typeof inner?.bigint === "string" ? BigInt(inner.bigint) : inner));
}

async function connect(url) {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  const asked = new Map();
  const listeners = new Map();
  socket.onmessage = ({ data }) => {
    const { id, result, message, method, params } = JSON.parse(data);
    if (id === undefined || id === null) return void listeners.get(method)?.(params);
    if (result !== undefined) asked.get(id)?.resolve(result);
    else asked.get(id)?.reject(new Error(message));
    return void asked.delete(id);
  };
  let last = 0;
  return {
    call: (method, params) =>
      new Promise((resolve, reject) => {
        asked.set((last += 1), { resolve, reject });
        socket.send(JSON.stringify({ id: last, method, params }));
      }),
    hear: (method, listener) => listeners.set(method, listener),
    close: () => socket.close(),
  };
}
