const parts = ["farthing", "farthing/inline", "farthing/pay", "farthing/pay/scheme", "farthing/paywall", "farthing/paywall/verify", "farthing/store/file", "farthing/store/sqlite"];

(async () => {
  for (const part of parts) {
    const [required, imported] = [require(part), await import(part)];
    for (const name of Object.keys(imported)) if (required[name] !== imported[name]) throw new Error(`${part} has two ${name}`);
  }
  console.log(`${parts.length} parts`);
})();
