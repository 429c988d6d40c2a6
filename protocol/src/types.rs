//! Who takes part in a channel and what it is called: the names every other module uses.

use crate::abi;
use crate::codec::stored;
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::wire;
use alloc::string::ToString;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use core::fmt;

/// The token address of an asset; the zero address is ETH.
pub type Asset = Address;

/// ETH, as an asset.
pub const ETH: Asset = Address::ZERO;

/// A participant's place in a channel: `A` opened it (usually a user), `B` is the other one (usually a hub).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// Opened the channel.
    A,
    /// The other one.
    B,
}

wire!(words Side { "A" => A, "B" => B });
stored!(enum Side { 0 => A, 1 => B });

impl Side {
    /// Both sides, `A` first.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 0 for `A`, 1 for `B`, as on chain.
    #[must_use]
    pub const fn index(self) -> u8 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The side with this index on chain.
    pub fn from_index(index: u8) -> Result<Self, Error> {
        match index {
            0 => Ok(Self::A),
            1 => Ok(Self::B),
            _ => Err(Error::new(Code::InvalidArgument, "a side is 0 or 1")),
        }
    }
}

/// A value for each side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sides<T> {
    /// Of `A`.
    pub a: T,
    /// Of `B`.
    pub b: T,
}

wire!(struct Sides<T> { a, b });
stored!(struct Sides<T> { a, b });

impl<T> Sides<T> {
    /// Of one side.
    pub const fn of(&self, side: Side) -> &T {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// Of one side, to change.
    pub const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

/// One end of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Participant {
    /// The account that funds go to: an externally owned account or a contract wallet.
    pub owner: Address,
    /// The key whose signature counts in this channel; fixed for the channel's life.
    pub signer: Address,
}

wire!(struct Participant { owner, signer });
stored!(struct Participant { owner, signer });

/// What identifies a channel, together with the chain and the contract.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelDef {
    /// Opened it.
    pub a: Participant,
    /// The other one.
    pub b: Participant,
    /// Seconds that an exit can be answered for.
    pub challenge_period: u32,
    /// Makes channels of the same participants distinct.
    pub salt: u64,
}

wire!(struct ChannelDef { a, b, challenge_period = "challengePeriod", salt });
stored!(struct ChannelDef { a, b, challenge_period, salt });

impl ChannelDef {
    /// The participant at `side`.
    #[must_use]
    pub const fn participant(&self, side: Side) -> &Participant {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// Refuses zero addresses and equal signers.
    pub fn check(&self) -> Result<(), Error> {
        let zero = [self.a.owner, self.a.signer, self.b.owner, self.b.signer].contains(&Address::ZERO);
        if zero || self.a.signer == self.b.signer {
            return Err(Error::new(Code::BadTerms, "owners and signers are not zero, and the signers differ"));
        }
        Ok(())
    }

    /// `keccak256(abi.encode(chainId, contract, channel))`.
    #[must_use]
    pub fn id(&self, chain_id: u64, contract: Address) -> ChannelId {
        let channel = abi::Channel::from(self);
        ChannelId(keccak256((U256::from(chain_id), contract, channel).abi_encode()))
    }
}

/// A channel's identifier on chain and off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub B256);

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string())
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string())
    }
}

as_serde!(Side, Sides<T>, Participant, ChannelDef, ChannelId);
