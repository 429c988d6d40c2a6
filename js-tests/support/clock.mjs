// Loaded before a process's own code (`node --import`): its clock is wrong by CLOCK_OFF seconds. What only runs on, as
// `performance.now()`, is as it was.

const Right = Date;
const off = Number(process.env.CLOCK_OFF) * 1_000;

globalThis.Date = class extends Right {
  constructor(...given) {
    if (given.length > 0) super(...given);
    else super(Right.now() + off);
  }
  static now() {
    return Right.now() + off;
  }
};
