// A site that sells by x402's stock server, in Express, with its facilitator in the same process. It says on its output where it
// listens, and answers at /deposits how often its readers had to deposit.

import { createServer } from "node:http";
import { x402Facilitator } from "@x402/core/facilitator";
import { x402ResourceServer } from "@x402/core/server";
import { BatchSettlementEvmScheme as FacilitatorScheme } from "@x402/evm/batch-settlement/facilitator";
import { BatchSettlementEvmScheme as ServerScheme } from "@x402/evm/batch-settlement/server";
import { paymentMiddleware } from "@x402/express";
import Express from "express";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { article } from "../article.mjs";
import { escrow } from "./escrow.mjs";
import { EXTRA, NETWORK, PRICE, TOKEN } from "./terms.mjs";

const [payee, relayer] = [privateKeyToAccount(generatePrivateKey()), privateKeyToAccount(generatePrivateKey())];
const chain = escrow({ address: relayer.address, network: NETWORK });
const facilitator = new x402Facilitator();
facilitator.register(NETWORK, new FacilitatorScheme(chain, relayer));
const server = new x402ResourceServer({
  verify: (payload, requirements) => facilitator.verify(payload, requirements),
  settle: (payload, requirements) => facilitator.settle(payload, requirements),
  getSupported: async () => facilitator.getSupported(),
});
server.register(NETWORK, new ServerScheme(payee.address, { receiverAuthorizerSigner: payee }));

const accepts = { scheme: "batch-settlement", network: NETWORK, payTo: payee.address, price: { asset: TOKEN, amount: PRICE, extra: EXTRA } };
const app = Express();
app.get("/deposits", (req, res) => res.json(chain.deposits()));
// Its page, where a browser is to buy.
const { PAGE } = process.env;
if (PAGE) app.use(Express.static(PAGE, { cacheControl: false, etag: false, lastModified: false, setHeaders: (response) => response.setHeader("cache-control", "no-store") }));
app.use(paymentMiddleware({ "GET /articles/*": { accepts } }, server));
app.get("/articles/:id", (req, res) => res.send(article(req.params.id)));

const listening = createServer(app);
listening.listen(0, "127.0.0.1", () => process.stdout.write(`listening ${listening.address().port}\n`));
