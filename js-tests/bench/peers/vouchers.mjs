// The vouchers by which others pay a step further: x402's batch settlement and MPP's session, by their own packages. x402 exports
// how one is signed; how its server recovers one it does not, so that is done by viem's function, as the server does it.

import { BATCH_SETTLEMENT_ADDRESS, BATCH_SETTLEMENT_DOMAIN, voucherTypes } from "@x402/evm";
import { signVoucher } from "@x402/evm/batch-settlement/client";
import { Session } from "mppx/tempo";
import { createClient, hashTypedData, http, isAddressEqual, recoverAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const CHAIN = 31337;
const CHANNEL = `0x${"22".repeat(32)}`;

async function checked(name, { sign, check }, count) {
  const signed = [];
  for (let index = 0; index < count; index += 1) signed.push(await sign(index));
  const verify = async (index) => {
    if (!(await check(index, signed[index]))) throw new Error(`a voucher of ${name} is not valid`);
  };
  await verify(0);
  if (await check(1, signed[0])) throw new Error(`a voucher of ${name} is valid for another amount`);
  return { sign, verify };
}

/** `{ x402, mpp }`, each `{ sign(index), verify(index) }`. */
export async function vouchers(count) {
  const account = privateKeyToAccount(`0x${"07".repeat(32)}`);
  const amount = (index) => BigInt(index + 1) * 1_000n;

  const domain = { ...BATCH_SETTLEMENT_DOMAIN, chainId: CHAIN, verifyingContract: BATCH_SETTLEMENT_ADDRESS };
  const x402 = {
    sign: async (index) => (await signVoucher(account, CHANNEL, String(amount(index)), `eip155:${CHAIN}`)).signature,
    async check(index, signature) {
      const hash = hashTypedData({ domain, types: voucherTypes, primaryType: "Voucher", message: { channelId: CHANNEL, maxClaimableAmount: amount(index) } });
      return isAddressEqual(await recoverAddress({ hash, signature }), account.address);
    },
  };

  const { Channel, Voucher } = Session.Precompile;
  const escrow = Session.Precompile.Constants.tip20ChannelEscrow;
  // Never asked: a voucher is signed by the account alone.
  const client = createClient({ transport: http("http://127.0.0.1:1") });
  const mpp = {
    sign: (index) => Voucher.signVoucher(client, account, { channelId: CHANNEL, cumulativeAmount: amount(index) }, escrow, CHAIN),
    check: async (index, signature) => Voucher.verifyVoucher(escrow, CHAIN, { channelId: CHANNEL, cumulativeAmount: amount(index), signature }, account.address),
  };
  return { x402: await checked("x402", x402, count), mpp: await checked("MPP", mpp, count) };
}
