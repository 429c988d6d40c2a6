import type { Store } from "../index.js";
/** A store in one append-only file. Rejects with `storage-locked` if another process has it open. */
export declare function fileStore(path: string): Promise<Store>;
