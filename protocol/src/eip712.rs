//! Digests of everything that is signed ([EIP-712](https://eips.ethereum.org/EIPS/eip-712)),
//! in the domain `Farthing`, version `1`, with the chain's id and the contract's address.

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct};

/// The chain and the contract that a signature is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Domain {
    chain_id: u64,
    contract: Address,
    separator: B256,
}

impl Domain {
    /// The domain of a contract on a chain.
    #[must_use]
    pub fn new(chain_id: u64, contract: Address) -> Self {
        Self::named("Farthing", chain_id, contract)
    }

    /// The domain of the contract that takes the deposits of those who have no ETH.
    #[must_use]
    pub fn relay(chain_id: u64, contract: Address) -> Self {
        Self::named("Farthing DepositRelay", chain_id, contract)
    }

    fn named(name: &'static str, chain_id: u64, contract: Address) -> Self {
        let separator = Eip712Domain::new(
            Some(name.into()),
            Some("1".into()),
            Some(alloy_primitives::U256::from(chain_id)),
            Some(contract),
            None,
        )
        .separator();
        Self { chain_id, contract, separator }
    }

    /// EIP-155 chain id.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The contract's address.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.contract
    }

    /// The EIP-712 domain separator.
    #[must_use]
    pub const fn separator(&self) -> B256 {
        self.separator
    }

    /// What is signed for `message`.
    #[must_use]
    pub fn digest<T: SolStruct>(&self, message: &T) -> B256 {
        self.digest_of_hash(message.eip712_hash_struct())
    }

    /// What is signed for a message with this struct hash.
    #[must_use]
    pub fn digest_of_hash(&self, struct_hash: B256) -> B256 {
        let mut data = [0_u8; 66];
        let (head, hash) = data.split_at_mut(34);
        let (prefix, separator) = head.split_at_mut(2);
        prefix.copy_from_slice(&[0x19, 0x01]);
        separator.copy_from_slice(self.separator.as_slice());
        hash.copy_from_slice(struct_hash.as_slice());
        keccak256(data)
    }
}
