//! Transactions of a local key, EIP-1559's and those before, encoded by hand on `alloy-rlp`, which is a third of what
//! `alloy-consensus` adds to the module.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Encodable, Header};
use farthing_protocol::sign::SecretKey;

/// The type byte of EIP-1559.
const TYPE: u8 = 2;

/// What a transaction says.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Of the sender.
    pub nonce: u64,
    /// What is paid for gas.
    pub fees: Fees,
    /// Units of gas at most.
    pub gas: u64,
    /// Whom it calls.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// The call.
    pub data: Bytes,
}

/// Wei a unit of gas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fees {
    /// By EIP-1559: for the block's producer, and in all.
    Market {
        /// For the producer.
        tip: u128,
        /// In all.
        most: u128,
    },
    /// A price, where a chain or a node takes no others.
    Price(u128),
}

impl Transaction {
    /// The bytes for `eth_sendRawTransaction`, and the transaction's hash.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> (Vec<u8>, B256) {
        let signature = key.sign(keccak256(self.encode(None)));
        let raw = self.encode(Some(signature.as_bytes()));
        let hash = keccak256(&raw);
        (raw, hash)
    }

    fn encode(&self, signature: Option<&[u8; 65]>) -> Vec<u8> {
        let (tip, most) = match self.fees {
            Fees::Market { tip, most } => (tip, most),
            Fees::Price(price) => return self.encode_legacy(price, signature),
        };
        let mut fields = Vec::new();
        self.chain_id.encode(&mut fields);
        self.nonce.encode(&mut fields);
        tip.encode(&mut fields);
        most.encode(&mut fields);
        self.gas.encode(&mut fields);
        self.to.encode(&mut fields);
        integer(&self.value.to_be_bytes::<32>()).encode(&mut fields);
        self.data.encode(&mut fields);
        // The access list is empty.
        Header { list: true, payload_length: 0 }.encode(&mut fields);
        if let Some(signature) = signature {
            let (rs, v) = signature.split_at(64);
            let (r, s) = rs.split_at(32);
            v.contains(&28).encode(&mut fields);
            integer(r).encode(&mut fields);
            integer(s).encode(&mut fields);
        }
        let mut out = vec![TYPE];
        Header { list: true, payload_length: fields.len() }.encode(&mut out);
        out.extend_from_slice(&fields);
        out
    }

    /// As before types, for this chain alone (EIP-155).
    fn encode_legacy(&self, price: u128, signature: Option<&[u8; 65]>) -> Vec<u8> {
        let mut fields = Vec::new();
        self.nonce.encode(&mut fields);
        price.encode(&mut fields);
        self.gas.encode(&mut fields);
        self.to.encode(&mut fields);
        integer(&self.value.to_be_bytes::<32>()).encode(&mut fields);
        self.data.encode(&mut fields);
        let (v, r, s) = match signature.map(|signature| signature.split_at(64)) {
            Some((rs, v)) => {
                let (r, s) = rs.split_at(32);
                let parity = u128::from(v.contains(&28));
                (u128::from(self.chain_id).saturating_mul(2).saturating_add(35).saturating_add(parity), r, s)
            }
            None => (u128::from(self.chain_id), &[][..], &[][..]),
        };
        v.encode(&mut fields);
        integer(r).encode(&mut fields);
        integer(s).encode(&mut fields);
        let mut out = Vec::new();
        Header { list: true, payload_length: fields.len() }.encode(&mut out);
        out.extend_from_slice(&fields);
        out
    }
}

/// A big-endian integer without leading zeros, which RLP encodes as the bytes that are left.
fn integer(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
