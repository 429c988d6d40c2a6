// The module's bytes out of JavaScript.
// @ts-check

import base64 from "./core_bg.wasm.js";

export const bytes = () => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
