//! Conditions turn evidence into a number of units. The built-in ones are evaluated here
//! exactly as the contract evaluates them; every format has one exact length.

use crate::abi;
use crate::codec::stored;
use crate::eip712::Domain;
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::wire;
use crate::sign::{SecretKey, Signature};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::SolValue;
use sha2::{Digest, Sha256};

/// "All units": what a hash lock's preimage is worth. A lock takes the smaller of this and its own `n`.
pub const ALL_UNITS: u32 = u32::MAX;

/// The longest hash chain that can be checked on chain.
pub const MAX_CHAIN: u32 = 1 << 14;

const HASH_LOCK: Address = built_in(1);
const HASH_CHAIN: Address = built_in(2);
const VOUCHER: Address = built_in(3);

const fn built_in(number: u8) -> Address {
    let mut bytes = [0; 20];
    bytes[18] = 0xfa;
    bytes[19] = number;
    Address::new(bytes)
}

/// What a condition is, by its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Evidence is the 32-byte preimage of a sha256 hash; it proves all units.
    HashLock,
    /// Evidence is a word that hashes to the tip in `k` steps; it proves `k` units.
    HashChain,
    /// Evidence is a signed number of units.
    Voucher,
    /// A contract decides.
    External(Address),
}

/// A condition contract and its parameters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Condition {
    /// The built-in or external contract.
    pub address: Address,
    /// Its parameters.
    pub params: Bytes,
}

wire!(struct Condition { address, params });
stored!(struct Condition { address, params });

/// `keccak256(abi.encode(condition, keccak256(params), expiry))`: the same for every hop of one payment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConditionKey(pub B256);

impl Condition {
    /// Opened by the preimage of `hash` (sha256).
    #[must_use]
    pub fn hash_lock(hash: [u8; 32]) -> Self {
        Self { address: HASH_LOCK, params: Bytes::copy_from_slice(&hash) }
    }

    /// Opened step by step along a chain of `n` hashes that ends in `tip`.
    #[must_use]
    pub fn hash_chain(tip: B256, n: u32) -> Self {
        let params = [tip.as_slice(), &n.to_be_bytes()].concat();
        Self { address: HASH_CHAIN, params: params.into() }
    }

    /// Opened by `signer`'s vouchers.
    #[must_use]
    pub fn voucher(signer: Address, id: B256) -> Self {
        let params = [signer.as_slice(), id.as_slice()].concat();
        Self { address: VOUCHER, params: params.into() }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.address {
            HASH_LOCK => Kind::HashLock,
            HASH_CHAIN => Kind::HashChain,
            VOUCHER => Kind::Voucher,
            other => Kind::External(other),
        }
    }

    /// The key that evidence is recorded under.
    #[must_use]
    pub fn key(&self, expiry: u64) -> ConditionKey {
        ConditionKey(keccak256((self.address, keccak256(&self.params), expiry).abi_encode()))
    }

    /// The units of a hash chain; `None` if it is none.
    #[must_use]
    pub fn chain_length(&self) -> Option<u32> {
        match self.kind() {
            Kind::HashChain => chain_params(&self.params).map(|(_, n)| n),
            Kind::HashLock | Kind::Voucher | Kind::External(_) => None,
        }
    }

