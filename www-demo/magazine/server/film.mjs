// The films: each second is computed when it is asked for, the same for everybody. A frame says what is where; the page draws.

export const FRAMES = 4;
/** Seconds. */
export const LENGTH = 600;

const wave = (t, period, shift = 0) => Math.sin(2 * Math.PI * (t / period + shift));
const mix = (from, to, part) => from.map((value, index) => Math.round(value + (to[index] - value) * part));

/** Colours of sky above, sky below, and water, at moments of the film from 0 to 1. */
const LIGHTS = [
  [0, [[72, 96, 140], [238, 178, 128], [88, 96, 116]]],
  [0.2, [[38, 44, 84], [150, 98, 110], [52, 56, 84]]],
  [0.45, [[10, 14, 34], [28, 38, 68], [14, 22, 40]]],
  [0.7, [[18, 26, 54], [70, 84, 118], [28, 40, 62]]],
  [0.9, [[104, 132, 170], [244, 206, 164], [98, 118, 134]]],
  [1, [[150, 182, 208], [250, 232, 204], [128, 152, 160]]],
];

const LINES = [
  [4, "The harbour light is lit by hand."],
  [16, "Nobody has come, and nobody was to come."],
  [30, "Water leaves without a sound."],
  [44, "What it uncovers belongs to no one for six hours."],
  [60, "A heron counts the pools."],
  [90, "Far out, a boat keeps its place by rowing."],
  [150, "Midnight is only a time of day."],
  [240, "Lowest. The stones have their names back."],
  [330, "It turns. You would not have seen it."],
  [450, "One after the other the pools forget themselves."],
  [560, "Morning, and everything is as it was, but wet."],
];

/** What there is to see `t` seconds into a film. Numbers from 0 to 1 are parts of the picture. */
export function frame(t, seed) {
  const part = Math.min(1, t / LENGTH);
  const next = LIGHTS.findIndex(([at]) => at > part);
  const [[from, first], [to, second]] = next < 0 ? [LIGHTS.at(-2), LIGHTS.at(-1)] : [LIGHTS[next - 1], LIGHTS[next]];
  const between = Math.min(1, (part - from) / (to - from));
  const caption = LINES.findLast(([at]) => at <= t && t < at + 8);
  return {
    t,
    light: first.map((colour, index) => mix(colour, second[index], between)),
    // Falls for the first half and rises for the second.
    level: 0.62 + 0.16 * (0.5 - 0.5 * Math.cos(2 * Math.PI * part)),
    waves: Array.from({ length: 5 }, (_, index) => ({
      height: 0.006 + 0.004 * index + 0.003 * wave(t, 23 + index * 7, seed * 0.13),
      length: 0.5 - 0.06 * index,
      at: t / (9 - index) + seed * 0.31 * index,
    })),
    moon: { x: 0.15 + 0.7 * part, y: 0.46 - 0.34 * Math.sin(Math.PI * part), glow: Math.max(0, Math.sin(Math.PI * part)) },
    lamp: { x: seed % 2 === 1 ? 0.82 : 0.28, on: wave(t, 6, seed * 0.1) > 0.72 ? 1 : 0.15 },
    boat: { x: (0.05 + t / 900 + seed * 0.17) % 1, tilt: 0.05 * wave(t, 5) },
    stars: Math.max(0, Math.min(1, 1 - Math.abs(part - 0.48) * 3.2)),
    line: caption?.[1] ?? "",
  };
}
