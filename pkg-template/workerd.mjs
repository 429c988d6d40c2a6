// For workerd (Cloudflare Workers), which compiles no bytes at run time: the module is imported compiled. There is
// no store by default; give connect() one.
// @ts-check

// @ts-expect-error To TypeScript a .wasm file is no module.
import module from "./core_bg.wasm";
import { face } from "./face.mjs";
import { startSync } from "./core.mjs";

const init = () => startSync(module);

/** Not needed here; shared code can call it. */
export const initAsync = async () => init();

export const { connect, errorCodes, preload, _testing } = face(init, {});

export { formatUnits, parseUnits } from "./units.mjs";
