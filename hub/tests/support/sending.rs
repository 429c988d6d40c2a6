//! A sender alone, whose looks at the chain are made by hand.

use super::chain::{Chain, OWNER_KEY};
use super::until;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use farthing_hub::chain::Outcome;
use farthing_hub::chain::{Block, GasPolicy, Heard, Listener, Order, Orders, Rpc, Sender, SenderConfig};
use farthing_hub::health::Health;
use farthing_hub::store::{Sqlite, Status, Store};
use farthing_protocol::abi::IFarthing;
use farthing_protocol::chain::{ChainCall, ChainFact, Head, Purpose};
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::Participant;
use farthing_protocol::{Amount, Asset, ChannelDef, ChannelId, Error, Side};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Blocks on top of one before it is final.
const CONFIRMATIONS: u64 = 2;

/// Hears what became of orders.
#[derive(Clone, Default)]
pub struct Ear(Arc<Mutex<Vec<(String, Outcome)>>>);

impl Listener for Ear {
    async fn announced(&self, _: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }
    async fn facts(&self, _: Vec<(Option<ChannelId>, ChainFact)>, _: u64) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }
    async fn chain(&self, _: Vec<(Option<ChannelId>, ChainFact)>, _: Head) -> Result<Heard, Error> {
        Ok(Heard::default())
    }
    async fn recorded(&self, _: Vec<ChainFact>) -> Result<(), Error> {
        Ok(())
    }
    async fn caught_up(&self, _: &BTreeSet<ChannelId>, _: Block) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }
    async fn outcome(&self, id: String, outcome: Outcome) -> Result<(), Error> {
        self.0.lock().unwrap().push((id, outcome));
        Ok(())
    }
}

pub struct Sending<'a> {
    pub chain: &'a Chain,
    pub store: Arc<Sqlite>,
    pub health: Arc<Health>,
    pub orders: Orders,
    ear: Ear,
    task: JoinHandle<()>,
}

/// A policy without a reserve that spends on everything.
pub fn spending() -> GasPolicy {
    GasPolicy { floor: 10_u128.pow(16), ..GasPolicy::default() }
}

impl<'a> Sending<'a> {
    pub async fn start(chain: &'a Chain, folder: &Path, gas: GasPolicy) -> Self {
        Self::through(chain, &chain.url, folder, gas).await
    }

    /// With an RPC of its own.
    pub async fn through(chain: &'a Chain, url: &str, folder: &Path, gas: GasPolicy) -> Self {
        let filter = tracing_subscriber::EnvFilter::from_env("FARTHING_HUB_LOG");
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let store = Arc::new(Sqlite::open(&folder.join("sender.sqlite")).await.unwrap());
        let health = Arc::new(Health::new(Duration::from_secs(60), 1_000_000_000));
        let (orders, ear) = (Orders::default(), Ear::default());
        let config = SenderConfig {
            chain_id: 31_337,
            contract: chain.contract,
            owner: SecretKey::from_bytes(&alloy_primitives::hex::decode(OWNER_KEY).unwrap()).unwrap(),
            stuck_after: Duration::ZERO,
            gas,
        };
        let rpc = Rpc::new(url.parse().unwrap());
        let kept = Arc::clone(&store) as Arc<dyn Store>;
        let sender = Sender::new(config, rpc, kept, ear.clone(), orders.clone(), health.looks());
        let task = tokio::spawn(sender.with_health(Arc::clone(&health)).run());
        Self { chain, store, health, orders, ear, task }
    }

    /// The sender sees the newest block.
    pub async fn look(&self) {
        let newest = self.chain.rpc.latest().await.unwrap();
        let final_number = newest.number.saturating_sub(CONFIRMATIONS);
        let block = self.chain.rpc.block(final_number).await.unwrap().unwrap();
        self.health.looked(Head {
            number: newest.number,
            timestamp: newest.timestamp,
            final_number,
            final_timestamp: block.timestamp,
        });
    }

    /// A block, and a look at it.
    pub async fn step(&self) {
        self.chain.mine(1).await;
        self.look().await;
    }

