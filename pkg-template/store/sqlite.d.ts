import type { Store } from "../index.js";
/** A store in a file of `node:sqlite`. Rejects with `storage-locked` if another process has it open. */
export declare function sqliteStore(path: string): Promise<Store>;
