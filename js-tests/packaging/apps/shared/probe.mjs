// What every application does with the package: loads the module, and asks it for something that it refuses, in time.

/** `loaded, not-a-hub, …` where all is well. `hub` is the address of something that is no hub. */
export async function probe({ connect, errorCodes }, hub) {
  const parts = [];
  try {
    const codes = await errorCodes();
    parts.push(codes.length > 40 ? "loaded" : `only ${codes.length} codes`);
  } catch (error) {
    parts.push(told(error));
  }
  try {
    const client = await connect({ hub, rpc: hub, wallet: { privateKey: `0x${"11".repeat(32)}` }, store: "memory", timeout: 20_000 });
    await client.disconnect();
    parts.push("connected");
  } catch (error) {
    parts.push(told(error));
  }
  return parts.join(", ");
}

const told = (error) => (error?.name === "FarthingError" && ["not-a-hub", "not-connected"].includes(error.code) ? "refused" : `${error?.name} ${error?.code}: ${error?.message}`);
