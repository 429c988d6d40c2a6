import { connect } from "farthing";

const told = ({ code, message }) => `${code}: ${message}`;

export default {
  async fetch(request) {
    const { payee, ...options } = await request.json();
    // A worker has no disk.
    const without = await connect(options).then(() => "opened", told);
    const client = await connect({ ...options, store: "memory" });
    await client.deposit({ asset: "ETH", amount: 1_000n });
    const { status } = await client.pay({ to: payee, asset: "ETH", amount: 1n });
    await client.disconnect();
    return Response.json({ without, status });
  },
};
