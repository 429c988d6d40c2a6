// What this page remembers: tips for ever, grants, settings. In a database of its own, which the engine does not know.

import type { GrantRecord } from "./logic/book.ts";
import type { GrantRequest } from "./logic/request.ts";
import type { Hex } from "./logic/shapes.ts";

const NAME = "farthing-wallet-page";

const settled = <Value>(request: IDBRequest<Value>) =>
  new Promise<Value>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const done = (transaction: IDBTransaction) =>
  new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("The browser did not store it."));
  });

export class Records {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  static async open(): Promise<Records> {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      // The tip, with the id of the request that it came with. No entry is ever removed.
      request.result.createObjectStore("tips");
      request.result.createObjectStore("grants");
      request.result.createObjectStore("settings");
    };
    return new Records(await settled(request));
  }

  #write(stores: string[]): IDBTransaction {
    return this.#database.transaction(stores, "readwrite", { durability: "strict" });
  }

  /** What is known of a request, by its id and by its tip. */
  async find({ id, tip }: Pick<GrantRequest, "id" | "tip">): Promise<{ byId?: GrantRecord; byTip?: GrantRecord }> {
    const transaction = this.#database.transaction(["tips", "grants"]);
    const grants = transaction.objectStore("grants");
    const byId = await settled<GrantRecord | undefined>(grants.get(id));
    const owner = await settled<Hex | undefined>(transaction.objectStore("tips").get(tip));
    const byTip = owner === undefined ? undefined : await settled<GrantRecord | undefined>(grants.get(owner));
    return { byId, byTip };
  }

  /** Writes down that the reader said yes, with the tip. `false` if tip or id are there already: then nothing is written. */
  async allow(record: GrantRecord): Promise<boolean> {
    const transaction = this.#write(["tips", "grants"]);
    const end = done(transaction);
    const { id, tip } = record.request;
    transaction.objectStore("tips").add(id, tip);
    transaction.objectStore("grants").add(record, id);
    try {
      await end;
      return true;
    } catch (error) {
      if (error instanceof DOMException && error.name === "ConstraintError") return false;
      throw error;
    }
  }

  async update(id: Hex, changes: Partial<GrantRecord>): Promise<GrantRecord> {
    const transaction = this.#write(["grants"]);
    const end = done(transaction);
    const grants = transaction.objectStore("grants");
    const record = { ...(await settled<GrantRecord>(grants.get(id))), ...changes };
    grants.put(record, id);
    await end;
    return record;
  }

  all(): Promise<GrantRecord[]> {
    return settled(this.#database.transaction("grants").objectStore("grants").getAll());
  }

  setting<Value>(name: string): Promise<Value | undefined> {
    return settled(this.#database.transaction("settings").objectStore("settings").get(name));
  }

  async set(name: string, value: unknown): Promise<void> {
    const transaction = this.#write(["settings"]);
    const end = done(transaction);
    if (value === undefined) transaction.objectStore("settings").delete(name);
    else transaction.objectStore("settings").put(value, name);
    await end;
  }
}
