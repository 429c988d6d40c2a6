//! For benchmarks only: one balance proof signed and recovered, with nothing around it.

use crate::failure::{Failure, Result};
use alloy_primitives::{Address, B256};
use farthing_protocol::eip712::Domain;
use farthing_protocol::proof::{LaneId, Proof};
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::{ChannelId, ETH, Side};
use farthing_protocol::{Amount, Code};
use wasm_bindgen::prelude::*;

/// Signs and recovers proofs of one lane.
#[wasm_bindgen(js_name = _BenchKey)]
#[derive(Debug)]
pub struct BenchKey {
    key: SecretKey,
    domain: Domain,
    channel: ChannelId,
}

#[wasm_bindgen(js_class = _BenchKey)]
impl BenchKey {
    /// Of a key, on chain 31337, with the contract and channel made of one byte each.
    #[wasm_bindgen(constructor)]
    pub fn new(secret: &[u8]) -> Result<Self> {
        let domain = Domain::new(31_337, Address::repeat_byte(0x11));
        Ok(Self { key: SecretKey::from_bytes(secret)?, domain, channel: ChannelId(B256::repeat_byte(0x22)) })
    }

    fn digest(&self, nonce: u32) -> B256 {
        let nonce = u64::from(nonce);
        let proof = Proof {
            nonce,
            transferred: Amount::new(u128::from(nonce).saturating_mul(1_000_000_000)),
            locked: Amount::ZERO,
            locks_root: B256::ZERO,
            seen: nonce,
        };
        proof.digest(&self.domain, self.channel, LaneId { asset: ETH, payer: Side::A })
    }

    /// The signature under the proof with this nonce.
    #[must_use]
    pub fn sign(&self, nonce: u32) -> Vec<u8> {
        self.key.sign(self.digest(nonce)).as_bytes().to_vec()
    }

    /// The address that signed it.
    pub fn recover(&self, nonce: u32, signature: &[u8]) -> Result<Vec<u8>> {
        let signature = Signature::from_slice(signature)?;
        let signer = signature.recover(self.digest(nonce))?;
        if signer.is_zero() { Err(Failure::from(Code::Internal)) } else { Ok(signer.to_vec()) }
    }
}
