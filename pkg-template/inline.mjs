// The same as the browser's entry with the module inside, for bundlers that copy no files. A third more to download,
// and compiled only when all of it is there.
// @ts-check

import base64 from "./core_bg.wasm.js";
import { face } from "./face.mjs";
import { start } from "./core.mjs";
import { connectShared } from "./tabs.mjs";

const bytes = () => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** Compiles the module; `connect` does so by itself. */
export const initAsync = () => start(bytes);

export const { connect, errorCodes, _testing } = face(initAsync, {}, connectShared);
