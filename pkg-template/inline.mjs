// The same as the browser's entry with the module inside, for bundlers that copy no files. A third more to download,
// and compiled only when all of it is there.
// @ts-check

import { face } from "./face.mjs";
import { start } from "./core.mjs";
import { bytes } from "./inside.mjs";
import { connectShared } from "./tabs.mjs";

/** Compiles the module; `connect` does so by itself. */
export const initAsync = () => start(bytes);

export const { connect, errorCodes, preload, _testing } = face(initAsync, {}, connectShared);

export { formatUnits, parseUnits } from "./units.mjs";
