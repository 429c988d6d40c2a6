//! What the program `farthing` needs of a key and of signatures; the rest of it works without this module.

use crate::failure::Result;
use crate::js::{bytes, hex, invalid, quantity};
use crate::signer::transaction::{Fees, Transaction};
use alloy_primitives::{B256, U256};
use farthing_protocol::sign::{SecretKey, Signature};
use js_sys::Array;
use wasm_bindgen::prelude::*;

/// The account of a key.
#[wasm_bindgen(js_name = _accountOf)]
pub fn account_of(key: &[u8]) -> Result<String> {
    Ok(SecretKey::from_bytes(key)?.address().to_string())
}

/// The account whose key signed a digest.
#[wasm_bindgen(js_name = _signerOf)]
pub fn signer_of(digest: &[u8], signature: &[u8]) -> Result<String> {
    let Ok(digest) = B256::try_from(digest) else { return invalid("A digest has 32 bytes.") };
    Ok(Signature::from_slice(signature)?.recover(digest)?.to_string())
}

/// Signs an EIP-1559 transaction without value: `[chainId, nonce, maxPriorityFee, maxFee, gas, to, data]` in hex.
#[wasm_bindgen(js_name = _signTransaction)]
pub fn sign_transaction(key: &[u8], fields: &Array) -> Result<String> {
    let text = |index| fields.get(index).as_string().unwrap_or_default();
    let numbers: Option<Vec<u64>> = (0..5).map(|index| quantity(&fields.get(index))).collect();
    let Some([chain_id, nonce, tip, fee, gas]) = numbers.and_then(|numbers| <[u64; 5]>::try_from(numbers).ok()) else {
        return invalid("A transaction has five numbers.");
    };
    let (Ok(to), Some(data)) = (text(5).parse(), bytes(&text(6))) else {
        return invalid("A transaction has a receiver and data.");
    };
    let fees = Fees::Market { tip: u128::from(tip), most: u128::from(fee) };
    let (value, data) = (U256::ZERO, data.into());
    let transaction = Transaction { chain_id, nonce, fees, gas, to, value, data };
    Ok(hex(transaction.sign(&SecretKey::from_bytes(key)?).0))
}
