// A process of its own that does what people do, with the world in its first argument: opens, deposits, pays, is paid,
// withdraws, closes; and, as another account, starts an exit. Says each step as a line of JSON.

import { farthing } from "./env.mjs";

const { connect } = await farthing();
const { hub, rpc, payee, stranger, keys, only } = JSON.parse(process.argv[2]);
const say = (step, more) => console.log(JSON.stringify({ step, ...more }));
const open = (privateKey) => connect({ hub, rpc, wallet: { privateKey }, store: "memory", pollInterval: 100 });
const ETH = 10n ** 18n;

try {
  if (only === undefined) {
    const client = await open(keys[0]);
    await client.deposit({ asset: "ETH", amount: ETH });
    say("deposited", { address: client.info.address });
    const { status } = await client.pay({ to: payee, asset: "ETH", amount: 5n, wait: true });
    say("paid", { status });
    const short = await client.pay({ to: payee, asset: "ETH", amount: 6n, wait: true, expiresIn: 7_200 });
    say("paid-shortly", { status: short.status });
    for (;;) {
      const [received] = await client.payments({ direction: "received", status: "completed" });
      if (received !== undefined) {
        say("received", { amount: String(received.amount), created: received.createdAt });
        break;
      }
      await new Promise((resolve) => client.on("payment", resolve));
    }
    await client.withdraw({ asset: "ETH", amount: ETH / 10n, to: stranger });
    say("withdrawn");
    await client.close({ assets: ["ETH"] });
    say("closed");
    await client.disconnect();
    const leaver = await open(keys[1]);
    await leaver.deposit({ asset: "ETH", amount: ETH });
    await new Promise((resolve, reject) => {
      leaver.exit({ onProgress: ({ stage, endsAt }) => stage === "challenge" && resolve(say("leaving", { endsAt })) }).catch(reject);
    });
    await leaver.disconnect();
  } else {
    const client = await open(keys[0]);
    await client.pay({ to: payee, asset: "ETH", amount: 5n, wait: true });
    say("paid");
  }
  process.exit(0);
} catch (error) {
  say("failed", { code: error.code, message: error.message });
  process.exit(1);
}
