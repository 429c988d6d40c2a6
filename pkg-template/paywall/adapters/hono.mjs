// The paywall as middleware of Hono.
// @ts-check

/** @import { Route } from "../wall.mjs" */

/** @param {Route} route @returns {(context: any, next: () => Promise<void>) => Promise<Response | undefined>} */
export function hono(route) {
  return async (context, next) => {
    const response = await route.handle(context.req.raw, async (_, payment) => {
      context.set("payment", payment);
      await next();
      return context.res;
    });
    // Hono would put the headers of an earlier response into ours: what may be kept of them is there already.
    context.res = undefined;
    context.res = response;
    return undefined;
  };
}
