//! A payer's lane by hand, for those who sign what no wallet would.

use crate::support::ClientConfig;
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::lane::{Lane, Op, Update};
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Amount, ChannelId, ETH, Side};
use tokio_tungstenite::tungstenite;

/// The lane that an attacker pays the hub with.
pub struct PayersLane {
    lane: Lane,
    nonce: u64,
    config: ClientConfig,
}

impl PayersLane {
    pub fn new(config: ClientConfig) -> Self {
        Self { lane: Lane::default(), nonce: 0, config }
    }

    /// A signed update with these ops, as the frames that carry it.
    pub fn update(&mut self, ops: Vec<Op>) -> Vec<tungstenite::Message> {
        let key = self.config.key.clone();
        let update = self.next(ops, &key);
        frames(self.config.id(), &[Message::Update { asset: ETH, update }])
    }

    /// The next update, signed by somebody. The lane goes on in any case.
    pub fn next(&mut self, ops: Vec<Op>, key: &SecretKey) -> Update {
        let base = self.nonce;
        self.nonce += 1;
        self.lane.apply(self.nonce, &ops).unwrap();
        let proof = self.lane.statement(self.nonce, 0);
        let (name, id) = (LaneId { asset: ETH, payer: Side::A }, self.config.id());
        let signature = SignedProof::sign(proof, &self.config.domain, id, name, key).signature;
        Update { base, ops, proof, signature }
    }
}

/// The frames that carry these messages of a channel.
pub fn frames(channel: ChannelId, messages: &[Message]) -> Vec<tungstenite::Message> {
    let frames = farthing_protocol::api::frames::notifications(channel, messages).unwrap();
    frames.into_iter().map(|frame| tungstenite::Message::Text(frame.into())).collect()
}

/// A lock that only they could redeem, to somebody or nobody.
pub fn lock(slot: u16, secret: B256, amount: Amount, to: Option<Address>, expiry: u64) -> Op {
    let condition = Condition::hash_lock(sha256(secret.as_slice()));
    Op::Lock { slot, condition, expiry, n: 1, unit_price: amount, to, envelope: Bytes::from(vec![7; 512]) }
}
