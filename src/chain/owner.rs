//! What an account is, and whether it stands by a signature: its key's, or by its contract's word (ERC-1271).

use super::Chain;
use super::rpc::whole;
use crate::failure::Failure;
use crate::js::{array, bytes, hex, object};
use crate::signer::is_keys;
use crate::task::Work;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall, SolValue};
use farthing_protocol::Code;
use farthing_protocol::abi::IERC1271::isValidSignatureCall;
use wasm_bindgen::JsValue;

/// What there is at an account's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Account {
    /// No code: a key's, or a contract that is still to be deployed.
    Plain,
    /// A key's that has delegated to code (EIP-7702).
    Delegated,
    /// A contract.
    Contract,
}

/// How the code of an account begins that delegates (EIP-7702).
const DELEGATES: [u8; 3] = [0xef, 0x01, 0x00];

/// Gas that a contract may use to answer.
const GAS: &str = "0x4c4b40";

/// How a signature ends that also says how its contract is to be deployed (ERC-6492): the two bytes, sixteen times.
const UNDEPLOYED: [u8; 32] = alloy_primitives::hex!("6492649264926492649264926492649264926492649264926492649264926492");

impl Chain {
    /// What is at an address now.
    pub fn account(&self, account: Address) -> Work<'_, Account> {
        Box::pin(async move {
            let params = array([account.to_string().as_str(), "latest"]);
            let code = self.rpc.agreed("eth_getCode", params, whole).await?.as_string();
            match code.as_deref().and_then(bytes) {
                Some(code) if code.is_empty() => Ok(Account::Plain),
                Some(code) if code.len() == 23 && code.starts_with(&DELEGATES) => Ok(Account::Delegated),
                Some(_) => Ok(Account::Contract),
                None => Err(Failure::new(Code::ChainUnavailable, "The RPC gave no code.")),
            }
        })
    }

    /// Whether the contract at `owner` takes this for its signature, in the newest final block. What the EVM refuses is a no;
    /// a question that failed is no answer.
    pub fn signed(&self, owner: Address, hash: B256, signature: Bytes) -> Work<'_, bool> {
        Box::pin(async move {
            let data = isValidSignatureCall { hash, signature }.abi_encode();
            let call = object([("to", owner.to_string().into()), ("gas", GAS.into()), ("data", hex(data).into())]);
            let params = array([call, JsValue::from(format!("{:#x}", self.head().final_number))]);
            match self.rpc.agreed("eth_call", params, whole).await {
                Ok(answer) => {
                    let answer = answer.as_string().and_then(|answer| bytes(&answer)).unwrap_or_default();
                    let (magic, rest) = answer.split_at_checked(4).unwrap_or_default();
                    Ok(answer.len() == 32
                        && magic == isValidSignatureCall::SELECTOR
                        && rest.iter().all(|byte| *byte == 0))
                }
                Err(failure) if failure.code() == Code::TransactionFailed => Ok(false),
                Err(failure) => Err(failure),
            }
        })
    }

    /// What a wallet gave as its account's signature, in the form in which the contract takes it; refused if the account
    /// does not stand by it.
    pub fn owners(&self, owner: Address, digest: B256, given: Vec<u8>) -> Work<'_, Bytes> {
        Box::pin(async move {
            if is_keys(owner, digest, &given) {
                return Ok(given.into());
            }
            let inner = deployed(&given);
            if self.signed(owner, digest, inner.clone()).await? {
                return Ok(inner);
            }
            let detail = match self.account(owner).await? {
                Account::Plain => format!(
                    "This wallet's signature is not one of its account's key, and there is no contract at {owner} yet. If it \
                     is a contract wallet that is deployed with its first transaction, send one, of nothing to itself, and \
                     connect again. No channel was opened and no money moved."
                ),
                Account::Contract | Account::Delegated => format!(
                    "The contract at {owner} does not take what this wallet signed for its signature (ERC-1271), in final \
                     block {}. If it was deployed or changed a moment ago, try again in a minute. No money moved.",
                    self.head().final_number
                ),
            };
            Err(Failure::new(Code::Unsupported, detail))
        })
    }
}

/// What a contract that is deployed is asked about, where a wallet also says how to deploy it.
fn deployed(given: &[u8]) -> Bytes {
    let inner = given.strip_suffix(&UNDEPLOYED[..]);
    let inner = inner.and_then(|wrapped| <(Address, Bytes, Bytes)>::abi_decode_params(wrapped).ok());
    inner.map_or_else(|| Bytes::copy_from_slice(given), |(_, _, signature)| signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_taken_out_of_what_says_how_to_deploy() {
        let inner = Bytes::from(vec![7; 65]);
        let mut wrapped = (Address::repeat_byte(1), Bytes::from(vec![1, 2, 3]), inner.clone()).abi_encode_params();
        wrapped.extend(UNDEPLOYED);
        assert_eq!(deployed(&wrapped), inner);
        let mut broken = vec![0xff; 40];
        broken.extend(UNDEPLOYED);
        assert_eq!(deployed(&broken), Bytes::from(broken));
        assert_eq!(deployed(&inner), inner);
    }
}
