navigator.serviceWorker.addEventListener("message", ({ data }) => (document.title = data));
await navigator.serviceWorker.register("./worker.mjs", { type: "module" });
const { active } = await navigator.serviceWorker.ready;
active.postMessage("probe");
