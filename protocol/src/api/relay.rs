//! Deposits that the hub sends for owners of tokens who have no ETH: what they sign, and what the hub is asked.

use crate::abi;
use crate::amount::Amount;
use crate::json::wire;
use crate::types::{Asset, ChannelDef, ChannelId, Side};
use alloy_primitives::{Address, B256, Bytes, b256};

/// The hash of the contract's code, which is the same on every chain: whoever signs compares it first. A test of the hub
/// holds it against the build.
pub const CODE_HASH: B256 = b256!("566a2e1034e2e7ea1fc9877dd47be6df7221558bd9e5d7b35ebf400bbbbfed2b");

/// How a hub sends deposits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayTerms {
    /// The contract `DepositRelay`. A client compares its code before it signs anything.
    pub contract: Address,
    /// The account that sends, and that the fee goes to.
    pub relayer: Address,
}

wire!(open struct RelayTerms { contract, relayer });

/// What the owner of the tokens wants done, as the contract `DepositRelay` takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayedDeposit {
    /// The contract that the channel is in.
    pub farthing: Address,
    /// The channel.
    pub channel_id: ChannelId,
    /// Whose deposit it is.
    pub side: Side,
    /// The owner of the tokens.
    pub from: Address,
    /// The token.
    pub asset: Asset,
    /// All that leaves the owner, the fee included.
    pub amount: Amount,
    /// What of it the relayer gets.
    pub fee: Amount,
    /// Who may send it; zero for whoever does.
    pub relayer: Address,
    /// The last second in which it is good.
    pub deadline: u64,
    /// Tells apart equal ones.
    pub salt: B256,
}

wire!(struct RelayedDeposit {
    farthing, channel_id = "channelId", side, from, asset, amount, fee, relayer, deadline, salt
});

impl From<&RelayedDeposit> for abi::RelayedDeposit {
    fn from(deposit: &RelayedDeposit) -> Self {
        Self {
            farthing: deposit.farthing,
            channelId: deposit.channel_id.0,
            side: deposit.side.index(),
            from: deposit.from,
            asset: deposit.asset,
            amount: deposit.amount.units(),
            fee: deposit.fee.units(),
            relayer: deposit.relayer,
            deadline: deposit.deadline,
            salt: deposit.salt,
        }
    }
}

/// By what the relay may take the tokens, which is a matter of the token. `signature` is the owner's over the
/// [`RelayedDeposit`] in the relay's domain, where what the token or Permit2 takes does not sign it along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Authorization {
    /// ERC-2612. Where `v` is zero there is no permit, and an allowance is there.
    Permit {
        /// The permit's.
        deadline: u64,
        /// The permit's.
        v: u8,
        /// The permit's.
        r: B256,
        /// The permit's.
        s: B256,
        /// Over the deposit.
        signature: Bytes,
    },
    /// DAI's own permit, of all that the owner has.
    DaiPermit {
        /// Of the token.
        nonce: u64,
        /// The permit's; 0 for never.
        expiry: u64,
        /// The permit's.
        v: u8,
        /// The permit's.
        r: B256,
        /// The permit's.
        s: B256,
        /// Over the deposit.
        signature: Bytes,
    },
    /// ERC-3009, with the digest of the deposit as nonce.
    Authorization {
        /// It is good after this second.
        valid_after: u64,
        /// And before this one.
        valid_before: u64,
        /// Over the authorization.
        signature: Bytes,
    },
    /// Permit2, with the deposit as witness.
    Permit2 {
        /// Unordered.
        nonce: B256,
        /// Of Permit2.
        deadline: u64,
        /// Over all of it.
        signature: Bytes,
    },
}

wire!(enum Authorization by type else Self::Authorization {
    valid_after: 0, valid_before: 0, signature: Bytes::new()
}, {
    "permit" => Permit { deadline, v, r, s, signature },
    "dai-permit" => DaiPermit { nonce, expiry, v, r, s, signature },
    "authorization" => Authorization { valid_after = "validAfter", valid_before = "validBefore", signature },
    "permit2" => Permit2 { nonce, deadline, signature },
});

/// Asks the hub to send a deposit. Asked again for the same one it tells of the same transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayDeposit {
    /// The channel; the hub is `B`.
    pub channel: ChannelDef,
    /// What the owner signed.
    pub deposit: RelayedDeposit,
    /// By what the tokens may be taken.
    pub authorization: Authorization,
}

wire!(struct RelayDeposit { channel, deposit, authorization });

/// It is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// The hash of the transaction as it was sent first.
    pub transaction: B256,
}

wire!(open struct Relayed { transaction });
