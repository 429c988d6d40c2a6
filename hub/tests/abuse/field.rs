//! What attackers have: keys, Anvil's accounts, addresses of the loopback network, and no respect.

use crate::stage::{ATTACKERS, Hub, Stage, client_config};
use crate::support::client::{Socket, connect_from, prove, socket_call};
use crate::support::{Chain, Client, ClientConfig};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::IFarthing;
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Amount, ChannelId, ETH};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Barrier;

/// Gas of any call of theirs.
const GAS: &str = "0x40000";

/// A lock whose payer goes away and leaves it to the hub to get the money.
#[derive(Clone, Copy)]
pub struct OpenLock {
    pub channel: ChannelId,
    pub slot: u16,
    pub key: ConditionKey,
    pub value: u128,
    pub expiry: u64,
}

/// What is left of an attack when it is over.
#[derive(Default)]
pub struct Left {
    /// Attackers with a wallet, who leave with what the hub owes them.
    pub clients: Vec<Client>,
    pub locks: Vec<OpenLock>,
    /// Wei for which the hub has handed something over.
    pub sold: u128,
    pub notes: Vec<String>,
    /// Honest payments of an attack's own cast.
    pub failed: u64,
}

/// The attackers' side of a stage, one for each attack; most of it they share.
#[derive(Clone)]
pub struct Field {
    pub chain: Arc<Chain>,
    pub hub: Arc<Hub>,
    pub url: String,
    pub folder: PathBuf,
    pub pace: Arc<AtomicU64>,
    pub seed: u64,
    pub left: Arc<Mutex<Left>>,
    base: ClientConfig,
    time: Duration,
    begins: Arc<Barrier>,
    until: Arc<Mutex<Option<Instant>>>,
    attempts: Arc<AtomicU64>,
    count: Arc<AtomicUsize>,
    /// Whether this attack has begun.
    begun: Arc<AtomicBool>,
}

impl Field {
    /// For so many attacks at once.
    pub async fn new(stage: &Stage, attacks: usize, seed: u64, time: Duration) -> Self {
        let (chain, folder) = (Arc::clone(&stage.chain), stage.folder.path().to_owned());
        let base = client_config(&chain, &stage.hub.url, &folder, ATTACKERS.start, Ipv4Addr::LOCALHOST).await;
        Self {
            hub: Arc::clone(&stage.hub),
            url: stage.hub.url.clone(),
            pace: Arc::clone(&stage.pace),
            left: Arc::default(),
            begins: Arc::new(Barrier::new(attacks + 1)),
            until: Arc::default(),
            attempts: Arc::default(),
            count: Arc::default(),
            begun: Arc::default(),
            chain,
            folder,
            seed,
            base,
            time,
        }
    }

    /// The same field for one attack.
    pub fn for_one(&self) -> Arc<Self> {
        Arc::new(Self { begun: Arc::default(), ..self.clone() })
    }

