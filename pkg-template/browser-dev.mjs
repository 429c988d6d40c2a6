// The browser's entry in development. There the module may lie elsewhere than beside this code: Vite moves what it optimises,
// and answers for what it does not know with a page. Then a copy is loaded that is inside of JavaScript.
// @ts-check

import { face } from "./face.mjs";
import { start } from "./core.mjs";
import { connectShared } from "./tabs.mjs";

const wasm = () => new URL("./core_bg.wasm", import.meta.url);

const copy = async () => (await import("./inside.mjs")).bytes();

/** As that of `browser.mjs`. @param {import("./internal.js").Source | (() => import("./internal.js").Source)} [source] */
export const initAsync = (source) => (source === undefined ? start(wasm, copy) : start(source));

export const { connect, errorCodes, preload, _testing } = face(initAsync, {}, connectShared);

export { formatUnits, parseUnits } from "./units.mjs";
