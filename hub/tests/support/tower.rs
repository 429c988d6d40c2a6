//! A watchtower, and two people with a channel who need no hub.

use super::chain::{Chain, OWNER_KEY};
use super::client::call;
use super::{Process, until};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use farthing_hub::clock;
use farthing_hub::watch::{RawWatch, Tower, WatchConfig, WatchNode};
use farthing_protocol::abi::{IFarthing, LaneState};
use farthing_protocol::chain::ChainCall;
use farthing_protocol::eip712::Domain;
use farthing_protocol::proof::{LaneId, Proof, SignedProof};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::tree::empty_root;
use farthing_protocol::types::Participant;
use farthing_protocol::watch::{SignedReceipt, WatchOrder, WatchedLane};
use farthing_protocol::{Amount, Asset, ChannelDef, ChannelId, Side};
use serde_json::{Value, json};
use std::path::Path;

pub const PERIOD: u32 = 600;

/// The configuration of a tower for a test, with more options below the given ones.
pub fn toml(chain: &Chain, database: &Path, more: &str) -> String {
    let Chain { url, contract, .. } = chain;
    let database = database.display();
    let confirmations = if more.contains("confirmations") { "" } else { "confirmations = 2" };
    format!(
        r#"
        listen = "127.0.0.1:0"
        rpc_url = "{url}"
        chain_id = 31337
        contract = "{contract}"
        database = "{database}"
        poll_interval_ms = 20
        {confirmations}
        {more}"#
    )
}

/// A tower in this process.
pub async fn start(chain: &Chain, database: &Path, more: &str) -> WatchNode {
    let key = [("FARTHING_WATCH_PRIVATE_KEY".to_owned(), OWNER_KEY.to_owned())];
    let raw = RawWatch::parse(&toml(chain, database, more), "test.toml", key.into_iter()).unwrap();
    WatchNode::start(WatchConfig::check(raw).unwrap()).await.unwrap()
}

/// A tower in a process of its own.
pub async fn spawn(program: &Path, chain: &Chain, database: &Path, more: &str) -> Process {
    Process::spawn(program, "watch", &toml(chain, database, more), database).await
}

pub async fn put(url: &str, order: WatchOrder, lanes: &[WatchedLane]) -> Result<Vec<SignedReceipt>, Value> {
    let mut answer = call(url, "watch_put", json!({ "order": order, "lanes": lanes })).await?;
    Ok(serde_json::from_value(answer["receipts"].take()).unwrap())
}

pub fn url(node: &WatchNode) -> String {
    format!("http://{}", node.address)
}

pub async fn end(node: WatchNode) {
    node.stop();
    node.ended().await.unwrap();
}

pub async fn rows(tower: &Tower) -> [u64; 4] {
    tower.rows().await.unwrap()
}

/// The address that orders name.
pub fn address() -> Address {
    let key = SecretKey::from_bytes(&alloy_primitives::hex::decode(OWNER_KEY).unwrap()).unwrap();
    key.child("farthing watchtower signer").unwrap().address()
}

/// Transactions of the tower's account.
pub async fn transactions(chain: &Chain) -> u64 {
    chain.rpc.nonce(chain.accounts[0]).await.unwrap()
}

/// Waits until the tower has seen the newest block.
pub async fn caught_up(tower: &WatchNode, chain: &Chain) {
    let newest = chain.rpc.latest().await.unwrap().number;
    until("the tower has caught up", || async { (tower.health.report().head == Some(newest)).then_some(()) }).await;
}

/// Two people and their channel.
pub struct Pair {
    pub a: SecretKey,
    pub b: SecretKey,
    pub def: ChannelDef,
    pub domain: Domain,
    pub asset: Asset,
}

