// Times and names as people say them.

const UNITS: ReadonlyArray<readonly [seconds: number, one: string, many: string]> = [
  [86_400, "day", "days"],
  [3_600, "hour", "hours"],
  [60, "minute", "minutes"],
  [1, "second", "seconds"],
];

/** `7 days`, `90 minutes`, `1 hour`: in the largest unit that loses less than a tenth. */
export function span(seconds: number): string {
  for (const [size, one, many] of UNITS) {
    const whole = Math.floor(seconds / size);
    if (whole >= 1 && seconds - whole * size <= seconds / 10) return whole === 1 ? `1 ${one}` : `${whole} ${many}`;
  }
  return `${Math.max(0, Math.floor(seconds))} seconds`;
}

/** `Sunday 6 December, 14:30` in the reader's time zone. */
export function until(ms: number, locale?: string, timeZone?: string): string {
  const date = new Intl.DateTimeFormat(locale ?? "en-GB", { weekday: "long", day: "numeric", month: "long", timeZone });
  const time = new Intl.DateTimeFormat(locale ?? "en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
  return `${date.format(ms)}, ${time.format(ms)}`;
}

/** `0x7099…79C8` */
export const short = (address: string) => `${address.slice(0, 6)}…${address.slice(-4)}`;

/** `14:30` today, else `6 Dec`. */
export function when(ms: number, now: number, timeZone?: string): string {
  const day = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "2-digit", day: "2-digit", timeZone });
  if (day.format(ms) === day.format(now)) return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone }).format(ms);
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone }).format(ms);
}
