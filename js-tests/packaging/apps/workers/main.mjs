// A page without the package, and two kinds of workers with it.
const hub = `${location.origin}/nothing`;
const answer = (port) => new Promise((resolve) => (port.onmessage = ({ data }) => resolve(data)));

const worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
worker.postMessage(hub);
const shared = new SharedWorker(new URL("./shared.mjs", import.meta.url), { type: "module" });
shared.port.postMessage(hub);
document.title = (await Promise.all([answer(worker), answer(shared.port)])).join("; ");
