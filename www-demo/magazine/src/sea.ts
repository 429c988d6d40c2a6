// Draws a frame: sky, moon, stars, a lamp, a boat, five lines of waves. Between frames it glides.

export interface Frame {
  readonly t: number;
  readonly light: ReadonlyArray<readonly [number, number, number]>;
  readonly level: number;
  readonly waves: ReadonlyArray<{ readonly height: number; readonly length: number; readonly at: number }>;
  readonly moon: { readonly x: number; readonly y: number; readonly glow: number };
  readonly lamp: { readonly x: number; readonly on: number };
  readonly boat: { readonly x: number; readonly tilt: number };
  readonly stars: number;
  readonly line: string;
}

const rgb = ([red, green, blue]: readonly number[], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha})`;

/** A value between two frames' values, whatever shape they have. */
export function between<Value>(from: Value, to: Value, part: number): Value {
  if (typeof from === "number") return (from + ((to as number) - from) * part) as Value;
  if (Array.isArray(from)) return from.map((value, index) => between(value, (to as unknown[])[index], part)) as Value;
  if (typeof from === "object" && from !== null) return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, between(value, to[name as keyof Value], part)])) as Value;
  return from;
}

/** Places that are the same each time. */
function* scattered(count: number): Generator<readonly [number, number, number]> {
  let state = 20_011;
  const next = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let index = 0; index < count; index += 1) yield [next(), next(), next()];
}

export function draw(context: CanvasRenderingContext2D, frame: Frame): void {
  const { width, height } = context.canvas;
  const [high, low, water] = frame.light as unknown as [readonly number[], readonly number[], readonly number[]];
  const horizon = frame.level * height;
  const sky = context.createLinearGradient(0, 0, 0, horizon);
  sky.addColorStop(0, rgb(high));
  sky.addColorStop(1, rgb(low));
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);

  context.fillStyle = "#fff";
  for (const [x, y, size] of scattered(140)) {
    context.globalAlpha = frame.stars * (0.25 + 0.75 * size);
    context.fillRect(x * width, y * horizon * 0.92, 1 + size * 1.4, 1 + size * 1.4);
  }
  context.globalAlpha = 1;
  moon(context, frame, horizon);
  shore(context, frame, horizon);
  frame.waves.forEach((wave, index) => sea(context, frame, wave, index, horizon, water));
}

function moon(context: CanvasRenderingContext2D, { moon: { x, y, glow } }: Frame, horizon: number): void {
  const { width, height } = context.canvas;
  const [left, top, radius] = [x * width, y * height, height * 0.035];
  const halo = context.createRadialGradient(left, top, radius, left, top, radius * 9);
  halo.addColorStop(0, `rgb(255 246 224 / ${0.28 * glow})`);
  halo.addColorStop(1, "rgb(255 246 224 / 0)");
  context.fillStyle = halo;
  context.fillRect(0, 0, width, horizon);
  context.fillStyle = `rgb(255 248 232 / ${0.35 + 0.65 * glow})`;
  context.beginPath();
  context.arc(left, top, radius, 0, 2 * Math.PI);
  context.fill();
}

/** Land on both sides, a lamp on one of them. */
function shore(context: CanvasRenderingContext2D, { lamp, light }: Frame, horizon: number): void {
  const { width, height } = context.canvas;
  const dark = (light[2] as readonly number[]).map((part) => part * 0.5);
  context.fillStyle = rgb(dark);
  for (const [centre, breadth, rise] of [[lamp.x, 0.42, 0.1], [1 - lamp.x, 0.3, 0.045]] as const) {
    context.beginPath();
    context.moveTo((centre - breadth / 2) * width, horizon + 2);
    context.bezierCurveTo((centre - breadth / 4) * width, horizon - rise * height * 0.4, (centre - breadth / 8) * width, horizon - rise * height, centre * width, horizon - rise * height);
    context.bezierCurveTo((centre + breadth / 6) * width, horizon - rise * height, (centre + breadth / 4) * width, horizon - rise * height * 0.3, (centre + breadth / 2) * width, horizon + 2);
    context.fill();
  }
  const [x, y] = [lamp.x * width, horizon - 0.1 * height];
  context.fillRect(x - 3, y - height * 0.06, 6, height * 0.065);
  const glow = context.createRadialGradient(x, y - height * 0.065, 1, x, y - height * 0.065, height * 0.12);
  glow.addColorStop(0, `rgb(255 220 150 / ${0.9 * lamp.on})`);
  glow.addColorStop(1, "rgb(255 220 150 / 0)");
  context.fillStyle = glow;
  context.fillRect(x - height * 0.12, y - height * 0.185, height * 0.24, height * 0.24);
}

function sea(context: CanvasRenderingContext2D, frame: Frame, wave: Frame["waves"][number], index: number, horizon: number, water: readonly number[]): void {
  const { width, height } = context.canvas;
  const top = horizon + (height - horizon) * (index / frame.waves.length) ** 1.35;
  if (index === 2) boat(context, frame, top);
  context.fillStyle = rgb(water.map((part) => Math.round(part * (1.06 - index * 0.13))));
  context.beginPath();
  context.moveTo(0, height);
  for (let x = 0; x <= width; x += 8) {
    const turn = 2 * Math.PI * (x / width / wave.length + wave.at);
    context.lineTo(x, top + wave.height * height * (Math.sin(turn) + 0.35 * Math.sin(2.3 * turn + index)));
  }
  context.lineTo(width, height);
  context.fill();
  // What the moon leaves on the water.
  context.fillStyle = `rgb(255 246 224 / ${0.05 * frame.moon.glow})`;
  const breadth = width * (0.03 + 0.03 * index);
  context.fillRect(frame.moon.x * width - breadth / 2 + Math.sin(wave.at * 7) * 8, top + 4, breadth, height * 0.008 * (index + 1));
}

function boat(context: CanvasRenderingContext2D, { boat: { x, tilt }, light }: Frame, top: number): void {
  const { width, height } = context.canvas;
  const size = height * 0.05;
  context.save();
  context.translate(x * width, top);
  context.rotate(tilt);
  context.fillStyle = rgb((light[2] as readonly number[]).map((part) => part * 0.3));
  context.beginPath();
  context.moveTo(-size, -size * 0.25);
  context.quadraticCurveTo(0, size * 0.35, size, -size * 0.25);
  context.lineTo(-size, -size * 0.25);
  context.fill();
  context.fillRect(-1.5, -size * 1.5, 3, size * 1.3);
  context.beginPath();
  context.moveTo(3, -size * 1.5);
  context.lineTo(size * 0.75, -size * 0.4);
  context.lineTo(3, -size * 0.4);
  context.fill();
  context.restore();
}
