// `farthing/paywall`: the server side of paying for content. docs/paywall.md of the repository is for whoever runs a site.
// @ts-check

export { paywall } from "./wall.mjs";
export { till } from "./till.mjs";
export { sqlite } from "./store/sqlite.mjs";
export { postgres } from "./store/postgres.mjs";
export { report, reportLines } from "./report.mjs";
export { recover } from "./recover.mjs";
export { verifyReceipt } from "./verify.mjs";
export { PaywallError } from "./problem.mjs";
