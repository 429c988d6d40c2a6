//! What a token takes in place of its owner's transaction: asked of the chain, never of the hub.

use super::Chain;
use super::rpc::whole;
use crate::failure::{Failure, Result};
use crate::js::{array, bytes, hex, object};
use crate::signer::token_data::{PERMIT2, TokenDomain};
use crate::task::both;
use alloy_primitives::{Address, B256, U256, b256, keccak256};
use alloy_sol_types::{Eip712Domain, SolCall};
use farthing_protocol::Code;
use farthing_protocol::abi::{IDepositRelay, IERC20};
use farthing_protocol::api::relay::CODE_HASH;
use wasm_bindgen::prelude::*;

/// Of `Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)`.
const DAI_PERMIT: B256 = b256!("ea2aa0a1be11a07ed86d755c93467f4f82362b452371d1ba94d1715123511acb");

/// Longest name of a token that is read.
const MAX_NAME: usize = 256;

mod asked {
    alloy_sol_types::sol! {
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function PERMIT_TYPEHASH() external view returns (bytes32);
        function eip712Domain() external view returns (bytes1, string, string, uint256, address, bytes32, uint256[]);
    }
}

/// By what a relay may take an owner's tokens.
#[derive(Clone, Debug)]
pub enum Way {
    /// It may already.
    Allowed,
    /// ERC-2612.
    Permit {
        /// Of the token.
        domain: TokenDomain,
        /// Of the owner's next permit.
        nonce: U256,
    },
    /// DAI's own permit.
    DaiPermit {
        /// Of the token.
        domain: TokenDomain,
        /// Of the owner's next permit.
        nonce: u64,
    },
    /// ERC-3009.
    Authorization {
        /// Of the token.
        domain: TokenDomain,
    },
    /// Permit2, which the owner allowed before.
    Permit2,
}

impl Way {
    /// As JavaScript sees it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed | Self::Permit { .. } => "permit",
            Self::DaiPermit { .. } => "dai-permit",
            Self::Authorization { .. } => "authorization",
            Self::Permit2 => "permit2",
        }
    }
}

impl Chain {
    /// Refuses a relay that is not the contract that this package knows.
    pub async fn check_relay(&self, relay: Address) -> Result<()> {
        let code = self.something("eth_getCode", array([relay.to_string().as_str(), "latest"])).await?;
        match bytes(&code) {
            Some(code) if keccak256(&code) == CODE_HASH => Ok(()),
            _ => Err(Failure::advised(
                Code::BadTerms,
                format!(
                    "The contract at {relay}, through which the hub would send the deposit, is not the one that this \
                     package knows: nothing was signed and no money moved. Deposit with your own gas, and mistrust the hub."
                ),
            )),
        }
    }

    /// Whether the relay has carried out the deposit with this digest, at a block.
    pub async fn relayed(&self, relay: Address, digest: B256, block: u64) -> Result<bool> {
        let used: u8 = self.ask(relay, &IDepositRelay::usedCall { digest }, &format!("{block:#x}")).await?.number(0)?;
        Ok(used != 0)
    }

    /// By what a relay may take so much of the owner's tokens; `None` if by nothing that needs no transaction of the owner.
    pub async fn way(&self, token: Address, owner: Address, relay: Address, amount: U256) -> Result<Option<Way>> {
        let state = asked::authorizationStateCall { authorizer: owner, nonce: B256::ZERO }.abi_encode();
        let (state, domain) = both(self.probe(token, state), self.token_domain(token)).await;
        let (state, domain) = (state?, domain?);
        if let (Some([_]), Some(domain)) = (state.as_deref().map(words).as_deref(), &domain) {
            return Ok(Some(Way::Authorization { domain: domain.clone() }));
        }
        if self.allowance_to(token, owner, relay).await? >= amount {
            return Ok(Some(Way::Allowed));
        }
        if let Some(domain) = domain {
            let nonce = self.probe(token, IERC20::noncesCall { owner }.abi_encode()).await?;
            let kind = self.probe(token, asked::PERMIT_TYPEHASHCall {}.abi_encode()).await?;
            let is_dai = kind.as_deref().is_some_and(|kind| kind == DAI_PERMIT.as_slice());
            match nonce.as_deref().map(words).as_deref() {
                Some([nonce]) if is_dai => {
                    if let Ok(nonce) = u64::try_from(*nonce) {
                        return Ok(Some(Way::DaiPermit { domain, nonce }));
                    }
                }
                Some([nonce]) => return Ok(Some(Way::Permit { domain, nonce: *nonce })),
                _ => {}
            }
        }
        let permitted = self.allowance_to(token, owner, PERMIT2).await? >= amount;
        Ok(permitted.then_some(Way::Permit2))
    }

    /// What a token says its decimals are, if it says so.
    pub async fn decimals(&self, token: Address) -> Result<Option<U256>> {
        let told = self.probe(token, IERC20::decimalsCall {}.abi_encode()).await?;
        Ok(told.as_deref().map(words).and_then(|words| words.first().copied()))
    }

