// Keeps the state. What is changed at the same time is written together, and told to nobody before it is on the disk.
// @ts-check

/** @import { State } from "./state.mjs" */

import { PayError } from "./wire.mjs";
import { empty } from "./state.mjs";

/** @typedef {(state: State) => void} Work */
/** A place runs the work on the state in one transaction, and resolves when what changed is durable.
 * @typedef {(work: Work) => Promise<void>} Place */

/** How long what may be lost waits for something to be written with, milliseconds. */
const LATER = 100;

/** @param {unknown} cause @returns {never} */
function failed(cause) {
  throw new PayError("storage-failed", `What is paid can't be kept here, so nothing is paid: ${/** @type {any} */ (cause)?.message ?? "there is no storage"}. A private window, or storage that is full or refused, may be why.`, { cause });
}

export class Ledger {
  #place;
  /** @type {{ work: (state: State) => any, done: (value: any) => void, fail: (error: unknown) => void }[]} */
  #waiting = [];
  #running = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Place} place */
  constructor(place) {
    this.#place = place;
  }

  /** Resolves with what `work` gives when its changes are durable. Work that throws must have changed nothing.
   * @template Value @param {(state: State) => Value} work @returns {Promise<Value>} */
  change(work) {
    return new Promise((done, fail) => {
      this.#waiting.push({ work, done, fail });
      void this.#run();
    });
  }

  /** A change that may be lost in a crash. @param {Work} work */
  later(work) {
    this.#waiting.push({ work, done() {}, fail() {} });
    this.#timer ??= setTimeout(() => this.#run(), LATER);
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    for (let turn; (turn = this.#waiting.splice(0)).length > 0; ) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      /** @type {(() => void)[]} */
      let told = [];
      try {
        await this.#place((state) => {
          // The place may have to run it once more.
          told = turn.map(({ work, done, fail }) => {
            try {
              const value = work(state);
              return () => done(value);
            } catch (error) {
              return () => fail(error);
            }
          });
        }).catch(failed);
        for (const tell of told) tell();
      } catch (error) {
        for (const { fail } of turn) fail(error);
      }
    }
    this.#running = false;
  }
}

/** IndexedDB: every tab and worker of the site has the same. @param {string} name @returns {Place} */
export function indexed(name) {
  /** @type {Promise<IDBDatabase> | undefined} */
  let opening;
  const open = () => {
    opening ??= new Promise((done, fail) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore("state");
      request.onerror = () => fail(request.error);
      request.onblocked = () => fail(new Error("another version is open"));
      request.onsuccess = () => {
        const lost = () => (opening = undefined);
        request.result.onversionchange = () => (request.result.close(), lost());
        request.result.onclose = lost;
        done(request.result);
      };
    });
    opening.catch(() => (opening = undefined));
    return opening;
  };
  return async (work) => {
    const database = await open();
    await new Promise((done, fail) => {
      const transaction = database.transaction("state", "readwrite", { durability: "strict" });
      const store = transaction.objectStore("state");
      const read = store.get("state");
      /** @type {unknown} */
      let broken;
      read.onsuccess = () => {
        try {
          /** @type {State} */
          const state = read.result ?? empty();
          if (state.v !== 1) throw new Error("a newer version of this page has been here");
          const { rev } = state;
          work(state);
          if (state.rev !== rev) store.put(state, "state");
        } catch (error) {
          broken = error;
          transaction.abort();
        }
      };
      transaction.oncomplete = done;
      transaction.onabort = transaction.onerror = () => fail(broken ?? transaction.error);
    });
  };
}
