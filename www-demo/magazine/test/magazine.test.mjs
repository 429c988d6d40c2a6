import assert from "node:assert/strict";
import { test } from "node:test";
import { FRAMES, LENGTH, frame } from "../server/film.mjs";
import { articlePage, filmPage, frontPage } from "../server/pages.mjs";
import { MAGAZINES } from "../server/texts.mjs";
import { events } from "../src/film.ts";
import { shown } from "../src/purse.ts";
import { between } from "../src/sea.ts";

const assets = { script: "/assets/a.js", style: "/assets/a.css" };
const terms = { shown: (units) => `${units} units` };

test("what is sold is on no page that is free", () => {
  for (const site of Object.values(MAGAZINES)) {
    const pages = [frontPage(site, assets, terms), filmPage(site, assets, terms), ...site.articles.map((piece) => articlePage(site, assets, terms, piece))].join("\n");
    for (const text of site.articles.flatMap(({ paid = [] }) => paid)) assert.ok(!pages.includes(text.slice(0, 40)), text);
  }
});

test("nothing that a text says becomes markup", () => {
  const piece = { slug: "x", by: "<b>", title: `</script><script>alert("1")`, standfirst: "&", price: 1, free: ["<img src=x>"] };
  const page = articlePage(MAGAZINES.post, assets, terms, piece);
  assert.equal(page.match(/<script/g).length, 2);
  assert.ok(!page.includes("<img") && !page.includes("<b>"));
});

test("every frame of a film can be drawn, and follows from the one before", () => {
  for (const seed of [1, 7]) {
    for (let t = 0; t <= LENGTH; t += 1 / FRAMES) {
      const now = frame(t, seed);
      assert.ok(now.light.flat().every((part) => Number.isInteger(part) && part >= 0 && part <= 255), `light at ${t}`);
      assert.ok(now.level > 0.5 && now.level < 0.9 && now.moon.y > 0 && now.stars >= 0 && now.stars <= 1, `place at ${t}`);
      if (t > 0) assert.ok(Math.abs(now.level - frame(t - 1 / FRAMES, seed).level) < 0.01, `jump at ${t}`);
    }
  }
});

test("a frame between two frames is between them", () => {
  const middle = between(frame(10, 1), frame(20, 1), 0.5);
  assert.equal(middle.t, 15);
  assert.equal(middle.waves.length, 5);
  assert.equal(middle.moon.x, (frame(10, 1).moon.x + frame(20, 1).moon.x) / 2);
});

test("events are read however they are cut", async () => {
  const bytes = new TextEncoder().encode("event: frame\ndata: {\"t\":1}\n\nevent: farthing\ndata: é\n\nevent: end\ndata: {}\n\nevent: cut");
  for (const size of [1, 3, 7, 1_000]) {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const read = [];
    for await (const event of events(body)) read.push(event);
    assert.deepEqual(read, [{ event: "frame", data: "{\"t\":1}" }, { event: "farthing", data: "é" }, { event: "end", data: "{}" }]);
  }
});

test("prices are shown with few digits and never as less than they are", () => {
  assert.equal(shown(5n * 10n ** 14n, 18), "0.0005");
  assert.equal(shown(1n, 18), "0.000001");
  assert.equal(shown(10n ** 18n, 18), "1");
  assert.equal(shown(1_234_567_890_123_456_789n, 18), "1.234568");
  assert.equal(shown(25n, 2), "0.25");
});