    /// Ends without a word, as a crash does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        self.store.close().await.unwrap();
    }

    pub fn heard(&self, id: &str) -> Vec<Outcome> {
        self.ear.0.lock().unwrap().iter().filter(|(of, _)| of == id).map(|(_, outcome)| *outcome).collect()
    }

    /// Mines until something is there.
    pub async fn mined<T, F: Future<Output = Option<T>>>(&self, what: &str, mut ask: impl FnMut() -> F) -> T {
        until(what, || {
            let asked = ask();
            async {
                let answer = asked.await;
                if answer.is_none() {
                    self.step().await;
                }
                answer
            }
        })
        .await
    }

    pub async fn ends(&self, id: &str) -> Outcome {
        self.mined("an order ends", || async { self.heard(id).pop() }).await
    }

    pub async fn status(&self, id: &str) -> Option<Status> {
        self.store.order(id).await.unwrap().map(|order| order.status)
    }

    pub async fn is_sent(&self, id: &str) {
        until("it is signed", || async { (self.status(id).await == Some(Status::Sent)).then_some(()) }).await;
    }

    /// The owner's transactions in the mempool, by nonce.
    pub async fn pool(&self) -> Vec<Value> {
        let content = self.chain.ask("txpool_content", json!([])).await;
        let owner = self.owner().to_string().to_lowercase();
        let mut all = Vec::new();
        for kind in ["pending", "queued"] {
            let of_owner = content[kind].as_object().unwrap().iter().filter(|(from, _)| from.to_lowercase() == owner);
            all.extend(of_owner.flat_map(|(_, by_nonce)| by_nonce.as_object().unwrap().values().cloned()));
        }
        all.sort_by_key(|transaction| number(&transaction["nonce"]));
        all
    }

    pub fn owner(&self) -> Address {
        self.chain.accounts[0]
    }

    pub async fn automine(&self, on: bool) {
        self.chain.ask("evm_setAutomine", json!([on])).await;
    }

    pub async fn set_balance(&self, wei: u128) {
        self.chain.ask("anvil_setBalance", json!([self.owner(), U256::from(wei)])).await;
    }

    pub fn channel(&self, salt: u64) -> ChannelDef {
        let signer = |label: &str| SecretKey::derive(label, &salt.to_be_bytes()).unwrap().address();
        ChannelDef {
            a: Participant { owner: self.chain.accounts[1], signer: signer("a") },
            b: Participant { owner: self.owner(), signer: signer("b") },
            challenge_period: 86_400,
            salt,
        }
    }

    /// An order to put money in.
    pub fn fund(&self, id: &str, salt: u64, asset: Asset, amount: Amount) -> Order {
        let channel = self.channel(salt);
        let call = ChainCall::Deposit { channel, side: Side::B, asset, amount };
        self.order(id, salt, &call, Purpose::Fund { asset, amount })
    }

    pub async fn funded(&self, salt: u64, asset: Asset) -> u128 {
        let id = self.channel(salt).id(31_337, self.chain.contract);
        self.chain.state(id.0, asset).await.depositB
    }

    fn order(&self, id: &str, salt: u64, call: &ChainCall, purpose: Purpose) -> Order {
        let channel = self.channel(salt).id(31_337, self.chain.contract);
        Order {
            id: id.into(),
            channel,
            label: call.label(),
            to: None,
            data: call.calldata(|_| channel),
            value: call.value(),
            allowance: call.allowance(),
            purpose,
        }
    }

    /// An order to record evidence for a lock of this amount.
    pub async fn evidence(&self, number: u32, amount: Amount) -> (Order, farthing_protocol::condition::ConditionKey) {
        let preimage = sha256(&number.to_be_bytes());
        let condition = Condition::hash_lock(sha256(&preimage));
        let expiry = self.chain.rpc.latest().await.unwrap().timestamp + 600;
        // The same for a whole run, however long it takes.
        let expiry = expiry - expiry % 86_400 + 200_000;
        let key = condition.key(expiry);
        let data = IFarthing::recordEvidenceCall {
            condition: condition.address,
            params: condition.params.clone(),
            expiry,
            evidence: Bytes::copy_from_slice(&preimage),
        };
        let purpose = Purpose::Protect { asset: farthing_protocol::ETH, amount, deadline: expiry };
        let channel = self.channel(1).id(31_337, self.chain.contract);
        let order = Order {
            id: format!("evidence/{number}"),
            channel,
            label: "recordEvidence",
            to: None,
            data: data.abi_encode().into(),
            value: U256::ZERO,
            allowance: None,
            purpose,
        };
        (order, key)
    }
}

pub fn number(value: &Value) -> u128 {
    u128::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}
