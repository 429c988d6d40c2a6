// The film: frames as they come and are paid, and a meter that runs while they do.

import type { Payer } from "farthing/pay";
import { between, draw, type Frame } from "./sea.ts";
import { price, said, type Site } from "./purse.ts";

/** Seconds by which the picture is behind what came, so that it always has a frame to glide to. */
const BEHIND = 0.5;

const byId = (id: string) => document.getElementById(id) as HTMLElement;

export function film(pay: Payer, site: Site, path: string, still: Frame): void {
  const canvas = byId("film") as HTMLCanvasElement;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const [button, watched, paid, note, caption] = ["play", "watched", "paid", "said", "caption"].map(byId) as [HTMLElement, HTMLElement, HTMLElement, HTMLElement, HTMLElement];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let frames: Frame[] = [];
  let at = 0;
  let seconds = 0;
  let charged = 0;
  let stop: AbortController | undefined;
  draw(context, still);

  const show = () => {
    const next = frames.findIndex(({ t }) => t > at);
    const [from, to] = next > 0 ? [frames[next - 1] as Frame, frames[next] as Frame] : [frames.at(-1) as Frame, frames.at(-1) as Frame];
    // Whoever wants less motion sees each frame as it is.
    draw(context, calm.matches || to.t === from.t ? from : { ...between(from, to, (at - from.t) / (to.t - from.t)), line: from.line });
    caption.textContent = from.line;
    frames = frames.slice(Math.max(0, next - 1));
  };
  const meter = () => {
    watched.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    paid.textContent = price(site, Math.max(charged, Math.ceil(seconds)));
  };

  const play = async () => {
    const ending = new AbortController();
    stop = ending;
    button.textContent = "Pause";
    note.textContent = "";
    let last = performance.now();
    const tick = (now: number) => {
      if (ending.signal.aborted) return;
      const step = Math.min(0.25, (now - last) / 1_000);
      last = now;
      const newest = frames.at(-1)?.t ?? at;
      if (frames.length > 0 && at < newest) {
        // A little faster when it is far behind, so that a pause of the network is made good.
        at = Math.min(newest, at + step * (newest - at > 2 * BEHIND ? 1.15 : 1));
        seconds += step;
        show();
        meter();
      }
      requestAnimationFrame(tick);
    };
    try {
      const response = await pay.fetch(`${path}?from=${at}`, { signal: ending.signal });
      if (!response.ok || response.body === null) throw new Error("The film can’t be shown now. Nothing was charged.");
      requestAnimationFrame(tick);
      for await (const { event, data } of events(response.body)) {
        if (event === "frame") frames.push(JSON.parse(data) as Frame);
        if (event === "end") break;
      }
      charged = response.payment?.meter?.used ?? charged;
      note.textContent = "The film is over.";
    } catch (error) {
      if (!ending.signal.aborted) note.textContent = said(error);
    } finally {
      ending.abort();
      if (stop === ending) stop = undefined;
      button.textContent = "Play";
      frames = [];
    }
  };
  button.addEventListener("click", () => (stop === undefined ? void play() : stop.abort()));
  // Nobody pays for what nobody sees.
  document.addEventListener("visibilitychange", () => document.hidden && stop?.abort());
}

/** Server-sent events of a body. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ event: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) {
        const field = (name: string) => part.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
        yield { event: field("event"), data: field("data") };
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
