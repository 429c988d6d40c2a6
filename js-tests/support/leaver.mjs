// A process of its own that leaves, to be killed on the way: connects with the options in its first argument, calls
// exit(), and says each stage.

import { farthing } from "./env.mjs";

const { connect } = await farthing();
const client = await connect(JSON.parse(process.argv[2]));
await client.exit({ onProgress: ({ stage, endsAt }) => console.log(JSON.stringify({ stage, endsAt })) });
await client.disconnect();