    /// Preparations are over: from here on it counts. All attacks begin together.
    pub async fn begin(&self) {
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.begins.wait().await;
        }
        self.begin_now();
    }

    /// Begins without those who are not ready.
    pub fn begin_now(&self) {
        self.until.lock().unwrap().get_or_insert_with(|| Instant::now() + self.time);
    }

    /// Whether the time is up.
    pub fn is_over(&self) -> bool {
        self.until.lock().unwrap().is_some_and(|until| Instant::now() >= until)
    }

    /// Waits until the time is up.
    pub async fn over(&self) {
        while !self.is_over() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Counts hostile acts.
    pub fn tried(&self, times: u64) {
        self.attempts.fetch_add(times, Ordering::Relaxed);
    }

    pub fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    pub fn note(&self, text: impl Into<String>) {
        self.left.lock().unwrap().notes.push(text.into());
    }

    /// A number that nobody else gets, below 2^16 in practice.
    pub fn number(&self) -> usize {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// A number below `end` that the seed chooses.
    pub fn choose(&self, what: &str, end: u64) -> u64 {
        let hash = keccak256(format!("{}/{what}/{}", self.seed, self.number()));
        hash.0.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) % end.max(1)
    }

    /// A channel of its own with a key of its own, unknown to everybody so far.
    pub fn channel(&self, from: Ipv4Addr) -> ClientConfig {
        let number = self.number();
        let mut config = self.base.clone();
        config.key = SecretKey::derive("an attacker", &number.to_be_bytes()).unwrap();
        config.def.a.signer = config.key.address();
        config.def.a.owner = self.chain.accounts[ATTACKERS.start + number % ATTACKERS.len()];
        config.def.salt = number as u64;
        config.store = self.folder.join(format!("attacker-{number}.sqlite"));
        config.from = from;
        config
    }

    pub async fn socket(&self, from: Ipv4Addr) -> Result<Socket, String> {
        let connected = tokio::time::timeout(Duration::from_secs(5), connect_from(from, &self.url)).await;
        connected.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())
    }

    pub async fn register(&self, socket: &mut Socket, config: &ClientConfig) -> Result<(), String> {
        let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
        self.call(socket, "farthing_register", params).await.map(drop)
    }

    /// Registers and attaches a channel on a connection that may have others.
    pub async fn enter(&self, socket: &mut Socket, config: &ClientConfig) -> Result<(), String> {
        self.register(socket, config).await?;
        let proven = tokio::time::timeout(Duration::from_secs(15), prove(socket, config)).await;
        proven.map_err(|_| "not let in".to_owned())?.map_err(|error| error.to_string())
    }

    pub async fn call(&self, socket: &mut Socket, method: &str, params: Value) -> Result<Value, String> {
        let called = tokio::time::timeout(Duration::from_secs(10), socket_call(socket, method, params, drop)).await;
        called.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())
    }

    /// A wallet with a connection, or why the hub does not let it in.
    pub async fn wallet(&self, config: ClientConfig) -> Result<Client, String> {
        let url = self.url.clone();
        apart(async move || config.start(&url).await).await
    }

    /// A wallet as its store has it, without a connection.
    pub async fn resume(&self, config: ClientConfig) -> Result<Client, String> {
        apart(async move || config.resume().await).await
    }

    /// Opens channels with this deposit each, all in as few blocks as they fit in.
    pub async fn deposit(&self, configs: &[ClientConfig], amount: Amount) {
        let mut last = Value::Null;
        for config in configs {
            let open = IFarthing::openCall { channel: (&config.def).into(), asset: ETH, amount: amount.units() };
            last = self.send(config.def.a.owner, open.abi_encode(), amount.units()).await;
        }
        self.mined(&last).await;
    }

    /// Sends a call to the contract, without waiting.
    pub async fn send(&self, from: Address, data: Vec<u8>, value: u128) -> Value {
        let (to, data) = (self.chain.contract, alloy_primitives::Bytes::from(data));
        let call = json!([{ "from": from, "to": to, "data": data, "value": U256::from(value), "gas": GAS }]);
        self.chain.ask("eth_sendTransaction", call).await
    }

    pub async fn mined(&self, hash: &Value) {
        for _ in 0..200 {
            if hash.is_null() || !self.chain.ask("eth_getTransactionReceipt", json!([hash])).await.is_null() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a socket says is thrown away, so that the hub can go on.
    pub fn ignore(stream: impl StreamExt<Item = impl Send> + Send + Unpin + 'static) {
        let mut stream = stream;
        tokio::spawn(async move { while stream.next().await.is_some() {} });
    }

    /// What nobody else can guess.
    pub fn secret(&self) -> B256 {
        keccak256(format!("a secret of {} number {}", self.seed, self.number()))
    }
}

/// Runs something that takes an honest hub for granted and panics at what it does not expect.
async fn apart<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> Result<T, String> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work())).await.map_err(|error| error.to_string())
}

/// The attackers' addresses, from 127.0.0.66 on.
pub fn address(number: usize) -> Ipv4Addr {
    let number = number + 66;
    Ipv4Addr::new(127, 0, (number / 250) as u8, (number % 250) as u8)
}