    /// What `spender` may take; a token that does not say lets nobody.
    async fn allowance_to(&self, token: Address, owner: Address, spender: Address) -> Result<U256> {
        let allowed = self.probe(token, IERC20::allowanceCall { owner, spender }.abi_encode()).await?;
        Ok(allowed.as_deref().map(words).and_then(|words| words.first().copied()).unwrap_or_default())
    }

    /// The domain whose separator is the one that the token tells; names and versions that make another are of no use.
    async fn token_domain(&self, token: Address) -> Result<Option<TokenDomain>> {
        let separator = self.probe(token, IERC20::DOMAIN_SEPARATORCall {}.abi_encode()).await?;
        let Some(separator) = separator.filter(|separator| separator.len() == 32) else { return Ok(None) };
        let chain_id = U256::from(self.domain.chain_id());
        let fits = |domain: &Eip712Domain| domain.separator().as_slice() == separator;
        let make = |name: &str, version: Option<&str>| {
            let version = version.map(|version| version.to_owned().into());
            Eip712Domain::new(Some(name.to_owned().into()), version, Some(chain_id), Some(token), None)
        };
        if let Some(told) = self.probe(token, asked::eip712DomainCall {}.abi_encode()).await? {
            let domain = match (string(&told, 1), string(&told, 2)) {
                (Some(name), Some(version)) => make(&name, Some(&version)),
                _ => make("", None),
            };
            if fits(&domain) {
                return Ok(Some(TokenDomain(domain)));
            }
        }
        let name = self.probe(token, IERC20::nameCall {}.abi_encode()).await?;
        let version = self.probe(token, IERC20::versionCall {}.abi_encode()).await?;
        let Some(name) = name.and_then(|name| string(&name, 0)) else { return Ok(None) };
        let version = version.and_then(|version| string(&version, 0));
        // Bridged tokens of some chains have the chain in the salt.
        let salted = |version: &str| {
            let salt = B256::from(chain_id);
            Eip712Domain::new(Some(name.clone().into()), Some(version.to_owned().into()), None, Some(token), Some(salt))
        };
        let told = version.as_deref().unwrap_or("1");
        let mut candidates = vec![make(&name, Some(told)), make(&name, Some("1")), make(&name, Some("2"))];
        candidates.extend([make(&name, None), salted(told)]);
        Ok(candidates.into_iter().find(|domain| fits(domain)).map(TokenDomain))
    }

    /// What a view function of a contract returned; `None` if it has none, or reverts.
    async fn probe(&self, to: Address, data: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let request = object([("to", to.to_string().into()), ("data", hex(data).into())]);
        let params = array([request, JsValue::from("latest")]);
        match self.rpc.agreed("eth_call", params, whole).await {
            Ok(answer) => Ok(answer.as_string().and_then(|answer| bytes(&answer)).filter(|data| !data.is_empty())),
            Err(failure) if failure.code() == Code::TransactionFailed => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn words(data: &[u8]) -> Vec<U256> {
    data.chunks_exact(32).filter_map(U256::try_from_be_slice).collect()
}

/// The text whose place is in this word, or that is the word itself, as tokens from before there was a standard have it.
fn string(data: &[u8], index: usize) -> Option<String> {
    if data.len() == 32 && index == 0 {
        let text: Vec<u8> = data.iter().copied().take_while(|byte| *byte != 0).collect();
        return String::from_utf8(text).ok().filter(|text| !text.is_empty());
    }
    let number = |at: usize| {
        let word = data.get(at..at.checked_add(32)?).and_then(U256::try_from_be_slice)?;
        usize::try_from(word).ok()
    };
    let at = number(index.checked_mul(32)?)?;
    let (length, start) = (number(at)?, at.checked_add(32)?);
    let text = data.get(start..start.checked_add(length.min(MAX_NAME))?)?;
    (length <= MAX_NAME).then(|| String::from_utf8(text.to_vec()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_that_is_signed_for_is_the_one_that_is_built() {
        let built = include_str!("../../contracts/snapshots/DepositRelay.codehash");
        assert_eq!(CODE_HASH.to_string(), built.trim());
    }

    #[test]
    fn a_text_is_read_where_it_stands_and_nothing_behind_the_end() {
        let word = |number: u64| U256::from(number).to_be_bytes::<32>().to_vec();
        let mut maker = b"MKR".to_vec();
        maker.resize(32, 0);
        assert_eq!(string(&maker, 0).as_deref(), Some("MKR"));
        let text = [word(32), word(3), maker].concat();
        assert_eq!(string(&text, 0).as_deref(), Some("MKR"));
        for bad in [[word(32), word(33), word(0)].concat(), [word(u64::MAX), word(0)].concat(), word(0), Vec::new()] {
            assert_eq!(string(&bad, 0), None);
        }
    }
}
