//! Signs, stores, broadcasts: in this order.

use super::super::listener::Listener;
use super::super::rpc::{Fees, Refusal};
use super::{Look, Open, Refused, Sender};
use crate::store::{Attempt, Status, StoredOrder, Transaction};
use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, TxKind, U256};
use farthing_protocol::{Code, Error};

/// What a nonce is to be used for.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) label: String,
    pub(super) to: Address,
    pub(super) data: Vec<u8>,
    pub(super) value: U256,
    pub(super) gas: u64,
}

impl Content {
    /// Uses a nonce for nothing.
    pub(super) fn cancel(owner: Address) -> Self {
        // The gas of a transfer; if the account has code (EIP-7702) it fails, which uses the nonce as well.
        Self { label: "cancel".into(), to: owner, data: Vec::new(), value: U256::ZERO, gas: 21_000 }
    }

    pub(super) fn of(transaction: &Transaction) -> Self {
        let Transaction { label, to, data, value, gas, .. } = transaction.clone();
        Self { label, to, data, value, gas }
    }
}

impl<L: Listener> Sender<L> {
    /// A new use of a nonce, which carries out these orders.
    pub(super) async fn send(
        &mut self,
        look: &Look,
        open: &mut Open,
        nonce: u64,
        content: Content,
        fees: Fees,
        orders: &[StoredOrder],
    ) -> Result<(), Error> {
        let attempt = self.sign(&content, nonce, fees, look)?;
        let Content { label, to, data, value, gas } = content;
        let mut transaction =
            Transaction { id: 0, nonce, label, to, data, value, gas, attempts: vec![attempt.clone()] };
        let ids: Vec<String> = orders.iter().map(|order| order.id.clone()).collect();
        transaction.id = self.store.signed(&transaction, &ids).await?;
        let (id, call) = (transaction.id, transaction.label.clone());
        let first = ids.first().map_or("", String::as_str);
        tracing::info!(order = first, orders = ids.len(), call, nonce, hash = %attempt.hash, "transaction signed");
        for order in &mut open.orders {
            if ids.contains(&order.id) {
                order.status = Status::Sent;
                order.transaction = Some(id);
            }
        }
        open.nonces.entry(nonce).or_default().push(transaction);
        self.orders.signed();
        self.broadcast(id, &attempt, look).await
    }

    /// Another form of the newest use of a nonce.
    pub(super) async fn send_again(
        &mut self,
        look: &Look,
        transaction: &mut Transaction,
        fees: Fees,
    ) -> Result<(), Error> {
        let attempt = self.sign(&Content::of(transaction), transaction.nonce, fees, look)?;
        self.store.signed_again(transaction.id, &attempt).await?;
        let (nonce, call) = (transaction.nonce, &transaction.label);
        tracing::warn!(call, nonce, max_fee = fees.max_fee, "transaction stuck; fee raised");
        transaction.attempts.push(attempt.clone());
        self.broadcast(transaction.id, &attempt, look).await
    }

    fn sign(&self, content: &Content, nonce: u64, fees: Fees, look: &Look) -> Result<Attempt, Error> {
        let unsigned = TxEip1559 {
            chain_id: self.config.chain_id,
            nonce,
            gas_limit: content.gas,
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.priority_fee,
            to: TxKind::Call(content.to),
            value: content.value,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input: content.data.clone().into(),
        };
        let signature = self.config.owner.sign(unsigned.signature_hash());
        let signature = alloy_primitives::Signature::from_raw_array(signature.as_bytes())
            .map_err(|_| Error::new(Code::Internal, "a transaction's signature has the wrong shape"))?;
        let signed = unsigned.into_signed(signature);
        let hash: B256 = *signed.hash();
        let raw = alloy::consensus::TxEnvelope::from(signed).encoded_2718();
        let Fees { max_fee, priority_fee } = fees;
        Ok(Attempt { hash, raw, max_fee, priority_fee, head: look.head.number, time: look.head.timestamp })
    }

    /// What fails here is tried again: the transaction is stored.
    pub(super) async fn broadcast(&mut self, id: u64, attempt: &Attempt, look: &Look) -> Result<(), Error> {
        self.broadcast_at.insert(id, look.now);
        match self.rpc.broadcast(&attempt.raw).await {
            Ok(None) => {
                self.refused.remove(&id);
            }
            // What was mined meanwhile is seen by its receipt.
            Ok(Some((Refusal::NonceUsed, _))) => {}
            Ok(Some((why, said))) => {
                let head = look.head.number;
                let before = self.refused.get(&id).filter(|before| before.why == why);
                let times = before.map_or(1, |before| before.times.saturating_add(u32::from(before.head != head)));
                self.refused.insert(id, Refused { why, times, head });
                self.trouble(&format!("refused {why:?}"), |_| {
                    tracing::warn!(hash = %attempt.hash, ?why, said, "the RPC did not take a transaction");
                });
            }
            Err(error) => {
                self.broadcast_at.remove(&id);
                self.trouble("broadcast", |_| tracing::warn!(%error, "a transaction could not be broadcast"));
            }
        }
        Ok(())
    }
}
