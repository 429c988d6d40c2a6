// The wallet's window: by pop-up, or by leaving for the wallet and coming back. Nothing in it is a secret; an answer counts
// for the request that it names, from the wallet's origin, once.
// @ts-check

/** @import { GrantAnswer, GrantRequest } from "./index.js" */

import { decodeGrantAnswer, grantMessage } from "./scheme.mjs";
import { PayError, packUrl } from "./wire.mjs";

/** Milliseconds: until the wallet page speaks, until its reader has decided, between looks at the window, and for an answer that is on its way when it closes. */
const HELLO = 60_000;
const DECIDE = 900_000;
const LOOK = 250;
const LAST = 500;

/** Closed before it spoke: by the reader, or cut off from us by a policy. */
export class Silent extends PayError {}

/** @param {PayError["code"]} code @param {string} message */
const none = (code, message) => new PayError(/** @type {any} */ (code), `${message} No money moved.`);

/** @param {string} wallet @param {GrantRequest} request @returns {Promise<GrantAnswer>} */
export function popUp(wallet, request) {
  const { origin } = new URL(wallet);
  const { id } = request;
  const opened = open(`${wallet}#farthing-popup=${id}`, `farthing-${id}`, "popup,width=440,height=720");
  if (!opened) return Promise.reject(none("blocked", "The browser opens no window here: ask again where the reader clicks."));
  return new Promise((done, fail) => {
    let greeted = false;
    /** @type {number | undefined} */
    let closed;
    const begun = Date.now();
    const end = (/** @type {() => void} */ tell) => {
      clearInterval(timer);
      removeEventListener("message", hear);
      tell();
    };
    const hear = (/** @type {MessageEvent} */ { source, origin: from, data }) => {
      if (source !== opened || from !== origin || data?.id !== id) return;
      if (data.type === "farthing-wallet-ready") {
        greeted = true;
        opened.postMessage(grantMessage(request), origin);
      } else if (data.type === "farthing-grant") {
        opened.close();
        end(() => {
          try {
            done(decodeGrantAnswer(data));
          } catch (error) {
            fail(error);
          }
        });
      }
    };
    const timer = setInterval(() => {
      const now = Date.now();
      if (opened.closed) closed ??= now;
      if (closed !== undefined && now - closed >= LAST) {
        end(() => fail(greeted ? none("closed", "The wallet's window was closed.") : new Silent("closed", "The wallet's window was closed before it was there. No money moved.")));
      } else if (!greeted && now - begun > HELLO) end(() => (opened.close(), fail(none("unavailable", "The wallet page does not answer."))));
      else if (now - begun > DECIDE) end(() => (opened.close(), fail(none("expired", "Nobody decided in the wallet's window."))));
    }, LOOK);
    addEventListener("message", hear);
  });
}

/** Whether this page's own policy cuts off the windows that it opens. */
export async function isolated() {
  const response = await fetch(location.href, { method: "HEAD" }).catch(() => undefined);
  return /^\s*(same-origin|noopener-allow-popups)\s*(;|$)/.test(response?.headers.get("cross-origin-opener-policy") ?? "");
}

/** Leaves for the wallet. The page that comes back reads the answer; this promise ends only if we can't leave.
 * @param {string} wallet @param {GrantRequest} request @returns {Promise<never>} */
export function leave(wallet, request) {
  location.assign(`${wallet}#farthing-request=${packUrl(grantMessage(request))}`);
  return new Promise((_, fail) => setTimeout(() => fail(none("closed", "The page did not leave for the wallet.")), HELLO));
}

/** What the wallet sent us back with, if that is how we came here; it is taken out of the address. */
export function returned() {
  const [, text, was] = globalThis.location?.hash?.match(/^#farthing-grant=([\w-]+)(?:&farthing-was=(.*))?$/) ?? [];
  if (!text) return undefined;
  const show = (/** @type {string | undefined} */ fragment) => history.replaceState(history.state, "", location.pathname + location.search + (fragment ? `#${fragment.replace(/^#/, "")}` : ""));
  show(was);
  // Ours kept it itself.
  return { text, show: (/** @type {string | undefined} */ kept) => kept && show(kept) };
}