    /// Refuses parameters that no evidence can ever satisfy.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |what: &'static str| Err(Error::new(Code::UnknownCondition, what));
        match self.kind() {
            Kind::HashLock if self.params.len() != 32 => bad("a hash lock's params are 32 bytes"),
            Kind::HashChain => match chain_params(&self.params) {
                Some((_, n)) if (1..=MAX_CHAIN).contains(&n) => Ok(()),
                _ => bad("a hash chain's params are a tip and a length from 1 to 16384"),
            },
            Kind::Voucher if self.params.len() != 52 => bad("a voucher's params are a signer and an id"),
            Kind::External(address) if address.is_zero() => bad("the zero address is no condition"),
            Kind::HashLock | Kind::Voucher | Kind::External(_) => Ok(()),
        }
    }

    /// The units that evidence claims to prove, where it says so.
    #[must_use]
    pub fn claimed(&self, evidence: &[u8]) -> Option<u32> {
        match self.kind() {
            Kind::HashChain | Kind::Voucher => {
                Some(u32::from_be_bytes(evidence.split_at_checked(4)?.0.try_into().ok()?))
            }
            Kind::HashLock | Kind::External(_) => None,
        }
    }

    /// The same as [`Self::evaluate`], where evidence is known that we have evaluated: a chain is followed to its word
    /// only, so that all the words of a chain together cost as many hashes as it has units.
    pub fn evaluate_beyond(&self, known: &[u8], domain: &Domain, expiry: u64, evidence: &[u8]) -> Result<u32, Error> {
        if self.kind() == Kind::HashChain
            && let (Some((from, start)), Some((k, word))) = (chain_step(known), chain_step(evidence))
            && from > 0
            && (from..=self.chain_length().unwrap_or_default()).contains(&k)
        {
            let end = (from..k).fold(word, |word, _| keccak256(word));
            return if end == start {
                Ok(k)
            } else {
                Err(Error::new(Code::BadEvidence, "the word is not of the chain"))
            };
        }
        self.evaluate(domain, expiry, evidence)
    }

    /// The units that `evidence` proves; [`Code::BadEvidence`] if none. External conditions can't be
    /// evaluated here: only evidence that is final on chain counts for them.
    pub fn evaluate(&self, domain: &Domain, expiry: u64, evidence: &[u8]) -> Result<u32, Error> {
        let bad = |what: &'static str| Error::new(Code::BadEvidence, what);
        match self.kind() {
            Kind::HashLock => {
                let preimage: [u8; 32] = evidence.try_into().map_err(|_| bad("a preimage has 32 bytes"))?;
                if self.params.as_ref() == Sha256::digest(preimage).as_slice() {
                    Ok(ALL_UNITS)
                } else {
                    Err(bad("the preimage has another hash"))
                }
            }
            Kind::HashChain => {
                let (tip, n) = chain_params(&self.params).ok_or_else(|| bad("malformed params"))?;
                let (k, mut word) = chain_step(evidence).ok_or_else(|| bad("malformed evidence"))?;
                if n > MAX_CHAIN || k == 0 || k > n {
                    return Err(bad("the step count is out of range"));
                }
                for _ in 0..k {
                    word = keccak256(word);
                }
                if word == tip { Ok(k) } else { Err(bad("the word does not hash to the tip")) }
            }
            Kind::Voucher => {
                let (signer, id) = self.params.split_at_checked(20).ok_or_else(|| bad("malformed params"))?;
                if id.len() != 32 {
                    return Err(bad("malformed params"));
                }
                let (units, signature) = evidence.split_at_checked(4).ok_or_else(|| bad("malformed evidence"))?;
                let units = u32::from_be_bytes(units.try_into().map_err(|_| bad("malformed evidence"))?);
                if units == 0 {
                    return Err(bad("a voucher for no units"));
                }
                let signature = Signature::from_slice(signature).map_err(|_| bad("malformed signature"))?;
                // [7] The voucher names the key, and so one expiry and one stream.
                let key = if crate::rule_off!(7) { B256::from_slice(id) } else { self.key(expiry).0 };
                let digest = domain.digest(&abi::Voucher { key, units });
                signature.verify(digest, Address::from_slice(signer)).map_err(|_| bad("not the voucher's signer"))?;
                Ok(units)
            }
            // [8] A contract may change its mind. The mutant believes what it is said to answer now.
            Kind::External(_) if crate::rule_off!(8) => {
                let units = evidence.try_into().map_err(|_| bad("malformed evidence"))?;
                Ok(u32::from_be_bytes(units))
            }
            Kind::External(_) => Err(bad("an external condition counts only when recorded on chain")),
        }
    }
}

/// Evidence for a hash chain: after `k` steps of keccak256, `word` is the tip.
#[must_use]
pub fn chain_evidence(k: u32, word: B256) -> Bytes {
    [k.to_be_bytes().as_slice(), word.as_slice()].concat().into()
}

/// Evidence for a voucher condition: a signed number of units.
#[must_use]
pub fn voucher_evidence(domain: &Domain, key: ConditionKey, units: u32, signer: &SecretKey) -> Bytes {
    let signature = signer.sign(domain.digest(&abi::Voucher { key: key.0, units }));
    [units.to_be_bytes().as_slice(), signature.as_bytes()].concat().into()
}

/// sha256, the hash of a hash lock.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// `tip ‖ n`.
fn chain_params(params: &[u8]) -> Option<(B256, u32)> {
    let (tip, n) = params.split_at_checked(32)?;
    Some((B256::from_slice(tip), u32::from_be_bytes(n.try_into().ok()?)))
}

/// `k ‖ w`.
fn chain_step(evidence: &[u8]) -> Option<(u32, B256)> {
    let (k, word) = evidence.split_at_checked(4)?;
    Some((u32::from_be_bytes(k.try_into().ok()?), B256::from(<[u8; 32]>::try_from(word).ok()?)))
}

as_serde!(Condition, ConditionKey);

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain::new(31337, Address::repeat_byte(0xcc))
    }

    #[test]
    fn hash_lock_takes_exactly_the_preimage() {
        let secret = [7; 32];
        let lock = Condition::hash_lock(sha256(&secret));
        assert_eq!(lock.evaluate(&domain(), 9, &secret), Ok(ALL_UNITS));
        assert!(lock.evaluate(&domain(), 9, &[8; 32]).is_err());
        assert!(lock.evaluate(&domain(), 9, &secret[..31]).is_err());
    }

    #[test]
    fn hash_chain_counts_steps() {
        let mut words = vec![B256::repeat_byte(1)];
        for i in 0..5 {
            words.push(keccak256(words[i]));
        }
        let lock = Condition::hash_chain(words[5], 5);
        for k in 1..=5_u32 {
            assert_eq!(lock.evaluate(&domain(), 9, &chain_evidence(k, words[5 - k as usize])), Ok(k));
        }
        assert!(lock.evaluate(&domain(), 9, &chain_evidence(0, words[5])).is_err());
        assert!(lock.evaluate(&domain(), 9, &chain_evidence(6, words[0])).is_err());
    }

    #[test]
    fn a_voucher_counts_for_one_expiry_only() {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let lock = Condition::voucher(key.address(), B256::repeat_byte(3));
        let evidence = voucher_evidence(&domain(), lock.key(100), 42, &key);
        assert_eq!(lock.evaluate(&domain(), 100, &evidence), Ok(42));
        assert!(lock.evaluate(&domain(), 101, &evidence).is_err(), "rule 7");
    }
}
