// Who asks: the origin that the browser vouches for, never what the request says of itself.

import { Refused, isWeb } from "./shapes.ts";

export interface Asker {
  /** As the browser writes it, in ASCII. */
  readonly origin: string;
  /** What the reader reads: the host, and the scheme only where it is not https. */
  readonly shown: string;
  /** The name has letters of other scripts, which may look like those of another name. */
  readonly lookalike: boolean;
}

/** Of a message's `event.origin`, or of `returnTo`. */
export function asker(origin: string): Asker {
  if (!URL.canParse(origin)) throw new Refused("bad-request", "The page that asks has no origin of its own.");
  const url = new URL(origin);
  if (url.origin !== origin || !isWeb(url)) throw new Refused("bad-request", "The page that asks was not loaded over https.");
  const shown = url.protocol === "https:" ? url.host : origin;
  return { origin, shown, lookalike: url.hostname.split(".").some((label) => label.startsWith("xn--")) };
}

/**
 * Whether the browser says that this origin's page sent the reader here. Without that anybody could ask in another's name: the
 * answer would go there, and the money to whoever made the request.
 */
export const sent = (referrer: string, origin: string) => URL.canParse(referrer) && new URL(referrer).origin === origin;
