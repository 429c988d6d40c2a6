// What keeps a local set from starting: told in one sentence, with what to do.
// @ts-check

export class DevError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
