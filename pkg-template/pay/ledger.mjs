// Keeps the state. What is changed at the same time is written together, and told to nobody before it is on the disk.
// @ts-check

/** @import { State } from "./state.mjs" */

import { fault } from "./wire.mjs";
import { empty } from "./state.mjs";

/** @typedef {(state: State) => void} Work */
/** A place runs the work on the state in one transaction, and resolves when what changed is durable.
 * @typedef {(work: Work) => Promise<void>} Place */

/** @typedef {ReturnType<typeof ledgerOf>} Ledger */

/** @param {Place} place */
export function ledgerOf(place) {
  /** @type {{ work: (state: State) => any, done: (value: any) => void, fail: (error: unknown) => void }[]} */
  let waiting = [];
  let running = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const run = async () => {
    if (running) return;
    running = true;
    while (waiting.length > 0) {
      const turn = waiting;
      waiting = [];
      clearTimeout(timer);
      timer = undefined;
      /** What each is told once it is durable; the place may have to run the work once more. @type {(() => void)[]} */
      let told = [];
      await place((state) => {
        told = turn.map(({ work, done, fail }) => {
          try {
            const value = work(state);
            return () => done(value);
          } catch (error) {
            return () => fail(error);
          }
        });
      })
        .catch((cause) => {
          const error = fault("storage-failed", `Nothing is paid: nothing can be kept (private window?): ${cause?.message}`, { cause });
          told = turn.map(({ fail }) => () => fail(error));
        });
      for (const tell of told) tell();
    }
    running = false;
  };

  /** Resolves with what `work` gives when its changes are durable. Work that throws must have changed nothing.
   * @template Value @param {(state: State) => Value} work @param {number} [later] so many milliseconds may pass before it is written, with others; a crash loses it
   * @returns {Promise<Value>} */
  return (work, later) =>
    new Promise((done, fail) => {
      waiting.push({ work, done, fail });
      if (later) timer ??= setTimeout(run, later);
      else void run();
    });
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
      request.onsuccess = () => {
        request.result.onclose = () => (opening = undefined);
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
          if (state.v !== 1) throw Error("a newer version was here");
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
