// The window between a site and this page: who opened it, the one request that it takes, and the one answer.

import { asker, sent, type Asker } from "./logic/origin.ts";
import { decode, homeward, readRequest, refused, type Answer, type GrantRequest, type Opened, type Way } from "./logic/request.ts";
import { Refused, type AnswerCode, type Hex } from "./logic/shapes.ts";

/** Milliseconds for the page that opened us to say what it wants. */
const PATIENCE = 15_000;
const AGAIN = 400;

export interface Asking {
  readonly way: Way;
  readonly asker: Asker;
  readonly request: GrantRequest;
  /** Once; later answers go nowhere. With a redirect it is kept for {@link Asking.leave}. */
  answer(answer: Answer): void;
  /**
   * From here on it can't be said any more that nothing was allowed: a window that goes says nothing, and the page asks
   * the same again. A refusal would make it forget the root of a stream that may stand.
   */
  hold(): void;
  readonly answered: boolean;
  /** Back to the page: closes the window, or goes home. */
  leave(): void;
}

/** No answer can be given: nobody is there to take it. */
export class Unanswerable extends Error {}

/** What somebody is told, where the request itself is refused. */
export class Turned extends Error {
  readonly code: AnswerCode;
  readonly leave: (() => void) | undefined;
  constructor({ code, message }: Refused, leave?: () => void) {
    super(message);
    this.code = code;
    this.leave = leave;
  }
}

export function receive(opened: Exclude<Opened, { way: "none" }>): Promise<Asking> {
  return opened.way === "popup" ? fromOpener(opened.id) : fromAddress(opened.text);
}

async function fromAddress(text: string): Promise<Asking> {
  let request: GrantRequest;
  let from: Asker;
  try {
    request = readRequest(decode(text), "redirect");
    from = asker(new URL(request.returnTo as string).origin);
    if (!sent(document.referrer, from.origin)) throw new Refused("bad-request", `It asks in the name of ${from.shown}, and the browser does not say that this page sent you here.`);
  } catch (error) {
    // Where to answer to is part of what could not be read.
    throw error instanceof Refused ? new Turned(error) : error;
  }
  let kept: Answer | undefined;
  let held = false;
  return {
    way: "redirect",
    asker: from,
    request,
    answer: (answer) => void (kept ??= answer),
    hold: () => void (held = true),
    get answered() {
      return kept !== undefined;
    },
    leave() {
      const answer = kept ?? (held ? undefined : refused(request.id, "closed", "The reader left the wallet."));
      location.replace(answer === undefined ? (request.returnTo as string) : homeward(request.returnTo as string, answer));
    },
  };
}

async function fromOpener(id: Hex): Promise<Asking> {
  const opener = window.opener as Window | null;
  if (opener === null || opener.closed) throw new Unanswerable("The page that opened this window can’t be reached.");
  const { data, origin } = await firstMessage(opener, id);
  let told = false;
  let held = false;
  const post = (answer: Answer) => {
    if (told || origin === "null") return;
    told = true;
    opener.postMessage(answer, origin);
  };
  const leave = () => window.close();
  try {
    const from = asker(origin);
    const request = readRequest(data, "popup");
    if (request.id !== id) throw new Refused("bad-request", "The request is not the one that this window was opened for.");
    // Not every browser sends what is posted this late; the page looks at the window as well.
    window.addEventListener("pagehide", () => held || post(refused(id, "closed", "The window was closed before there was an answer.")));
    return { way: "popup", asker: from, request, answer: post, hold: () => void (held = true), leave, get answered() { return told; } };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    post(refused(id, error.code, error.message));
    throw new Turned(error, leave);
  }
}

/** The first request of the window that opened us, and no other's. */
function firstMessage(opener: Window, id: Hex): Promise<{ data: unknown; origin: string }> {
  return new Promise((resolve, reject) => {
    // To anybody: it says nothing but the id that the opener chose, and only the opener's origin is not known yet.
    const ready = () => opener.postMessage({ v: 1, type: "farthing-wallet-ready", id }, "*");
    const stop = () => {
      clearInterval(calling);
      clearTimeout(patience);
      window.removeEventListener("message", hear);
    };
    const hear = ({ source, data, origin }: MessageEvent) => {
      if (source !== opener || data?.type !== "farthing-grant-request") return;
      stop();
      resolve({ data, origin });
    };
    window.addEventListener("message", hear);
    const calling = setInterval(ready, AGAIN);
    const patience = setTimeout(() => {
      stop();
      reject(new Unanswerable("The page that opened this window does not say what it wants."));
    }, PATIENCE);
    ready();
  });
}
