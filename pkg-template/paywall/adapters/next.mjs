// The paywall as a route handler of Next, or of whatever calls `(request, …) => Response`.
// @ts-check

/** @import { Route } from "../wall.mjs" */

/** @template {unknown[]} Rest @param {Route} route @param {(request: Request, ...rest: Rest) => Response | Promise<Response>} handler @returns {(request: Request, ...rest: Rest) => Promise<Response>} */
export function next(route, handler) {
  return (request, ...rest) => route.handle(request, async (asked) => handler(asked, ...rest));
}
