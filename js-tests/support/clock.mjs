// Loaded before a process's own code (`node --import`): its clock is wrong by CLOCK_OFF seconds, or as many as `setClock` was
// told last. What only runs on, as `performance.now()`, is as it was.

const Right = Date;
let off = Number(process.env.CLOCK_OFF ?? 0) * 1_000;

export const setClock = (seconds) => (off = seconds * 1_000);

globalThis.Date = class extends Right {
  constructor(...given) {
    if (given.length > 0) super(...given);
    else super(Right.now() + off);
  }
  static now() {
    return Right.now() + off;
  }
};
