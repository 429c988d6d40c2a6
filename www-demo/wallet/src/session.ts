// The engine and what it says, as cells that views look at. One session for the life of the page.

import type { Address, Balance, Client, Payment, Wallet } from "farthing";
import { makeKey, walletOf, type Account } from "./accounts.ts";
import { Cell } from "./dom.ts";
import { end } from "./grants.ts";
import type { Host } from "./host.ts";
import { isOpen, type GrantRecord } from "./logic/book.ts";
import { limitsOf } from "./logic/host.ts";
import { defaults, type Limits } from "./logic/limits.ts";
import type { Records } from "./records.ts";

export type Phase =
  | { readonly name: "none" }
  /** The extension that was chosen is not there, or is locked. */
  | { readonly name: "away" }
  | { readonly name: "opening" }
  | { readonly name: "failed"; readonly code?: string; readonly message: string }
  | { readonly name: "open"; readonly client: Client; readonly wallet: Wallet; readonly account: Account };

export interface AssetInfo {
  readonly asset: string;
  readonly token: Address;
  readonly decimals: number;
}

const PAYMENTS = 1_000;

export class Session {
  readonly phase = new Cell<Phase>({ name: "none" });
  readonly connected = new Cell(false);
  readonly balances = new Cell<readonly Balance[]>([]);
  readonly payments = new Cell<readonly Payment[]>([]);
  readonly grants = new Cell<readonly GrantRecord[]>([]);
  /** What the reader should know, of the engine's own accord. */
  readonly notice = new Cell<string | undefined>(undefined);
  readonly #known = new Map<string, Payment>();
  /** Whether a stream of a grant has changed since grants were read. */
  #streamed = false;
  readonly host: Host;
  readonly records: Records;

  constructor(host: Host, records: Records) {
    this.host = host;
    this.records = records;
  }

  get open(): Extract<Phase, { name: "open" }> {
    const phase = this.phase.value;
    if (phase.name !== "open") throw new Error("The wallet is not open yet.");
    return phase;
  }

  get assets(): readonly AssetInfo[] {
    return this.open.client.info.hub.assets;
  }

  assetOf(token: string): AssetInfo | undefined {
    return this.assets.find((entry) => entry.token.toLowerCase() === token.toLowerCase());
  }

  available(token: string): bigint {
    return this.balances.value.find((balance) => balance.token.toLowerCase() === token.toLowerCase())?.available ?? 0n;
  }

  /** Whether anything was ever put into the channel. */
  get funded(): boolean {
    return this.balances.value.some(({ deposited, available }) => deposited > 0n || available > 0n);
  }

  /** Goes on with the account that was chosen before, if there is one. */
  async resume(): Promise<void> {
    this.grants.value = await this.records.all();
    const account = await this.records.setting<Account>("account");
    if (account === undefined) return;
    await this.use(account);
  }

  /** A key that is made here. One that was made before is used again: money may hang on it. */
  async useBrowserKey(): Promise<void> {
    const privateKey = (await this.records.setting<`0x${string}`>("key")) ?? makeKey();
    await this.records.set("key", privateKey);
    await this.use({ kind: "key", privateKey });
  }

  async use(account: Account): Promise<void> {
    this.phase.value = { name: "opening" };
    const wallet = await walletOf(account);
    if (wallet === undefined) {
      this.phase.value = { name: "away" };
      return;
    }
    try {
      const { connect } = await import("farthing");
      const { hub, rpc } = this.host;
      const client = await connect({ hub, wallet, rpc });
      await this.records.set("account", account);
      // Grants and tips must not be cleared to make room; a browser may say no, and nothing depends on it.
      void navigator.storage?.persist?.().catch(() => {});
      this.#listen(client);
      this.connected.value = client.info.connected;
      await this.#read(client);
      this.phase.value = { name: "open", client, wallet, account };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      this.phase.value = { name: "failed", code, message };
    }
  }

  #listen(client: Client): void {
    let reading = false;
    const changed = () => {
      // What comes while it is drawn is drawn with the next frame.
      if (reading) return;
      reading = true;
      requestAnimationFrame(() => {
        reading = false;
        this.#show(client).catch(() => {});
      });
    };
    client.on("payment", ({ payment }) => {
      this.#known.set(payment.id, payment);
      this.#streamed ||= payment.stream?.granted === true;
      changed();
    });
    for (const name of ["deposit", "withdrawal", "closing", "credit", "restored"] as const) client.on(name, changed);
    client.on("connected", () => (this.connected.value = true));
    client.on("disconnected", () => (this.connected.value = false));
    client.on("exit", ({ stage }) => (this.notice.value = stage === "none" ? undefined : "An exit of your channel is running: your money is on its way to your account."));
    client.on("wallet", ({ usable }) => (this.notice.value = usable ? undefined : "Your wallet shows another account or chain. Payments go on; deposits need the account that opened."));
    client.on("error", ({ error }) => (this.notice.value = error.message));
  }

  async #read(client: Client): Promise<void> {
    for (const payment of await client.payments({ limit: PAYMENTS })) this.#known.set(payment.id, payment);
    this.#streamed = true;
    await this.#show(client);
  }

  async #show(client: Client): Promise<void> {
    const [balances, streamed] = [await client.balances(), this.#streamed];
    this.#streamed = false;
    this.balances.value = balances;
    this.payments.value = [...this.#known.values()];
    if (streamed) await this.refreshGrants();
  }

  async refresh(): Promise<void> {
    await this.#read(this.open.client);
  }

  /** What the engine knows of the streams since: what was paid, and which are over. */
  async refreshGrants(): Promise<void> {
    const records = await this.records.all();
    const streams = new Map(this.payments.value.filter(({ stream }) => stream?.granted).map((payment) => [payment.id, payment]));
    this.grants.value = await Promise.all(
      records.map((record) => {
        const payment = streams.get(record.streamId);
        if (payment?.stream === undefined) return record;
        const paid = Math.max(record.paid, payment.stream.paid);
        const over = payment.status === "completed" || payment.status === "failed";
        const state = over && record.state === "granted" ? "ended" : record.state;
        if (paid === record.paid && state === record.state) return record;
        return this.records.update(record.request.id, { paid, state });
      }),
    );
  }

  async endGrant(record: GrantRecord): Promise<void> {
    await end(this.records, this.open.client, record);
    await this.refresh();
  }

  /** The channel is over: whoever comes back begins with the choice of a wallet. A key that was made here stays. */
  async leave(): Promise<void> {
    const { client } = this.open;
    await this.records.set("account", undefined);
    this.phase.value = { name: "none" };
    this.connected.value = false;
    this.#known.clear();
    await client.disconnect();
  }

  /** What was allowed, as limits count it. */
  allowed(now: number) {
    return this.grants.value
      .filter(({ state }) => state !== "failed")
      .map((record) => ({
        origin: record.origin,
        asset: record.request.asset,
        unitPrice: record.request.unitPrice,
        units: record.request.units,
        paid: record.paid,
        open: isOpen(record, now),
        at: record.at,
      }));
  }

  async limits({ token, asset, decimals }: AssetInfo): Promise<Limits> {
    const given = this.host.limits;
    const [known, own] = [await this.records.setting<Limits>(`limits:${token.toLowerCase()}`), given !== undefined && Object.hasOwn(given, asset) ? given[asset] : undefined];
    return known ?? (own === undefined ? defaults(asset, decimals) : limitsOf(own, decimals));
  }

  async setLimits({ token }: AssetInfo, limits: Limits): Promise<void> {
    await this.records.set(`limits:${token.toLowerCase()}`, limits);
  }
}