impl Pair {
    /// The channel with this salt.
    pub fn new(chain: &Chain, salt: u64) -> Self {
        let key = |label: &str| SecretKey::derive(label, &salt.to_be_bytes()).unwrap();
        let (a, b) = (key("Alice"), key("Bob"));
        let def = ChannelDef {
            a: Participant { owner: chain.accounts[3], signer: a.address() },
            b: Participant { owner: chain.accounts[4], signer: b.address() },
            challenge_period: PERIOD,
            salt,
        };
        Self { a, b, def, domain: Domain::new(31_337, chain.contract), asset: chain.dai }
    }

    /// The same, with a deposit of A.
    pub async fn funded(chain: &Chain, salt: u64, deposit: u128) -> Self {
        let pair = Self::new(chain, salt);
        chain.deposit(&pair.def, pair.asset, Amount::new(deposit)).await;
        pair
    }

    pub fn id(&self) -> ChannelId {
        self.def.id(31_337, self.domain.contract())
    }

    fn key(&self, side: Side) -> &SecretKey {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// A proof without locks that both signed.
    pub fn lane(&self, payer: Side, nonce: u64, transferred: u128) -> WatchedLane {
        let (locked, locks_root) = (Amount::ZERO, empty_root());
        self.sign(payer, Proof { nonce, transferred: Amount::new(transferred), locked, locks_root, seen: 0 })
    }

    pub fn sign(&self, payer: Side, proof: Proof) -> WatchedLane {
        let lane = LaneId { asset: self.asset, payer };
        let signed = SignedProof::sign(proof, &self.domain, self.id(), lane, self.key(payer));
        let digest = proof.acknowledgement_digest(&self.domain, self.id(), lane);
        let acknowledgement = Some(self.key(payer.other()).sign(digest));
        WatchedLane { asset: self.asset, payer, signed, acknowledgement, evidence: Vec::new() }
    }

    /// An order of one side, good for an hour.
    pub fn order(&self, side: Side) -> WatchOrder {
        WatchOrder::sign(self.def, clock::now() + 3_600, address(), &self.domain, self.key(side))
    }

    /// A's exit, with these proofs.
    pub async fn exit(&self, chain: &Chain, proofs: &[WatchedLane]) {
        let proofs = proofs
            .iter()
            .map(|lane| (LaneId { asset: lane.asset, payer: lane.payer }, lane.signed, lane.acknowledgement));
        let call = ChainCall::StartExit { channel: self.def, proofs: proofs.collect() };
        let data = call.calldata(|_| self.id()).to_vec();
        assert!(chain.send(self.def.a.owner, chain.contract, data, Amount::ZERO).await);
    }

    /// What the chain shows of a lane.
    pub async fn shown(&self, chain: &Chain, payer: Side) -> LaneState {
        let (channel, asset) = (self.id().0, self.asset);
        let call = IFarthing::laneStateCall { channelId: channel, asset, payer: payer.index() };
        let answer = chain.rpc.call_latest(chain.contract, call.abi_encode().into()).await.unwrap();
        IFarthing::laneStateCall::abi_decode_returns(&answer).unwrap()
    }

    pub async fn until_shown(&self, chain: &Chain, payer: Side, nonce: u64) {
        until("the proof is shown", || async { (self.shown(chain, payer).await.nonce == nonce).then_some(()) }).await;
    }

    /// Ends the challenge period and pays out; returns what the owners have then.
    pub async fn settle(&self, chain: &Chain) -> (U256, U256) {
        chain.ask("evm_increaseTime", json!([PERIOD + 1])).await;
        chain.mine(1).await;
        let call = ChainCall::Settle { channel: self.def, assets: vec![self.asset] };
        let data = call.calldata(|_| self.id()).to_vec();
        assert!(chain.send(chain.accounts[9], chain.contract, data, Amount::ZERO).await);
        (chain.balance(self.def.a.owner, self.asset).await, chain.balance(self.def.b.owner, self.asset).await)
    }
}

/// Units recorded for a key.
pub async fn units(chain: &Chain, key: B256) -> u32 {
    let answer = chain.rpc.call_latest(chain.contract, IFarthing::unitsOfCall { key }.abi_encode().into()).await;
    IFarthing::unitsOfCall::abi_decode_returns(&answer.unwrap()).unwrap()
}
