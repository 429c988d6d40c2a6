// The wallet's window: by pop-up, or by leaving for the wallet and coming back. Nothing in it is a secret; an answer counts
// for the request that it names, from the wallet's origin, once.
// @ts-check

/** @import { GrantAnswer, GrantRequest, PayCode } from "./index.js" */

import { decodeGrantAnswer, grantMessage } from "./scheme.mjs";
import { fault, packUrl } from "./wire.mjs";

/** Milliseconds: until the wallet page speaks, until its reader has decided, between looks at the window, and for an answer that is on its way when it closes. */
const HELLO = 60_000;
const DECIDE = 900_000;
const LOOK = 250;
const LAST = 500;

/** @param {PayCode} code @param {string} message @param {boolean} [early] the wallet page had not spoken: it was closed, or cut off from us by a policy */
const none = (code, message, early) => fault(code, `${message} No money moved.`, { early });

/** @param {string} wallet @param {GrantRequest} request @returns {Promise<GrantAnswer>} */
export async function popUp(wallet, request) {
  const { origin } = new URL(wallet);
  const { id } = request;
  const opened = open(`${wallet}#farthing-popup=${id}`, `farthing-${id}`, "popup,width=440,height=720");
  if (!opened) throw none("blocked", "No window opens: ask again where the reader clicks.");
  const end = new AbortController();
  const { signal } = end;
  let early = true;
  try {
    return await new Promise((done, fail) => {
      const hear = (/** @type {MessageEvent} */ { source, origin: from, data }) => {
        if (source !== opened || from !== origin || data?.id !== id) return;
        if (data.type === "farthing-wallet-ready") {
          early = false;
          opened.postMessage(grantMessage(request), origin);
        } else if (data.type === "farthing-grant") done(data);
      };
      addEventListener("message", hear, { signal });
      const timer = setInterval(() => {
        if (opened.closed) setTimeout(() => fail(none("closed", "The window was closed.", early)), LAST);
      }, LOOK);
      signal.onabort = () => clearInterval(timer);
      // Of a promise that has ended these say nothing.
      setTimeout(() => early && fail(none("unavailable", "The wallet does not answer.")), HELLO);
      setTimeout(() => fail(none("expired", "Nobody decided.")), DECIDE);
    }).then(decodeGrantAnswer);
  } finally {
    end.abort();
    opened.close();
  }
}

/** Whether this page's own policy cuts off the windows that it opens. */
export async function isolated() {
  const response = await fetch(location.href, { method: "HEAD" }).catch(() => undefined);
  return /^(same-origin(?!-)|noopener)/.test(response?.headers.get("cross-origin-opener-policy") ?? "");
}

/** Leaves for the wallet. The page that comes back reads the answer; this promise ends only if we can't leave.
 * @param {string} wallet @param {GrantRequest} request @returns {Promise<never>} */
export function leave(wallet, request) {
  // The browser tells the wallet page who sends its reader, whatever this page's policy for other links is.
  Object.assign(document.createElement("a"), { href: `${wallet}#farthing-request=${packUrl(grantMessage(request))}`, referrerPolicy: "origin" }).click();
  return new Promise((_, fail) => setTimeout(() => fail(none("closed", "The page stayed.")), HELLO));
}

/** What the wallet sent us back with, if that is how we came here; it is taken out of the address. @returns {any} */
export function returned() {
  const [, text, was] = globalThis.location?.hash?.match(/^#farthing-grant=([\w-]+)(?:&farthing-was=(.*))?$/) ?? [];
  if (text) history.replaceState(history.state, "", location.href.replace(/#.*/, was ? `#${was}` : ""));
  return text;
}
