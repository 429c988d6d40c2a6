// Whose wallet it is: one that extensions announce (EIP-6963), or a key that is made here.

import type { Eip1193Provider, Wallet } from "farthing";
import type { Hex } from "./logic/shapes.ts";

export interface Injected {
  readonly rdns: string;
  readonly name: string;
  /** A data URL, or none. */
  readonly icon?: string;
  readonly provider: Eip1193Provider;
}

/** What is kept of the choice. */
export type Account = { readonly kind: "injected"; readonly rdns: string } | { readonly kind: "key"; readonly privateKey: Hex };

/** Time for extensions to answer; they do within a task or two. */
const PATIENCE = 300;

/** Wallets that are there. `some` is called for each as it comes, too. */
export async function injected(): Promise<Injected[]> {
  const found = new Map<string, Injected>();
  const hear = (event: Event) => {
    const { info, provider } = (event as CustomEvent).detail ?? {};
    if (typeof info?.rdns !== "string" || typeof provider?.request !== "function") return;
    const icon = typeof info.icon === "string" && info.icon.startsWith("data:image/") ? info.icon : undefined;
    found.set(info.rdns, { rdns: info.rdns, name: String(info.name).slice(0, 40), icon, provider });
  };
  window.addEventListener("eip6963:announceProvider", hear);
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  await new Promise((resolve) => setTimeout(resolve, PATIENCE));
  window.removeEventListener("eip6963:announceProvider", hear);
  const legacy = (window as { ethereum?: Eip1193Provider }).ethereum;
  if (found.size === 0 && legacy !== undefined) found.set("", { rdns: "", name: "Browser wallet", provider: legacy });
  return [...found.values()];
}

/** The order of secp256k1: a key is below it. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

export function makeKey(): Hex {
  for (;;) {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const key: Hex = `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    if (BigInt(key) > 0n && BigInt(key) < ORDER) return key;
  }
}

/** What the engine is given for an account; `undefined` if its extension is not there. */
export async function walletOf(account: Account): Promise<Wallet | undefined> {
  if (account.kind === "key") return { privateKey: account.privateKey };
  return (await injected()).find(({ rdns }) => rdns === account.rdns)?.provider;
}
