// Text and bytes, for the glue: jsdom has neither, and Node below it has both.
// @ts-check

/** @type {typeof globalThis} */
const { TextDecoder, TextEncoder } = globalThis.TextDecoder === undefined ? /** @type {any} */ (globalThis).process.getBuiltinModule("node:util") : globalThis;

export { TextDecoder, TextEncoder };
