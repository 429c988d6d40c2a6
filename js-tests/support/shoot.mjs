// Pictures of a page's state: `target/screenshots/NAME-{light,dark}-{desktop,phone}.png`.

import { mkdirSync } from "node:fs";

export const FOLDER = new URL("../../target/screenshots/", import.meta.url).pathname;
export const SIZES = { desktop: { width: 1100, height: 780 }, phone: { width: 390, height: 780 } };

mkdirSync(FOLDER, { recursive: true });

export async function shoot(page, name) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    // As tall as it is: what is fixed to the foot stays at the foot.
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ ...viewport, height: Math.max(viewport.height, height) });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.screenshot({ path: `${FOLDER}${name}-${colorScheme}-${size}.png` });
    }
  }
  console.log(`  ${name}`);
}
