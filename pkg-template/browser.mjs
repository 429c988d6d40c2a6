// For browsers and their bundlers. The URL below must stay literal: Vite, webpack and Parcel rewrite it.
// @ts-check

import { face } from "./face.mjs";
import { start } from "./core.mjs";
import { connectShared } from "./tabs.mjs";

const wasm = () => new URL("./core_bg.wasm", import.meta.url);

/** Loads the wasm module; `connect` does so by itself. Give a source where the bundler does not copy the file. */
export const initAsync = (source = wasm) => start(source);

export const { connect, errorCodes, preload, _testing } = face(initAsync, {}, connectShared);

export { formatUnits, parseUnits } from "./units.mjs";
