//! The owner of a channel: a local key, or a wallet that is asked (EIP-1193). The owner's account holds the money
//! on chain; what signs payments is the session key, which for a local key is the key itself.

pub mod batch;
pub mod eip1193;
mod hook;
mod layers;
pub mod mnemonic;
mod refusal;
pub mod token_data;
pub mod transaction;
pub mod typed_data;
pub mod wallet_values;

use crate::failure::{Failure, Result};
use crate::js::{get, get_function, get_string, invalid};
use alloy_primitives::{Address, B256};
use eip1193::Eip1193;
use farthing_protocol::Code;
use farthing_protocol::sign::{SecretKey, Signature};
pub use hook::Hook;
use typed_data::TypedData;
use wasm_bindgen::JsValue;

/// Who owns the money.
#[derive(Clone, Debug)]
pub enum Owner {
    /// A key that this process holds; it signs payments, too.
    Local(SecretKey),
    /// A wallet and the account that it showed.
    Wallet {
        /// The wallet.
        provider: Eip1193,
        /// Its account.
        account: Address,
    },
}

impl Owner {
    /// From the option `wallet`: `{ privateKey }`, `{ mnemonic }` or an EIP-1193 provider.
    pub async fn from_option(wallet: &JsValue) -> Result<Self> {
        if get_function(wallet, "request").is_some() {
            let provider = Eip1193::new(wallet.clone())?;
            let account = provider.account().await?;
            return Ok(Self::Wallet { provider, account });
        }
        let (private_key, mnemonic) = (get(wallet, "privateKey"), get(wallet, "mnemonic"));
        match (private_key.is_undefined(), mnemonic.is_undefined()) {
            (false, true) => {
                let bytes =
                    private_key.as_string().and_then(|text| crate::js::bytes(&text)).map(zeroize::Zeroizing::new);
                let bytes = bytes.filter(|bytes| bytes.len() == 32);
                let Some(bytes) = bytes else {
                    return invalid("wallet.privateKey must be a string of 0x and 64 hex digits.");
                };
                Ok(Self::Local(SecretKey::from_bytes(&bytes)?))
            }
            (true, false) => match get_string(wallet, "mnemonic") {
                Some(phrase) => Ok(Self::Local(mnemonic::key(&phrase)?)),
                None => invalid("wallet.mnemonic must be a string of words."),
            },
            _ if is_signer(wallet) => invalid(
                "wallet is a signer, an account or a connector of a library, which has no request(): give the EIP-1193 \
                 provider that it was made of, or { privateKey } or { mnemonic }.",
            ),
            _ => invalid("wallet must be an EIP-1193 provider, { privateKey } or { mnemonic }."),
        }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Self::Local(key) => key.address(),
            Self::Wallet { account, .. } => *account,
        }
    }

    /// Brings a wallet to this chain, where the application lets its user be asked; whether it was on another one. That it is
    /// there is checked where it counts.
    pub async fn come_to(&self, chain_id: u64) -> Result<bool> {
        match self {
            Self::Wallet { provider, .. } if provider.can_switch() && provider.chain().await? != chain_id => {
                provider.on_chain(chain_id).await.map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// What the owner's wallet gives for its signature, having shown what it signs. Whether it is one is still to be found.
    pub async fn sign(&self, data: &TypedData) -> Result<Vec<u8>> {
        match self {
            Self::Local(key) => Ok(key.sign(data.digest).as_bytes().to_vec()),
            Self::Wallet { provider, account } => {
                let given = provider.sign_typed_data(data.chain_id, *account, &data.json).await?;
                let given = zeroize::Zeroizing::new(given);
                // A key's in the one form that contract and hub take; a contract's as it is.
                let of_key = wallet_values::of_key(&given).filter(|signed| is_keys(*account, data.digest, signed));
                Ok(of_key.unwrap_or_else(|| given.to_vec()))
            }
        }
    }

    /// The key that signs payments. A wallet is asked for one signature over a message that names this site, the
    /// hub and the account; the key is its hash, and lives in memory only. The message must never change.
    pub async fn session_key(&self, data: &TypedData) -> Result<SecretKey> {
        match self {
            Self::Local(key) => Ok(key.clone()),
            Self::Wallet { .. } => Ok(SecretKey::derive("farthing session key", &self.secret(data).await?)?),
        }
    }

    /// Refuses a wallet that signs the same message differently each time: its session key could never be made again,
    /// and whatever its channel holds would be out of reach. `key` was made of a first signature.
    pub async fn check_repeats(&self, data: &TypedData, key: &SecretKey) -> Result<()> {
        match self.session_key(data).await?.address() == key.address() {
            true => Ok(()),
            false => Err(Failure::new(
                Code::Unsupported,
                "This wallet signs the same message differently each time, so the key that signs payments could not be \
                 made again. No channel was opened and no money moved. Use a wallet that signs the same way each time \
                 (RFC 6979), or { privateKey } or { mnemonic }.",
            )),
        }
    }

    async fn secret(&self, data: &TypedData) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let bytes = zeroize::Zeroizing::new(self.sign(data).await?);
        // A contract wallet's signature has no fixed form, and need not be the same tomorrow.
        match is_keys(self.address(), data.digest, &bytes) {
            true => Ok(bytes),
            false => Err(Failure::new(
                Code::Unsupported,
                "This wallet's signature is not one of its account's key, so no key that signs payments can be made of it. A \
                 contract wallet has to be deployed first: send a transaction from it, of nothing to itself, and connect \
                 again. No channel was opened and no money moved.",
            )),
        }
    }
}

/// Whether the account's key signed it.
#[must_use]
pub fn is_keys(owner: Address, digest: B256, given: &[u8]) -> bool {
    Signature::from_slice(given).is_ok_and(|signature| signature.verify(digest, owner).is_ok())
}

/// Whether it is what libraries sign with: an ethers signer, a viem account, a connector of wagmi.
fn is_signer(wallet: &JsValue) -> bool {
    ["signTypedData", "signTransaction", "getSigner", "getProvider"]
        .iter()
        .any(|name| get_function(wallet, name).is_some())
}
